/* TCP states: names and sums.
 *
 * Layer: base. Constant tables. */
#include "base/tcp_state.h"

#include "base/assert.h"

_Static_assert(TCP_STATE_CLOSING == TCP_STATE_COUNT - 1, "the tables have an entry for each state");

const char *tcp_state_name(enum tcp_state state)
{
    static const char *const names[TCP_STATE_COUNT] = {
        [TCP_STATE_NONE] = "NONE",
        [TCP_STATE_ESTABLISHED] = "ESTABLISHED",
        [TCP_STATE_SYN_SENT] = "SYN_SENT",
        [TCP_STATE_SYN_RECEIVED] = "SYN_RECEIVED",
        [TCP_STATE_FIN_WAIT_1] = "FIN_WAIT_1",
        [TCP_STATE_FIN_WAIT_2] = "FIN_WAIT_2",
        [TCP_STATE_TIME_WAIT] = "TIME_WAIT",
        [TCP_STATE_CLOSED] = "CLOSED",
        [TCP_STATE_CLOSE_WAIT] = "CLOSE_WAIT",
        [TCP_STATE_LAST_ACK] = "LAST_ACK",
        [TCP_STATE_LISTEN] = "LISTEN",
        [TCP_STATE_CLOSING] = "CLOSING",
    };
    ASSERT((unsigned int)state < TCP_STATE_COUNT);
    return names[state];
}

const char *tcp_state_key(enum tcp_state state)
{
    static const char *const keys[TCP_STATE_COUNT] = {
        [TCP_STATE_NONE] = "none",
        [TCP_STATE_ESTABLISHED] = "established",
        [TCP_STATE_SYN_SENT] = "syn_sent",
        [TCP_STATE_SYN_RECEIVED] = "syn_received",
        [TCP_STATE_FIN_WAIT_1] = "fin_wait_1",
        [TCP_STATE_FIN_WAIT_2] = "fin_wait_2",
        [TCP_STATE_TIME_WAIT] = "time_wait",
        [TCP_STATE_CLOSED] = "closed",
        [TCP_STATE_CLOSE_WAIT] = "close_wait",
        [TCP_STATE_LAST_ACK] = "last_ack",
        [TCP_STATE_LISTEN] = "listen",
        [TCP_STATE_CLOSING] = "closing",
    };
    ASSERT((unsigned int)state < TCP_STATE_COUNT);
    return keys[state];
}

uint64_t tcp_state_total(const struct tcp_state_counts *counts)
{
    uint64_t total = 0;
    for (int state = TCP_STATE_ESTABLISHED; state < TCP_STATE_COUNT; state++) {
        total += counts->n[state];
    }
    return total;
}

void tcp_state_counts_add(struct tcp_state_counts *into, const struct tcp_state_counts *from)
{
    for (int state = 0; state < TCP_STATE_COUNT; state++) {
        into->n[state] += from->n[state];
    }
}
