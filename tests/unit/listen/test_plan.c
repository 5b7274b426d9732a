#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "listen/plan.h"
#include "unit/suites.h"

#define LISTENERS_MAX 4

/*
 * An open listener is "ORIGIN STATE PROTOCOL ADDRESS N/THREADS", a wanted one
 * "PROTOCOL ADDRESS N/THREADS".  ADDRESS is "*:PORT", "IPV4:PORT", "[::]:PORT"
 * or a path; "PORT=BOUND" where the kernel chose the port.  The open ones are
 * named a, b ... and the wanted ones A, B ... in the steps that are expected,
 * each "LISTENER ACTION OTHER".
 */
static const struct {
	const char *open[LISTENERS_MAX], *wanted[LISTENERS_MAX], *steps;
} rows[] = {
	/* At the first start, and nothing at all. */
	{ { 0 }, { 0 }, "" },
	{ { 0 }, { "tcp *:7 0/1", "udp *:7 0/1" }, "A open -; B open -" },
	{ { 0 }, { "unix /a 0/1" }, "A open -" },
	/* The same address, however it came to be open. */
	{ { "own serving tcp *:7 0/1" }, { "tcp *:7 0/1" }, "a keep A" },
	{ { "stored open tcp *:7 0/1" }, { "tcp *:7 0/1" }, "a keep A" },
	{ { "stored serving unix /a 0/1" }, { "unix /a 0/1" }, "a keep A" },
	{ { "passed open udp 1.2.3.4:7 0/1" }, { "udp 1.2.3.4:7 0/1" },
	    "a keep A" },
	/* Not the same. */
	{ { "own serving tcp *:7 0/1" }, { "tcp *:8 0/1" },
	    "a drain -; A open -" },
	{ { "own serving tcp *:7 0/1" }, { "udp *:7 0/1" },
	    "a drain -; A open -" },
	{ { "own serving tcp 1.2.3.4:7 0/1" }, { "tcp 1.2.3.5:7 0/1" },
	    "a drain -; A open -" },
	{ { "own serving unix /a 0/1" }, { "unix /b 0/1" },
	    "a drain -; A open -" },
	/* Port 0 is itself, whatever port the kernel chose. */
	{ { "own serving tcp *:0=4711 0/1" }, { "tcp *:0 0/1" }, "a keep A" },
	{ { "own serving tcp *:0=4711 0/1" }, { "tcp *:4711 0/1" },
	    "a drain -; A needs-restart a" },
	{ { "passed open tcp *:4711 0/1" }, { "tcp *:0 0/1" },
	    "a keep -; A open -" },
	/* Not wanted any more. */
	{ { "own serving tcp *:7 0/1", "own serving udp *:7 0/1" },
	    { "udp *:7 0/1" }, "a drain -; b keep A" },
	{ { "stored open tcp *:7 0/1" }, { 0 }, "a drain -" },
	{ { "passed serving tcp *:7 0/1" }, { 0 }, "a keep -" },
	{ { "own draining tcp *:7 0/1" }, { 0 }, "" },
	/* Wanted twice, whether it is open or not. */
	{ { 0 }, { "tcp *:7 0/1", "tcp *:7 0/1" },
	    "A open -; B wanted-twice A" },
	{ { "own serving tcp *:7 0/1" }, { "tcp *:7 0/1", "tcp *:7 0/1" },
	    "a keep A; B wanted-twice A" },
	{ { 0 }, { "udp *:0 0/1", "udp *:0 0/1" },
	    "A open -; B wanted-twice A" },
	/* "*" is both families at once, or passed as two sockets. */
	{ { "own serving tcp *:7 0/1" }, { "tcp [::]:7 0/1" },
	    "a drain -; A needs-restart a" },
	{ { "passed open tcp 0.0.0.0:7 0/1", "passed open tcp [::]:7 0/1" },
	    { "tcp *:7 0/1" }, "a keep A; b keep A" },
	{ { "passed open tcp *:7 0/1" }, { "tcp *:7 0/1" }, "a keep A" },
	{ { "passed open tcp *:7 0/1" }, { "tcp 0.0.0.0:7 0/1" },
	    "a keep -; A passed-in-way a" },
	{ { "own serving tcp 0.0.0.0:7 0/1" }, { "tcp *:7 0/1" },
	    "a drain -; A needs-restart a" },
	/* In the way: one that serves, was stored, or drains already. */
	{ { "own serving tcp *:7 0/1" }, { "tcp 127.0.0.1:7 0/1" },
	    "a drain -; A needs-restart a" },
	{ { "stored serving tcp *:7 0/1" }, { "tcp 127.0.0.1:7 0/1" },
	    "a drain -; A needs-restart a" },
	{ { "stored open tcp *:7 0/1" }, { "tcp 127.0.0.1:7 0/1" },
	    "a drain -; A beside a" },
	{ { "stored open udp 127.0.0.1:7 0/1" }, { "udp *:7 0/1" },
	    "a drain -; A beside a" },
	{ { "own draining tcp *:7 0/1" }, { "tcp *:7 0/1" }, "A beside a" },
	/* Two that drain at one address: a third would lose its clients. */
	{ { "own draining tcp *:7 0/1", "own draining tcp *:7 0/1" },
	    { "tcp *:7 0/1" }, "A needs-restart b" },
	{ { "own draining tcp 127.0.0.1:7 0/1",
	      "own draining tcp 127.0.0.2:7 0/1" },
	    { "tcp *:7 0/1" }, "A beside a" },
	{ { "own draining tcp *:7 0/1" }, { "tcp 127.0.0.1:7 0/1" },
	    "A beside a" },
	{ { "own draining unix /a 0/1" }, { "unix /a 0/1" }, "A open -" },
	{ { "stored open unix /a 0/1" }, { "unix-dgram /a 0/1" },
	    "a drain -; A open -" },
	{ { "own serving unix /a 0/1" }, { "unix-dgram /a 0/1" },
	    "a drain -; A needs-restart a" },
	{ { "passed open unix /a 0/1" }, { "unix-dgram /a 0/1" },
	    "a keep -; A passed-in-way a" },
	{ { "passed open tcp 127.0.0.1:7 0/1" }, { "tcp *:7 0/1" },
	    "a keep -; A passed-in-way a" },
	/* One that stays is in the way of another for good: bind(2) says so. */
	{ { "own serving tcp *:7 0/1" },
	    { "tcp *:7 0/1", "tcp 127.0.0.1:7 0/1" }, "a keep A; B open -" },
	/* Of several in the way the worst one is named. */
	{ { "own draining tcp 1.2.3.4:7 0/1", "own serving tcp 1.2.3.5:7 0/1",
	      "passed serving tcp 1.2.3.6:7 0/1" },
	    { "tcp *:7 0/1" }, "b drain -; c keep -; A passed-in-way c" },
	{ { "own serving tcp 1.2.3.5:7 0/1", "own draining tcp 1.2.3.4:7 0/1" },
	    { "tcp *:7 0/1" }, "a drain -; A needs-restart a" },
	/* Siblings. */
	{ { 0 }, { "udp *:7 0/3", "udp *:7 1/3", "udp *:7 2/3" },
	    "A open -; B beside A; C beside A" },
	{ { "own serving udp *:7 0/2", "own serving udp *:7 1/2" },
	    { "udp *:7 0/2", "udp *:7 1/2" }, "a keep A; b keep B" },
	{ { "own serving udp *:7 0/2", "own serving udp *:7 1/2" }, { 0 },
	    "a drain -; b drain -" },
	/* Their number stays while they serve ... */
	{ { "own serving udp *:7 0/1" }, { "udp *:7 0/2", "udp *:7 1/2" },
	    "a keep A" },
	{ { "own serving udp *:7 0/2", "own serving udp *:7 1/2" },
	    { "udp *:7 0/1" }, "a keep A; b keep A" },
	{ { "stored serving udp *:7 0/1" }, { "udp *:7 0/2", "udp *:7 1/2" },
	    "a keep A" },
	/* ... and changes at a start. */
	{ { "stored open udp *:7 0/1" }, { "udp *:7 0/2", "udp *:7 1/2" },
	    "a keep A; B beside a" },
	{ { "stored open udp *:0=4711 0/1", "stored open udp *:0=4711 1/1" },
	    { "udp *:0 0/1" }, "a keep A; b drain A" },
	{ { "stored open udp *:7 1/1" }, { "udp *:7 0/2", "udp *:7 1/2" },
	    "a keep B; A beside a" },
	/* A socket unit decides how many there are. */
	{ { "passed open udp 1.2.3.4:7 0/1" },
	    { "udp 1.2.3.4:7 0/2", "udp 1.2.3.4:7 1/2" }, "a keep A" },
	{ { "passed serving udp *:7 0/1", "passed serving udp *:7 0/1" },
	    { "udp *:7 0/1" }, "a keep A; b keep A" },
	{ { "passed serving udp *:7 0/1" }, { "udp *:7 0/2", "udp *:7 1/2" },
	    "a keep A" },
	/* All of them moved. */
	{ { "stored open udp *:7 0/2", "stored open udp *:7 1/2" },
	    { "udp 127.0.0.1:7 0/2", "udp 127.0.0.1:7 1/2" },
	    "a drain -; b drain -; "
	    "A beside a; B beside A" },
};

