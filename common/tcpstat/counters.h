/* The kernel's cheap counters by name: sockstat, sockstat6, snmp (Tcp, Ip) and netstat (TcpExt,
 * IpExt).
 *
 * Layer: tcpstat (L1). Names are resolved once, to an index; a read fills an array. Fields that a
 * kernel lacks are not found, fields that it adds are there by name, so no kernel's list is written
 * down here. Names: "Tcp.ActiveOpens", "Ip.OutRequests", "TcpExt.ListenDrops", "IpExt.InOctets",
 * "sockstat.TCP.tw", "sockstat6.TCP6.inuse".
 *
 * The files are those of the opening thread's network namespace and stay open. One thread at a
 * time. A read of all costs about 0.1 ms, of the TIME_WAIT count alone 4 us. What is per namespace:
 * all of Tcp, Ip, TcpExt and IpExt, `inuse` and `tw`; machine-wide: sockstat's orphan, alloc and
 * mem. */
#ifndef FINWAIT_TCPSTAT_COUNTERS_H
#define FINWAIT_TCPSTAT_COUNTERS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/failure.h"

#define TCPSTAT_COUNTERS_MAX 384 /* Linux 6.18 has 206; more are left out, and counted */

/* The values at one time; plain data, by the indexes of the counters that were read. */
struct tcpstat_counters_snapshot {
    uint64_t taken_ns; /* clock_now_ns */
    uint32_t count;
    uint64_t values[TCPSTAT_COUNTERS_MAX]; /* a negative value (Tcp.MaxConn) as two's complement */
};

struct tcpstat_counters;

/* Opens the files and learns the fields. A missing file (no IPv6) leaves its fields out. Returns 0
 * or -errno with the failure's text set; without sockstat, snmp and netstat there is nothing to
 * open. */
int tcpstat_counters_open(struct tcpstat_counters **counters, struct failure *failure);

/* Closes and frees. NULL is allowed. */
void tcpstat_counters_close(struct tcpstat_counters *counters);

/* Reads every file. Returns 0, -ESTALE when a file no longer has the fields that it had, or -errno.
 */
int tcpstat_counters_read(struct tcpstat_counters *counters,
                          struct tcpstat_counters_snapshot *snapshot);

/* Reads only the namespace's live TIME_WAIT count, which includes FIN_WAIT_2 kept as such a record.
 * Returns 0 or -errno; -ENOENT where sockstat does not have it. */
int tcpstat_counters_read_time_wait(struct tcpstat_counters *counters, uint64_t *count);

/* Reads the calling thread's namespace's tcp_max_tw_buckets. Returns 0 or -errno. */
int tcpstat_read_time_wait_max(uint64_t *buckets);

/* Resolves a name to its index, or -ENOENT. */
int tcpstat_counters_find(const struct tcpstat_counters *counters, const char *name);

/* Names an index. Requires index < the count. Valid as long as the counters. */
const char *tcpstat_counters_name(const struct tcpstat_counters *counters, uint32_t index);

uint32_t tcpstat_counters_count(const struct tcpstat_counters *counters);

/* Counts the fields that were left out for want of room. */
uint32_t tcpstat_counters_left_out(const struct tcpstat_counters *counters);

/* Gives a value, or 0 for an index that is negative: a field that this kernel lacks. */
uint64_t tcpstat_counters_value(const struct tcpstat_counters_snapshot *snapshot, int index);

/* Gives what a field rose by; negative for a gauge that fell; 0 for a negative index. */
int64_t tcpstat_counters_delta(const struct tcpstat_counters_snapshot *before,
                               const struct tcpstat_counters_snapshot *after, int index);

#endif
