/* Handshake: what both ways of opening agree on, and what is set when a connection is established.
 */
#include "tcp/tcb.h"

/* MUST-15, MUST-16: the effective send MSS. */
static uint16_t send_mss(const struct tcp *tcp, const struct tcb *tcb, uint16_t offered)
{
    uint16_t theirs = offered == 0 ? TCP_MSS_DEFAULT : offered;
    uint16_t ours = options_mss(tcp, tcb);
    uint16_t mss = theirs < ours ? theirs : ours;
    return mss < TCP_MSS_MIN ? TCP_MSS_MIN : mss;
}

/* Takes the options of the peer's SYN, as far as we offer them too. */
void handshake_options(struct tcp *tcp, struct tcb *tcb, const struct wire_tcp_options *options)
{
    const struct tcp_config *config = &tcp->config;
    tcb->mss = send_mss(tcp, tcb, options->mss);
    if (config->timestamps && options->has_timestamp) {
        tcb->flags |= TCB_TIMESTAMPS;
        tcb->ts_recent = options->ts_val;
        tcb->ts_recent_ms = tcp->now_ms;
    }
    if (config->sack && options->sack_permitted) {
        tcb->flags |= TCB_SACK;
    }
    if (config->window_scaling && options->has_wscale) {
        tcb->flags |= TCB_WINDOW_SCALING;
        uint8_t ours = options_wscale(tcp, options_receive_limit(tcp, tcb));
        tcb->wscales = (uint8_t)(ours << 4 | options->wscale);
    }
}

void handshake_established(struct tcp *tcp, struct tcb *tcb)
{
    if (tcb->state != TCP_STATE_FIN_WAIT_1) { /* closed before it was open */
        state_set(tcp, tcb, TCP_STATE_ESTABLISHED);
    }
    tcb->backoff = 0;
    tcb->congestion.cwnd = congestion_initial_window(tcb->mss, tcp->config.initial_window_segments,
                                                     tcb_has(tcb, TCB_SYN_LOST_TWICE));
    if (tcb->extra != NULL) {
        tcb->extra->trouble = false;
        tcb->extra->heard_ms = tcp->now_ms;
        timer_keep_alive_start(tcp, tcb);
    }
    if (tcb->state == TCP_STATE_ESTABLISHED &&
        tcb_has(tcb, TCB_FIN_QUEUED)) { /* a close waited for the handshake (section 3.10.4) */
        state_set(tcp, tcb, TCP_STATE_FIN_WAIT_1);
    }
}
