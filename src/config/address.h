#ifndef CONFIG_ADDRESS_H
#define CONFIG_ADDRESS_H

#include <stddef.h>

#define ADDRESS_MAX 256     /* bytes, with its NUL */
#define ADDRESS_WHY_MAX 768 /* of the reason */

/*
 * Puts the address of a listener into out: "*", an IP address, or a host name,
 * which is not looked up.  An IPv6 address may be in [ ].  -1 with the reason,
 * and what to write instead, in why for what can be none of these.  Any thread.
 */
int address_parse(const char *text, char out[ADDRESS_MAX],
    char why[ADDRESS_WHY_MAX]);

#endif
