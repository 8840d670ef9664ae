/* Timers: one wheel timer a connection, armed for the earliest of its deadlines. A deadline that
 * moves later leaves the timer where it is: it expires for nothing and is armed again. */
#include <errno.h>

#include "tcp/tcb.h"

/* RFC 6298 section 5.7: first RTO of data after a SYN that was lost, without a sample. */
#define RTO_AFTER_SYN_LOST_US 3000000u
/* Window probes that an orphan sends before its window is taken for closed for good; Linux's
 * tcp_orphan_retries comes to the same. */
#define ORPHAN_PROBES_MAX 8u
#define R1_RETRANSMISSIONS 3u /* SHLD-10: at least three */
/* RFC 9293 section 3.8.6.2.1: the override of the silly-window rules, 0.1 to 1 s. */
#define OVERRIDE_US 200000u

uint32_t timer_rto_us(const struct tcp *tcp, const struct tcb *tcb)
{
    uint32_t rto_us = rtt_rto_us(&tcb->rtt, &tcp->rtt_limits);
    if (tcb->rtt.srtt_us == 0 && tcb_has(tcb, TCB_SYN_LOST) && tcb_has(tcb, TCB_SYN_ACKED) &&
        rto_us < RTO_AFTER_SYN_LOST_US) {
        rto_us = RTO_AFTER_SYN_LOST_US;
    }
    uint32_t kept = tcb->extra != NULL ? tcb->extra->kept_backoff : 0u;
    return rtt_backoff_us(rto_us, tcb->backoff + kept, &tcp->rtt_limits);
}

/* The earliest of what runs. */
static bool earliest(const struct tcb *tcb, uint32_t *at_ms)
{
    bool found = false;
    if (tcb->timers & (TCB_TIMER_RESEND | TCB_TIMER_PERSIST | TCB_TIMER_FIN_WAIT_2)) {
        *at_ms = tcb->resend_at_ms;
        found = true;
    }
    if (tcb->timers & TCB_TIMER_ACK) {
        *at_ms = found ? seq_min(*at_ms, tcb->ack_at_ms) : tcb->ack_at_ms;
        found = true;
    }
    if ((tcb->timers & TCB_TIMER_KEEP_ALIVE) != 0 && tcb->extra != NULL) {
        uint32_t keep_alive = tcb->extra->keep_alive_at_ms;
        *at_ms = found ? seq_min(*at_ms, keep_alive) : keep_alive;
        found = true;
    }
    return found;
}

static void arm(struct tcp *tcp, struct tcb *tcb)
{
    uint32_t at_ms;
    if (!earliest(tcb, &at_ms)) {
        return;
    }
    uint64_t deadline_ns = tcp_ns_of(tcp, at_ms);
    if (!wheel_is_armed(&tcb->timer) || deadline_ns < tcb->timer.deadline_ns) {
        wheel_arm(&tcp->wheel, &tcb->timer, deadline_ns);
    }
}

static void start_in_resend_place(struct tcp *tcp, struct tcb *tcb, enum tcb_timer timer,
                                  uint64_t delay_ns)
{
    tcb->timers &= (uint8_t) ~(TCB_TIMER_RESEND | TCB_TIMER_PERSIST | TCB_TIMER_FIN_WAIT_2);
    tcb->timers |= (uint8_t)timer;
    tcb->resend_at_ms = tcp_ms_after(tcp, delay_ns);
    arm(tcp, tcb);
}

/* Section 3.10.8: the user time-out ends the wait, however long the backoff has become. */
static uint64_t within_user_timeout_ns(const struct tcp *tcp, const struct tcb *tcb,
                                       uint64_t delay_ns)
{
    const struct tcb_extra *extra = tcb->extra;
    if (extra == NULL || extra->user_timeout_ms == 0 || !tcb_has(tcb, TCB_SYN_ACKED)) {
        return delay_ns;
    }
    uint32_t waited_ms = tcp->now_ms - extra->unacked_since_ms;
    uint32_t timeout_ms = extra->user_timeout_ms;
    uint64_t left_ns = waited_ms < timeout_ms ? (timeout_ms - waited_ms) * NS_PER_MS : 0;
    return left_ns < delay_ns ? left_ns : delay_ns;
}

void timer_resend_start(struct tcp *tcp, struct tcb *tcb)
{
    uint64_t delay_ns = timer_rto_us(tcp, tcb) * NS_PER_US;
    start_in_resend_place(tcp, tcb, TCB_TIMER_RESEND, within_user_timeout_ns(tcp, tcb, delay_ns));
}

/* SHLD-30, MUST-36: the first probe after an RTO, then slower and slower; the override of a small
 * window comes sooner. */
