/* Sockets in every state that Linux shows, in known numbers, for tests that count them.
 *
 * The states are held without help from a packet filter: a listener with a full accept queue drops
 * SYNs (SYN_SENT), one with TCP_DEFER_ACCEPT keeps the handshake's request socket (SYN_RECEIVED),
 * and a peer that does not read keeps a FIN behind unsent data (FIN_WAIT_1, CLOSING, LAST_ACK).
 *
 * Layer: tests. Made in the calling thread's namespace, by cmocka's assertions; the descriptors
 * stay open until the process ends. */
#ifndef FINWAIT_TESTS_TCPSTAT_POPULATION_H
#define FINWAIT_TESTS_TCPSTAT_POPULATION_H

#include <stdint.h>

#include "base/tcp_state.h"

/* The listeners of a population. */
#define PORT_PLAIN 7000
#define PORT_FULL 7001
#define PORT_DEFERRED 7002

/* What the test made in one family. */
struct population {
    int family;
    int plain; /* listeners */
    int full;
    int deferred;
    struct tcp_state_counts expected;
};

/* Makes every state a number of times. Requires the family, and the rest zeroed. */
void populate(struct population *population, int times);

/* Makes one listener more. Returns its descriptor. */
int population_listen(struct population *population, uint16_t port, int backlog);

/* Begins a connection to a listener, by blocking unless the flags say SOCK_NONBLOCK. Returns its
 * descriptor. */
int population_connect(const struct population *population, uint16_t port, int flags);

#endif
