#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "config/config.h"
#include "harness/scratch.h"
#include "unit/config/complaints.h"
#include "unit/suites.h"

#define HELP "; timestampd -h lists the options\n"

static struct config *
load(const char *path)
{
	struct config_source source = { .path = path };
	struct config *config;

	complaints_load(&config, &source);
	return config;
}

/* What the command line says, without a file. */
static int
load_options(struct config **config, char *const *specs, size_t count)
{
	struct config_source source = { .specs = specs, .spec_count = count };

	return complaints_load(config, &source);
}

static struct config *
load_text(const char *text)
{
	scratch_write("main", text);
	return load("main");
}

static void
assert_same(const struct config *a, const struct config *b)
{
	ck_assert_int_eq(a->log_level, b->log_level);
	ck_assert(a->log_connections == b->log_connections);
	ck_assert_int_eq(a->workers, b->workers);
	ck_assert_str_eq(a->user, b->user);
	ck_assert_str_eq(a->control, b->control);
	ck_assert_int_eq(a->max_connections, b->max_connections);
	ck_assert_int_eq(a->max_per_address, b->max_per_address);
	ck_assert_int_eq(a->idle_timeout, b->idle_timeout);
	ck_assert_int_eq(a->send_timeout, b->send_timeout);
	ck_assert_int_eq(a->drain_timeout, b->drain_timeout);
	ck_assert_int_eq(a->kept_memory, b->kept_memory);
	ck_assert_int_eq(a->lame_duck, b->lame_duck);
	ck_assert_str_eq(a->http.where, b->http.where);
	ck_assert_mem_eq(&a->stamp, &b->stamp, sizeof(a->stamp));
	ck_assert_str_eq(a->timezone, b->timezone);
	ck_assert(a->arrival == b->arrival);
	ck_assert_int_eq(a->rate_limit, b->rate_limit);
	ck_assert_int_eq(a->rate_burst, b->rate_burst);
	ck_assert_uint_eq(a->listener_count, b->listener_count);
	for (size_t i = 0; i < a->listener_count; i++) {
		struct listener_config x = a->listeners[i];
		struct listener_config y = b->listeners[i];
		memset(x.where, 0, sizeof(x.where));
		memset(y.where, 0, sizeof(y.where));
		ck_assert_mem_eq(&x, &y, sizeof(x));
	}
}

/* Each setting is there, and is the built-in one. */
START_TEST(shipped_file_is_the_default)
{
	struct config *built_in = load(NULL);
	struct config *shipped = load("conf/timestampd.conf");
	static const char *const settings[] = { "log_level", "log_connections",
		"workers", "user", "control", "max_connections",
		"max_connections_per_address", "idle_timeout", "send_timeout",
		"drain_timeout", "lame_duck", "kept_memory", "format",
		"timezone", "source", "rate_limit", "rate_burst", "protocol",
		"address", "port", "backlog", "receive_buffer", "framing",
		"proxy_protocol", "proxy_from", "max_datagram", "threads",
		"abstract_clients", "allow", "deny", "allow_file",
		"deny_file" };
	char text[8192] = "";

	ck_assert_msg(shipped != NULL, "%s", complaints);
	assert_same(built_in, shipped);
	FILE *file = fopen("conf/timestampd.conf", "r");
	ck_assert_uint_gt(fread(text, 1, sizeof(text) - 1, file), 0);
	fclose(file);
	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		char assignment[64];
		snprintf(assignment, sizeof(assignment), "%s = ", settings[i]);
		ck_assert_msg(strstr(text, assignment) != NULL, "%s",
		    settings[i]);
	}
	config_free(built_in);
	config_free(shipped);
}
END_TEST

