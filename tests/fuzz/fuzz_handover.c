/*
 * The states that another process handed over: refused whole, or entries that
 * lie in the file, of which each makes a connection or is refused.
 */
#include <stdlib.h>

#include "fuzz.h"
#include "server/handover.h"

static void
ensure(int condition)
{
	if (!condition)
		abort();
}

static void
check_state(const struct conn_state *state, const char *file, size_t len)
{
	ensure(state->bytes >= file && state->bytes <= file + len);
	size_t left = len - (size_t)(state->bytes - file);
	ensure(
	    state->out_len <= left && state->in_len <= left - state->out_len);
	ensure(
	    (int)state->protocol >= 0 && (int)state->protocol < PROTOCOL_COUNT);
	ensure(
	    state->framing == FRAMING_CHUNK || state->framing == FRAMING_LINE);
	struct conn *conn = conn_restore(-1, state, 0);
	if (conn == NULL)
		return;
	ensure(state->out_len + state->in_len <= CONN_KEPT_MAX);
	ensure((conn->want == CONN_WANT_WRITE) ==
	       (state->out_len + state->in_len > 0));
	conn_free(conn);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *bytes = (const char *)data;
	struct handover_file file;
	struct conn_state state;
	size_t count = 0;
	int is_good = handover_begin(&file, bytes, size);
	const size_t expected = file.count;

	for (; handover_next(&file, &state); count++)
		check_state(&state, bytes, size);
	ensure(count == expected && (is_good ? file.at == size : count == 0));
	return 0;
}
