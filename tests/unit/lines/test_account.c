#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lines/account.h"
#include "lines/reply.h"
#include "unit/suites.h"

/*
 * A model of a server and of connections that are cut: account and reply have to
 * bring each line of the input to the output once, in order, with a stamp.
 */

#define ROOM 8192

static const char *const inputs[] = {
	"one\ntwo\nthree\nfour\nfive\n",
	"\n\n\na\n\n\nb\n\n",
	"no newline at the end\nof the last",
	"x",
	"[x] y\n[\n] \n[00:00:0\n[00:00:01] \n[00:00:01] z\n[00:00:02] [\n",
	"same\nsame\nsame\nsame\nsame\nsame\nsame\n",
	"crlf\r\nlong long long long long long long long line\n.\n",
};
#define INPUTS (sizeof(inputs) / sizeof(inputs[0]))

struct model {
	const char *input;
	struct account account;
	struct reply reply;
	/* Of the server: */
	enum framing framing;
	size_t piece; /* it receives at most so much at once */
	bool line_start;
	unsigned clock;
	char down[ROOM]; /* what it sent */
	size_t down_len, down_at;
	/* Of the client: */
	char data[ROOM];
	size_t data_len;
	char output[ROOM];
	size_t output_len;
	size_t late;
};

/* An assertion of Check costs a system call even if it holds. */
static void
need(bool holds, const char *what)
{
	if (!holds)
		ck_abort_msg("%s", what);
}

static void
init(struct model *model, const char *input, enum framing framing)
{
	size_t len = strlen(input);

	model->reply = (struct reply){ 0 };
	model->clock = 0;
	model->output_len = model->late = 0;
	model->input = input;
	model->framing = framing;
	model->piece = 7;
	account_init(&model->account, ACCOUNT_TWO, 0);
	account_read(&model->account, (struct framing_text){ input, len }, 1);
	account_read_end(&model->account);
}

/* The server receives a piece of what was sent. */
static void
serve(struct model *model, struct framing_text piece)
{
	char stamp[FRAMING_SHORT];
	size_t len = (size_t)snprintf(stamp, sizeof(stamp), "[00:00:%02u] ",
	    ++model->clock % 60);
	char *out = model->down + model->down_len;

	if (model->framing == FRAMING_CHUNK) {
		memcpy(out, stamp, len);
		memcpy(out + len, piece.bytes, piece.len);
		model->down_len += len + piece.len;
	} else {
		model->down_len += framing_lines(&model->line_start, piece,
		    (struct framing_text){ stamp, len }, SIZE_MAX, out)
		                       .len;
	}
	need(model->down_len < ROOM / 2, "the server sends without end");
}

static void
put(struct model *model, struct framing_text stamp, size_t len)
{
	need(stamp.len == sizeof("[00:00:00] ") - 1 && stamp.bytes[0] == '[' &&
		 memcmp(stamp.bytes + 9, "] ", 2) == 0,
	    "not a stamp");
	memcpy(model->output + model->output_len,
	    model->input + model->account.answered, len);
	model->output_len += len;
	model->late += account_late_ms(&model->account,
			   model->input + model->account.answered) != -1;
	account_answered(&model->account, len);
}

/* Takes all the whole replies of data, as the pipe does. */
static void
read_replies(struct model *model)
{
	struct framing_text data = { model->data, model->data_len };

	for (;;) {
		struct account *account = &model->account;
		const char *rest = model->input + account->answered;
		struct framing_text lines = { rest,
			(size_t)(account->sent - account->answered) };
		struct framing_text line = { rest,
			account_line(account, rest) };
		struct reply_found found;

		struct reply_run run = reply_run(&model->reply, data, lines);
		memcpy(model->output + model->output_len, rest, run.lines_len);
		model->output_len += run.lines_len;
		account_answered(account, run.lines_len);
		data.bytes += run.consumed;
		data.len -= run.consumed;
		if (run.consumed > 0)
			continue;
		if (data.len == 0)
			break;
		need(account->answered < account->sent, "a reply too many");
		enum reply_kind kind = reply_next(&model->reply, data, line,
		    &found);
		need(kind != REPLY_FOREIGN, "a foreign reply");
		data.bytes += found.consumed;
		data.len -= found.consumed;
		if (kind == REPLY_PART)
			break;
		put(model, found.stamp, line.len);
		if (model->reply.pieces && account->pace != ACCOUNT_ONE)
			account_slow_down(account);
	}
	memmove(model->data, data.bytes, data.len);
	model->data_len = data.len;
}

