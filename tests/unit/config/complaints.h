#ifndef COMPLAINTS_H
#define COMPLAINTS_H

#include "config/config.h"

/* What the last configuration was refused for; NULL at first. */
extern char *complaints;

/* As config_load, into complaints. */
int complaints_load(struct config **config, const struct config_source *source);

/* Leaves "main:LINE: " of "main:LINE:COLUMN: "; tests/unit/errors has columns. */
void complaints_strip_columns(void);

void complaints_free(void);

#endif
