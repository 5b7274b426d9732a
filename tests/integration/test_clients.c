#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness/daemon.h"
#include "harness/scratch.h"
#include "suites.h"

static struct daemon server;

/* The commands of the clients read these variables. */
static void
start(void)
{
	char config[512], folder[64], number[16];

	ck_assert_ptr_nonnull(getcwd(folder, sizeof(folder)));
	snprintf(config, sizeof(config),
	    "listeners = ( { protocol = \"tcp\"; port = 0; },\n"
	    "{ protocol = \"udp\"; port = 0; },\n"
	    "{ protocol = \"tcp\"; address = \"127.0.0.1\"; port = 0;\n"
	    "  framing = \"line\"; },\n"
	    "{ protocol = \"unix\"; path = \"%s/sock\"; },\n"
	    "{ protocol = \"unix-dgram\"; path = \"%s/dgram\"; },\n"
	    "{ protocol = \"unix-seqpacket\"; path = \"%s/packet\"; } );\n",
	    folder, folder, folder);
	daemon_start_config(&server, config);
	snprintf(number, sizeof(number), "%d", daemon_port(&server, "tcp *"));
	setenv("PORT", number, 1);
	snprintf(number, sizeof(number), "%d", daemon_port(&server, "udp *"));
	setenv("UDP", number, 1);
	snprintf(number, sizeof(number), "%d",
	    daemon_port(&server, "tcp 127.0.0.1"));
	setenv("LINES", number, 1);
}

static void
stop(void)
{
	daemon_stop(&server);
}

/* A shell command whose standard input and output are pipes of the test. */
struct program {
	pid_t pid;
	int in, out;
	char text[4096];
	size_t len;
};

