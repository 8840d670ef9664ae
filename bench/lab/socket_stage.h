/* Socket stage: two namespaces and plain sockets in them, to show what the kernel does.
 *
 * Layer: bench/lab. Owner: who opened it, until socket_stage_close. One thread; it is in the holder
 * namespace between calls. */
#ifndef FINWAIT_BENCH_LAB_SOCKET_STAGE_H
#define FINWAIT_BENCH_LAB_SOCKET_STAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "netns.h"
#include "observer.h"

#define STAGE_PORT 7000

struct socket_stage {
    struct netns_pair pair;
    struct observer client;
    struct observer server;
    int listener;          /* at the server's end; -1: none */
    int loopback_listener; /* at the client's end, on loopback; -1: none */
};

/* How a connection is opened. */
struct dial {
    uint16_t port;      /* to bind to; 0: left to connect() */
    bool reuse_address; /* SO_REUSEADDR before the bind */
    bool loopback;      /* to the listener on loopback, instead of over the link */
};

/* Opens namespaces, listeners and observers. Returns 0, or -errno with the text set. */
int socket_stage_open(struct socket_stage *stage, const struct netns_tuning *tuning,
                      struct failure *failure);
void socket_stage_close(struct socket_stage *stage);

/* Writes a sysctl of one end ("net/ipv4/tcp_tw_reuse"). Returns 0 or -errno. */
int socket_stage_set(const struct socket_stage *stage, bool at_client, const char *name,
                     const char *value);

/* Connects. Returns the socket; -errno says what bind() or connect() said. */
int socket_stage_dial(const struct socket_stage *stage, const struct dial *dial);

/* Connects and accepts. Returns 0 or -errno. */
int socket_stage_open_pair(const struct socket_stage *stage, const struct dial *dial, int *client,
                           int *server);

/* Closes a connection by FIN on both sides, `first` before `second`: the first one waits. */
void socket_stage_close_pair(int first, int second);

/* Opens a connection and has the client or the server close it first. Returns 0 or -errno. */
int socket_stage_churn(const struct socket_stage *stage, const struct dial *dial,
                       bool server_first);

/* Opens a listener at the server's end. Returns it or -errno. */
int socket_stage_listen(const struct socket_stage *stage, bool reuse_address);

/* Waits up to a second until an end has so many TIME_WAIT; returns how many there are. */
uint64_t socket_stage_await_time_wait(const struct observer *observer, uint64_t expected);

/* Reads a kernel's counter ("TcpExt.TWRecycled"); 0 when it has none of that name. */
uint64_t socket_stage_counter(const struct observer *observer, const char *name);

#endif
