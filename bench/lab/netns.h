/* Private network namespaces, held by file descriptors only.
 *
 * Layer: bench/lab. Nothing is named in /run/netns and no sysctl of the host is touched: a
 * namespace, its links and its sockets go when the last descriptor and the last process in it go,
 * whatever ended them. One thread: a call moves it between namespaces and brings it back. */
#ifndef FINWAIT_BENCH_LAB_NETNS_H
#define FINWAIT_BENCH_LAB_NETNS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/failure.h"

/* The pair's addresses: one link between two namespaces, and a prefix of sources that are all local
 * to the client, so that 4-tuples do not run out. */
#define NETNS_SERVER_IP "10.9.0.1"
#define NETNS_CLIENT_IP "10.9.0.2"
#define NETNS_SOURCES "10.10.0.0/16"

/* The pair's link has this name at both ends. */
#define NETNS_LINK "lab0"

struct netns_tuning {
    uint64_t
        hash_entries; /* TCP's hash table, private to each namespace; rounded up by the kernel */
    uint64_t time_wait_max; /* tcp_max_tw_buckets */
    bool rfc1337;           /* a reset does not end TIME_WAIT; false: as the kernel comes */
    const char *const *congestion_controls; /* NULL-ended: the first that the kernel lets us have;
                                             * NULL: what the host's namespaces begin with */
    bool client_bare;  /* of a pair: the kernel gets no address at this end, a stack of our own */
    bool server_bare;  /* has them */
    bool offloads_off; /* of a pair's link */
    bool ipv4_only;    /* no IPv6 on a pair's link, whose chatter would be counted with the rest */
};

/* Two namespaces joined by a veth pair; -1: not there. */
struct netns_pair {
    int client_fd;
    int server_fd;
};

/* Moves the process into a network namespace of its own, the holder of those to come. Without
 * root's rights it takes a user namespace first, which lasts for the process and its children.
 * Requires a single thread. Returns 0 or -errno with the text set. */
int netns_enter_holder(struct failure *failure);

/* Makes one namespace, tuned, with its loopback up. Returns its descriptor, or -errno with the text
 * set. Requires netns_enter_holder. What the system refuses to tune stays as it is. */
int netns_make(const struct netns_tuning *tuning, struct failure *failure);

/* Makes two namespaces and joins them. Returns 0, or -errno with the text set and nothing made. */
int netns_pair_make(struct netns_pair *pair, const struct netns_tuning *tuning,
                    struct failure *failure);

void netns_pair_close(struct netns_pair *pair);

/* Moves the calling thread into a namespace. Returns 0 or -errno. */
int netns_enter(int netns_fd);

/* Opens the calling thread's namespace. Returns a descriptor or -errno. */
int netns_open_own(void);

#endif