void timer_persist_start(struct tcp *tcp, struct tcb *tcb)
{
    uint32_t delay_us = timer_rto_us(tcp, tcb);
    if (tcb->snd_wnd > 0 && delay_us > OVERRIDE_US) {
        delay_us = OVERRIDE_US;
    }
    if (tcb->extra != NULL && tcb->snd_una == tcb->snd_nxt &&
        (tcb->timers & TCB_TIMER_PERSIST) == 0) {
        tcb->extra->unacked_since_ms = tcp->now_ms; /* queued now, before a closed window */
    }
    uint64_t delay_ns = within_user_timeout_ns(tcp, tcb, delay_us * NS_PER_US);
    start_in_resend_place(tcp, tcb, TCB_TIMER_PERSIST, delay_ns);
}

/* While it does not run, resend_at_ms tells since when (RFC 5681 section 4.1 asks how long we were
 * idle). */
void timer_resend_stop(struct tcp *tcp, struct tcb *tcb)
{
    tcb->timers &= (uint8_t) ~(TCB_TIMER_RESEND | TCB_TIMER_PERSIST);
    if ((tcb->timers & TCB_TIMER_FIN_WAIT_2) == 0) {
        tcb->resend_at_ms = tcp->now_ms;
    }
}

void timer_ack_start(struct tcp *tcp, struct tcb *tcb)
{
    tcb->flags |= TCB_ACK_DELAYED;
    if ((tcb->timers & TCB_TIMER_ACK) == 0) {
        tcb->timers |= TCB_TIMER_ACK;
        tcb->ack_at_ms = tcp_ms_after(tcp, tcp->config.delayed_ack_ns);
        arm(tcp, tcb);
    }
}

void timer_keep_alive_start(struct tcp *tcp, struct tcb *tcb)
{
    if (tcb->extra == NULL || !tcb->extra->keep_alive) {
        tcb->timers &= (uint8_t)~TCB_TIMER_KEEP_ALIVE;
        return;
    }
    uint64_t delay_ns = tcb->extra->probes == 0 ? tcb->extra->keep_alive_idle_ns
                                                : tcb->extra->keep_alive_interval_ns;
    tcb->timers |= TCB_TIMER_KEEP_ALIVE;
    tcb->extra->keep_alive_at_ms = tcp_ms_after(tcp, delay_ns);
    arm(tcp, tcb);
}

void timer_fin_wait_2_start(struct tcp *tcp, struct tcb *tcb)
{
    start_in_resend_place(tcp, tcb, TCB_TIMER_FIN_WAIT_2, options_fin_wait_2_ns(tcp, tcb));
}

static void backoff(struct tcb *tcb)
{
    tcb->backoff = (uint8_t)(tcb->backoff + (tcb->backoff < UINT8_MAX ? 1 : 0));
}

/* A retransmission is due. R1 (section 3.8.3, SHLD-9): the user learns of the third in a row. */
static void backoff_resend(struct tcp *tcp, struct tcb *tcb)
{
    backoff(tcb);
    if (tcb->backoff == R1_RETRANSMISSIONS) {
        event_raise_trouble(tcp, tcb);
    }
}

/* Returns whether the record goes on, as all that follow do. */
static bool expire_syn(struct tcp *tcp, struct tcb *tcb)
{
    uint32_t retries =
        tcb->state == TCP_STATE_SYN_SENT ? tcp->config.syn_retries : tcp->config.syn_ack_retries;
    if (tcb->backoff >= retries) {
        tcp_count(tcp, TCP_COUNTER_timeouts_connect);
        int soft_error = tcb->extra != NULL ? tcb->extra->soft_error : 0;
        tcb_finish(tcp, tcb, soft_error != 0 ? soft_error : ETIMEDOUT);
        return false;
    }
    backoff_resend(tcp, tcb);
    tcb->flags |= tcb_has(tcb, TCB_SYN_LOST) ? TCB_SYN_LOST_TWICE : TCB_SYN_LOST;
    tcb->flags |= TCB_RESEND;
    output_want(tcp, tcb);
    timer_resend_start(tcp, tcb);
    return true;
}

/* R2 (section 3.8.3): a connection's own user time-out (MUST-21), else the host's number of
 * retransmissions. */
static bool is_past_r2(const struct tcp *tcp, const struct tcb *tcb, uint32_t count)
{
    const struct tcb_extra *extra = tcb->extra;
    if (extra == NULL || extra->user_timeout_ms == 0) {
        return count >= tcp->config.retries;
    }
    return tcp->now_ms - extra->unacked_since_ms >= extra->user_timeout_ms;
}

/* The connection fails. */
static bool give_up(struct tcp *tcp, struct tcb *tcb)
{
    tcp_count(tcp, TCP_COUNTER_timeouts_data);
    tcb_finish(tcp, tcb, ETIMEDOUT);
    return false;
}

