#include "datagram/burst.h"

#include <assert.h>
#include <string.h>

void
burst_begin(struct burst *burst, char *bytes, size_t segment_len)
{
	*burst = (struct burst){ .bytes = bytes, .segment_len = segment_len };
}

bool
burst_has_room(const struct burst *burst, size_t len)
{
	bool is_open = burst->len == burst->count * burst->segment_len;

	return is_open && len <= burst->segment_len &&
	       burst->count < BURST_SEGMENTS_MAX &&
	       burst->len + len <= BURST_BYTES_MAX;
}

void
burst_add(struct burst *burst, const char *stamp, size_t stamp_len,
    const char *data, size_t len)
{
	char *to = burst->bytes + burst->len;

	assert(burst_has_room(burst, stamp_len + len));
	to = mempcpy(to, stamp, stamp_len);
	memcpy(to, data, len);
	burst->len += stamp_len + len;
	burst->count++;
}

size_t
burst_count(size_t len, size_t segment_len)
{
	return (len + segment_len - 1) / segment_len;
}

size_t
burst_segment(size_t len, size_t segment_len, size_t at)
{
	return len - at < segment_len ? len - at : segment_len;
}
