#include "stream/slots.h"

#include <sys/eventfd.h>
#include <unistd.h>

int
slots_init(struct slots *slots, int max)
{
	slots->taken = 0;
	slots->max = max;
	slots->wanted = false;
	slots->room_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	return slots->room_fd == -1 ? -1 : 0;
}

void
slots_destroy(struct slots *slots)
{
	if (slots->room_fd != -1)
		close(slots->room_fd);
}

void
slots_set_max(struct slots *slots, int max)
{
	slots->max = max;
	eventfd_write(slots->room_fd, 1);
}

bool
slots_take(struct slots *slots)
{
	if (slots->taken >= slots->max) {
		slots->wanted = true;
		/* One may have come free before wanted was seen. */
		if (slots->taken >= slots->max)
			return false;
		slots->wanted = false;
	}
	slots->taken++;
	return true;
}

void
slots_take_anyway(struct slots *slots)
{
	slots->taken++;
}

void
slots_give(struct slots *slots)
{
	slots->taken--;
	if (slots->wanted && atomic_exchange(&slots->wanted, false))
		eventfd_write(slots->room_fd, 1);
}

void
slots_clear_room(struct slots *slots)
{
	eventfd_t count;

	eventfd_read(slots->room_fd, &count);
}
