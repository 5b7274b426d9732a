#ifndef CONFIG_CONFIG_FILE_H
#define CONFIG_CONFIG_FILE_H

#include "syntax/faults.h"

/*
 * The text of the configuration file faults->path, to be freed; NULL when it
 * can't be read, has more than 1 MiB or is not text, with a fault that says so.
 * Never waits: only a regular file is read.  The main thread.
 */
char *config_file_read(struct faults *faults);

#endif
