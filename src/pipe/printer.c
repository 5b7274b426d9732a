#include "pipe/printer.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "base/json.h"
#include "stamp/stamp_reader.h"

#define SECOND_NS 1000000000
#define AGAIN_MS 100 /* less shows no digit but 0 */

bool
printer_is_plain(const struct printer *printer, int64_t late_ms)
{
	const struct client_options *options = printer->options;

	return !options->json && !options->since_before &&
	       !options->since_start && (late_ms == -1 || options->quiet);
}

static int
add_text(struct printer *printer, const char *text, size_t len)
{
	return output_add(printer->output, (struct framing_text){ text, len });
}

static int
add_json(struct printer *printer, struct framing_text text)
{
	char escape[JSON_ESCAPE_MAX];

	for (;;) {
		size_t plain = json_plain(text.bytes, text.len);
		if (add_text(printer, text.bytes, plain) == -1)
			return -1;
		if (plain == text.len)
			return 0;
		size_t len = json_escape(text.bytes[plain], escape);
		if (add_text(printer, escape, len) == -1)
			return -1;
		text.bytes += plain + 1;
		text.len -= plain + 1;
	}
}

static int
add_object(struct printer *printer, struct framing_text stamp,
    struct framing_text line, const char *numbers)
{
	if (line.len > 0 && line.bytes[line.len - 1] == '\n')
		line.len--;
	stamp = (struct framing_text){ stamp.bytes + 1, stamp.len - 3 };
	if (add_text(printer, "{\"stamp\":\"", 10) == -1 ||
	    add_json(printer, stamp) == -1 ||
	    add_text(printer, "\",\"data\":\"", 10) == -1 ||
	    add_json(printer, line) == -1 || add_text(printer, "\"", 1) == -1 ||
	    add_text(printer, numbers, strlen(numbers)) == -1)
		return -1;
	return add_text(printer, "}\n", 2);
}

/* Since the line before or the first one; false: stamp cannot be read. */
static bool
find_elapsed(struct printer *printer, struct framing_text stamp,
    struct stamp_reading *elapsed)
{
	if (!stamp_reader_read(stamp.bytes, stamp.len, elapsed))
		return false;
	int64_t now_ns = elapsed->at_ns;
	if (!printer->begun)
		printer->before_ns = now_ns;
	printer->begun = true;
	elapsed->at_ns = now_ns - printer->before_ns;
	if (printer->options->since_before)
		printer->before_ns = now_ns;
	return true;
}

/* "00:01:02 ", with as many digits as the stamp has. */
static size_t
elapsed_text(const struct stamp_reading *elapsed, char *text, size_t size)
{
	int64_t ns = elapsed->at_ns;
	int64_t s = (ns < 0 ? -ns : ns) / SECOND_NS;
	int64_t fraction = (ns < 0 ? -ns : ns) % SECOND_NS;
	int digits = 0;

	for (int64_t unit = SECOND_NS; unit > elapsed->resolution_ns;
	     unit /= 10)
		digits++;
	for (int i = digits; i < 9; i++)
		fraction /= 10;
	int n = snprintf(text, size, "%s%02" PRId64 ":%02" PRId64 ":%02" PRId64,
	    ns < 0 ? "-" : "", s / 3600, s / 60 % 60, s % 60);
	if (digits > 0)
		n += snprintf(text + n, size - (size_t)n, ".%0*" PRId64, digits,
		    fraction);
	n += snprintf(text + n, size - (size_t)n, " ");
	return (size_t)n;
}

static int
add_line(struct printer *printer, struct framing_text prefix,
    struct framing_text line, int64_t late_ms)
{
	char mark[48] = "";

	if (late_ms != -1 && late_ms < AGAIN_MS && !printer->options->quiet)
		strcpy(mark, "(again) ");
	else if (late_ms != -1 && !printer->options->quiet)
		snprintf(mark, sizeof(mark), "(+%" PRId64 ".%ds) ",
		    late_ms / 1000, (int)(late_ms % 1000 / 100));
	if (output_add(printer->output, prefix) == -1 ||
	    add_text(printer, mark, strlen(mark)) == -1)
		return -1;
	return output_add(printer->output, line);
}

int
printer_add(struct printer *printer, struct framing_text stamp,
    struct framing_text line, int64_t late_ms)
{
	const struct client_options *options = printer->options;
	bool since = options->since_before || options->since_start;
	struct stamp_reading elapsed = { 0 };
	size_t before = printer->output->text_len;
	char numbers[96] = "", text[64];
	int result;

	if (since && !find_elapsed(printer, stamp, &elapsed)) {
		fprintf(stderr, "timestampc: the server's stamps cannot be "
				"read: -i and -s need ctime, rfc3339 or "
				"epoch\n");
		return EX_PROTOCOL;
	}
	if (options->json) {
		size_t n = 0;
		if (since)
			n += (size_t)snprintf(numbers, sizeof(numbers),
			    ",\"elapsed_ns\":%" PRId64, elapsed.at_ns);
		if (late_ms != -1 && !options->quiet)
			snprintf(numbers + n, sizeof(numbers) - n,
			    ",\"late_ns\":%" PRId64, late_ms * 1000000);
		result = add_object(printer, stamp, line, numbers);
	} else {
		if (since)
			stamp = (struct framing_text){ text,
				elapsed_text(&elapsed, text, sizeof(text)) };
		result = add_line(printer, stamp, line, late_ms);
	}
	if (result == 0)
		return 0;
	perror("timestampc");
	output_shorten(printer->output, before);
	return EX_OSERR;
}
