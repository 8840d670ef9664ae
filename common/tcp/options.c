/* Options: a connection's settings. Most connections have the host's, and then no extra record. */
#include <errno.h>

#include "tcp/tcb.h"

#define HEADERS_BYTES (WIRE_IPV4_BYTES + WIRE_TCP_BYTES)
#define KEEP_ALIVE_IDLE_NS (7200 * NS_PER_SEC) /* MUST-28: no less than two hours by default */
#define KEEP_ALIVE_INTERVAL_NS (75 * NS_PER_SEC)
#define KEEP_ALIVE_PROBES 9u
#define TIME_MAX_NS ((INT32_MAX - 1) * NS_PER_MS) /* 24 days: a longer time counts as this */
#define BUFFER_BYTES_MAX (UINT32_C(1) << 29) /* windows stay below 2^30 (RFC 7323 section 2.3) */

struct tcb_extra *tcb_need_extra(struct tcp *tcp, struct tcb *tcb)
{
    if (tcb->extra != NULL) {
        return tcb->extra;
    }
    tcb->extra = memory_alloc(tcp->config.memory, sizeof(*tcb->extra));
    if (tcb->extra == NULL) {
        tcp_count(tcp, TCP_COUNTER_memory_refused);
        return NULL;
    }
    tcb->extra->resend_nxt = tcb->extra->ecn_point = tcb->snd_una;
    tcb->extra->recovery_point = tcb->snd_una - 1; /* the next loss is the first */
    return tcb->extra;
}

void tcb_drop_extra(struct tcp *tcp, struct tcb *tcb)
{
    memory_release(tcp->config.memory, tcb->extra, sizeof(*tcb->extra));
    tcb->extra = NULL;
}

int options_check(const struct tcp_options *options)
{
    bool is_right = options->dscp <= 63 && options->send_buffer_bytes <= BUFFER_BYTES_MAX &&
                    options->receive_buffer_bytes <= BUFFER_BYTES_MAX &&
                    (options->mss == 0 || options->mss >= TCP_MSS_MIN) &&
                    options->keep_alive_probes <= 255 &&
                    options->congestion <= TCP_CONGESTION_CUBIC;
    return is_right ? 0 : -EINVAL;
}

/* What fits the flags alone needs no extra record. */
static bool needs_extra(const struct tcp_options *options)
{
    return options->keep_alive || options->dscp != 0 || options->ttl != 0 || options->mss != 0 ||
           options->user_timeout_ns != 0 || options->congestion != TCP_CONGESTION_DEFAULT ||
           options->send_buffer_bytes != 0 || options->receive_buffer_bytes != 0 ||
           options->fin_wait_2_ns != 0;
}

static void apply_flag(struct tcb *tcb, enum tcb_flag flag, bool is_on)
{
    tcb->flags = is_on ? tcb->flags | (uint32_t)flag : tcb->flags & ~(uint32_t)flag;
}

/* A time as it was set, the default for 0, and no longer than records can tell. */
static uint64_t time_or(uint64_t set_ns, uint64_t default_ns)
{
    uint64_t time_ns = set_ns != 0 ? set_ns : default_ns;
    return time_ns < TIME_MAX_NS ? time_ns : TIME_MAX_NS;
}

static void apply_extra(const struct tcp *tcp, struct tcb_extra *extra,
                        const struct tcp_options *options)
{
    extra->keep_alive = options->keep_alive;
    extra->keep_alive_idle_ns = time_or(options->keep_alive_idle_ns, KEEP_ALIVE_IDLE_NS);
    extra->keep_alive_interval_ns =
        time_or(options->keep_alive_interval_ns, KEEP_ALIVE_INTERVAL_NS);
    extra->keep_alive_probes =
        options->keep_alive_probes != 0 ? options->keep_alive_probes : KEEP_ALIVE_PROBES;
    uint64_t user_timeout_ms = (options->user_timeout_ns + NS_PER_MS - 1) / NS_PER_MS;
    extra->user_timeout_ms = user_timeout_ms > INT32_MAX ? INT32_MAX : (uint32_t)user_timeout_ms;
    extra->fin_wait_2_ns = time_or(options->fin_wait_2_ns, 0);
    extra->send_buffer_bytes = options->send_buffer_bytes;
    extra->receive_buffer_bytes = options->receive_buffer_bytes;
    extra->mss_limit = options->mss;
    extra->dscp = options->dscp;
    extra->ttl = options->ttl;
    extra->congestion_kind = (uint8_t)options->congestion;
    extra->heard_ms = tcp->now_ms;
}