START_TEST(reads_every_setting)
{
	struct config *config = load_text(
	    "log_level = \"debug\"; workers = 3; control = \"/a\";\n"
	    "log_connections = true;\n"
	    "user = \"daemon\";\n"
	    "limits: { max_connections_per_address = 6;\n"
	    "max_connections = 7; idle_timeout = 8;\n"
	    "send_timeout = 9; drain_timeout = 10; kept_memory = 0;\n"
	    "lame_duck = 14; };\n"
	    "http: { address = \"::1\"; port = 15; };\n"
	    "stamp: { format = \"epoch\"; timezone = \"UTC\"; "
	    "source = \"arrival\"; };\n"
	    "udp: { rate_limit = 11; rate_burst = 12; };\n"
	    "listeners = (\n"
	    "{ protocol = \"tcp\"; address = \"::1\"; port = \"daytime\";\n"
	    "  backlog = 13; receive_buffer = 4096; framing = \"line\";\n"
	    "  proxy_protocol = \"require\"; proxy_from = [ "
	    "\"192.0.2.1\", \"2001:db8::/32\" ]; },\n"
	    "{ protocol = \"udp\"; port = 0; max_datagram = 65480; threads = "
	    "2; },\n"
	    "{ protocol = \"unix\"; path = \"/run/a\"; mode = \"0640\";\n"
	    "  proxy_protocol = \"accept\"; },\n"
	    "{ protocol = \"unix-dgram\"; path = \"/run/b\";\n"
	    "  abstract_clients = true; },\n"
	    "{ protocol = \"unix-seqpacket\"; path = \"/run/c\"; });\n");

	ck_assert_msg(config != NULL, "%s", complaints);
	ck_assert_int_eq(config->log_level, LOG_DEBUG);
	ck_assert_int_eq(config->workers, 3);
	ck_assert(config->log_connections);
	ck_assert_str_eq(config->control, "/a");
	ck_assert_str_eq(config->user, "daemon");
	ck_assert_uint_eq(config->uid, getpwnam("daemon")->pw_uid);
	ck_assert_uint_eq(config->gid, getpwnam("daemon")->pw_gid);
	ck_assert_int_eq(config->max_per_address, 6);
	ck_assert_int_eq(config->max_connections, 7);
	ck_assert_int_eq(config->idle_timeout, 8);
	ck_assert_int_eq(config->send_timeout, 9);
	ck_assert_int_eq(config->drain_timeout, 10);
	ck_assert_int_eq(config->kept_memory, 0);
	ck_assert_int_eq(config->lame_duck, 14);
	ck_assert_int_eq(config->http.protocol, PROTOCOL_TCP);
	ck_assert_str_eq(config->http.address, "::1");
	ck_assert_int_eq(config->http.port, 15);
	ck_assert_str_eq(config->http.where, "main:8: http");
	ck_assert(config->stamp.epoch);
	ck_assert_str_eq(config->timezone, "UTC");
	ck_assert(config->arrival);
	ck_assert_int_eq(config->rate_limit, 11);
	ck_assert_int_eq(config->rate_burst, 12);
	ck_assert_uint_eq(config->listener_count, 5);
	const struct listener_config *tcp = &config->listeners[0];
	ck_assert_str_eq(tcp->address, "::1");
	ck_assert_int_eq(tcp->port, 13);
	ck_assert_int_eq(tcp->backlog, 13);
	ck_assert_int_eq(tcp->receive_buffer, 4096);
	ck_assert_int_eq(tcp->framing, FRAMING_LINE);
	ck_assert_int_eq(tcp->proxy, PROXY_REQUIRE);
	ck_assert_int_eq(tcp->proxy_from_count, 2);
	ck_assert_int_eq(tcp->proxy_from[0].length, 128);
	ck_assert_int_eq(tcp->proxy_from[1].length, 32);
	ck_assert_int_eq(config->listeners[2].proxy, PROXY_ACCEPT);
	ck_assert_str_eq(tcp->where, "main:12");
	ck_assert_int_eq(config->listeners[1].port, 0);
	ck_assert_int_eq(config->listeners[1].max_datagram, 65480);
	ck_assert_int_eq(config->listeners[1].threads, 2);
	ck_assert_str_eq(config->listeners[2].path, "/run/a");
	ck_assert_uint_eq(config->listeners[2].mode, 0640);
	ck_assert(!config->listeners[2].abstract_clients);
	ck_assert(config->listeners[3].abstract_clients);
	ck_assert_int_eq(config->listeners[4].protocol,
	    PROTOCOL_UNIX_SEQPACKET);
	config_free(config);
}
END_TEST

