#include "http/crowd.h"

#include <stddef.h>
#include <sys/socket.h>

#include "base/clock.h"

#define LATE_MS 10000

void
crowd_init(struct crowd *crowd)
{
	*crowd = (struct crowd){ 0 };
	pthread_mutex_init(&crowd->lock, NULL);
	for (int i = 0; i < CROWD_DAEMONS * CROWD_MAX; i++)
		crowd->clients[i].fd = -1;
}

void
crowd_destroy(struct crowd *crowd)
{
	pthread_mutex_destroy(&crowd->lock);
}

/*
 * Whoever asks is answered at once, so the one that has been there for longest
 * does not ask; if it has just asked, it is still answered.  Otherwise a few
 * silent clients would hide from a balancer that the server is ready.
 */
static void
make_room(struct crowd *crowd, const void *daemon)
{
	struct crowd_client *oldest = NULL;
	int count = 0;

	for (int i = 0; i < CROWD_DAEMONS * CROWD_MAX; i++) {
		struct crowd_client *at = &crowd->clients[i];
		if (at->fd == -1 || at->daemon != daemon || at->is_ended)
			continue;
		count++;
		if (oldest == NULL || at->number < oldest->number)
			oldest = at;
	}
	if (count < CROWD_MAX)
		return;
	oldest->is_ended = true;
	shutdown(oldest->fd, SHUT_RD);
}

struct crowd_client *
crowd_add(struct crowd *crowd, int fd, const void *daemon)
{
	struct crowd_client *found = NULL;

	pthread_mutex_lock(&crowd->lock);
	for (int i = 0; i < CROWD_DAEMONS * CROWD_MAX && found == NULL; i++)
		if (crowd->clients[i].fd == -1)
			found = &crowd->clients[i];
	if (found != NULL) {
		*found = (struct crowd_client){
			.fd = fd,
			.daemon = daemon,
			.number = crowd->came++,
			.since_ms = clock_ms(),
		};
		make_room(crowd, daemon);
	}
	pthread_mutex_unlock(&crowd->lock);
	return found;
}

void
crowd_remove(struct crowd *crowd, struct crowd_client *client)
{
	if (client == NULL)
		return;
	pthread_mutex_lock(&crowd->lock);
	client->fd = -1;
	pthread_mutex_unlock(&crowd->lock);
}

void
crowd_end_late(struct crowd *crowd, uint64_t now_ms)
{
	pthread_mutex_lock(&crowd->lock);
	for (int i = 0; i < CROWD_DAEMONS * CROWD_MAX; i++) {
		const struct crowd_client *at = &crowd->clients[i];
		if (at->fd != -1 &&
		    (at->is_ended || at->since_ms + LATE_MS <= now_ms))
			shutdown(at->fd, SHUT_RDWR);
	}
	pthread_mutex_unlock(&crowd->lock);
}