static size_t
least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Sends what may be sent, of which up to budget arrives. */
static void
send_lines(struct model *model, size_t *budget)
{
	struct account *account = &model->account;
	size_t len = account_sendable(account,
	    model->input + account->answered);

	if (account->sent == account->answered)
		model->reply.alone = true;
	for (size_t n; len > 0; len -= n) {
		n = least(len, model->piece);
		size_t arrives = least(n, *budget);
		if (arrives > 0)
			serve(model,
			    (struct framing_text){ model->input + account->sent,
				arrives });
		*budget -= arrives;
		account_sent(account, n);
	}
}

/*
 * A connection that carries up bytes to the server and down bytes back, which
 * come in pieces.
 */
static void
connect_once(struct model *model, size_t up, size_t down, size_t piece)
{
	model->line_start = true;
	model->down_len = model->down_at = model->data_len = 0;
	reply_reset(&model->reply);
	account_connected(&model->account, 1000);
	for (;;) {
		send_lines(model, &up);
		size_t n = least(model->down_len - model->down_at,
		    least(piece, down));
		if (n == 0)
			break;
		memcpy(model->data + model->data_len,
		    model->down + model->down_at, n);
		model->data_len += n;
		model->down_at += n;
		down -= n;
		read_replies(model);
	}
}

static void
check_done(const struct model *model)
{
	size_t len = strlen(model->input);

	need(model->account.answered == len, "not all is answered");
	need(model->output_len == len &&
		 memcmp(model->output, model->input, len) == 0,
	    "the output is not the input");
}

static void
run(struct model *model, size_t up, size_t down, size_t piece)
{
	connect_once(model, up, down, piece);
	account_lost(&model->account);
}

START_TEST(whole_connections_answer_all)
{
	static struct model model;

	for (size_t piece = 1; piece < 60; piece++)
		for (enum framing framing = 0; framing < 2; framing++) {
			init(&model, inputs[_i], framing);
			run(&model, SIZE_MAX, SIZE_MAX, piece);
			check_done(&model);
			ck_assert_uint_eq(model.late, 0);
		}
}
END_TEST

/* The first connection breaks after up bytes, or after down bytes. */
static void
cut_once(enum framing framing, const char *input, size_t up, size_t down,
    size_t piece)
{
	static struct model model;

	init(&model, input, framing);
	run(&model, up, down, piece);
	run(&model, SIZE_MAX, SIZE_MAX, piece);
	check_done(&model);
}

/* The most bytes that the server sends for an input. */
#define MOST_DOWN 400

START_TEST(cut_at_every_byte_down)
{
	for (size_t cut = 0; cut < MOST_DOWN; cut++)
		for (size_t piece = 1; piece < 30; piece += 12)
			for (enum framing framing = 0; framing < 2; framing++)
				cut_once(framing, inputs[_i], SIZE_MAX, cut,
				    piece);
}
END_TEST

START_TEST(cut_at_every_byte_up)
{
	for (size_t cut = 0; cut <= strlen(inputs[_i]); cut++)
		for (enum framing framing = 0; framing < 2; framing++)
			cut_once(framing, inputs[_i], cut, SIZE_MAX, 5);
}
END_TEST

START_TEST(cut_at_every_two_bytes)
{
	static struct model model;

	for (size_t first = 0; first < 120; first++)
		for (size_t second = 0; second < 120; second++) {
			init(&model, inputs[_i], FRAMING_LINE);
			run(&model, SIZE_MAX, first, 13);
			run(&model, SIZE_MAX, second, 13);
			run(&model, SIZE_MAX, SIZE_MAX, 13);
			check_done(&model);
		}
}
END_TEST

START_TEST(cut_at_random_bytes_again_and_again)
{
	static struct model model;

	srandom((unsigned)_i);
	for (int round = 0; round < 300; round++) {
		init(&model, inputs[random() % (long)INPUTS],
		    random() % 2 ? FRAMING_LINE : FRAMING_CHUNK);
		model.piece = 1 + (size_t)random() % 20;
		for (int n = 0; n < 20; n++) {
			/* Another server, of another framing. */
			if (random() % 4 == 0)
				model.framing = random() % 2 ? FRAMING_LINE
				                             : FRAMING_CHUNK;
			run(&model, (size_t)random() % 80,
			    (size_t)random() % 150, 1 + (size_t)random() % 40);
		}
		run(&model, SIZE_MAX, SIZE_MAX, 11);
		check_done(&model);
	}
}
END_TEST

