/* Observer: what the kernel says about TCP in one of the lab's namespaces.
 *
 * Layer: bench/lab, over tcpstat. Owner: the struct's holder. One thread, which may be in any
 * namespace but during observer_open. A second source beside what the programs report of
 * themselves. */
#ifndef FINWAIT_BENCH_LAB_OBSERVER_H
#define FINWAIT_BENCH_LAB_OBSERVER_H

#include <stdint.h>

#include "base/failure.h"
#include "base/tcp_state.h"

struct census;
struct tcpstat_counters;

struct observer {
    struct census *census;
    struct tcpstat_counters *counters;
    int passive_opens; /* index of Tcp.PassiveOpens */
    int links_fd;      /* the namespace's /proc/net/dev */
};

/* What went over a link since it was made. */
struct observer_traffic {
    uint64_t received_bytes;
    uint64_t received_packets;
    uint64_t sent_bytes;
    uint64_t sent_packets;
};

/* Opens the sources of a namespace. Returns 0, or -errno with the text set and nothing left open.
 */
int observer_open(struct observer *observer, int netns_fd, struct failure *failure);

/* Safe on a zeroed struct. */
void observer_close(struct observer *observer);

/* Reads the number of live TIME_WAIT; 0 when the kernel does not tell. */
uint64_t observer_time_wait(const struct observer *observer);

/* Reads how many connections were accepted in the namespace; 0 when the kernel does not tell. */
uint64_t observer_passive_opens(const struct observer *observer);

/* Reads a link's counters. Returns 0, or -ENODEV when there is no such link. */
int observer_traffic(const struct observer *observer, const char *link,
                     struct observer_traffic *traffic);

/* Finds a link's counters in the text of /proc/net/dev. Returns as above. */
int observer_parse_traffic(const char *text, const char *link, struct observer_traffic *traffic);

/* Counts all sockets by state. Returns 0 or -errno. */
int observer_count(const struct observer *observer, struct tcp_state_counts *counts);

#endif