#define LISTENER(settings) "listeners = ( { " settings " } );\n"
#define AT(address)                                                            \
	LISTENER("protocol = \"tcp\"; port = 9; address = \"" address "\";")
#define LONG_PATH                                                              \
	"/2345678901234567890123456789012345678901234567890123456789012345678" \
	"9"                                                                    \
	"012345678901234567890123456789012345678"

#define EIGHT "\"::\",\"::\",\"::\",\"::\",\"::\",\"::\",\"::\",\"::\","
#define PROXY_FROM_MISSING                                                     \
	"main:1: listeners[0]: proxy_protocol needs proxy_from, the "          \
	"addresses "                                                           \
	"of the proxies that may say who the client is\n"
#define PROXY_FROM_FORM                                                        \
	"main:1: listeners[0].proxy_from: needs a list of at most 32 "         \
	"addresses: [ \"192.0.2.1\", \"10.0.0.0/8\" ]\n"

/* What is wrong, and the very line that says so. */
static const struct {
	const char *text, *complaint;
} bad[] = {
	{ "workers = ;\n", "main:1: the value is missing: workers = VALUE;\n" },
	{ "workers = 1;\nworkers = 2;\n",
	    "main:2: workers is set twice: the first time in line 1\n" },
	{ "wrokers = 1;\n",
	    "main:1: wrokers: no such setting; did you mean \"workers\"?\n" },
	{ "zzz = 1;\n",
	    "main:1: zzz: no such setting; there are: log_level "
	    "log_connections workers "
	    "user control limits stamp udp http allow deny allow_file "
	    "deny_file listeners\n" },
	{ "\nworkers = \"many\";\n",
	    "main:2: workers: needs a whole number from 0 to 1024\n" },
	{ "workers = 1.5;\n",
	    "main:1: workers: needs a whole number from 0 to 1024\n" },
	{ "workers = -1;\n",
	    "main:1: workers: -1 is out of range: 0 to 1024 are allowed\n" },
	{ "workers = 5000000000L;\n",
	    "main:1: workers: 5000000000 is out of range: 0 to 1024 are "
	    "allowed\n" },
	{ "workers = 4294967297;\n",
	    "main:1: the number 4294967297 is out of range\n" },
	{ "log_level = \"loud\";\n",
	    "main:1: log_level: \"loud\" is not one of \"error\", \"warning\", "
	    "\"info\" and \"debug\"\n" },
	{ "control = \"ask\";\n",
	    "main:1: control: needs an absolute path of at most 107 bytes, or "
	    "\"\"\n" },
	{ "control = 1;\n",
	    "main:1: control: needs text in \"quotes\": \"1\"\n" },
	{ "log_connections = \"yes\";\n", "main:1: log_connections: needs true "
					  "or false, without quotes: true\n" },
	{ "log_level = 3;\n",
	    "main:1: log_level: needs text in \"quotes\": \"3\"\n" },
	{ "limits = 3;\n", "main:1: limits: needs a group: { ... }\n" },
	{ "limits: {\nidle = 3;\n};\n",
	    "main:2: limits.idle: no such setting; did you mean "
	    "\"idle_timeout\"?\n" },
	{ "limits: { lame_duck = -1; };\n",
	    "main:1: limits.lame_duck: -1 is out of range: 0 to 86400 are "
	    "allowed\n" },
	{ "\nhttp: { };\n", "main:2: http: needs a port, and may have an "
			    "address; or a path alone\n" },
	{ "http: { port = 1; path = \"/a\"; };\n",
	    "main:1: http: needs a port, and may have an address; or a path "
	    "alone\n" },
	{ "http: { address = \"*\"; path = \"/a\"; };\n",
	    "main:1: http: needs a port, and may have an address; or a path "
	    "alone\n" },
	{ "http: { port = 65536; };\n",
	    "main:1: http.port: 65536 is out of range: 0 to 65535 are "
	    "allowed\n" },
	{ "http: { port = 1; address = \"localhost\"; };\n",
	    "main:1: http.address: needs \"*\" or an IP address\n" },
	{ "http: { path = \"a\"; };\n", "main:1: http.path: needs an absolute "
					"path of at most 107 bytes\n" },
	{ "http: { path = 1; };\n",
	    "main:1: http.path: needs text in \"quotes\": \"1\"\n" },
	{ "http = 1;\n", "main:1: http: needs a group: { ... }\n" },
	{ "http: { port = 21567; };\n",
	    "main:1: http: needs another port: 21567 is used by a listener "
	    "that is built in\n" },
	{ "http: { port = 9; address = \"0.0.0.0\"; };\n" AT("127.0.0.1"),
	    "main:1: http: needs another port: 9 is used by the listener at "
	    "main:2\n" },
	{ "http: { port = 9; address = \"::1\"; };\n" AT("::"),
	    "main:1: http: needs another port: 9 is used by the listener at "
	    "main:2\n" },
	{ "http: { port = 9; address = \"0::1\"; };\n" AT("::1"),
	    "main:1: http: needs another port: 9 is used by the listener at "
	    "main:2\n" },
	{ "http: { path = \"/a\"; };\n"
	  "listeners = ( { protocol = \"unix-dgram\"; path = \"/a\"; } );\n",
	    "main:1: http: needs another path: /a is used by the listener "
	    "at main:2\n" },
	{ "control = \"/a\"; http: { path = \"/a\"; };\n",
	    "main:1: http: needs another path: /a is used by the control "
	    "socket\n" },
	{ LISTENER("protocol = \"unix\"; path = \"/a\";") "control = \"/a\";\n",
	    "main:1: listeners[0]: needs another path: /a is used by the "
	    "control socket\n" },
	{ LISTENER("protocol = \"unix\"; path = \"" CONFIG_CONTROL "\";"),
	    "main:1: listeners[0]: needs another path: " CONFIG_CONTROL
	    " is used by the control socket\n" },
	{ "listeners = ( { protocol = \"unix\"; path = \"/a\"; },\n"
	  "{ protocol = \"unix-dgram\"; path = \"/a\"; } );\n",
	    "main:2: listeners[1]: needs another path: /a is used by the "
	    "listener at main:1\n" },
	{ "listeners = ( { protocol = \"udp\"; },\n"
	  "{ protocol = \"udp\"; address = \"::1\"; } );\n",
	    "main:2: listeners[1]: needs another port: 21567 is used by the "
	    "listener at main:1\n" },
	{ "limits: { max_connections = 0; };\n",
	    "main:1: limits.max_connections: 0 is out of range: 1 to 1000000 "
	    "are allowed\n" },
	{ "limits: { max_connections_per_address = \"some\"; };\n",
	    "main:1: limits.max_connections_per_address: \"some\" is not a "
	    "number or \"auto\"\n" },
	{ "limits: { max_connections_per_address = -1; };\n",
	    "main:1: limits.max_connections_per_address: -1 is out of range: "
	    "0 to 1000000 are allowed\n" },
	{ "\nuser = \"no such\";\n",
	    "main:2: user: this system has no user \"no such\"\n" },
	{ "user = 65534;\n",
	    "main:1: user: needs text in \"quotes\": \"65534\"\n" },
	{ "limits: { kept_memory = 2000000; };\n",
	    "main:1: limits.kept_memory: 2000000 is out of range: 0 to 1048576 "
	    "are allowed\n" },
	{ LISTENER("protocol = \"tcp\"; receive_buffer = 4095;"),
	    "main:1: listeners[0].receive_buffer: 4095 is out of range: 4096 "
	    "to 67108864 are allowed\n" },
	{ LISTENER("protocol = \"unix\"; path = \"/a\"; receive_buffer = "
		   "4096;"),
	    "main:1: listeners[0].receive_buffer: does not apply to a unix "
	    "listener\n" },
	{ "stamp: { format = \"%Q\"; };\n",
	    "main:1: stamp.format: \"%Q\": '%Q' is neither a conversion of "
	    "strftime(3) that fits in a line nor %3N, %6N or %9N\n" },
	{ "stamp: { source = \"sun\"; };\n",
	    "main:1: stamp.source: \"sun\" is not one of \"clock\" and "
	    "\"arrival\"\n" },
	{ "stamp: { timezone = \"Mars/Base\"; };\n",
	    "main:1: stamp.timezone: needs \"local\", \"UTC\" or a time zone "
	    "of this system, such as \"Europe/Berlin\"\n" },
	{ "udp: { rate_burst = 0; };\n",
	    "main:1: udp.rate_burst: 0 is out of range: 1 to 1000000 are "
	    "allowed\n" },
	{ "listeners = ();\n",
	    "main:1: listeners: needs a list of listeners: "
	    "( { protocol = \"tcp\"; port = 7000; }, { ... } )\n" },
	{ "listeners = 1;\n",
	    "main:1: listeners: needs a list of listeners: "
	    "( { protocol = \"tcp\"; port = 7000; }, { ... } )\n" },
	{ "listeners = ( 1 );\n",
	    "main:1: listeners[0]: needs a protocol: { protocol = "
	    "\"tcp\"; ... }\n" },
	{ LISTENER("port = 1;"),
	    "main:1: listeners[0]: needs a protocol: { protocol = "
	    "\"tcp\"; ... }\n" },
	{ LISTENER("protocol = 6;"), "main:1: listeners[0].protocol: needs "
				     "text in \"quotes\": \"6\"\n" },
	{ LISTENER("protocol = \"sctp\";"),
	    "main:1: listeners[0].protocol: \"sctp\" is not one of \"tcp\", "
	    "\"udp\", \"unix\", \"unix-dgram\" and \"unix-seqpacket\"\n" },
	{ LISTENER("protocol = \"tcp\"; port = 65536;"),
	    "main:1: listeners[0].port: 65536 is out of range: 0 to 65535 are "
	    "allowed\n" },
	{ LISTENER("protocol = \"tcp\"; port = \"nosuch\";"),
	    "main:1: listeners[0].port: \"nosuch\" is not a tcp service in "
	    "/etc/services; a number needs no quotes\n" },
	{ LISTENER("protocol = \"tcp\"; port = true;"),
	    "main:1: listeners[0].port: needs a whole number from 0 to "
	    "65535\n" },
	{ LISTENER("protocol = \"tcp\"; address = \"\";"),
	    "main:1: listeners[0].address: needs \"*\", an IP address or a "
	    "host name\n" },
	{ LISTENER("protocol = \"tcp\"; framing = \"word\";"),
	    "main:1: listeners[0].framing: \"word\" is not one of \"chunk\" "
	    "and "
	    "\"line\"\n" },
	{ LISTENER("protocol = \"tcp\"; proxy_protocol = \"on\";"),
	    "main:1: listeners[0].proxy_protocol: \"on\" is not one of "
	    "\"off\", "
	    "\"accept\" and \"require\"\n" },
	{ LISTENER("protocol = \"tcp\"; proxy_protocol = \"accept\";"),
	    PROXY_FROM_MISSING },
	{ LISTENER("protocol = \"tcp\"; proxy_protocol = \"require\"; "
		   "proxy_from = [];"),
	    PROXY_FROM_MISSING },
	{ LISTENER("protocol = \"tcp\"; proxy_from = \"192.0.2.1\";"),
	    PROXY_FROM_FORM },
	{ LISTENER("protocol = \"tcp\"; proxy_from = { };"), PROXY_FROM_FORM },
	{ LISTENER("protocol = \"tcp\"; proxy_from = [ \"a\", \"b\" ];"),
	    "main:1: listeners[0].proxy_from[0]: \"a\" is not an IPv4 or IPv6 "
	    "address\n"
	    "main:1: listeners[0].proxy_from[1]: \"b\" is not an IPv4 or IPv6 "
	    "address\n" },
	{ LISTENER("protocol = \"tcp\"; proxy_from = ( \"::/129\", 1 );"),
	    "main:1: listeners[0].proxy_from[0]: \"::/129\" needs a length "
	    "from 0 to 128\n"
	    "main:1: listeners[0].proxy_from[1]: needs text in \"quotes\"\n" },
	{ LISTENER("protocol = \"tcp\"; proxy_from = [ \"10.0.0.1/8\" ];"),
	    "main:1: listeners[0].proxy_from[0]: \"10.0.0.1/8\" has bits "
	    "set behind its length; did you mean the network \"10.0.0.0/8\" or "
	    "the address \"10.0.0.1\"?\n" },
	{ LISTENER("protocol = \"tcp\"; proxy_from = [ " EIGHT EIGHT EIGHT EIGHT
		   "\"::\" ];"),
	    PROXY_FROM_FORM },
	{ LISTENER("protocol = \"unix\"; path = \"/a\"; proxy_from = "
		   "[ \"::\" ];"),
	    "main:1: listeners[0].proxy_from: does not apply to a unix "
	    "listener\n" },
	{ LISTENER("protocol = \"unix-seqpacket\"; path = \"/a\"; "
		   "proxy_protocol = \"require\";"),
	    "main:1: listeners[0].proxy_protocol: does not apply to a "
	    "unix-seqpacket listener\n" },
	{ LISTENER("protocol = \"udp\"; proxy_protocol = \"off\";"),
	    "main:1: listeners[0].proxy_protocol: does not apply to a udp "
	    "listener\n" },
	{ LISTENER("protocol = \"tcp\"; max_datagram = 5;"),
	    "main:1: listeners[0].max_datagram: does not apply to a tcp "
	    "listener\n" },
	{ LISTENER("protocol = \"udp\"; framing = \"line\";"),
	    "main:1: listeners[0].framing: does not apply to a udp "
	    "listener\n" },
	{ LISTENER("protocol = \"udp\"; max_datagram = 65481;"),
	    "main:1: listeners[0].max_datagram: 65481 is out of range: 1 to "
	    "65480 are allowed\n" },
	{ LISTENER("protocol = \"udp\"; threads = 65;"),
	    "main:1: listeners[0].threads: 65 is out of range: 1 to 64 are "
	    "allowed\n" },
	{ LISTENER("protocol = \"unix-dgram\"; path = \"/a\"; threads = 2;"),
	    "main:1: listeners[0].threads: does not apply to a unix-dgram "
	    "listener\n" },
	{ LISTENER("protocol = \"unix\"; path = \"/a\"; abstract_clients = "
		   "true;"),
	    "main:1: listeners[0].abstract_clients: does not apply to a unix "
	    "listener\n" },
	{ LISTENER(
	      "protocol = \"unix-dgram\"; path = \"/a\"; abstract_clients = "
	      "1;"),
	    "main:1: listeners[0].abstract_clients: needs true or false; 1 is "
	    "true\n" },
	{ LISTENER("protocol = \"unix\";"),
	    "main:1: listeners[0]: needs a path: { protocol = "
	    "\"unix\"; path = \"/...\"; }\n" },
	{ LISTENER("protocol = \"unix\"; path = \"a\";"),
	    "main:1: listeners[0].path: needs an absolute path of at most 107 "
	    "bytes\n" },
	{ LISTENER("protocol = \"unix\"; path = \"" LONG_PATH "\";"),
	    "main:1: listeners[0].path: needs an absolute path of at most 107 "
	    "bytes\n" },
	{ LISTENER("protocol = \"unix\"; path = \"/a\"; mode = \"0888\";"),
	    "main:1: listeners[0].mode: needs an octal mode from \"0000\" to "
	    "\"0777\"\n" },
	{ "listeners = ( { protocol = \"tcp\"; },\n{ protocol = \"tcp\"; } );",
	    "main:2: listeners[1]: is the same as the one at main:1\n" },
	{ "listeners = ( { protocol = \"tcp\"; backlog = 0; },\n"
	  "{ protocol = \"tcp\"; } );",
	    "main:1: listeners[0].backlog: 0 is out of range: 1 to 65535 are "
	    "allowed\n"
	    "main:2: listeners[1]: is the same as the one at main:1\n" },
	{ "workers = -1;\nudp: {\n rate = 1; };\nlimits = 1;\n",
	    "main:1: workers: -1 is out of range: 0 to 1024 are allowed\n"
	    "main:3: udp.rate: no such setting; did you mean "
	    "\"rate_limit\"?\n"
	    "main:4: limits: needs a group: { ... }\n" },
	{ "workers = 2;\n@include \"more\"\n",
	    "main:2: @include is not supported: put the settings into this "
	    "file\n" },
	{ "log_level = \"\\x1b[2J\\nmain:9: \xff\";\n",
	    "main:1: log_level: \"\\x1b[2J\\x0amain:9: \\xff\" is not one of "
	    "\"error\", \"warning\", \"info\" and \"debug\"\n" },
	{ "stamp: { format = \"%\\x1b\"; };\n",
	    "main:1: stamp.format: \"%\\x1b\": '%\\x1b' is neither a "
	    "conversion "
	    "of strftime(3) that fits in a line nor %3N, %6N or %9N\n" },
	{ LISTENER("protocol = \"tcp\"; port = \"\a\";"),
	    "main:1: listeners[0].port: \"\\x07\" is not a tcp service in "
	    "/etc/services; a number needs no quotes\n" },
	{ "workers = \x1b;\n",
	    "main:1: workers: needs a whole number from 0 to 1024\n" },
	{ "workers = 3 # no end of line: this is read, too\n; wrong",
	    "main:2: a comment begins with # or //, not with ;\n" },
};

