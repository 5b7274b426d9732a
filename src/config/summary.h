#ifndef CONFIG_SUMMARY_H
#define CONFIG_SUMMARY_H

#include <stdio.h>

#include "config/config.h"

/*
 * Writes a line that says what a configuration does: where clients are served,
 * and with which stamps.  path: of its file; NULL: it is built in.
 */
void summary_print(FILE *out, const char *path, const struct config *config);

#endif
