/* Exact transitions: every change of a TCP socket's state, counted in the kernel as it happens.
 *
 * Layer: tcpstat (L1). A BPF program on the tracepoint inet_sock_set_state counts, in one network
 * namespace, how often each state followed each, and how long each state lasted. It costs nothing
 * but its share of the kernel's own calls; user space only reads. One thread at a time. Times are
 * CLOCK_MONOTONIC's.
 *
 * What happens: what the tracepoint shows of it (Linux 6.18); how the matrix names that:
 *
 *   - connect(): CLOSE -> SYN_SENT; NONE -> SYN_SENT.
 *   - listen(): CLOSE -> LISTEN; NONE -> LISTEN.
 *   - a request becomes a socket, by the handshake's third ACK: LISTEN -> SYN_RECV; NONE ->
 *     SYN_RECEIVED (the listener stays what it is: a copy of it leaves).
 *   - any end of a socket: X -> CLOSE; X -> CLOSED.
 *   - FIN_WAIT_2, the FIN comes: FIN_WAIT2 -> CLOSE; FIN_WAIT_2 -> TIME_WAIT (*).
 *   - CLOSING, the FIN is ACKed: CLOSING -> CLOSE; CLOSING -> TIME_WAIT (*).
 *   - FIN_WAIT_2 without a socket: FIN_WAIT2 -> CLOSE; FIN_WAIT_2 -> NONE (*): what remains is a
 *     record, counted apart.
 *
 * (*) The tracepoint does not tell these closes from aborts; the program does, by what it finds in
 * the socket: no error, and the peer's FIN received. The kernel's counters tell how many records
 * were made, and state_account() compares the two. Request sockets, and what becomes of a TIME_WAIT
 * record (expiry, reuse, reset), pass no tracepoint at all. A socket that was never connected nor
 * listened is in no state that a matrix has. */
#ifndef FINWAIT_TCPSTAT_TRANSITIONS_H
#define FINWAIT_TCPSTAT_TRANSITIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/counter.h"
#include "base/failure.h"
#include "base/hist.h"
#include "base/tcp_state.h"
#include "tcpstat/census.h"

enum transitions_counter {
#define COUNTER(name, help) TRANSITIONS_COUNTER_##name,
#include "tcpstat/transitions.def"
#undef COUNTER
    TRANSITIONS_COUNTER_COUNT
};

extern const struct counter_info transitions_counter_infos[TRANSITIONS_COUNTER_COUNT];

/* What is told apart by port, and by which: */
enum transitions_grouping_by {
    TRANSITIONS_WHOLE, /* nothing */
    TRANSITIONS_BY_LOCAL_PORT,
    TRANSITIONS_BY_REMOTE_PORT,
    TRANSITIONS_BY_NAMED_PORT, /* the one of a socket's two ports that the filter's either_ports
                                  has; of two, the local one */
};

/* Groups are bounded, since each has histograms of its own: 60 kB for each CPU (of 16 at most), so
 * that 64 groups take 4 MB a CPU, and nothing where there is no grouping. */
#define TRANSITIONS_GROUPS_DEFAULT 64
#define TRANSITIONS_GROUPS_MAX 4096
#define TRANSITIONS_OWNERS_DEFAULT 262144 /* TIME_WAIT records whose owner is remembered: 18 MB */

/* What to follow, in the network namespace that the calling thread is in at transitions_open. A
 * zeroed config follows everything. */