static struct sockaddr_any
address_of(const char *text, const char *port)
{
	struct sockaddr_any address = { .len = sizeof(address.in) };

	if (text[0] == '/') {
		address.un.sun_family = AF_UNIX;
		strcpy(address.un.sun_path, text);
		address.len = sizeof(address.un);
	} else if (text[0] == '*' || text[0] == '[') {
		address.in6.sin6_family = AF_INET6;
		address.in6.sin6_port = htons((uint16_t)atoi(port));
		address.len = sizeof(address.in6);
	} else {
		address.in.sin_family = AF_INET;
		address.in.sin_port = htons((uint16_t)atoi(port));
		char ip[16];
		snprintf(ip, sizeof(ip), "%.*s", (int)strcspn(text, ":"), text);
		ck_assert_int_eq(inet_pton(AF_INET, ip, &address.in.sin_addr),
		    1);
	}
	return address;
}

static int
find(const char *const *names, const char *name)
{
	int i = 0;

	while (names[i] != NULL && strcmp(names[i], name) != 0)
		i++;
	ck_assert_ptr_nonnull(names[i]);
	return i;
}

static void
parse(const char *text, bool is_open, struct listener *listener)
{
	static const char *const origins[] = { "own", "stored", "passed",
		NULL };
	static const char *const states[] = { "new", "open", "serving",
		"draining", NULL };
	char origin[16] = "own", state[16] = "new", protocol[16], address[64];
	const char *rest = text;

	*listener = (struct listener){ 0 };
	if (is_open) {
		ck_assert_int_eq(sscanf(text, "%15s %15s", origin, state), 2);
		rest += strlen(origin) + strlen(state) + 2;
	}
	ck_assert_int_eq(sscanf(rest, "%15s %63s %d/%d", protocol, address,
			     &listener->number, &listener->config.threads),
	    4);
	listener->origin = (enum origin)find(origins, origin);
	listener->state = (enum listener_state)find(states, state);
	listener->config.protocol = (enum protocol)protocol_parse(protocol);
	listener->dual_stack = address[0] == '*';
	const char *port = strrchr(address, ':');
	const char *bound = strchr(address, '=');
	port = port == NULL ? "" : port + 1;
	listener->wanted = address_of(address, port);
	if (is_open)
		listener->bound = address_of(address,
		    bound == NULL ? port : bound + 1);
}

