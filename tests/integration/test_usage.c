#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "harness/daemon.h"
#include "harness/scratch.h"
#include "suites.h"

#define ARGUMENTS_MAX 8

struct mistake {
	const char *arguments[ARGUMENTS_MAX];
	const char *text; /* without the beginning and the end of its lines */
};

/* Between two lines. */
#define END_TIMESTAMPD "; timestampd -h lists the options\ntimestampd: "

static const struct mistake server[] = {
	{ { "-x" }, "-x: no such option" },
	{ { "--port" }, "--port: no such option" },
	{ { "--s" }, "--s: is ambiguous" },
	{ { "--debug=3" }, "--debug: takes no value" },
	{ { "--config" }, "--config: needs a value" },
	{ { "-c" }, "-c: needs a value" },
	{ { "--config=/dev/null", "-xd" }, "-x: no such option" },
	{ { "-t", "conf" }, "'conf' is not an option" },
	{ { "-r", "1" },
	    "'1' is not an option; -r takes no process number, it asks at "
	    "the control socket" },
	{ { "-r", "-s" }, "-r, -s, -t and -T exclude each other" },
	{ { "-tT" }, "-r, -s, -t and -T exclude each other" },
	{ { "-r", "-o", "workers=1" },
	    "'workers=1' does not reach the running server: change its file" },
	{ { "-s", "-o", "control=/x", "-l", "tcp:7000" },
	    "'tcp:7000' does not reach the running server: change its file" },
	{ { "-j" }, "-j goes with -s only" },
	{ { "-l" }, "-l: needs a value" },
	{ { "-l", "tcp:x" },
	    "-l tcp:x: port: \"x\" is not a number or a tcp service in "
	    "/etc/services" },
	{ { "-l", "tcp:70000" },
	    "-l tcp:70000: port: 70000 is out of range: 0 to 65535 are "
	    "allowed" },
	{ { "-l", "sctp:1" },
	    "-l sctp:1: needs tcp:PORT, udp:ADDRESS:PORT, tcp:[::1]:PORT, "
	    "unix:/path, unix-dgram:/path or unix-seqpacket:/path" },
	{ { "-l", "tcp::7" },
	    "-l tcp::7: is not a SPEC; did you mean -l tcp:7?" },
	{ { "-l", "unix:run/a" },
	    "-l unix:run/a: needs tcp:PORT, udp:ADDRESS:PORT, "
	    "tcp:[::1]:PORT, unix:/path, unix-dgram:/path or "
	    "unix-seqpacket:/path" },
	{ { "-l", "tcp:7,framing=word" },
	    "-l tcp:7,framing=word: framing: \"word\" is not one of \"chunk\" "
	    "and \"line\"" },
	{ { "-l", "tcp:7,framing" },
	    "-l tcp:7,framing: needs NAME=VALUE behind each comma; a comma "
	    "in a value is \\," },
	{ { "-l", "tcp:7,speed=9" },
	    "-l tcp:7,speed=9: speed: no such setting; there are: protocol "
	    "address port path mode backlog receive_buffer idle_timeout "
	    "stamp framing proxy_protocol proxy_from max_datagram threads "
	    "abstract_clients allow deny allow_file deny_file" },
	{ { "-l", "tcp:7,stamp.format=%Q" },
	    "-l tcp:7,stamp.format=%Q: stamp.format: \"%Q\": '%Q' is neither "
	    "a conversion of strftime(3) that fits in a line nor %3N, %6N or "
	    "%9N" },
	{ { "-l", "tcp:7,stamp=ctime" },
	    "-l tcp:7,stamp=ctime: stamp: is a group: needs GROUP.NAME=VALUE; "
	    "there are: format timezone" },
	{ { "-l", "udp:7,idle_timeout=4" },
	    "-l udp:7,idle_timeout=4: idle_timeout: does not apply to a udp "
	    "listener" },
	{ { "-l", "tcp:7,port=8" }, "-l tcp:7,port=8: port: is given twice" },
	{ { "-l", "tcp:7", "-l", "udp:7", "-l", "tcp:7" },
	    "-l tcp:7: is given twice" },
	{ { "-l", "tcp:7,proxy_protocol=require" },
	    "-l tcp:7,proxy_protocol=require: proxy_protocol needs "
	    "proxy_from, the addresses of the proxies that may say who the "
	    "client "
	    "is" },
	{ { "-l", "tcp:7,allow=300.1.2.3" },
	    "-l tcp:7,allow=300.1.2.3: allow[0]: \"300.1.2.3\" is not an IPv4 "
	    "or IPv6 address" },
	{ { "-l", "tcp:7,allow=10.0.0.0/8,deny=10.0.0.0/8" },
	    "-l tcp:7,allow=10.0.0.0/8,deny=10.0.0.0/8: \"10.0.0.0/8\" is "
	    "allowed by -l tcp:7,allow=10.0.0.0/8,deny=10.0.0.0/8 already" },
	{ { "-l", "tcp:1,x=\x1b[31m", "-l", "tcp:2,y=\n" },
	    "-l tcp:1,x=\\x1b[31m: x: no such setting; there are: protocol "
	    "address port path mode backlog receive_buffer idle_timeout "
	    "stamp framing proxy_protocol proxy_from max_datagram threads "
	    "abstract_clients allow deny allow_file deny_file" END_TIMESTAMPD
	    "-l tcp:2,y=\\x0a: y: no such setting; there are: protocol "
	    "address port path mode backlog receive_buffer idle_timeout "
	    "stamp framing proxy_protocol proxy_from max_datagram threads "
	    "abstract_clients allow deny allow_file deny_file" },
	{ { "-o", "limits.idle=3" },
	    "-o limits.idle: no such setting; did you mean -o "
	    "limits.idle_timeout=3?" },
	{ { "-o", "limit.idle_timeout=3" },
	    "-o limit.idle_timeout: no such setting; did you mean -o "
	    "limits.idle_timeout=3?" },
	{ { "-o", "workers" },
	    "-o workers: needs NAME=VALUE or GROUP.NAME=VALUE" },
	{ { "-o", "=3" }, "-o =3: needs NAME=VALUE or GROUP.NAME=VALUE" },
	{ { "-o", "(workers=5" },
	    "-o (workers: needs NAME=VALUE or GROUP.NAME=VALUE; did you mean "
	    "-o workers=5?" },
	{ { "-o", "workers=many" },
	    "-o workers: needs a whole number from 0 to 1024" },
	{ { "-o", "workers=5000" },
	    "-o workers: 5000 is out of range: 0 to 1024 are allowed" },
	{ { "-o", "limits=3" },
	    "-o limits: is a group: needs GROUP.NAME=VALUE; there are: "
	    "max_connections max_connections_per_address idle_timeout "
	    "send_timeout drain_timeout lame_duck kept_memory" },
	{ { "-o", "listeners=3" },
	    "-o listeners: needs -l, as in -l tcp:7000,framing=line" },
	{ { "-o", "workers=1", "-o", "workers=2" },
	    "-o workers: is given twice" },
	{ { "-o", "a.b.c=1" },
	    "-o a.b.c: needs NAME=VALUE or GROUP.NAME=VALUE" },
	{ { "-o", "log_connections=yes" },
	    "-o log_connections: needs true or false; yes is true" },
	{ { "-o", "http.address=127.0.0.1" },
	    "-o http.address: needs a port, and may have an address; or a "
	    "path alone" },
	{ { "-o", "allow=10.0.0.0/8", "-o", "deny=10.0.0.1/8" },
	    "-o deny: \"10.0.0.1/8\" has bits set behind its length; did you "
	    "mean the network \"10.0.0.0/8\" or the address \"10.0.0.1\"?" },
	{ { "-o", "stamp.timezone=Mars/Base", "-o", "user=no such" },
	    "-o stamp.timezone: needs \"local\", \"UTC\" or a time zone of "
	    "this system, such as \"Europe/Berlin\"" END_TIMESTAMPD
	    "-o user: this system has no user \"no such\"" },
};

