/* rtnetlink: the few requests that the lab's networks are built with.
 *
 * Layer: bench/lab. A socket speaks to the network namespace in which it was opened; the calling
 * thread must still be in it, since links are looked up by name there. One thread. Each call is one
 * request and its acknowledgement, and returns 0 or -errno: the kernel's, or the socket's. */
#ifndef FINWAIT_BENCH_LAB_RTNL_H
#define FINWAIT_BENCH_LAB_RTNL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"

struct rtnl_prefix {
    struct ip_addr ip;
    uint8_t bits;
};

struct rtnl_veth {
    const char *name;
    const char *peer_name;
    int peer_netns_fd; /* where the other end goes */
};

struct rtnl_route {
    struct rtnl_prefix to;
    struct ip_addr gateway; /* AF_UNSPEC: none */
    const char *link;
    bool local; /* every address of the prefix is our own, so that sockets may bind to it */
};

/* Opens a socket in the calling thread's namespace. Returns it or -errno. */
int rtnl_open(void);

int rtnl_link_up(int fd, const char *link);

/* Makes a pair of links, one end here and one in another namespace. */
int rtnl_add_veth(int fd, const struct rtnl_veth *veth);

/* Gives a link an address. The prefix's other addresses are then reached through it. */
int rtnl_add_address(int fd, const char *link, const struct rtnl_prefix *prefix);

int rtnl_add_route(int fd, const struct rtnl_route *route);

#endif
