/* The TCP states of RFC 9293 section 3.3.2, their names, counts by state, and the transition
 * matrix.
 *
 * Layer: base. Plain data. The numbers are Linux's (include/net/tcp_states.h), so that what the
 * kernel says needs no mapping. */
#ifndef FINWAIT_BASE_TCP_STATE_H
#define FINWAIT_BASE_TCP_STATE_H

#include <stdint.h>

enum tcp_state {
    TCP_STATE_NONE = 0, /* not a state: "before the first" in a matrix */
    TCP_STATE_ESTABLISHED = 1,
    TCP_STATE_SYN_SENT,
    TCP_STATE_SYN_RECEIVED, /* request sockets too: Linux's NEW_SYN_RECV */
    TCP_STATE_FIN_WAIT_1,
    TCP_STATE_FIN_WAIT_2,
    TCP_STATE_TIME_WAIT,
    TCP_STATE_CLOSED,
    TCP_STATE_CLOSE_WAIT,
    TCP_STATE_LAST_ACK,
    TCP_STATE_LISTEN,
    TCP_STATE_CLOSING,
};

#define TCP_STATE_COUNT 12 /* of array entries: the eleven states and entry 0 */

struct tcp_state_counts {
    uint64_t n[TCP_STATE_COUNT];
};

/* How often each state followed each: n[from][to]. */
struct tcp_transitions {
    uint64_t n[TCP_STATE_COUNT][TCP_STATE_COUNT];
};

/* Names a state as RFC 9293 and `ss` readers know it, with underscores: "TIME_WAIT". */
const char *tcp_state_name(enum tcp_state state);

/* Names a state in lower case, for JSON keys and labels: "time_wait". */
const char *tcp_state_key(enum tcp_state state);

/* Adds up all states. */
uint64_t tcp_state_total(const struct tcp_state_counts *counts);

/* Adds `from` to `into`. */
void tcp_state_counts_add(struct tcp_state_counts *into, const struct tcp_state_counts *from);

#endif
