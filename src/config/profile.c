#include "config/profile.h"

#include <stdlib.h>
#include <string.h>

/* Finds the stamp, or adds it.  -1 with errno. */
static int
find_stamp(struct profiles *profiles, const struct stamp *wanted, size_t *at)
{
	struct stamp *stamps = profiles->stamps;

	for (*at = 0; *at < profiles->stamp_count; ++*at)
		if (strcmp(stamps[*at].format.text, wanted->format.text) == 0 &&
		    strcmp(stamps[*at].zone_name, wanted->zone_name) == 0)
			return 0;
	stamps = reallocarray(stamps, profiles->stamp_count + 1,
	    sizeof(*stamps));
	if (stamps == NULL)
		return -1;
	stamps[profiles->stamp_count++] = *wanted;
	profiles->stamps = stamps;
	return 0;
}

int
profiles_set(struct profiles *profiles, size_t number,
    const struct config *config, const struct listener_config *listener)
{
	struct profile *row = &profiles->rows[number];
	struct stamp stamp;

	for (int framing = 0; framing < 2; framing++)
		row->idle_ms[framing] = 1000 *
		                        (uint64_t)config_idle_timeout(config,
					    listener, (enum framing)framing);
	config_make_stamp(config, listener, &stamp);
	return find_stamp(profiles, &stamp, &row->stamp);
}

int
profiles_init(struct profiles *profiles, size_t count,
    const struct config *config)
{
	*profiles = (struct profiles){ .count = count };
	profiles->rows = calloc(count, sizeof(struct profile));
	if (profiles->rows == NULL)
		return -1;
	if (profiles_set(profiles, 0, config, NULL) == -1) {
		profiles_free(profiles);
		return -1;
	}
	for (size_t i = 1; i < count; i++)
		profiles->rows[i] = profiles->rows[0];
	return 0;
}

/* NULL: out of memory. */
static void *
copy_of(const void *from, size_t size)
{
	void *to = malloc(size);

	return to != NULL ? memcpy(to, from, size) : NULL;
}

int
profiles_copy(struct profiles *copy, const struct profiles *profiles)
{
	*copy = *profiles;
	copy->rows = copy_of(profiles->rows,
	    profiles->count * sizeof(*profiles->rows));
	copy->stamps = copy_of(profiles->stamps,
	    profiles->stamp_count * sizeof(*profiles->stamps));
	if (copy->rows != NULL && copy->stamps != NULL)
		return 0;
	profiles_free(copy);
	return -1;
}

void
profiles_free(struct profiles *profiles)
{
	free(profiles->rows);
	free(profiles->stamps);
	*profiles = (struct profiles){ 0 };
}
