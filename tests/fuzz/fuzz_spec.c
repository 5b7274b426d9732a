/*
 * The SPECs of -l, one per line: each is an error with a reason, or its listener
 * written as a SPEC is the same text.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "fuzz.h"

#define SPECS_MAX 8

static void
ensure(int condition)
{
	if (!condition)
		abort();
}

/* Ensures that the listener, written as a SPEC again, equals spec. */
static void
ensure_meant(const struct listener_config *listener, const char *spec)
{
	char again[1024], bracketed[1024];
	const char *name = protocol_name(listener->protocol);
	size_t len = strlen(spec);

	if (protocol_is_unix(listener->protocol)) {
		snprintf(again, sizeof(again), "%s:%s", name, listener->path);
		ensure(strcmp(again, spec) == 0);
		return;
	}
	ensure(listener->port >= 0 && listener->port <= 65535);
	snprintf(again, sizeof(again), "%s:%s:", name, listener->address);
	snprintf(bracketed, sizeof(bracketed), "%s:[%s]:", name,
	    listener->address);
	bool plain = strncmp(spec, again, strlen(again)) == 0;
	bool in_brackets = strncmp(spec, bracketed, strlen(bracketed)) == 0;
	bool any = strcmp(listener->address, "*") == 0 &&
	           strchr(spec, ':') == strrchr(spec, ':');
	ensure(plain || in_brackets || any);
	const char *port = strrchr(spec, ':') + 1;
	/* A number, leading zeros allowed, or the name of a service. */
	if (port[strspn(port, "0123456789")] == '\0') {
		ensure(port < spec + len);
		port += strspn(port, "0");
		snprintf(again, sizeof(again), "%d", listener->port);
		ensure(strcmp(*port != '\0' ? port : "0", again) == 0);
	}
}

static void
try(char **specs, size_t count)
{
	char *text = NULL;
	size_t len;
	FILE *errors = open_memstream(&text, &len);
	struct config_source source = { .specs = specs, .spec_count = count };
	struct config *config;

	int rc = config_load(&config, &source, errors);
	fclose(errors);
	ensure((rc == 0) == (len == 0));
	if (rc == 0) {
		ensure(config->listener_count == count);
		for (size_t i = 0; i < count; i++)
			if (strchr(specs[i], ',') == NULL)
				ensure_meant(&config->listeners[i], specs[i]);
	}
	config_free(config);
	free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = strndup((const char *)data, size), *at = text;
	char *specs[SPECS_MAX];
	size_t count = 0;

	while (at != NULL && count < SPECS_MAX)
		specs[count++] = strsep(&at, "\n");
	try(specs, count);
	free(text);
	return 0;
}
