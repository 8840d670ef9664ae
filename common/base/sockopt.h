/* One setsockopt call as data, so that a list of options can be applied by calls or in a ring.
 *
 * Layer: base. Plain data; the value is borrowed. */
#ifndef FINWAIT_BASE_SOCKOPT_H
#define FINWAIT_BASE_SOCKOPT_H

#include <sys/socket.h>

struct socket_option {
    int level;
    int name;
    const void *value; /* static memory */
    socklen_t length;
};

#endif
