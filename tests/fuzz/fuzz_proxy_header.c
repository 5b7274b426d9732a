/*
 * The first bytes of a connection, which may be a header of the PROXY protocol.
 * What is decided by the first of them stays so with more, a whole header needs
 * every byte, and it is what it says: written again, or by a slow checksum.
 */
#include <arpa/inet.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "net/proxy_header.h"

static void
ensure(int condition)
{
	if (!condition)
		abort();
}

/* A copy of its own, so that the sanitizer sees what is read behind it. */
static enum proxy_header_form
read_first(const uint8_t *data, size_t len, struct proxy_header *header)
{
	char *copy = malloc(len + 1);

	ensure(copy != NULL);
	memcpy(copy + 1, data, len);
	enum proxy_header_form form = proxy_header_read(copy + 1, len, header);
	free(copy);
	return form;
}

static bool
is_open(enum proxy_header_form form)
{
	return form == PROXY_HEADER_MAYBE || form == PROXY_HEADER_PART;
}

/* The source address and port of version 1, as they must have been written. */
static void
ensure_written(const char *line, const struct sockaddr_any *client)
{
	char ip[INET6_ADDRSTRLEN], start[64], port[16];
	int fields;

	if (client->len == 0) {
		ensure(strncmp(line, "PROXY UNKNOWN", 13) == 0);
		return;
	}
	snprintf(port, sizeof(port), " %u ", sockaddr_port(client));
	ensure(strstr(line, port) != NULL);
	fields = sscanf(line, "PROXY TCP%*1[46] %45[0-9a-fA-F.:] ", start);
	ensure(fields == 1);
	if (client->any.sa_family == AF_INET) {
		ensure(strncmp(line, "PROXY TCP4 ", 11) == 0);
		inet_ntop(AF_INET, &client->in.sin_addr, ip, sizeof(ip));
		ensure(strcmp(ip, start) == 0);
	} else {
		struct in6_addr address;
		ensure(strncmp(line, "PROXY TCP6 ", 11) == 0);
		ensure(inet_pton(AF_INET6, start, &address) == 1);
		ensure(memcmp(&address, &client->in6.sin6_addr, 16) == 0);
	}
}

/* The CRC32C bit by bit, where the four bytes at "at" count as zero. */
static uint32_t
slow_checksum(const uint8_t *data, size_t len, size_t at)
{
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < len * 8; i++) {
		bool is_skipped = i / 8 >= at && i / 8 < at + 4;
		unsigned byte = data[i / 8];
		crc ^= is_skipped ? 0 : byte >> i % 8 & 1;
		crc = crc >> 1 ^ ((crc & 1) != 0 ? 0x82f63b78 : 0);
	}
	return ~crc;
}

static void
ensure_values(const uint8_t *data, size_t len, size_t at)
{
	while (at < len) {
		ensure(len - at >= 3);
		size_t value_len = (size_t)data[at + 1] * 256 + data[at + 2];
		ensure(value_len <= len - at - 3);
		if (data[at] == 3) {
			uint32_t sum = slow_checksum(data, len, at + 3);
			uint8_t bytes[] = { (uint8_t)(sum >> 24),
				(uint8_t)(sum >> 16), (uint8_t)(sum >> 8),
				(uint8_t)sum };
			ensure(value_len == 4);
			ensure(memcmp(bytes, data + at + 3, 4) == 0);
		}
		at += 3 + value_len;
	}
}

static void
ensure_packed(const uint8_t *data, const struct proxy_header *header)
{
	const struct sockaddr_any *client = &header->client;
	size_t at = 0;

	ensure(data[12] == 0x20 || data[12] == 0x21);
	ensure(header->len == 16U + data[14] * 256U + data[15]);
	if (client->len == 0)
		return;
	/* Over a stream or in datagrams. */
	ensure(
	    data[12] == 0x21 && ((data[13] & 15) == 1 || (data[13] & 15) == 2));
	if (client->any.sa_family == AF_INET) {
		at = 28;
		ensure(data[13] >> 4 == 1);
		ensure(memcmp(&client->in.sin_addr, data + 16, 4) == 0);
		ensure(sockaddr_port(client) == data[24] * 256 + data[25]);
	} else if (client->any.sa_family == AF_INET6) {
		at = 52;
		ensure(data[13] >> 4 == 2);
		ensure(memcmp(&client->in6.sin6_addr, data + 16, 16) == 0);
		ensure(sockaddr_port(client) == data[48] * 256 + data[49]);
	} else {
		at = 232;
		ensure(data[13] >> 4 == 3);
		ensure(memcmp(client->un.sun_path, data + 16, 108) == 0);
	}
	ensure(at <= header->len);
	ensure_values(data, header->len, at);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct proxy_header header = { 0 }, again;
	char line[128], text[SOCKADDR_TEXT_MAX], other[SOCKADDR_TEXT_MAX];
	size_t len = 0;
	enum proxy_header_form form = PROXY_HEADER_MAYBE;

	for (; len <= size && is_open(form); len++)
		form = read_first(data, len, &header);
	if (is_open(form))
		return 0;
	len--;
	/* Decided by the last of len bytes: more of them change nothing. */
	ensure(read_first(data, size, &again) == form);
	if (form != PROXY_HEADER_WHOLE)
		return 0;
	ensure(header.len <= PROXY_HEADER_MAX && header.len == len);
	ensure(again.len == len && again.client.len == header.client.len);
	if (header.client.len > 0) {
		sockaddr_text(&header.client, false, text, sizeof(text));
		sockaddr_text(&again.client, false, other, sizeof(other));
		ensure(strcmp(text, other) == 0);
	}
	if (data[0] != 'P') {
		ensure_packed(data, &header);
		return 0;
	}
	ensure(len <= 107 && memcmp(data + len - 2, "\r\n", 2) == 0);
	snprintf(line, sizeof(line), "%.*s", (int)len, (const char *)data);
	ensure(strlen(line) == len);
	ensure_written(line, &header.client);
	return 0;
}