static void
take_in(struct account *account, const char *text, size_t len, uint64_t ms)
{
	account_read(account, (struct framing_text){ text, len }, ms);
}

static void
answer(struct account *account, size_t len)
{
	account_sent(account, len);
	account_answered(account, len);
}

/* How late the first line is that is not answered yet; -1: in time. */
static void
check_late(const struct account *account, const char *input, int64_t ms)
{
	ck_assert_int_eq(account_late_ms(account, input + account->answered),
	    ms);
}

START_TEST(two_lines_go_first)
{
	struct account account;
	const char *input = "a\nb\nc\nd\n";

	account_init(&account, ACCOUNT_TWO, 0);
	take_in(&account, input, 1, 0);
	ck_assert_uint_eq(account_sendable(&account, input), 0);
	take_in(&account, input + 1, 7, 0);
	ck_assert_uint_eq(account_sendable(&account, input), 4);
	account_sent(&account, 3);
	ck_assert_uint_eq(account_sendable(&account, input), 1);
	account_sent(&account, 1);
	account_answered(&account, 2);
	ck_assert_uint_eq(account_sendable(&account, input + 2), 0);
	account_answered(&account, 2);
	ck_assert_int_eq(account.pace, ACCOUNT_MANY);
	ck_assert_uint_eq(account_sendable(&account, input + 4), 4);
}
END_TEST

START_TEST(a_single_line_proves_nothing)
{
	struct account account;
	const char *input = "a\n";

	account_init(&account, ACCOUNT_TWO, 0);
	take_in(&account, input, 2, 0);
	account_sent(&account, account_sendable(&account, input));
	account_answered(&account, 2);
	ck_assert_int_eq(account.pace, ACCOUNT_TWO);
}
END_TEST

START_TEST(lateness_counts_from_the_read)
{
	struct account account;
	const char *input = "a\nb\nc\n";

	account_init(&account, ACCOUNT_MANY, 0);
	account_connected(&account, 900);
	take_in(&account, input, 2, 1000);
	take_in(&account, input + 2, 2, 3000);
	check_late(&account, input, -1);
	account_sent(&account, 2);
	account_lost(&account);
	take_in(&account, input + 4, 2, 5000);
	account_connected(&account, 5500);
	/* a went twice, b was held back, c came just before. */
	check_late(&account, input, 4500);
	account_sent(&account, 6);
	account_answered(&account, 2);
	check_late(&account, input, 2500);
	account_answered(&account, 2);
	check_late(&account, input, -1);
}
END_TEST

START_TEST(a_line_is_read_when_its_end_is)
{
	struct account account;
	const char *input = "abcd\ne\n";

	account_init(&account, ACCOUNT_MANY, 0);
	take_in(&account, input, 2, 1000);
	account_connected(&account, 9000);
	take_in(&account, input + 2, 3, 9500);
	check_late(&account, input, -1);
	/* Another line was the reason that it was sent late. */
	account.sent_ms = 12000;
	check_late(&account, input, -1);
	/* The same, and it goes twice. */
	account_sent(&account, 5);
	account_lost(&account);
	account_connected(&account, 9800);
	check_late(&account, input, 300);
	account_answered(&account, 5);
	check_late(&account, input, -1);
}
END_TEST

START_TEST(a_line_is_late_by_when_it_is_sent)
{
	struct account account;
	const char *input = "a\nb\n";

	account_init(&account, ACCOUNT_ONE, 0);
	take_in(&account, input, 4, 1000);
	account_connected(&account, 3000);
	check_late(&account, input, 2000);
	answer(&account, 2);
	account.sent_ms = 8000;
	check_late(&account, input, 7000);
}
END_TEST

START_TEST(a_short_wait_for_a_connection_is_in_time)
{
	struct account account;
	const char *input = "a\nb\n";

	account_init(&account, ACCOUNT_ONE, 0);
	take_in(&account, input, 2, 1000);
	take_in(&account, input + 2, 2, 2500);
	account_connected(&account, 3000);
	/* Other lines were the reason that b was sent late. */
	account.sent_ms = 8000;
	check_late(&account, input, 7000);
	answer(&account, 2);
	check_late(&account, input, -1);
}
END_TEST