/* What a stranger may type. */
static const struct mistake guesses[] = {
	{ { "-o", "idle_timeout=0" }, "-o idle_timeout: no such setting; did "
				      "you mean -o limits.idle_timeout=0?" },
	{ { "-o", "limits.idle_tmeout=5" },
	    "-o limits.idle_tmeout: no such setting; did you mean -o "
	    "limits.idle_timeout=5?" },
	{ { "-o", "limit.idle_tmeout=5" },
	    "-o limit.idle_tmeout: no such setting; did you mean -o "
	    "limits.idle_timeout=5?" },
	{ { "-o", "stamp.idle_tmeout=5" },
	    "-o stamp.idle_tmeout: no such setting; did you mean -o "
	    "limits.idle_timeout=5?" },
	{ { "-o", "limits.workers=5" },
	    "-o limits.workers: no such setting; did you mean -o workers=5?" },
	{ { "-o", "LIMITS.Workers=5" },
	    "-o LIMITS.Workers: no such setting; did you mean -o workers=5?" },
	{ { "-o", "htp.prot=9100" },
	    "-o htp.prot: no such setting; did you mean -o http.port=9100?" },
	{ { "-o", "loglevel=debug" },
	    "-o loglevel: no such setting; did you mean -o log_level=debug?" },
	{ { "-o", "format=%F %T" },
	    "-o format: no such setting; did you mean -o stamp.format=...?" },
	{ { "-o", "rate_limit=" }, "-o rate_limit: no such setting; did you "
				   "mean -o udp.rate_limit=...?" },
	{ { "-o", "port=7000" },
	    "-o port: no such setting; did you mean -l tcp:7000?" },
	{ { "-o", "listen=7000" },
	    "-o listen: no such setting; did you mean -l tcp:7000?" },
	{ { "-o", "listener.port=7000" },
	    "-o listener.port: no such setting; did you mean -l tcp:7000?" },
	{ { "-o", "path=/run/x" },
	    "-o path: no such setting; did you mean -l unix:/run/x?" },
	{ { "-o", "protocol=udp" },
	    "-o protocol: no such setting; did you mean -l udp:PORT?" },
	{ { "-o", "address=::1" }, "-o address: no such setting; did you mean "
				   "-l tcp:PORT,address=::1?" },
	{ { "-o", "framng=line" }, "-o framng: no such setting; did you mean "
				   "-l tcp:PORT,framing=line?" },
	{ { "-o", "max_datagram=9" }, "-o max_datagram: no such setting; did "
				      "you mean -l udp:PORT,max_datagram=9?" },
	{ { "-o", "mode=0660" },
	    "-o mode: no such setting; did you mean -l unix:/path,mode=0660?" },
	{ { "-o", "abstract_clients=true" },
	    "-o abstract_clients: no such setting; did you mean -l "
	    "unix-dgram:/path,abstract_clients=true?" },
	{ { "-l", "tcp:7,limits.idle_timeout=5" },
	    "-l tcp:7,limits.idle_timeout=5: limits: no such setting; did you "
	    "mean \"idle_timeout\"?" },
	{ { "-l", "tcp:7,format=epoch" },
	    "-l tcp:7,format=epoch: format: no such setting; did you mean "
	    "\"stamp.format\"?" },
	{ { "-l", "tcp:7,stamp.timezne=UTC" },
	    "-l tcp:7,stamp.timezne=UTC: stamp.timezne: no such setting; did "
	    "you mean \"stamp.timezone\"?" },
	{ { "-l", "tcp:7,frming=line" },
	    "-l tcp:7,frming=line: frming: no such setting; did you mean "
	    "\"framing\"?" },
	{ { "-l", "tcp:7,workers=2" }, "-l tcp:7,workers=2: workers: no such "
				       "setting; did you mean -o workers=2?" },
	{ { "-l", "tcp:7,send_timeout=3" },
	    "-l tcp:7,send_timeout=3: send_timeout: no such setting; did you "
	    "mean -o limits.send_timeout=3?" },
	{ { "-l", "tcp:7,stamp.source=clock" },
	    "-l tcp:7,stamp.source=clock: stamp.source: no such setting; did "
	    "you mean -o stamp.source=clock?" },
	{ { "-l", "tcp:7,stamp.x=1" }, "-l tcp:7,stamp.x=1: stamp.x: no such "
				       "setting; there are: format timezone" },
	{ { "-o", "limit.x=1" },
	    "-o limit.x: no such setting; there are: max_connections "
	    "max_connections_per_address idle_timeout send_timeout "
	    "drain_timeout lame_duck kept_memory" },
	{ { "-o", "workers.x=1" },
	    "-o workers.x: \"workers\" is not a group: needs workers=VALUE" },
	{ { "-o", "listeners[0].port=7" },
	    "-o listeners[0].port: needs -l, as in -l tcp:7000,framing=line" },
	{ { "-o", "workers = 4" },
	    "-o workers : needs NAME=VALUE or GROUP.NAME=VALUE; did you mean "
	    "-o workers=4?" },
	{ { "-o", "workers: 4;" },
	    "-o workers: 4;: needs NAME=VALUE or GROUP.NAME=VALUE; did you "
	    "mean -o workers=4?" },
	{ { "-o", "--workers=4" },
	    "-o --workers: needs NAME=VALUE or GROUP.NAME=VALUE; did you mean "
	    "-o workers=4?" },
	{ { "-o", "limits/idle_timeout=5" },
	    "-o limits/idle_timeout: needs NAME=VALUE or GROUP.NAME=VALUE; did "
	    "you mean -o limits.idle_timeout=5?" },
	{ { "-o", "limits: { idle_timeout = 5; };" },
	    "-o limits: { idle_timeout : needs NAME=VALUE or GROUP.NAME=VALUE; "
	    "did you mean -o limits.idle_timeout=5?" },
	{ { "-o", "log_connections" },
	    "-o log_connections: needs NAME=VALUE or GROUP.NAME=VALUE; did you "
	    "mean -o log_connections=true?" },
	{ { "-o", ":5" }, "-o :5: needs NAME=VALUE or GROUP.NAME=VALUE" },
	{ { "-o", "workers:" },
	    "-o workers:: needs NAME=VALUE or GROUP.NAME=VALUE" },
	{ { "-o", "workers=4;" },
	    "-o workers: needs the value alone, as in -o workers=4" },
	{ { "-o", "workers= 4" },
	    "-o workers: needs the value alone, as in -o workers=4" },
	{ { "-o", "log_level=\"debug\"" },
	    "-o log_level: needs the value alone, as in -o log_level=debug" },
	{ { "-o", "log_level='debug'" },
	    "-o log_level: needs the value alone, as in -o log_level=debug" },
	{ { "-o", "allow=[ \"::1\" ]" },
	    "-o allow: needs the value alone, as in -o allow=::1" },
	{ { "-o", "workers=;" },
	    "-o workers: needs a whole number from 0 to 1024" },
	{ { "-l", "tcp:7,framing=\"line\"" },
	    "-l tcp:7,framing=\"line\": framing: needs the value alone, as in "
	    "framing=line" },
	{ { "-o", "allow=10.0.0.0/8,192.168.0.0/16" },
	    "-o allow: takes one at a time; repeat -o allow=" },
	{ { "-o", "allow=10.0.0.0/8 192.168.0.0/16" },
	    "-o allow: takes one at a time; repeat -o allow=" },
	{ { "-o", "allow=10.0.0.0/8; 192.168.0.0/16" },
	    "-o allow: takes one at a time; repeat -o allow=" },
	{ { "-o", "allow=10.0.0.0/8\", \"192.168.0.0/16" },
	    "-o allow: takes one at a time; repeat -o allow=" },
	{ { "-l", "tcp:7,allow=10.0.0.0/8,192.168.0.0/16" },
	    "-l tcp:7,allow=10.0.0.0/8,192.168.0.0/16: allow: takes one at a "
	    "time; repeat allow=" },
	{ { "-l", "tcp:7,proxy_from=10.0.0.0/8\\,192.0.2.1" },
	    "-l tcp:7,proxy_from=10.0.0.0/8\\,192.0.2.1: proxy_from[0]: takes "
	    "one at a time; repeat proxy_from=" },
	{ { "-o", "workers=2,log_level=debug" },
	    "-o workers: each setting needs an -o of its own" },
	{ { "-o", "workers=2;log_level=debug" },
	    "-o workers: each setting needs an -o of its own" },
	{ { "-o", "workers=2 log_level=debug" },
	    "-o workers: each setting needs an -o of its own" },
	{ { "-l", "tcp:7;framing=line" },
	    "-l tcp:7;framing=line: port: each setting needs a comma in front "
	    "of it" },
	{ { "-o", "limits.idle_timeout=5min" },
	    "-o limits.idle_timeout: needs a whole number of seconds from 0 to "
	    "31536000; 5min is 300" },
	{ { "-o", "limits.send_timeout=5ms" },
	    "-o limits.send_timeout: needs a whole number of seconds from 0 to "
	    "31536000" },
	{ { "-o", "limits.kept_memory=1G" },
	    "-o limits.kept_memory: needs a whole number of MiB from 0 to "
	    "1048576; 1G is 1024" },
	{ { "-l", "unix-dgram:/a,abstract_clients=on" },
	    "-l unix-dgram:/a,abstract_clients=on: abstract_clients: needs "
	    "true or false; on is true" },
	{ { "-o", "http=9100" }, "-o http: is a group: needs GROUP.NAME=VALUE; "
				 "there are: address port path" },
	{ { "-o", "limits={idle_timeout=5;}" },
	    "-o limits: is a group: needs GROUP.NAME=VALUE; there are: "
	    "max_connections max_connections_per_address idle_timeout "
	    "send_timeout drain_timeout lame_duck kept_memory" },
	{ { "-l", "tcp:7,stamp.format=rfc339" },
	    "-l tcp:7,stamp.format=rfc339: stamp.format: \"rfc339\" is not one "
	    "of \"ctime\", \"rfc3339\", \"epoch\", the last two also with -ms, "
	    "-us or -ns, and a pattern of strftime(3) such as \"%F %T\"; did "
	    "you mean \"rfc3339\"?" },
	{ { "-l", "tcp:7,address=127.0.0.1:7" },
	    "-l tcp:7,address=127.0.0.1:7: address: \"127.0.0.1:7\" is an "
	    "address and a port: address = \"127.0.0.1\"; port = 7" },
	{ { "-o", "allow=2001:db8::1/32" },
	    "-o allow: \"2001:db8::1/32\" has bits set behind its length; did "
	    "you mean the network \"2001:db8::/32\" or the address "
	    "\"2001:db8::1\"?" },
	{ { "-l", "7000" },
	    "-l 7000: is not a SPEC; did you mean -l tcp:7000?" },
	{ { "-l", ":7000" },
	    "-l :7000: is not a SPEC; did you mean -l tcp:7000?" },
	{ { "-l", "*:7000" },
	    "-l *:7000: is not a SPEC; did you mean -l tcp:*:7000?" },
	{ { "-l", "127.0.0.1:7000" }, "-l 127.0.0.1:7000: is not a SPEC; did "
				      "you mean -l tcp:127.0.0.1:7000?" },
	{ { "-l", "[::1]:7000" },
	    "-l [::1]:7000: is not a SPEC; did you mean -l tcp:[::1]:7000?" },
	{ { "-l", "localhost:7000" }, "-l localhost:7000: is not a SPEC; did "
				      "you mean -l tcp:localhost:7000?" },
	{ { "-l", "TCP:7000" },
	    "-l TCP:7000: is not a SPEC; did you mean -l tcp:7000?" },
	{ { "-l", "upd:7000" },
	    "-l upd:7000: is not a SPEC; did you mean -l udp:7000?" },
	{ { "-l", "tcp/7000" },
	    "-l tcp/7000: is not a SPEC; did you mean -l tcp:7000?" },
	{ { "-l", "tcp://127.0.0.1:7000" },
	    "-l tcp://127.0.0.1:7000: is not a SPEC; did you mean -l "
	    "tcp:127.0.0.1:7000?" },
	{ { "-l", "/run/a" },
	    "-l /run/a: is not a SPEC; did you mean -l unix:/run/a?" },
	{ { "-l", "unix_dgram:/run/a" }, "-l unix_dgram:/run/a: is not a SPEC; "
					 "did you mean -l unix-dgram:/run/a?" },
	{ { "-l", "tpc:7,framing=line" }, "-l tpc:7,framing=line: is not a "
					  "SPEC; did you mean -l tcp:7,...?" },
	{ { "-l", "http:9100" },
	    "-l http:9100: needs tcp:PORT, udp:ADDRESS:PORT, tcp:[::1]:PORT, "
	    "unix:/path, unix-dgram:/path or unix-seqpacket:/path" },
	{ { "-l", "tcp:127.0.0.1" },
	    "-l tcp:127.0.0.1: needs tcp:PORT, udp:ADDRESS:PORT, "
	    "tcp:[::1]:PORT, unix:/path, unix-dgram:/path or "
	    "unix-seqpacket:/path" },
	{ { "-l", "tcp:::1:7000" },
	    "-l tcp:::1:7000: needs tcp:PORT, udp:ADDRESS:PORT, "
	    "tcp:[::1]:PORT, unix:/path, unix-dgram:/path or "
	    "unix-seqpacket:/path" },
	{ { "-l", "::1" },
	    "-l ::1: needs tcp:PORT, udp:ADDRESS:PORT, tcp:[::1]:PORT, "
	    "unix:/path, unix-dgram:/path or unix-seqpacket:/path" },
	{ { "-l", "" },
	    "-l : needs tcp:PORT, udp:ADDRESS:PORT, tcp:[::1]:PORT, "
	    "unix:/path, unix-dgram:/path or unix-seqpacket:/path" },
	{ { "-l", "tcp:7,framing:line" },
	    "-l tcp:7,framing:line: needs NAME=VALUE behind each comma; did "
	    "you mean framing=line?" },
	{ { "-l", "tcp:7, framing=line" },
	    "-l tcp:7, framing=line: needs NAME=VALUE or GROUP.NAME=VALUE; did "
	    "you mean framing=line?" },
	{ { "-l", "tcp:7,udp:8" }, "-l tcp:7,udp:8: each listener needs an -l "
				   "of its own, as in -l udp:8" },
	{ { "-l", "tcp:7,8" }, "-l tcp:7,8: each listener needs an -l of its "
			       "own, as in -l tcp:8" },
	{ { "-l", "tcp:7,allow=::1," },
	    "-l tcp:7,allow=::1,: needs NAME=VALUE behind each comma; a comma "
	    "in a value is \\," },
	{ { "-o", "workers", "=", "4" },
	    "'=' is not an option; -o takes NAME=VALUE in one word" },
	{ { "-l", "tcp:7,", "framing=line" },
	    "'framing=line' is not an option; -l takes all of SPEC in one "
	    "word" },
	{ { "-l", "tcp:7", "workers=4" },
	    "'workers=4' is not an option; -o is missing in front of it" },
	{ { "tcp:7" },
	    "'tcp:7' is not an option; -l is missing in front of it" },
	{ { "/etc/timestampd.conf" }, "'/etc/timestampd.conf' is not an "
				      "option; -c is missing in front of it" },
};

