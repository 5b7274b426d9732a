#ifndef RIGHTS_H
#define RIGHTS_H

#include <sys/socket.h>

/*
 * Descriptors that a Unix client sends along: no one wants them, and each would
 * stay open.  There is to be no room for them; this is for those that come in
 * all the same.  Any thread.
 */

/* Closes those that control holds, if any. */
void rights_close(const struct cmsghdr *control);

#endif
