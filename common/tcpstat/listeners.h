/* Listeners: every listening TCP socket with its accept queue, backlog and drops.
 *
 * Layer: tcpstat (L1). By sock_diag (libmnl), which walks the listeners only, whatever the number
 * of connections; where the kernel refuses it, by the head of /proc/net/tcp and tcp6, where
 * listeners come first and have no backlog and no drops. The namespace is that of the thread that
 * opened it; one thread at a time. No privilege is needed. */
#ifndef FINWAIT_TCPSTAT_LISTENERS_H
#define FINWAIT_TCPSTAT_LISTENERS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/failure.h"

struct tcpstat_listener {
    struct endpoint local;
    uint32_t queued;  /* connections that wait to be accepted */
    uint32_t backlog; /* how many may; one more fits */
    uint64_t drops;   /* SYNs and handshakes that it dropped since it was made */
    bool has_backlog;
    bool has_drops;
};

struct tcpstat_listeners;

/* Opens the source. Returns 0 or -errno with the failure's text set. */
int tcpstat_listeners_open(struct tcpstat_listeners **listeners, struct failure *failure);

/* Reads all of them. Afterwards tcpstat_listeners_get gives them, those with the fullest queues
 * first, then those with the most drops, then by address. Returns 0 or -errno. */
int tcpstat_listeners_read(struct tcpstat_listeners *listeners);

/* Gives what was read last; valid until the next read. */
const struct tcpstat_listener *tcpstat_listeners_get(const struct tcpstat_listeners *listeners,
                                                     uint32_t *count);

/* Names the source: "sock_diag" or "procfs". */
const char *tcpstat_listeners_method(const struct tcpstat_listeners *listeners);

/* NULL is allowed. */
void tcpstat_listeners_close(struct tcpstat_listeners *listeners);

#endif