static const struct mistake client[] = {
	{ { "-x" }, "-x: no such option" },
	{ { "--nosuch" }, "--nosuch: no such option" },
	{ { "-W" }, "-W: needs a value" },
	{ { "--spool" }, "--spool: needs a value" },
	{ { "--max" }, "--max: is ambiguous" },
	{ { "--json=1" }, "--json: takes no value" },
	{ { "-W", "x" }, "-W x: needs a number from 0 to 1000000" },
	{ { "-w", "4095" },
	    "-w 4095: needs a number from 4096 to 1099511627776" },
	{ { "-w", "4096.5" }, "-w 4096.5: needs a whole number" },
	{ { "-P", "-c", "0" }, "-c 0: needs a number from 1 to 1e+15" },
	{ { "-P", "-i" },
	    "-i does not go with -P (the size is -l, the interval -I)" },
	{ { "-1", "text", "-G", "1" }, "-G does not go with -1" },
	{ { "-A" }, "-A goes with -P only" },
	{ { "--offset=1" }, "--offset goes with -P only" },
	{ { "-i", "-s" }, "-i does not go with -s" },
	{ { "a", "b" }, "'b': only one TARGET is taken" },
	{ { "host:99999" },
	    "'host:99999': needs HOST, udp:HOST:PORT, tcp:[::1]:PORT, "
	    "unix:/path or the like" },
	{ { "-1", "a\nb" }, "-1 needs a text of one line" },
};

