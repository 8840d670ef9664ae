/* Owners: whose the sockets are, how old, and who makes the TIME_WAIT.
 *
 * Layer: tcpstat (L1). One walk over all sockets of a namespace, grouped by who or where. Two ways:
 *
 *  - "bpf", when it is given open transitions: their program remembers at each connect, listen,
 *    shutdown and close which process did it, a listener's children inherit its owner, and a closed
 *    socket leaves its owner to its TIME_WAIT record. A walk over all descriptors at the start adds
 *    the sockets that were there before. It also knows since when each socket is in its state.
 *  - "procfs", anywhere: /proc/net/tcp and the descriptors of every process that may be read. A
 *    socket without a descriptor (orphans, TIME_WAIT, io_uring's direct ones) has no owner then,
 *    and no age. owners_missing says so in one line.
 *
 * A result owns its rows, which the next run uses again. One thread at a time. */
#ifndef FINWAIT_TCPSTAT_OWNERS_H
#define FINWAIT_TCPSTAT_OWNERS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/clock.h"
#include "base/failure.h"
#include "base/tcp_state.h"
#include "tcpstat/census.h"
#include "tcpstat/cgroups.h"
#include "tcpstat/transitions.h"
#include "tcpstat/tuples.h"

enum owners_key {
    OWNERS_BY_PID,
    OWNERS_BY_CGROUP,
    OWNERS_BY_REMOTE,     /* address */
    OWNERS_BY_LOCAL_PORT, /* a connection's or a listener's own */
};

#define OWNERS_COMM_MAX 16
#define OWNERS_NAME_MAX 160

/* More groups than this are added to `other`. */
#define OWNERS_ROWS_MAX 65536

struct owners_row {
    bool is_known;              /* false: the one row of sockets whose owner could not be found */
    uint32_t pid;               /* by pid */
    uint64_t cgroup_id;         /* by cgroup; 0: no cgroup of version 2 */
    struct ip_addr remote;      /* by remote */
    uint16_t local_port;        /* by local port */
    char name[OWNERS_NAME_MAX]; /* what to show: "nginx (123)", "/system.slice/x", "10.0.0.1" */
    struct tcp_state_counts counts;
    uint64_t total;
    uint64_t oldest_ns[TCP_STATE_COUNT]; /* age of the oldest in each state; 0: not known */
    /* TIME_WAIT records made since transitions_open, by pid and cgroup only; a rate is the
     * difference of two runs. */
    uint64_t time_wait_made;
};

/* What to count, and how many rows to keep. */
struct owners_request {
    enum owners_key key;
    uint32_t top;                        /* 0: all. The rest is added up in `other` */
    enum tcp_state sort_by;              /* TCP_STATE_NONE: by total */
    const struct census_request *filter; /* its sets and states; NULL: all */
    uint32_t pid;                        /* only this process's; 0: all */
    const struct cgroup_set *cgroups;    /* only of these; NULL: all */
    struct tuples_use *tuples;           /* filled by the same walk, of all sockets; NULL: not
                                            wanted */
};

struct owners_result {
    uint64_t taken_ns;
    uint64_t cpu_ns;         /* what the walk cost */
    struct owners_row *rows; /* descending by sort_by, then by total */
    uint32_t row_count;
    uint32_t capacity;
    uint32_t groups;         /* before the cut to `top` */
    struct owners_row other; /* the sum of those cut */
    /* All that were walked, before the filters: sockets proper, and the two kinds that are less. */
    struct tcp_state_counts full;
    struct tcp_state_counts records; /* TIME_WAIT and FIN_WAIT_2 without a socket */
    uint64_t requests;               /* handshakes under way: SYN_RECEIVED without a socket */
    uint64_t rows_walked;            /* all of them */
    uint64_t sockets;                /* rows walked that passed the filters: */
    struct tcp_state_counts v4;      /* by family and state */
    struct tcp_state_counts v6;
    uint64_t oldest_ns[TCP_STATE_COUNT]; /* age of the oldest of them in each state; 0: not known */
    uint64_t sockets_unknown;            /* of these, without an owner (by pid) */
    uint64_t rows_overflowed; /* sockets added to `other` since OWNERS_ROWS_MAX was reached */
};

struct owners;

/* Opens a walk over the calling thread's namespace. With open transitions (which must stay open as
 * long) it is by BPF, and falls back to procfs with NULL. Returns 0 or -errno with the failure's
 * text set. */
int owners_open(struct owners **owners, struct transitions *transitions, struct failure *failure);
void owners_close(struct owners *owners);

/* Names the way: "bpf" or "procfs". */
const char *owners_method(const struct owners *owners);

/* Says in one line what this way cannot tell, or cannot tell without further rights; NULL when
 * nothing is missing. Valid as long as the owners. */
const char *owners_missing(const struct owners *owners);

/* Walks once. `result` is zeroed before its first use. Returns 0, -ENOMEM or -errno; after an error
 * the rows mean nothing. About 0.5 us a socket by BPF, 3 us by procfs and 2 us a descriptor. */
int owners_run(struct owners *owners, const struct owners_request *request,
               struct owners_result *result);

void owners_result_free(struct owners_result *result);

/* CLOSE_WAIT that grows: a program that does not close what its peers closed. */
#define OWNERS_GROWTH_MAX 64 /* owners followed at a time; the smallest are left out */

struct owners_growth_entry {
    uint32_t pid;
    uint64_t first_ns; /* when the rise began */
    uint64_t first_count;
    uint64_t last_count;
    uint32_t rises; /* walks in a row in which it was higher than in the one before */
};

/* Zeroed before its first use; plain data. */
struct owners_growth {
    uint32_t count;
    struct owners_growth_entry entries[OWNERS_GROWTH_MAX];
};

#define OWNERS_GROWTH_TEXT_MAX 384
#define OWNERS_GROWTH_RISES_MIN 3
#define OWNERS_GROWTH_SPAN_MIN_NS (UINT64_C(2) * NS_PER_SEC)

/* Takes a further result by pid, and writes one line about the owner whose CLOSE_WAIT grows most:
 * 'CLOSE_WAIT grows: nginx (123) holds 532, 40.0/s more for 12 s, the oldest 15 s old: it does not
 * close what its peers closed'. Returns false, and an empty text, when none grew over at least
 * OWNERS_GROWTH_RISES_MIN walks and OWNERS_GROWTH_SPAN_MIN_NS. */
bool owners_growth_update(struct owners_growth *growth, const struct owners_result *result,
                          char text[OWNERS_GROWTH_TEXT_MAX]);

#endif
