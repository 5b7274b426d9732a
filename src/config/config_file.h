#ifndef CONFIG_CONFIG_FILE_H
#define CONFIG_CONFIG_FILE_H

#include <stdio.h>

/*
 * The text of the configuration file path, to be freed; NULL when it can't be
 * read, has more than 1 MiB, or what libconfig can't be trusted with, with a
 * "file:line: ..." line in errors for each fault.  libconfig 1.5 ends the
 * process when an include is a directory, and takes an integer modulo 2^32; 1.7
 * does otherwise.
 * Never waits: only a regular file is read.  The main thread.
 */
char *config_file_read(const char *path, FILE *errors);

#endif