/* MUST-37: as long as the peer answers probes, the connection lives. */
static bool expire_persist(struct tcp *tcp, struct tcb *tcb)
{
    struct tcb_extra *extra = tcb_need_extra(tcp, tcb);
    if (extra != NULL) {
        if (is_past_r2(tcp, tcb, extra->probes)) {
            return give_up(tcp, tcb);
        }
        extra->probes++;
    }
    if (tcb_has(tcb, TCB_ORPHAN) && tcb->snd_wnd == 0 && tcb->backoff >= ORPHAN_PROBES_MAX) {
        tcp_count(tcp, TCP_COUNTER_timeouts_orphan_window);
        reply_reset_of(tcp, tcb);
        tcb_finish(tcp, tcb, ETIMEDOUT);
        return false;
    }
    if (tcb->snd_wnd == 0 || tcb->snd_una != tcb->snd_nxt) {
        tcb->flags |= TCB_PROBE;
        backoff(tcb);
    } else {
        tcb->flags |= TCB_FORCE;
    }
    output_want(tcp, tcb);
    timer_persist_start(tcp, tcb);
    return true;
}

/* RFC 6298 section 5.4 to 5.6. Before a closed window it is a probe instead. */
static bool expire_resend(struct tcp *tcp, struct tcb *tcb)
{
    if (!tcb_has(tcb, TCB_SYN_ACKED)) {
        return expire_syn(tcp, tcb);
    }
    if (tcb->snd_una == tcb->snd_nxt) {
        return true;
    }
    if (tcb->snd_wnd == 0) {
        return expire_persist(tcp, tcb);
    }
    if (is_past_r2(tcp, tcb, tcb->backoff)) {
        return give_up(tcp, tcb);
    }
    tcp_count(tcp, TCP_COUNTER_timeouts_resend);
    recovery_on_timeout(tcp, tcb);
    backoff_resend(tcp, tcb);
    output_want(tcp, tcb);
    timer_resend_start(tcp, tcb);
    return true;
}

static bool expire_fin_wait_2(struct tcp *tcp, struct tcb *tcb)
{
    /* DEVIATION from RFC 9293, which lets FIN_WAIT_2 wait for ever: nobody is left who could close
     * it. Linux's tcp_fin_timeout. */
    tcp_count(tcp, TCP_COUNTER_timeouts_fin_wait_2);
    tcb_finish(tcp, tcb, 0);
    return false;
}

/* MUST-24 to MUST-29. */
static bool expire_keep_alive(struct tcp *tcp, struct tcb *tcb)
{
    struct tcb_extra *extra = tcb->extra;
    uint32_t idle_ms = (uint32_t)(extra->keep_alive_idle_ns / NS_PER_MS);
    if (tcb->snd_una != tcb->snd_nxt ||
        (extra->probes == 0 && tcp->now_ms - extra->heard_ms < idle_ms)) {
        timer_keep_alive_start(tcp, tcb); /* data in flight asks the same question */
        if (tcb->snd_una == tcb->snd_nxt) {
            extra->keep_alive_at_ms = extra->heard_ms + idle_ms + 1u;
        }
        return true;
    }
    if (extra->probes >= extra->keep_alive_probes) {
        tcp_count(tcp, TCP_COUNTER_timeouts_keep_alive);
        reply_reset_of(tcp, tcb);
        tcb_finish(tcp, tcb, ETIMEDOUT);
        return false;
    }
    extra->probes++;
    tcb->flags |= TCB_KEEP_ALIVE;
    output_want(tcp, tcb);
    timer_keep_alive_start(tcp, tcb);
    return true;
}

static bool is_due(const struct tcp *tcp, const struct tcb *tcb, unsigned timers, uint32_t at_ms)
{
    return (tcb->timers & timers) != 0 && seq_le(at_ms, tcp->now_ms);
}

static void expire(struct tcp *tcp, struct tcb *tcb)
{
    if (is_due(tcp, tcb, TCB_TIMER_ACK, tcb->ack_at_ms)) {
        tcb->timers &= (uint8_t)~TCB_TIMER_ACK;
        output_ack(tcp, tcb);
    }
    bool goes_on = true;
    if (is_due(tcp, tcb, TCB_TIMER_FIN_WAIT_2, tcb->resend_at_ms)) {
        goes_on = expire_fin_wait_2(tcp, tcb);
    } else if (is_due(tcp, tcb, TCB_TIMER_RESEND, tcb->resend_at_ms)) {
        tcb->timers &= (uint8_t)~TCB_TIMER_RESEND;
        goes_on = expire_resend(tcp, tcb);
    } else if (is_due(tcp, tcb, TCB_TIMER_PERSIST, tcb->resend_at_ms)) {
        tcb->timers &= (uint8_t)~TCB_TIMER_PERSIST;
        goes_on = expire_persist(tcp, tcb);
    }
    if (goes_on && tcb->extra != NULL &&
        is_due(tcp, tcb, TCB_TIMER_KEEP_ALIVE, tcb->extra->keep_alive_at_ms)) {
        goes_on = expire_keep_alive(tcp, tcb);
    }
    if (goes_on) {
        arm(tcp, tcb);
    }
}

void timer_expire(struct tcp *tcp)
{
    struct wheel_timer *timer;
    while ((timer = wheel_expire(&tcp->wheel, tcp->now_ns)) != NULL) {
        struct tcb *tcb = (struct tcb *)(void *)((char *)timer - offsetof(struct tcb, timer));
        expire(tcp, tcb);
    }
}
