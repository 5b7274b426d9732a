/*
 * The configuration reader: any bytes are either a valid configuration or an
 * error with a reason.
 */
#include <fcntl.h>
#include <libconfig.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "config/config.h"
#include "fuzz.h"
#include "syntax/syntax.h"
#include "unit/syntax/reasons.h"

#define FILE_FD 100

/* libconfig leaks a string that its parser rejects. */
const char *__lsan_default_suppressions(void);

const char *
__lsan_default_suppressions(void)
{
	return "leak:strbuf_append\nleak:libconfig_yylex\n";
}

static void
ensure(int condition)
{
	if (!condition)
		abort();
}

/* Makes data the content of /proc/self/fd/100. */
static void
fill(const uint8_t *data, size_t size)
{
	if (fcntl(FILE_FD, F_GETFD) == -1) {
		int made = memfd_create("fuzz", MFD_CLOEXEC);
		ensure(dup2(made, FILE_FD) == FILE_FD);
		close(made);
	}
	ensure(ftruncate(FILE_FD, 0) == 0);
	ensure(pwrite(FILE_FD, data, size, 0) == (ssize_t)size);
}

static void
ensure_sound(const struct config *config)
{
	ensure(config->workers >= 0 && config->workers <= 1024);
	ensure(config->max_connections >= 1);
	ensure(
	    config->idle_timeout >= 0 || config->idle_timeout == CONFIG_AUTO);
	ensure(config->send_timeout >= 0);
	ensure(config->drain_timeout >= 0);
	ensure(config->rate_limit >= 0 && config->rate_burst >= 1);
	ensure(stamp_zone_exists(config->timezone));
	ensure(config->listener_count >= 1);
	for (size_t i = 0; i < config->listener_count; i++) {
		const struct listener_config *at = &config->listeners[i];
		ensure(at->port >= 0 && at->port <= 65535);
		ensure(at->idle_timeout >= -1);
		ensure(at->backlog >= 1 && at->backlog <= 65535);
		ensure(at->max_datagram >= 1 &&
		       at->max_datagram <= LISTENER_CONFIG_DATAGRAM_MAX);
		ensure(at->mode <= 0777);
		ensure(protocol_is_unix(at->protocol) == (at->path[0] == '/'));
		ensure(strnlen(at->address, sizeof(at->address)) <
		       sizeof(at->address));
	}
}

/* The tree as libconfig writes it, with arrays as lists; NULL: not readable. */
static char *
understand(const char *text)
{
	config_t tree;
	char *shown = NULL, quote = '\0';
	size_t len;

	config_init(&tree);
	if (config_read_string(&tree, text)) {
		FILE *out = open_memstream(&shown, &len);
		config_write(&tree, out);
		fclose(out);
	}
	config_destroy(&tree);
	for (char *at = shown; at != NULL && *at != '\0'; at++)
		if (*at == '\\' && at[1] != '\0')
			at++;
		else if (*at == '"')
			quote = quote != '\0' ? '\0' : '"';
		else if (quote == '\0' && (*at == '[' || *at == ']'))
			*at = *at == '[' ? '(' : ')';
	return shown;
}

/* Whether a number has zeros in front, octal to libconfig 1.7. */
static int
may_be_octal(const char *text)
{
	for (; (text = strchr(text, '0')) != NULL; text++)
		if (text[1] >= '0' && text[1] <= '9')
			return 1;
	return 0;
}

/*
 * What the syntax leaves is what libconfig reads, so every error has its cause
 * from us; without an error it is what libconfig reads of the text itself.
 */
static void
ensure_readable(const uint8_t *data, size_t size)
{
	struct syntax syntax = { 0 };
	struct faults faults = { .path = "x", .text = calloc(1, size + 1) };

	ensure(faults.text != NULL);
	memcpy(faults.text, data, size);
	if (syntax_read(&syntax, &faults) == 0) {
		char *mended = understand(syntax.mended);
		ensure(mended != NULL);
		if (faults.count == 0 &&
		    strstr(faults.text, "@include") == NULL &&
		    !may_be_octal(faults.text)) {
			char *direct = understand(faults.text);
			ensure(direct == NULL || strcmp(direct, mended) == 0);
			free(direct);
		}
		free(mended);
	}
	if (strstr(faults.text, "@include") == NULL && is_taken(faults.text))
		ensure(!is_refused_without_reason(&syntax, &faults));
	syntax_free(&syntax);
	faults_free(&faults);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = NULL;
	size_t len;
	FILE *errors = open_memstream(&text, &len);

	ensure_readable(data, size);
	fill(data, size);
	struct config_source source = { .path = "/proc/self/fd/100",
		.with_pictures = true };
	struct config *config;
	config_load(&config, &source, errors);
	fclose(errors);
	ensure((config == NULL) == (len > 0));
	ensure(len == 0 || text[len - 1] == '\n');
	if (config != NULL)
		ensure_sound(config);
	config_free(config);
	free(text);
	return 0;
}
