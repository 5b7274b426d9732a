#include "scratch.h"

#include <check.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char folder[64];

void
scratch_enter(void)
{
	snprintf(folder, sizeof(folder), "/tmp/timestampd-unit.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	ck_assert_int_eq(chdir(folder), 0);
}

static int
remove_entry(const char *path, const struct stat *status, int type,
    struct FTW *ftw)
{
	(void)status, (void)type, (void)ftw;
	return remove(path);
}

void
scratch_leave(void)
{
	ck_assert_int_eq(chdir("/"), 0);
	nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

void
scratch_write(const char *name, const char *text)
{
	FILE *file = fopen(name, "w");

	ck_assert_ptr_nonnull(file);
	fputs(text, file);
	fclose(file);
}
