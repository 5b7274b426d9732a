#ifndef CONFIG_CONFIG_FILE_H
#define CONFIG_CONFIG_FILE_H

#include <stddef.h>
#include <stdio.h>

/*
 * The text of a configuration file with its includes in place.  libconfig could
 * do it too, but version 1.5 ends the process when an include is a directory,
 * takes no absolute path, and folds an integer beyond 32 bits into some other.
 */
struct config_file;

/*
 * Reads path and what it includes; a relative include is looked for beside
 * path.  NULL when something was wrong, with a "file:line: ..." line in errors
 * for each fault.  The main thread.
 */
struct config_file *config_file_read(const char *path, FILE *errors);
void config_file_free(struct config_file *source);

/* All of it; ends with a NUL; lives as long as the source. */
const char *config_file_text(const struct config_file *source);

/* Where line number line (from 1) of the text was read from. */
const char *config_file_file(const struct config_file *source, size_t line);
size_t config_file_line(const struct config_file *source, size_t line);

#endif