START_TEST(a_new_connection_is_tested_again)
{
	struct account account;
	const char *input = "a\nb\nc\n";

	account_init(&account, ACCOUNT_TWO, 0);
	take_in(&account, input, 6, 0);
	account_connected(&account, 0);
	account_slow_down(&account);
	ck_assert_uint_eq(account_sendable(&account, input), 2);
	account_lost(&account);
	account_connected(&account, 0);
	ck_assert_uint_eq(account_sendable(&account, input), 4);
}
END_TEST

START_TEST(a_line_that_went_twice_is_late_at_once)
{
	struct account account;
	const char *input = "a\nb\n";

	account_init(&account, ACCOUNT_MANY, 0);
	account_connected(&account, 0);
	take_in(&account, input, 4, 10);
	account_sent(&account, 1);
	account_lost(&account);
	account_connected(&account, 10);
	check_late(&account, input, 0);
	account_sent(&account, 4);
	account_answered(&account, 2);
	check_late(&account, input, -1);
}
END_TEST

/* So that there is room for the times of what was not. */
START_TEST(times_of_what_was_answered_are_forgotten)
{
	struct account account;

	account_init(&account, ACCOUNT_MANY, 0);
	account_connected(&account, 0);
	for (uint64_t n = 0; n < 10; n++) {
		account_read(&account, (struct framing_text){ "x\n", 2 },
		    100000 * n);
		account_read(&account, (struct framing_text){ "y\n", 2 },
		    100000 * n + 50000);
		ck_assert_uint_eq(account.times.count, 2);
		account_sent(&account, 4);
		account_answered(&account, 2);
		ck_assert_uint_eq(account.times.count, 1);
		account_answered(&account, 2);
		ck_assert_uint_eq(account.times.count, 0);
	}
}
END_TEST

START_TEST(times_are_thinned_out)
{
	struct account account;
	const uint64_t lines = 100000;
	char *input = malloc(2 * lines);

	for (uint64_t n = 0; n < lines; n++)
		memcpy(input + 2 * n, "x\n", 2);
	account_init(&account, ACCOUNT_MANY, 0);
	for (uint64_t n = 0; n < lines; n++)
		account_read(&account, (struct framing_text){ "x\n", 2 },
		    1000 * n);
	account_sent(&account, 2 * lines);
	account_lost(&account);
	account_connected(&account, 1000 * lines);
	for (uint64_t n = 0; n < lines; n++) {
		int64_t exact = (int64_t)(1000 * (lines - n));
		int64_t late = account_late_ms(&account,
		    input + account.answered);
		need(late >= exact, "too early");
		need(late <= exact + 1000 * (int64_t)lines / 100, "too late");
		account_answered(&account, 2);
	}
	free(input);
}
END_TEST

Suite *
account_suite(void)
{
	Suite *suite = suite_create("account");
	TCase *tests = tcase_create("all");

	tcase_add_loop_test(tests, whole_connections_answer_all, 0, INPUTS);
	tcase_add_loop_test(tests, cut_at_every_byte_down, 0, INPUTS);
	tcase_add_loop_test(tests, cut_at_every_byte_up, 0, INPUTS);
	tcase_add_loop_test(tests, cut_at_every_two_bytes, 0, INPUTS);
	tcase_add_loop_test(tests, cut_at_random_bytes_again_and_again, 0, 8);
	tcase_add_test(tests, two_lines_go_first);
	tcase_add_test(tests, a_single_line_proves_nothing);
	tcase_add_test(tests, lateness_counts_from_the_read);
	tcase_add_test(tests, a_line_is_read_when_its_end_is);
	tcase_add_test(tests, a_line_is_late_by_when_it_is_sent);
	tcase_add_test(tests, a_short_wait_for_a_connection_is_in_time);
	tcase_add_test(tests, a_new_connection_is_tested_again);
	tcase_add_test(tests, a_line_that_went_twice_is_late_at_once);
	tcase_add_test(tests, times_of_what_was_answered_are_forgotten);
	tcase_add_test(tests, times_are_thinned_out);
	suite_add_tcase(suite, tests);
	return suite;
}
