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

/* "tcp *:21567 (chunk)", "unix /run/a (line)", "udp [::1]:7" */
static void
print_listener(FILE *out, const struct listener_config *listener)
{
	bool is_ipv6 = strchr(listener->address, ':') != NULL;

	if (protocol_is_unix(listener->protocol))
		message_print(out, "%s %s", protocol_name(listener->protocol),
		    listener->path);
	else
		message_print(out, "%s %s%s%s:%d",
		    protocol_name(listener->protocol), is_ipv6 ? "[" : "",
		    listener->address, is_ipv6 ? "]" : "", listener->port);
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
	if (protocol_is_unix(config->http.protocol))
		message_print(out, "; metrics at %s", config->http.path);
	else if (config->http.port != -1)
		message_print(out, "; metrics at %s:%d", config->http.address,
		    config->http.port);
	fputc('\n', out);
}
