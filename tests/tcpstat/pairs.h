/* Connections over a test namespace's loopback, made and closed one call at a time.
 *
 * Layer: tests. Over loopback every segment is handled within the call that sends it, but for what
 * a busy machine hands to ksoftirqd: what a call leads to on the other side may come a moment
 * later. */
#ifndef FINWAIT_TESTS_TCPSTAT_PAIRS_H
#define FINWAIT_TESTS_TCPSTAT_PAIRS_H

#include <stdint.h>

struct pair {
    int client;
    int server;
};

/* Make a listener on 127.0.0.1; fails the test when that cannot be. */
int pair_listen(uint16_t port, int backlog);

/* Start a connect to a port; returns the descriptor, or -errno of the connect. */
int pair_connect(uint16_t port);

/* Connects to a listener and accepts. */
struct pair pair_open(int listener, uint16_t port);

/* Closes the client first and then the server, each by close(). */
void pair_close(struct pair pair);

#endif
