#ifndef CONFIG_LISTENER_CONFIG_H
#define CONFIG_LISTENER_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>
#include <sys/un.h>

#include "base/protocol.h"
#include "config/access.h"
#include "config/address.h"
#include "net/prefix.h"
#include "stamp/framing.h"
#include "stamp/stamp.h"

/* With a ctime stamp UDP carries no more. */
#define LISTENER_CONFIG_DATAGRAM_MAX 65480

#define LISTENER_CONFIG_PROXIES_MAX 32

/* Whether connections begin with a header of the PROXY protocol. */
enum proxy_mode { PROXY_OFF, PROXY_ACCEPT, PROXY_REQUIRE };

/* One listener as configured; its name or "*" may stand for many addresses. */
struct listener_config {
	enum protocol protocol;
	char address[ADDRESS_MAX]; /* TCP and UDP; "*": every address */
	int port;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)]; /* Unix */
	mode_t mode;
	int backlog;
	int receive_buffer; /* bytes; TCP */
	enum framing framing;
	int idle_timeout;              /* seconds; -1: as in struct config */
	struct stamp_format stamp;     /* its text is "": as in struct config */
	char timezone[STAMP_ZONE_MAX]; /* "": as in struct config */
	enum proxy_mode proxy;
	struct prefix proxy_from[LISTENER_CONFIG_PROXIES_MAX]; /* TCP */
	int proxy_from_count;
	int max_datagram;      /* bytes */
	int threads;           /* UDP; 1 for all others */
	bool abstract_clients; /* Unix datagrams: answered at such names */
	struct access *access; /* TCP and UDP; NULL: it has no lists */
	char where[320];       /* "file:line" for messages; "-l SPEC" */
};

/* Sets all of listener to what applies where nothing else is configured. */
void listener_config_default(struct listener_config *listener,
    enum protocol protocol);

/* "off", "accept" or "require" */
const char *listener_config_proxy_name(enum proxy_mode mode);

struct config_setting_t;
struct setting;
struct setting_rule;

/* The settings of a listener. */
const struct setting_rule *listener_config_rules(void);

/* Reads a format of stamps, for all or for one, or complains. */
void listener_config_read_format(const struct setting *setting,
    const char *text, struct stamp_format *format);

/*
 * Puts what the beginning of a SPEC says, such as "tcp:[::1]:PORT", into group
 * as settings.  False: it has no such form.
 */
bool listener_config_split(struct config_setting_t *group, const char *text);

/*
 * Reads listeners[i] from a group of the file; complains of what is wrong, also
 * when one of the listeners before is the same.  The main thread.
 */
void listener_config_read(const struct setting *group,
    struct listener_config *listeners, size_t i);

#endif
