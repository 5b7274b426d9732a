#ifndef CONFIG_CONFIG_FILE_H
#define CONFIG_CONFIG_FILE_H

#include <stdbool.h>

#include "syntax/faults.h"

/*
 * Reads the configuration file faults->path into faults->text.  False when it
 * can't be read, has more than 1 MiB or is not text, with a fault that says so.
 * Never waits: only a regular file is read.  The main thread.
 */
bool config_file_read(struct faults *faults);

#endif
