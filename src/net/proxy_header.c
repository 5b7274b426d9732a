/*
 * See "The PROXY protocol, versions 1 & 2" by Willy Tarreau, with the CRC32C of
 * RFC 4960.
 */
#include "net/proxy_header.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>

#define SIGNATURE_1 "PROXY "
#define SIGNATURE_2 "\r\n\r\n\0\r\nQUIT\n"
#define LEN(literal) (sizeof(literal) - 1)

#define LINE_MAX_1 107 /* of version 1, with the end of the line */
#define HEAD_2 16      /* of version 2: what is in front of the addresses */

/* Of version 2: version and command, family, transport, type of a value. */
enum { LOCAL = 0x20, PROXY = 0x21 };
enum { UNSPEC, INET, INET6, UNIX, FAMILIES };
enum { NEITHER, STREAM, DGRAM };
enum { TYPE_CRC32C = 3 };

static const size_t addresses_len[FAMILIES] = { 0, 12, 36, 216 };

/* -1: it is not a port, or has leading zeros. */
static int
parse_port(const char *text)
{
	size_t len = strspn(text, "0123456789");

	if (len == 0 || len > 5 || text[len] != '\0' ||
	    (text[0] == '0' && len > 1))
		return -1;
	long port = strtol(text, NULL, 10);
	return port <= 65535 ? (int)port : -1;
}

/* False: it is not an address of the family with a port. */
static bool
parse_inet(int family, const char *ip, int port, struct sockaddr_any *address)
{
	*address = (struct sockaddr_any){ 0 };
	address->any.sa_family = (sa_family_t)family;
	if (family == AF_INET) {
		address->len = sizeof(address->in);
		address->in.sin_port = htons((uint16_t)port);
		return port != -1 &&
		       inet_pton(family, ip, &address->in.sin_addr) == 1;
	}
	address->len = sizeof(address->in6);
	address->in6.sin6_port = htons((uint16_t)port);
	return port != -1 &&
	       inet_pton(family, ip, &address->in6.sin6_addr) == 1;
}

/* "TCP4 SOURCE DESTINATION PORT PORT", or "UNKNOWN" and anything. */
static bool
parse_line(char *line, struct sockaddr_any *client)
{
	const char *words[5];
	struct sockaddr_any server;
	size_t count = 0;

	client->len = 0;
	if (strncmp(line, "UNKNOWN", 7) == 0 &&
	    (line[7] == '\0' || line[7] == ' '))
		return true;
	while (line != NULL && count < 5)
		words[count++] = strsep(&line, " ");
	if (count < 5 || line != NULL)
		return false;
	bool is_4 = strcmp(words[0], "TCP4") == 0;
	int family = is_4 ? AF_INET : AF_INET6;
	return (is_4 || strcmp(words[0], "TCP6") == 0) &&
	       parse_inet(family, words[1], parse_port(words[3]), client) &&
	       parse_inet(family, words[2], parse_port(words[4]), &server);
}

static enum proxy_header_form
read_1(const char *bytes, size_t len, struct proxy_header *header)
{
	char line[LINE_MAX_1];
	size_t max = MIN(len, LINE_MAX_1);
	const char *end = memchr(bytes, '\n', max);

	if (end == NULL)
		return max < LINE_MAX_1 ? PROXY_HEADER_PART : PROXY_HEADER_BAD;
	size_t line_len = (size_t)(end - bytes);
	if (end[-1] != '\r' || memchr(bytes, '\0', line_len) != NULL)
		return PROXY_HEADER_BAD;
	*(char *)mempcpy(line, bytes, line_len - 1) = '\0';
	header->len = line_len + 1;
	return parse_line(line + LEN(SIGNATURE_1), &header->client)
	         ? PROXY_HEADER_WHOLE
	         : PROXY_HEADER_BAD;
}

/* Goes on from crc; four bits at a time, by the reversed polynomial. */
static uint32_t
crc32c(uint32_t crc, const uint8_t *bytes, size_t len)
{
	static const uint32_t table[16] = { 0x00000000, 0x105ec76f, 0x20bd8ede,
		0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
		0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4,
		0xd3d3e1ab, 0xe330a81a, 0xf36e6f75 };

	while (len-- > 0) {
		crc ^= *bytes++;
		crc = crc >> 4 ^ table[crc & 15];
		crc = crc >> 4 ^ table[crc & 15];
	}
	return crc;
}

/* Whether the four bytes at "at" are the checksum of all, without them. */
static bool
is_checksum(const uint8_t *bytes, size_t len, size_t at)
{
	static const uint8_t zeros[4];
	uint32_t expected;
	uint32_t crc = crc32c(UINT32_MAX, bytes, at);

	crc = crc32c(crc, zeros, sizeof(zeros));
	crc = ~crc32c(crc, bytes + at + 4, len - at - 4);
	memcpy(&expected, bytes + at, sizeof(expected));
	return crc == ntohl(expected);
}

