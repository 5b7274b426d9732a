/*
 * What ThreadSanitizer takes for a race in the server and is none.  It models
 * connect(2) as the beginning of a descriptor, which no other thread may use at
 * that moment.  The main thread connects the socket of a datagram thread that
 * answers what has arrived: the kernel locks the socket, and the replies name
 * their receivers.
 */
const char *__tsan_default_suppressions(void);

const char *
__tsan_default_suppressions(void)
{
	return "race:listener_divert\n";
}