/* At a reload: the user's name service may be silent. */
START_TEST(a_user_that_stays_is_not_looked_up)
{
	struct config running = { .user = "no such", .uid = 6, .gid = 7 };
	struct config_source source = { .path = "main", .running = &running };
	struct config *config;
	static const struct {
		const char *text, *user; /* NULL: refused */
	} cases[] = { { "user = \"no such\";\n", "no such" },
		{ "user = \"no such one\";\n", NULL },
		{ "user = \"daemon\";\n", "daemon" }, { "", "" } };

	scratch_write("main", cases[_i].text);
	ck_assert_int_eq(config_load(&config, &source, stderr),
	    cases[_i].user != NULL ? 0 : EX_CONFIG);
	if (cases[_i].user != NULL)
		ck_assert_str_eq(config->user, cases[_i].user);
	if (_i == 0) {
		ck_assert_uint_eq(config->uid, 6);
		ck_assert_uint_eq(config->gid, 7);
	} else if (_i == 2) {
		ck_assert_uint_eq(config->uid, getpwnam("daemon")->pw_uid);
	}
	config_free(config);
}
END_TEST

START_TEST(has_not_too_many_listeners)
{
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	fputs("listeners = (", out);
	for (int i = 0; i <= 1024; i++)
		fprintf(out, "%s{ protocol = \"tcp\"; port = %d; }",
		    i > 0 ? "," : "", i + 1);
	fputs(");", out);
	fclose(out);
	ck_assert_ptr_null(load_text(text));
	ck_assert_str_eq(complaints,
	    "main:1:1: listeners: has 1025 listeners, and at most 1024 are "
	    "allowed\n");
	free(text);
}
END_TEST

