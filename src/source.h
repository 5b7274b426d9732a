#ifndef SOURCE_H
#define SOURCE_H

#include <stddef.h>
#include <stdio.h>

/*
 * The text of a configuration file with its includes in place.  libconfig could
 * do it too, but version 1.5 ends the process when an include is a directory,
 * takes no absolute path, and folds an integer beyond 32 bits into some other.
 */
struct source;

/*
 * Reads path and what it includes; a relative include is looked for beside
 * path.  NULL when something was wrong, with a "file:line: ..." line in errors
 * for each fault.  The main thread.
 */
struct source *source_read(const char *path, FILE *errors);
void source_free(struct source *source);

/* All of it; ends with a NUL; lives as long as the source. */
const char *source_text(const struct source *source);

/* Where line number line (from 1) of the text was read from. */
const char *source_file(const struct source *source, size_t line);
size_t source_line(const struct source *source, size_t line);

#endif
