#include "server/request.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "server/reload.h"
#include "server/server.h"

/* An exit status for the client that asked, and the reasons in text. */
static int
answer_reload(struct server *server, char *text, size_t size)
{
	static const char cut[] = "\n... the server's log has the rest\n";
	char *reasons = NULL;
	int status = 0;

	if (server->state != SHUTDOWN_RUNNING) {
		snprintf(text, size, "the server is stopping\n");
		return EX_TEMPFAIL;
	}
	if (!reload_run(server, &reasons)) {
		bool known = reasons != NULL && *reasons != '\0';
		int len = snprintf(text, size, "%s",
		    known ? reasons : "out of memory\n");
		if (len >= (int)size)
			strcpy(text + size - sizeof(cut), cut);
		status = known ? EX_CONFIG : EX_OSERR;
	}
	free(reasons);
	return status;
}

static int
answer_counters(const struct server *server, enum counters_form form,
    char *text, size_t size)
{
	struct counters sum = { 0 };

	server_total_counters(server, &sum);
	if (*counters_text(&sum, form, text, size) != '\0')
		return 0;
	snprintf(text, size, "out of memory\n");
	return EX_OSERR;
}

int
request_answer(void *context, const char *request, char *text, size_t size)
{
	struct server *server = context;

	if (strcmp(request, "reload") == 0)
		return answer_reload(server, text, size);
	if (strcmp(request, "counters") == 0)
		return answer_counters(server, COUNTERS_LINES, text, size);
	if (strcmp(request, "counters json") == 0)
		return answer_counters(server, COUNTERS_JSON, text, size);
	snprintf(text, size,
	    "unknown request; there are: reload, counters, counters json\n");
	return EX_USAGE;
}
