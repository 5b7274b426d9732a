#ifndef CONFIG_OVERLAY_H
#define CONFIG_OVERLAY_H

#include "config/config.h"
#include "config/setting.h"

/* Texts such as "-o workers", the hooks of settings of the command line. */
struct overlay {
	char **labels;
	size_t count;
};

/*
 * Puts the settings of the command line into the tree of the file, in place of
 * those that it has; rules are those of the root.  Complains of what is not a
 * setting.  False: out of memory.  overlay_free comes after the end of the
 * tree.  The main thread.
 */
bool overlay_apply(struct overlay *overlay, const struct setting *root,
    const struct config_source *source, const struct setting_rule *rules);
void overlay_free(struct overlay *overlay);

#endif