struct transitions_config {
    const struct census_request *filter; /* its sets, not its states; NULL: all; borrowed for the
                                            call of transitions_open */
    uint32_t pid;                        /* of its sockets' first owner; 0: all */
    uint64_t cgroup_id;                  /* it and what lies below it; 0: all */
    uint32_t cgroup_level;               /* how deep it lies; the root is 0 */
    bool finds_holders_later; /* who holds which socket is looked for by the first walk over owners,
                                 not at once: 3 us a descriptor of the machine's */
    enum transitions_grouping_by grouping;
    uint32_t groups_max; /* 0: TRANSITIONS_GROUPS_DEFAULT; at most TRANSITIONS_GROUPS_MAX */
    /* Only services make a group: by local port who listens and is connected to, by remote port who
     * connects. The ports at the other end are a new one for each connection, and would soon have
     * taken every place. False: every port does, as long as there is a place. */
    bool groups_services;
    uint64_t netns_inode; /* 0: the calling thread's */
    uint32_t
        time_wait_owners_max; /* 0: TRANSITIONS_OWNERS_DEFAULT; the least recent are forgotten */
};

/* A port's group stays what it is: its number is good for as long as the transitions are open. A
 * socket belongs to one for its life, and its matrix and histograms have all that it did. */
struct transitions_group {
    uint16_t port;
    uint32_t number;
    struct tcp_transitions matrix;
};

#define TRANSITIONS_GROUP_OTHER 0 /* a group's number: all sockets that have none */

/* All that was counted since transitions_open. Zeroed before its first use; owned by the caller,
 * freed by transitions_snapshot_free. */
struct transitions_snapshot {
    uint64_t taken_ns;
    struct tcp_transitions matrix;
    uint64_t counters[TRANSITIONS_COUNTER_COUNT];
    struct transitions_group *groups; /* by port, ascending; NULL for TRANSITIONS_WHOLE */
    uint32_t group_count;
    /* Of the sockets that have no group, so that it and the groups add up to the whole: for want of
     * a place, as the counter groups_full says of each transition, or since they are no service. */
    struct tcp_transitions other;
};

struct transitions;

/* Tells whether this build has the program at all. */
bool transitions_built_in(void);

/* Loads and attaches the program. Returns 0, or with the failure's text set to one line that says
 * what is missing and what to do: -ENOTSUP (built without BPF, or the kernel has no BTF or no such
 * tracepoint), -EPERM (no CAP_BPF and CAP_PERFMON), -ENOMEM, or -errno. */
int transitions_open(struct transitions **transitions, const struct transitions_config *config,
                     struct failure *failure);

/* Detaches the program and frees everything. NULL is allowed. */
void transitions_close(struct transitions *transitions);

/* Reads everything but the histograms; about 10 us, and 0.1 us a group. Another thread may walk
 * over the owners (owners.h) meanwhile. Transitions that happen meanwhile may be in it or not.
 * Returns 0, -ENOMEM or -errno. */
int transitions_read(struct transitions *transitions, struct transitions_snapshot *snapshot);

/* Adds to an initialised histogram how long `state` lasted, in ns, for every socket that left it
 * and whose entry was seen. The bins are exact; min and max are those of their bins, and the sum is
 * that of the bins' middles. Returns 0 or -errno. */
int transitions_read_lasted(struct transitions *transitions, enum tcp_state state,
                            struct hist *lasted);

/* Does so for one group, by its number. A group's bins are coarser, 16 to an octave, and each
 * stands for its middle: a time is off by at most 1/32. With TRANSITIONS_GROUP_OTHER's, the groups
 * add up to the whole, bin by bin of theirs. Requires a grouping. Returns 0 or -errno. */
int transitions_read_group_lasted(struct transitions *transitions, uint32_t number,
                                  enum tcp_state state, struct hist *lasted);

/* Counts the transitions that a matrix has into a state, and out of it. A socket's first state is
 * entered from NONE; CLOSED and NONE are entered at a socket's end. */
uint64_t tcp_transitions_entered(const struct tcp_transitions *matrix, enum tcp_state state);
uint64_t tcp_transitions_left(const struct tcp_transitions *matrix, enum tcp_state state);

/* Subtracts an earlier reading of the same matrix. */
void tcp_transitions_subtract(struct tcp_transitions *matrix,
                              const struct tcp_transitions *earlier);

void transitions_snapshot_free(struct transitions_snapshot *snapshot);

#endif
