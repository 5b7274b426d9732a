/*
 * The states that another process left: refused whole, or records that lie in
 * the text, in order, of which each makes a connection or is refused.
 */
#include <errno.h>
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
check_record(const struct handover_record *record, const char *text, size_t len)
{
	const struct conn_state *state = &record->state;

	ensure(state->bytes >= text && state->bytes <= text + len);
	size_t left = len - (size_t)(state->bytes - text);
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
	const char *text = (const char *)data;
	size_t count = 1;
	struct handover_record *records = handover_parse(text, size, &count);

	if (records == NULL) {
		ensure(count == 0 && (errno == EINVAL || errno == ENOMEM));
		return 0;
	}
	for (size_t i = 0; i < count; i++) {
		ensure(i == 0 || records[i - 1].cookie <= records[i].cookie);
		check_record(&records[i], text, size);
	}
	free(records);
	return 0;
}
