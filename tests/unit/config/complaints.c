#include "complaints.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *complaints;

int
complaints_load(struct config **config, const struct config_source *source)
{
	size_t len;

	free(complaints);
	FILE *errors = open_memstream(&complaints, &len);
	int status = config_load(config, source, errors);
	fclose(errors);
	return status;
}

void
complaints_strip_columns(void)
{
	char *text = complaints;

	while ((text = strstr(text, "main:")) != NULL) {
		text += strlen("main:");
		text += strspn(text, "0123456789");
		size_t len = strspn(text + (*text == ':'), "0123456789");
		if (len > 0 && text[len + 1] == ':')
			memmove(text, text + len + 1, strlen(text + len));
	}
}

void
complaints_free(void)
{
	free(complaints);
	complaints = NULL;
}