enum fault { TLV_GOOD, TLV_MALFORMED, TLV_WRONG };

/* Types, lengths and values from "at" on; all but a checksum are skipped. */
static enum fault
check_tlvs(const uint8_t *bytes, size_t len, size_t at)
{
	int checksums = 0;

	while (at < len) {
		if (len - at < 3)
			return TLV_MALFORMED;
		size_t value_len = (size_t)bytes[at + 1] << 8 | bytes[at + 2];
		if (value_len > len - at - 3)
			return TLV_MALFORMED;
		if (bytes[at] == TYPE_CRC32C) {
			if (value_len != 4 || ++checksums > 1)
				return TLV_MALFORMED;
			if (!is_checksum(bytes, len, at + 3))
				return TLV_WRONG;
		}
		at += 3 + value_len;
	}
	return TLV_GOOD;
}

/* The source is in front of the destination, the ports behind both. */
static void
read_client(const uint8_t *addresses, int family, struct sockaddr_any *client)
{
	*client = (struct sockaddr_any){ 0 };
	if (family == INET) {
		client->len = sizeof(client->in);
		client->in.sin_family = AF_INET;
		memcpy(&client->in.sin_addr, addresses, 4);
		memcpy(&client->in.sin_port, addresses + 8, 2);
	} else if (family == INET6) {
		client->len = sizeof(client->in6);
		client->in6.sin6_family = AF_INET6;
		memcpy(&client->in6.sin6_addr, addresses, 16);
		memcpy(&client->in6.sin6_port, addresses + 32, 2);
	} else if (family == UNIX) {
		client->len = sizeof(client->un);
		client->un.sun_family = AF_UNIX;
		memcpy(client->un.sun_path, addresses,
		    sizeof(client->un.sun_path));
	}
}

/* All bytes of the header are there. */
static enum proxy_header_form
read_whole_2(const uint8_t *bytes, struct proxy_header *header)
{
	int family = bytes[13] >> 4, transport = bytes[13] & 15;
	bool is_local = bytes[12] == LOCAL;
	/* Also one that came to the balancer by UDP, such as by QUIC. */
	bool has_client = !is_local && family != UNSPEC && transport != NEITHER;
	size_t at = HEAD_2;

	if (!is_local && (family >= FAMILIES || transport > DGRAM))
		return PROXY_HEADER_BAD;
	if (family < FAMILIES)
		at += addresses_len[family];
	if (at > header->len && has_client)
		return PROXY_HEADER_BAD;
	/* Addresses of an unknown form are not read, but a checksum that is
	 * there and wrong still means that bytes have changed. */
	enum fault fault = check_tlvs(bytes, header->len, MIN(at, header->len));
	if (fault == TLV_WRONG || (fault == TLV_MALFORMED && has_client))
		return PROXY_HEADER_BAD;
	read_client(bytes + HEAD_2, has_client ? family : UNSPEC,
	    &header->client);
	return PROXY_HEADER_WHOLE;
}

static enum proxy_header_form
read_2(const uint8_t *bytes, size_t len, struct proxy_header *header)
{
	if (len > 12 && bytes[12] != LOCAL && bytes[12] != PROXY)
		return PROXY_HEADER_BAD;
	if (len < HEAD_2)
		return PROXY_HEADER_PART;
	header->len = HEAD_2 + ((size_t)bytes[14] << 8 | bytes[15]);
	if (header->len > PROXY_HEADER_MAX)
		return PROXY_HEADER_BAD;
	return len < header->len ? PROXY_HEADER_PART
	                         : read_whole_2(bytes, header);
}

enum proxy_header_form
proxy_header_read(const char *bytes, size_t len, struct proxy_header *header)
{
	struct proxy_header found = { 0 };
	enum proxy_header_form form = PROXY_HEADER_NONE;

	if (memcmp(bytes, SIGNATURE_1, MIN(len, LEN(SIGNATURE_1))) == 0)
		form = len < LEN(SIGNATURE_1) ? PROXY_HEADER_MAYBE
		                              : read_1(bytes, len, &found);
	else if (memcmp(bytes, SIGNATURE_2, MIN(len, LEN(SIGNATURE_2))) == 0)
		form = len < LEN(SIGNATURE_2)
		         ? PROXY_HEADER_MAYBE
		         : read_2((const uint8_t *)bytes, len, &found);
	if (form == PROXY_HEADER_WHOLE)
		*header = found;
	return form;
}
