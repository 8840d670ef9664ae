/* State: the one writer of a connection's state, and of the counts by state and by transition.
 *
 *                                RFC 9293 figure 5, and who performs it
 *   CLOSED       -> SYN_SENT      tcp_connect (user.c)
 *   LISTEN       -> SYN_RECEIVED  half_open_create, half_open_cookie (half_open.c)
 *   SYN_SENT     -> SYN_RECEIVED  syn_sent_input: a SYN without ACK, simultaneous open
 *   SYN_SENT     -> ESTABLISHED   syn_sent_input
 *   SYN_RECEIVED -> ESTABLISHED   acknowledge_input
 *   SYN_RECEIVED -> LISTEN        half_open_input: an RST, or another SYN
 *   SYN_RECEIVED -> FIN_WAIT_1    tcp_shutdown, tcp_close, with nothing to send (user.c)
 *   ESTABLISHED  -> FIN_WAIT_1    tcp_shutdown, tcp_close (user.c)
 *   ESTABLISHED  -> CLOSE_WAIT    fin_process (text.c)
 *   FIN_WAIT_1   -> FIN_WAIT_2    acknowledge_input: our FIN is acknowledged
 *   FIN_WAIT_1   -> CLOSING       fin_process
 *   FIN_WAIT_1   -> TIME_WAIT     fin_process: the FIN that acknowledges ours
 *   FIN_WAIT_2   -> TIME_WAIT     fin_process
 *   CLOSING      -> TIME_WAIT     acknowledge_input
 *   CLOSE_WAIT   -> LAST_ACK      tcp_shutdown, tcp_close
 *   LAST_ACK     -> CLOSED        acknowledge_input
 *   TIME_WAIT    -> CLOSED        time_wait_expire, and time_wait_input by RFC 6191 or an RST
 *   any          -> CLOSED        aborts: RST, time-outs, tcp_abort; by tcb_finish (tcp.c)
 *
 * LISTEN is a listener's state, which never changes; its transition counts births. */
#include "tcp/tcb.h"

#define BIT(state) (1u << TCP_STATE_##state)

static const uint16_t allowed[TCP_STATE_COUNT] = {
    [TCP_STATE_CLOSED] = BIT(SYN_SENT),
    [TCP_STATE_LISTEN] = BIT(SYN_RECEIVED),
    [TCP_STATE_SYN_SENT] = BIT(SYN_RECEIVED) | BIT(ESTABLISHED) | BIT(CLOSED),
    [TCP_STATE_SYN_RECEIVED] = BIT(ESTABLISHED) | BIT(FIN_WAIT_1) | BIT(LISTEN) | BIT(CLOSED),
    [TCP_STATE_ESTABLISHED] = BIT(FIN_WAIT_1) | BIT(CLOSE_WAIT) | BIT(CLOSED),
    [TCP_STATE_FIN_WAIT_1] = BIT(FIN_WAIT_2) | BIT(CLOSING) | BIT(TIME_WAIT) | BIT(CLOSED),
    [TCP_STATE_FIN_WAIT_2] = BIT(TIME_WAIT) | BIT(CLOSED),
    [TCP_STATE_CLOSING] = BIT(TIME_WAIT) | BIT(CLOSED),
    [TCP_STATE_CLOSE_WAIT] = BIT(LAST_ACK) | BIT(CLOSED),
    [TCP_STATE_LAST_ACK] = BIT(CLOSED),
    [TCP_STATE_TIME_WAIT] = BIT(CLOSED),
};

static bool is_population(enum tcp_state state)
{
    return state != TCP_STATE_CLOSED && state != TCP_STATE_LISTEN;
}

void state_count(struct tcp *tcp, enum tcp_state from, enum tcp_state to)
{
    ASSERT((allowed[from] >> to & 1u) != 0);
    tcp->transitions.n[from][to]++;
    if (is_population(from)) {
        ASSERT(tcp->states.n[from] > 0);
        tcp->states.n[from]--;
    }
    if (is_population(to)) {
        tcp->states.n[to]++;
    }
}

void state_set(struct tcp *tcp, struct tcb *tcb, enum tcp_state to)
{
    state_count(tcp, (enum tcp_state)tcb->state, to);
    tcb->state = (uint8_t)to;
}

/* A record that takes over a connection which was counted before: no transition. */
void state_adopt(struct tcb *tcb, enum tcp_state state)
{
    ASSERT(tcb->state == TCP_STATE_CLOSED);
    tcb->state = (uint8_t)state;
}