START_TEST(says_what_is_wrong)
{
	struct config *config = load_text(bad[_i].text);

	ck_assert_ptr_null(config);
	complaints_strip_columns();
	ck_assert_str_eq(complaints, bad[_i].complaint);
}
END_TEST

START_TEST(missing_file)
{
	ck_assert_ptr_null(load("nowhere/x"));
	ck_assert_str_eq(complaints,
	    "cannot read nowhere/x: No such file or directory\n");
}
END_TEST

START_TEST(control_characters_of_a_spec_are_escaped)
{
	char *specs[] = { "tcp:\x1b[2J\n", "unix:/\a", "unix:/\a" };
	struct config *config;

	ck_assert_int_eq(load_options(&config, specs, 3), EX_USAGE);
	ck_assert_ptr_null(config);
	ck_assert_str_eq(complaints,
	    "timestampd: -l tcp:\\x1b[2J\\x0a: port: \"\\x1b[2J\\x0a\" is "
	    "not a number or a tcp service in /etc/services" HELP
	    "timestampd: -l unix:/\\x07: is given twice" HELP);
}
END_TEST

START_TEST(a_setting_of_the_file_is_not_a_group)
{
	char *settings[] = { "workers.x=5" };
	struct config_source source = { .path = "main",
		.settings = settings,
		.setting_count = 1 };
	struct config *config;
	size_t len;

	scratch_write("main", "workers = 4;\n");
	free(complaints);
	FILE *errors = open_memstream(&complaints, &len);
	ck_assert_int_eq(config_load(&config, &source, errors), EX_USAGE);
	fclose(errors);
	ck_assert_str_eq(complaints,
	    "timestampd: -o workers.x: \"workers\" is not a group: needs "
	    "workers=VALUE" HELP);
}
END_TEST

