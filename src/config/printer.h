#ifndef CONFIG_PRINTER_H
#define CONFIG_PRINTER_H

#include <libconfig.h>
#include <stdio.h>

#include "config/config.h"
#include "config/setting.h"

/*
 * Writes all settings of config as a file; rules are those of the root.  Lists
 * are as in tree, from which config was read.  The main thread.
 */
void printer_write(FILE *out, const struct config *config,
    const struct setting_rule *rules, const config_setting_t *tree);

#endif
