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

/* Counts all sockets by state. Returns 0 or -errno. */
int observer_count(const struct observer *observer, struct tcp_state_counts *counts);

#endif
