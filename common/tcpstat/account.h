/* The account of states: whatever entered a state has left it or is still there.
 *
 * Layer: tcpstat (L1). account_read takes a reading from its three sources; the rest is pure
 * functions of two readings. No memory of its own.
 *
 * For each state: present at the start + entered - left = present at the end. Entered and left are
 * the tracepoint's; present is the census's, an independent source. TIME_WAIT's entries are the
 * kernel's counters TW and TWKilled, its present count sockstat's: records end unseen, so that what
 * has left is what is no longer there. Request sockets are counted present, and never as entered.
 * What does not add up is a difference with a name. */
#ifndef FINWAIT_TCPSTAT_ACCOUNT_H
#define FINWAIT_TCPSTAT_ACCOUNT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/tcp_state.h"
#include "tcpstat/counters.h"
#include "tcpstat/owners.h"
#include "tcpstat/transitions.h"

/* Where a reading comes from; all of one namespace, all open. */
struct account_sources {
    struct transitions *transitions; /* without filters: the kernel's counters have none */
    struct owners *owners;
    struct tcpstat_counters *counters;
};

/* One reading of everything, for the begin or the end of an account. */
struct account_reading {
    uint64_t taken_ns;
    uint64_t moved; /* transitions while it was taken: the account may be off by so many */
    struct tcp_transitions matrix;
    uint64_t counters[TRANSITIONS_COUNTER_COUNT];
    struct tcp_state_counts sockets; /* census of full sockets: no request sockets, no records */
    uint64_t requests;               /* request sockets */
    uint64_t time_wait_records;      /* live, in either substate: sockstat's tw */
    uint64_t fin_wait_2_records;     /* of these, those in FIN_WAIT_2 */
    uint64_t time_wait_made;         /* TcpExt.TW + TWKilled */
    uint64_t time_wait_recycled;     /* TcpExt.TWRecycled */
    uint64_t time_wait_overflows;    /* TcpExt.TCPTimeWaitOverflow */
    uint64_t active_opens;           /* Tcp.ActiveOpens */
    uint64_t passive_opens;          /* Tcp.PassiveOpens */
};

struct account_row {
    uint64_t before;    /* present at the begin */
    uint64_t entered;   /* since */
    uint64_t left;      /* since */
    uint64_t present;   /* at the end, counted */
    int64_t difference; /* before + entered - left - present; 0: the account is closed */
};

enum account_check {
    ACCOUNT_TIME_WAIT_MADE, /* closes into TIME_WAIT seen = records made + overflows */
    ACCOUNT_ACTIVE_OPENS,   /* SYN_SENT entered = ActiveOpens + connects that failed before a SYN */
    ACCOUNT_PASSIVE_OPENS,  /* SYN_RECEIVED entered = PassiveOpens */
    ACCOUNT_CHECK_COUNT
};

struct account_check_result {
    uint64_t seen;    /* by the tracepoint */
    uint64_t counted; /* by the kernel's counters */
};

struct account {
    struct account_row rows[TCP_STATE_COUNT]; /* by state; NONE and CLOSED stay zero */
    struct account_check_result checks[ACCOUNT_CHECK_COUNT];
    bool closed; /* every row's difference is 0, and every check's two numbers are equal */
};

/* Takes a reading. While states move faster than it takes (0.5 us a socket), the sources belong to
 * different moments, and `moved` is not 0. `snapshot` and `result` are the caller's and used as
 * scratch, zeroed before their first use. Returns 0 or -errno. */
int account_read(const struct account_sources *sources, struct transitions_snapshot *snapshot,
                 struct owners_result *result, struct account_reading *reading);

/* Takes only the kernel's counters of a reading; 0.1 ms. Returns 0 or -errno. */
int account_read_counters(struct tcpstat_counters *counters, struct account_reading *reading);

/* Draws up the account between two readings. */
void state_account(const struct account_reading *begin, const struct account_reading *end,
                   struct account *account);

#define ACCOUNT_TEXT_MAX 256

/* Writes, in one line, the difference number `index` of an account (0, 1, ...) with its name and
 * what it means. Returns false when there are no more. */
bool account_difference(const struct account *account, uint32_t index, char text[ACCOUNT_TEXT_MAX]);

#endif