static void
program_start(struct program *program, const char *command)
{
	int in[2], out[2];

	memset(program, 0, sizeof(*program));
	ck_assert_int_eq(pipe2(in, O_CLOEXEC), 0);
	ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
	program->pid = fork();
	if (program->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(in[0], STDIN_FILENO);
		dup2(out[1], STDOUT_FILENO);
		execl("/bin/sh", "sh", "-c", command, NULL);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	program->in = in[1];
	program->out = out[0];
}

static void
program_write(struct program *program, const char *text)
{
	ck_assert_int_eq(write(program->in, text, strlen(text)),
	    (ssize_t)strlen(text));
}

static void
program_await(struct program *program, const char *text)
{
	while (strstr(program->text, text) == NULL) {
		ssize_t n = read(program->out, program->text + program->len,
		    sizeof(program->text) - 1 - program->len);
		ck_assert_msg(n > 0, "no '%s' in '%s'", text, program->text);
		program->len += (size_t)n;
	}
}

static void
program_end(struct program *program)
{
	close(program->in);
	close(program->out);
	waitpid(program->pid, NULL, 0);
}

/* The user types a line, reads the answer, and ends the client. */
static const char *const interactive[] = {
	"exec nc -N 127.0.0.1 $PORT",
	"exec nc -6 -N ::1 $PORT",
	"exec nc -N -U sock",
	"exec nc -u -U -w1 dgram",
	"exec nc -u -U -w1 -s $PWD/own dgram",
	"exec nc -u -w1 127.0.0.1 $UDP",
	"exec nc -6 -u -w1 ::1 $UDP",
	"exec ncat 127.0.0.1 $PORT",
	"exec ncat -U sock",
	"exec ncat -u -i1 127.0.0.1 $UDP 2>/dev/null",
	"exec socat - TCP:127.0.0.1:$PORT",
	"exec socat - TCP6:[::1]:$PORT",
	"exec socat - UNIX-CONNECT:sock",
	"exec socat - UNIX-CONNECT:packet,type=5",
	"exec socat -t1 - UDP:127.0.0.1:$UDP",
	"exec socat -t1 - UNIX-SENDTO:$PWD/dgram,bind=$PWD/own",
	"exec telnet 127.0.0.1 $PORT",
	"exec telnet 127.0.0.1 $LINES",
	"exec busybox nc 127.0.0.1 $PORT",
};

START_TEST(interactive_clients)
{
	struct program program;

	program_start(&program, interactive[_i]);
	program_write(&program, "hello\n");
	program_await(&program, "] hello");
	ck_assert_ptr_nonnull(strchr(program.text, '['));
	program_end(&program);
}
END_TEST

/* Clients in a pipe: the answer must arrive although the input has ended. */
static const char *const piped[] = {
	"printf hello | nc -N 127.0.0.1 $PORT",
	"printf hello | ncat 127.0.0.1 $PORT",
	"printf hello | socat - TCP:127.0.0.1:$PORT",
	"printf hello | busybox nc 127.0.0.1 $PORT",
	"printf hello | nc -N -U sock",
	"printf hello | nc -u -w1 127.0.0.1 $UDP",
	"for i in 1 2 3; do echo line $i; done | nc -N 127.0.0.1 $LINES |\n"
	"	grep -c '^\\[.\\{24\\}\\] line [123]$' | sed 's/^3$/] hello/'",
	"bash -c 'exec 3<>/dev/tcp/127.0.0.1/$PORT; printf hello >&3;\n"
	"	head -c 32 <&3'",
};

START_TEST(piped_clients)
{
	struct program program;

	program_start(&program, piped[_i]);
	program_await(&program, "] hello");
	program_end(&program);
}
END_TEST

static const char *const pythons[] = {
	/* Sends without a newline and waits. */
	"import socket, os\n"
	"s = socket.create_connection(('127.0.0.1', os.environ['PORT']))\n"
	"s.sendall(b'hello')\n"
	"print(s.recv(100).decode())\n",
	/* Two messages, with a time-out. */
	"import socket, os\n"
	"s = socket.socket()\n"
	"s.settimeout(20)\n"
	"s.connect(('127.0.0.1', int(os.environ['PORT'])))\n"
	"for word in b'first', b'hello':\n"
	"    s.sendall(word)\n"
	"    print(s.recv(100).decode())\n",
	/* Unix socket. */
	"import socket\n"
	"s = socket.socket(socket.AF_UNIX)\n"
	"s.connect('sock')\n"
	"s.sendall(b'hello')\n"
	"print(s.recv(100).decode())\n",
	/* UDP. */
	"import socket, os\n"
	"s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
	"s.settimeout(20)\n"
	"s.sendto(b'hello', ('127.0.0.1', int(os.environ['UDP'])))\n"
	"print(s.recvfrom(100)[0].decode())\n",
	/* Line by line through a file object. */
	"import socket, os\n"
	"s = socket.create_connection(('127.0.0.1', os.environ['LINES']))\n"
	"f = s.makefile('rw')\n"
	"for word in 'first', 'hello':\n"
	"    print(word, file=f, flush=True)\n"
	"    print(f.readline())\n",
};

START_TEST(python_clients)
{
	struct program program;

	program_start(&program, "exec /usr/bin/python3 -");
	program_write(&program, pythons[_i]);
	close(program.in);
	program.in = -1;
	program_await(&program, "] hello");
	while (read(program.out, program.text, sizeof(program.text)) > 0)
		;
	program_end(&program);
}
END_TEST

Suite *
clients_suite(void)
{
	Suite *suite = suite_create("clients");
	TCase *tests = tcase_create("all");

	tcase_set_timeout(tests, 120);
	tcase_add_checked_fixture(tests, scratch_enter, scratch_leave);
	tcase_add_checked_fixture(tests, start, stop);
	tcase_add_loop_test(tests, interactive_clients, 0,
	    sizeof(interactive) / sizeof(interactive[0]));
	tcase_add_loop_test(tests, piped_clients, 0,
	    sizeof(piped) / sizeof(piped[0]));
	tcase_add_loop_test(tests, python_clients, 0,
	    sizeof(pythons) / sizeof(pythons[0]));
	suite_add_tcase(suite, tests);
	return suite;
}