/* One line for each fault, and nothing else. */
static void
assert_refused(const struct mistake *mistake, const char *program)
{
	char expected[4096];
	struct daemon daemon;
	int status = daemon_run(&daemon, mistake->arguments);

	snprintf(expected, sizeof(expected),
	    "%s: %s; %s -h lists the options\n", program, mistake->text,
	    program);
	ck_assert_str_eq(daemon.log, expected);
	ck_assert_int_eq(status, EX_USAGE);
	free(daemon.log);
}

START_TEST(wrong_command_lines_of_the_server)
{
	assert_refused(&server[_i], "timestampd");
}
END_TEST

START_TEST(guesses_get_advice)
{
	assert_refused(&guesses[_i], "timestampd");
}
END_TEST

/* The client is built beside the server. */
START_TEST(wrong_command_lines_of_the_client)
{
	char path[4096];
	const char *daemon = getenv("TIMESTAMPD");

	snprintf(path, sizeof(path), "%.*sbin/timestampc",
	    (int)(strrchr(daemon, '/') + 1 - daemon), daemon);
	if (access(path, X_OK) == -1) {
		puts("skipped: no timestampc beside timestampd");
		return;
	}
	setenv("TIMESTAMPD", path, 1);
	assert_refused(&client[_i], "timestampc");
}
END_TEST

Suite *
usage_suite(void)
{
	Suite *suite = suite_create("usage");
	TCase *tests = tcase_create("all");

	tcase_set_timeout(tests, 120);
	tcase_add_checked_fixture(tests, scratch_enter, scratch_leave);
	tcase_add_loop_test(tests, wrong_command_lines_of_the_server, 0,
	    sizeof(server) / sizeof(server[0]));
	tcase_add_loop_test(tests, guesses_get_advice, 0,
	    sizeof(guesses) / sizeof(guesses[0]));
	tcase_add_loop_test(tests, wrong_command_lines_of_the_client, 0,
	    sizeof(client) / sizeof(client[0]));
	suite_add_tcase(suite, tests);
	return suite;
}