static void
fill(struct listener_list *list, const char *const *texts, bool is_open,
    struct listener *listeners)
{
	TAILQ_INIT(list);
	for (int i = 0; i < LISTENERS_MAX && texts[i] != NULL; i++) {
		parse(texts[i], is_open, &listeners[i]);
		TAILQ_INSERT_TAIL(list, &listeners[i], link);
	}
}

static char
letter(const struct listener *listener, const struct listener *open,
    const struct listener *wanted)
{
	if (listener == NULL)
		return '-';
	for (int i = 0; i < LISTENERS_MAX; i++) {
		if (listener == &open[i])
			return (char)('a' + i);
		if (listener == &wanted[i])
			return (char)('A' + i);
	}
	return '?';
}

START_TEST(each_listener_has_its_step)
{
	static const char *const actions[] = {
		[PLAN_KEEP] = "keep",
		[PLAN_DRAIN] = "drain",
		[PLAN_OPEN] = "open",
		[PLAN_OPEN_BESIDE] = "beside",
		[PLAN_NEEDS_RESTART] = "needs-restart",
		[PLAN_PASSED_IN_WAY] = "passed-in-way",
		[PLAN_WANTED_TWICE] = "wanted-twice",
	};
	struct listener open[LISTENERS_MAX], wanted[LISTENERS_MAX];
	struct listener_list open_list, wanted_list;
	char steps[512] = "";

	fill(&open_list, rows[_i].open, true, open);
	fill(&wanted_list, rows[_i].wanted, false, wanted);
	struct plan_step *plan = plan_make(&open_list, &wanted_list);
	ck_assert_ptr_nonnull(plan);
	for (const struct plan_step *step = plan; step->listener; step++) {
		size_t len = strlen(steps);
		snprintf(steps + len, sizeof(steps) - len, "%s%c %s %c",
		    step > plan ? "; " : "",
		    letter(step->listener, open, wanted), actions[step->action],
		    letter(step->other, open, wanted));
	}
	ck_assert_str_eq(steps, rows[_i].steps);
	free(plan);
}
END_TEST

Suite *
plan_suite(void)
{
	Suite *suite = suite_create("plan");
	TCase *tests = tcase_create("all");

	tcase_add_loop_test(tests, each_listener_has_its_step, 0,
	    sizeof(rows) / sizeof(rows[0]));
	suite_add_tcase(suite, tests);
	return suite;
}
