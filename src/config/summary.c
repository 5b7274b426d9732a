#include "config/summary.h"

#include <string.h>

#include "base/message.h"

/* " (line, proxy_protocol accept, stamps rfc3339, zone UTC)" */
static void
print_details(FILE *out, const struct listener_config *listener)
{
	bool has_framing = listener->protocol == PROTOCOL_TCP ||
	                   listener->protocol == PROTOCOL_UNIX;
	const char *separator = " (";

	if (has_framing) {
		fprintf(out, "%s%s", separator,
		    framing_name(listener->framing));
		separator = ", ";
	}
	if (listener->proxy != PROXY_OFF)
		fprintf(out, "%sproxy_protocol %s", separator,
		    listener_config_proxy_name(listener->proxy));
	if (listener->stamp.text[0] != '\0') {
		message_print(out, "%sstamps %s", separator,
		    listener->stamp.text);
		separator = ", ";
	}
	if (listener->timezone[0] != '\0') {
		message_print(out, "%szone %s", separator, listener->timezone);
		separator = ", ";
	}
	fputs(separator[0] == ',' ? ")" : "", out);
}

/* "*:21567", "[::1]:7", "/run/a" */
static void
print_place(FILE *out, const struct listener_config *listener)
{
	bool is_ipv6 = strchr(listener->address, ':') != NULL;

	if (protocol_is_unix(listener->protocol))
		message_print(out, "%s", listener->path);
	else
		message_print(out, "%s%s%s:%d", is_ipv6 ? "[" : "",
		    listener->address, is_ipv6 ? "]" : "", listener->port);
}

/* "tcp *:21567 (chunk)" */
static void
print_listener(FILE *out, const struct listener_config *listener)
{
	fprintf(out, "%s ", protocol_name(listener->protocol));
	print_place(out, listener);
	print_details(out, listener);
}

void
summary_print(FILE *out, const char *path, const struct config *config)
{
	message_print(out,
	    "%s: OK: ", path != NULL ? path : "built-in configuration");
	for (size_t i = 0; i < config->listener_count; i++) {
		fputs(i > 0 ? ", " : "", out);
		print_listener(out, &config->listeners[i]);
	}
	message_print(out, "; stamps %s, %s%s", config->stamp.text,
	    config->timezone, config->arrival ? ", of the arrival" : "");
	if (config->http.where[0] != '\0') {
		fputs("; metrics at ", out);
		print_place(out, &config->http);
	}
	fputc('\n', out);
}