START_TEST(specs_replace_the_listeners)
{
	char *specs[] = { "tcp:1", "unix:/run/a", "tcp:" };
	struct config *config;

	ck_assert_int_eq(load_options(&config, specs, 2), 0);
	ck_assert_uint_eq(config->listener_count, 2);
	ck_assert_int_eq(config->listeners[0].port, 1);
	ck_assert_str_eq(config->listeners[1].path, "/run/a");
	ck_assert(!config->built_in_listeners);
	config_free(config);
	ck_assert_int_eq(load_options(&config, specs, 3), EX_USAGE);
}
END_TEST

Suite *
config_suite(void)
{
	Suite *suite = suite_create("config");
	TCase *here = tcase_create("here");
	TCase *tests = tcase_create("scratch");

	tcase_add_checked_fixture(here, NULL, complaints_free);
	tcase_add_test(here, shipped_file_is_the_default);
	suite_add_tcase(suite, here);
	tcase_add_checked_fixture(tests, scratch_enter, scratch_leave);
	tcase_add_checked_fixture(tests, NULL, complaints_free);
	tcase_add_test(tests, reads_every_setting);
	tcase_add_loop_test(tests, a_user_that_stays_is_not_looked_up, 0, 4);
	tcase_add_test(tests, has_not_too_many_listeners);
	tcase_add_loop_test(tests, says_what_is_wrong, 0,
	    sizeof(bad) / sizeof(bad[0]));
	tcase_add_test(tests, missing_file);
	tcase_add_test(tests, control_characters_of_a_spec_are_escaped);
	tcase_add_test(tests, a_setting_of_the_file_is_not_a_group);
	tcase_add_test(tests, specs_replace_the_listeners);
	suite_add_tcase(suite, tests);
	return suite;
}
