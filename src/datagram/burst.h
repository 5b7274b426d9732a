#ifndef DATAGRAM_BURST_H
#define DATAGRAM_BURST_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Datagrams one behind the other in one buffer, all of a size but the last,
 * which may be shorter: as UDP_GRO hands them in and UDP_SEGMENT takes them.
 * Pure; any thread on memory of its own.
 */
#define BURST_SEGMENTS_MAX 64 /* newer kernels take 128 */
#define BURST_BYTES_MAX 65507 /* as of any datagram */

/* A burst in the making. */
struct burst {
	char *bytes;
	size_t len, segment_len, count;
};

/* An empty one; bytes, the caller's, has room for BURST_BYTES_MAX. */
void burst_begin(struct burst *burst, char *bytes, size_t segment_len);

/* Whether a datagram of len bytes can be the next. */
bool burst_has_room(const struct burst *burst, size_t len);

/* Adds stamp and data as one datagram, for which there is room. */
void burst_add(struct burst *burst, const char *stamp, size_t stamp_len,
    const char *data, size_t len);

/* How many datagrams a burst of len bytes holds. */
size_t burst_count(size_t len, size_t segment_len);

/* The bytes of the one that begins at byte number at. */
size_t burst_segment(size_t len, size_t segment_len, size_t at);

#endif
