#include "stamp/stamp_reader.h"

#include <string.h>
#include <time.h>

#define SECOND_NS INT64_C(1000000000)
#define MINUTE_NS (60 * SECOND_NS)
#define EPOCH_DIGITS 10

/* What of a stamp has not been read. */
struct rest {
	const char *at, *end;
};

static bool
take_text(struct rest *rest, const char *text)
{
	size_t len = strlen(text);

	if ((size_t)(rest->end - rest->at) < len ||
	    memcmp(rest->at, text, len) != 0)
		return false;
	rest->at += len;
	return true;
}

static size_t
count_digits(const struct rest *rest)
{
	const char *at = rest->at;

	while (at < rest->end && *at >= '0' && *at <= '9')
		at++;
	return (size_t)(at - rest->at);
}

/* Takes count digits, at most 18. */
static bool
take_number(struct rest *rest, size_t count, int64_t *value)
{
	if (count_digits(rest) < count)
		return false;
	*value = 0;
	for (; count > 0; count--)
		*value = *value * 10 + (*rest->at++ - '0');
	return true;
}

static bool
take_field(struct rest *rest, size_t count, int *field)
{
	int64_t value;

	if (!take_number(rest, count, &value))
		return false;
	*field = (int)value;
	return true;
}

/* Takes one of count names of three letters. */
static bool
take_name(struct rest *rest, const char (*names)[4], int count, int *field)
{
	for (*field = 0; *field < count; ++*field)
		if (take_text(rest, names[*field]))
			return true;
	return false;
}

/* Takes digits of a fraction, one to nine. */
static bool
take_fraction(struct rest *rest, size_t digits, struct stamp_reading *reading)
{
	int64_t value;

	if (digits < 1 || digits > 9 || !take_number(rest, digits, &value))
		return false;
	for (reading->resolution_ns = SECOND_NS; digits > 0; digits--)
		reading->resolution_ns /= 10;
	reading->at_ns += value * reading->resolution_ns;
	return true;
}

static bool
is_in_range(int64_t second)
{
	const int64_t year_1900 = -2208988800, year_2150 = 5680281600;

	return second >= year_1900 && second < year_2150;
}

/* Adds the second of a date; false for a date that does not exist. */
static bool
add_date(const struct tm *date, struct stamp_reading *reading)
{
	struct tm real = *date;
	time_t second = timegm(&real);

	/* A day that the month does not have makes it another month. */
	if (!is_in_range(second) || real.tm_mon != date->tm_mon ||
	    real.tm_hour != date->tm_hour || real.tm_min != date->tm_min ||
	    real.tm_sec != date->tm_sec)
		return false;
	reading->at_ns += second * SECOND_NS;
	return date->tm_wday == -1 || date->tm_wday == real.tm_wday;
}

/* 01:15:00 */
static bool
take_clock(struct rest *rest, struct tm *date)
{
	return take_field(rest, 2, &date->tm_hour) && take_text(rest, ":") &&
	       take_field(rest, 2, &date->tm_min) && take_text(rest, ":") &&
	       take_field(rest, 2, &date->tm_sec);
}

/* Sat Nov 21 01:15:00 2026 */
static bool
take_ctime(struct rest *rest, struct stamp_reading *reading)
{
	static const char days[][4] = { "Sun", "Mon", "Tue", "Wed", "Thu",
		"Fri", "Sat" };
	static const char months[][4] = { "Jan", "Feb", "Mar", "Apr", "May",
		"Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
	struct tm date = { 0 };

	if (!take_name(rest, days, 7, &date.tm_wday) || !take_text(rest, " ") ||
	    !take_name(rest, months, 12, &date.tm_mon) || !take_text(rest, " "))
		return false;
	size_t digits = take_text(rest, " ") ? 1 : 2;
	if (!take_field(rest, digits, &date.tm_mday) || !take_text(rest, " ") ||
	    !take_clock(rest, &date) || !take_text(rest, " ") ||
	    !take_field(rest, 4, &date.tm_year))
		return false;
	date.tm_year -= 1900;
	return add_date(&date, reading);
}

/* Z, +01:00, +0100 or nothing. */
static bool
take_zone(struct rest *rest, struct stamp_reading *reading)
{
	int hours, minutes;

	reading->has_zone = rest->at < rest->end;
	if (!reading->has_zone || take_text(rest, "Z"))
		return true;
	int64_t sign = take_text(rest, "-") ? -1 : 1;
	if (sign == 1 && !take_text(rest, "+"))
		return false;
	if (!take_field(rest, 2, &hours))
		return false;
	take_text(rest, ":");
	if (!take_field(rest, 2, &minutes) || hours > 25 || minutes > 59)
		return false;
	reading->at_ns -= sign * (hours * 60 + minutes) * MINUTE_NS;
	return true;
}

/* 2026-11-21T01:15:00.012+00:00 */
static bool
take_rfc3339(struct rest *rest, struct stamp_reading *reading)
{
	struct tm date = { .tm_wday = -1 };

	if (!take_field(rest, 4, &date.tm_year) || !take_text(rest, "-") ||
	    !take_field(rest, 2, &date.tm_mon) || !take_text(rest, "-") ||
	    !take_field(rest, 2, &date.tm_mday) ||
	    !(take_text(rest, "T") || take_text(rest, " ")) ||
	    !take_clock(rest, &date))
		return false;
	date.tm_year -= 1900;
	date.tm_mon--;
	if (!add_date(&date, reading))
		return false;
	if (take_text(rest, ".") &&
	    !take_fraction(rest, count_digits(rest), reading))
		return false;
	return take_zone(rest, reading);
}

/* 1795223700, 1795223700012 or 1795223700.012 */
static bool
take_epoch(struct rest *rest, struct stamp_reading *reading)
{
	size_t digits = count_digits(rest);
	int64_t second;

	if (digits < EPOCH_DIGITS || digits % 3 != EPOCH_DIGITS % 3 ||
	    *rest->at == '0' || !take_number(rest, EPOCH_DIGITS, &second) ||
	    !is_in_range(second))
		return false;
	reading->at_ns = second * SECOND_NS;
	reading->has_zone = true;
	if (digits > EPOCH_DIGITS)
		return take_fraction(rest, digits - EPOCH_DIGITS, reading);
	return !take_text(rest, ".") ||
	       take_fraction(rest, count_digits(rest), reading);
}

bool
stamp_reader_read(const char *stamp, size_t len, struct stamp_reading *reading)
{
	static bool (*const take[])(struct rest *,
	    struct stamp_reading *) = { take_ctime, take_rfc3339, take_epoch };

	if (len < 3 || stamp[0] != '[' || memcmp(stamp + len - 2, "] ", 2) != 0)
		return false;
	for (size_t i = 0; i < sizeof(take) / sizeof(take[0]); i++) {
		struct rest rest = { stamp + 1, stamp + len - 2 };

		*reading = (struct stamp_reading){ .resolution_ns = SECOND_NS };
		if (take[i](&rest, reading) && rest.at == rest.end)
			return true;
	}
	return false;
}
