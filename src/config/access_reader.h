#ifndef CONFIG_ACCESS_READER_H
#define CONFIG_ACCESS_READER_H

#include "config/access.h"
#include "config/setting.h"

/*
 * Reads allow, deny, allow_file and deny_file of a group: the root, or a
 * listener, which has the lists for all in common.  Complains of each fault, up
 * to a limit.  NULL: the lists are empty or wrong.  The main thread.
 */
struct access *access_read(const struct setting *group, struct access *common);

/* Where a table of rules has one of the four: leaves it to access_read. */
void access_leave(const struct setting *setting, void *base);

#endif