int options_apply(struct tcp *tcp, struct tcb *tcb, const struct tcp_options *options)
{
    if (needs_extra(options) && tcb_need_extra(tcp, tcb) == NULL) {
        return -ENOMEM;
    }
    apply_flag(tcb, TCB_NODELAY, options->nodelay);
    apply_flag(tcb, TCB_LINGER_RST, options->linger_rst);
    apply_flag(tcb, TCB_QUICKACK, options->quickack);
    apply_flag(tcb, TCB_NO_TIME_WAIT, options->no_time_wait);
    if (tcb->extra != NULL) {
        apply_extra(tcp, tcb->extra, options);
        if (tcb_is_synchronized(tcb)) {
            timer_keep_alive_start(tcp, tcb);
        }
    }
    return 0;
}

int tcp_set_options(struct tcp *tcp, uint64_t conn, const struct tcp_options *options)
{
    struct tcb *tcb = tcb_find(tcp, conn);
    if (tcb == NULL) {
        return -EBADF;
    }
    if (options_check(options) < 0) {
        return -EINVAL;
    }
    int error = options_apply(tcp, tcb, options);
    if (error == 0 && options->mss != 0 && tcb->mss > options->mss) {
        tcb->mss = options->mss;
    }
    output_want(tcp, tcb); /* Nagle may have held something back */
    return error;
}

int tcp_get_options(struct tcp *tcp, uint64_t conn, struct tcp_options *options)
{
    const struct tcb *tcb = tcb_find(tcp, conn);
    if (tcb == NULL) {
        return -EBADF;
    }
    *options = (struct tcp_options){.nodelay = tcb_has(tcb, TCB_NODELAY),
                                    .linger_rst = tcb_has(tcb, TCB_LINGER_RST),
                                    .quickack = tcb_has(tcb, TCB_QUICKACK),
                                    .no_time_wait = tcb_has(tcb, TCB_NO_TIME_WAIT),
                                    .mss = tcb->mss};
    options->send_buffer_bytes = options_send_limit(tcp, tcb);
    options->receive_buffer_bytes = options_receive_limit(tcp, tcb);
    options->fin_wait_2_ns = options_fin_wait_2_ns(tcp, tcb);
    if (tcb->extra != NULL) {
        const struct tcb_extra *extra = tcb->extra;
        options->keep_alive = extra->keep_alive;
        options->dscp = extra->dscp;
        options->ttl = extra->ttl;
        options->keep_alive_idle_ns = extra->keep_alive_idle_ns;
        options->keep_alive_interval_ns = extra->keep_alive_interval_ns;
        options->keep_alive_probes = extra->keep_alive_probes;
        options->user_timeout_ns = extra->user_timeout_ms * NS_PER_MS;
        options->congestion = (enum tcp_congestion)extra->congestion_kind;
    }
    return 0;
}

/* MUST-14, MUST-67: what we offer is the link's MTU less the fixed headers (RFC 6691). */
uint16_t options_mss(const struct tcp *tcp, const struct tcb *tcb)
{
    uint16_t mss = (uint16_t)(tcp->config.mtu_bytes - HEADERS_BYTES);
    uint16_t limit = tcb != NULL && tcb->extra != NULL ? tcb->extra->mss_limit : 0;
    return limit != 0 && limit < mss ? limit : mss;
}

uint32_t options_receive_limit(const struct tcp *tcp, const struct tcb *tcb)
{
    uint32_t own = tcb->extra != NULL ? tcb->extra->receive_buffer_bytes : 0;
    return own != 0 ? own : tcp->config.receive_buffer_bytes;
}

uint32_t options_send_limit(const struct tcp *tcp, const struct tcb *tcb)
{
    uint32_t own = tcb->extra != NULL ? tcb->extra->send_buffer_bytes : 0;
    return own != 0 ? own : tcp->config.send_buffer_bytes;
}

uint64_t options_fin_wait_2_ns(const struct tcp *tcp, const struct tcb *tcb)
{
    uint64_t own = tcb->extra != NULL ? tcb->extra->fin_wait_2_ns : 0;
    return own != 0 ? own : tcp->config.fin_wait_2_ns;
}

/* The smallest scale that can offer the whole buffer: windows count from 65535 (RFC 7323 2.3). */
uint8_t options_wscale(const struct tcp *tcp, uint32_t receive_bytes)
{
    uint8_t scale = 0;
    while (tcp->config.window_scaling && scale < WIRE_WSCALE_MAX &&
           receive_bytes >> scale > UINT16_MAX) {
        scale++;
    }
    return scale;
}

const struct congestion_ops *options_congestion(const struct tcp *tcp, const struct tcb *tcb)
{
    enum tcp_congestion kind = tcb->extra != NULL ? (enum tcp_congestion)tcb->extra->congestion_kind
                                                  : TCP_CONGESTION_DEFAULT;
    if (kind == TCP_CONGESTION_DEFAULT) {
        kind = tcp->config.congestion;
    }
    return kind == TCP_CONGESTION_NEWRENO ? &congestion_newreno : &congestion_cubic;
}
