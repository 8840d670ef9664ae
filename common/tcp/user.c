/* User: the calls of RFC 9293 section 3.10.1 to 3.10.6: OPEN, SEND, RECEIVE, CLOSE, ABORT. */
#include <errno.h>
#include <string.h>

#include "tcp/tcb.h"

/* MUST-46: an open goes to one host. */
static bool is_host_address(uint32_t ip)
{
    return ip != 0 && ip >> 28 < 14; /* not this network, multicast, class E, broadcast */
}

/* Finds what has the tuple now: nothing (INDEX_NONE), or a record in TIME_WAIT whose time is up in
 * RFC 6191's sense. Returns 0 or -EADDRINUSE. */
static int check_tuple(const struct tcp *tcp, const struct tuple *tuple, uint32_t *ref)
{
    *ref = index_find(&tcp->index, tuple, tcp_hash(tcp, tuple));
    if (*ref == INDEX_NONE) {
        return 0;
    }
    bool may_go = index_ref_population(*ref) == INDEX_TIME_WAIT &&
                  time_wait_may_reopen(tcp, slots_at(&tcp->time_wait, index_ref_record(*ref)));
    return may_go ? 0 : -EADDRINUSE;
}

/* The first sequence number of an open: above what a former incarnation used. */
static uint32_t open_isn(const struct tcp *tcp, const struct tuple *tuple, uint32_t former)
{
    uint32_t isn = tcp_isn(tcp, tuple);
    if (former == INDEX_NONE) {
        return isn;
    }
    const struct time_wait *entry = slots_at(&tcp->time_wait, index_ref_record(former));
    return seq_gt(isn, entry->snd_nxt) ? isn : entry->snd_nxt + UINT16_MAX + 2u;
}

/* Enters a new record in the index, in the place of the former one: nothing is lost when it cannot
 * be. */
static int enter_index(struct tcp *tcp, const struct tcb *tcb, uint32_t former)
{
    uint64_t hash = tcp_hash(tcp, &tcb->tuple);
    if (former == INDEX_NONE) {
        return index_insert(&tcp->index, hash, index_ref(INDEX_LIVE, tcb->index));
    }
    index_replace(&tcp->index, hash, former, index_ref(INDEX_LIVE, tcb->index));
    tcp_count(tcp, TCP_COUNTER_time_wait_reopened);
    time_wait_release(tcp, index_ref_record(former));
    return 0;
}

static int open_record(struct tcp *tcp, const struct tuple *tuple,
                       const struct tcp_options *options, uint32_t former, struct tcb **opened)
{
    struct tcb *tcb = tcb_create(tcp, tuple);
    if (tcb == NULL) {
        return tcp->live.live_count >= tcp->config.live_max ? -ENOBUFS : -ENOMEM;
    }
    tcb->snd_una = tcb->snd_nxt = open_isn(tcp, tuple, former);
    int error = options_apply(tcp, tcb, options);
    if (error == 0) {
        error = enter_index(tcp, tcb, former);
    }
    if (error < 0) {
        tcb->flags |= TCB_ORPHAN;
        tcb_release(tcp, tcb);
        return -ENOMEM;
    }
    *opened = tcb;
    return 0;
}

int tcp_connect(struct tcp *tcp, struct tuple *tuple, const struct tcp_options *options,
                uint64_t *conn)
{
    const struct tcp_config *config = &tcp->config;
    if (!is_host_address(tuple->remote_ip) || tuple->remote_port == 0 ||
        options_check(options) < 0) {
        return -EINVAL;
    }
    if (tuple->local_ip < config->first_ip || tuple->local_ip > config->last_ip) {
        return -EADDRNOTAVAIL;
    }
    if (tuple->local_port == 0 && ports_choose(tcp, tuple) < 0) {
        return -EADDRNOTAVAIL;
    }
    uint32_t former;
    struct tcb *tcb;
    int error = check_tuple(tcp, tuple, &former);
    if (error == 0) {
        error = open_record(tcp, tuple, options, former, &tcb);
    }
    if (error < 0) {
        return error;
    }
    tcb->flags |= TCB_ON_WIRE;
    tcp_count(tcp, TCP_COUNTER_opens_active);
    state_set(tcp, tcb, TCP_STATE_SYN_SENT);
    output_want(tcp, tcb);
    *conn = tcb_handle(tcb);
    return 0;
}

/* MUST-30, MUST-31: the pointer goes behind the last byte of this call. */
static void mark_urgent(struct tcp *tcp, struct tcb *tcb)
{
    struct tcb_extra *extra = tcb_need_extra(tcp, tcb);
    if (extra != NULL) {
        extra->snd_up = tcb_snd_end(tcb);
        extra->snd_urgent = true;
    }
}

static int check_send(const struct tcb *tcb)
{
    if (tcb->error != 0) {
        return -(int)tcb->error;
    }
    if (tcb_has(tcb, TCB_FIN_QUEUED)) {
        return -EPIPE;
    }
    return tcb->state == TCP_STATE_CLOSED || tcb->state == TCP_STATE_TIME_WAIT ? -ENOTCONN : 0;
}

int64_t tcp_send(struct tcp *tcp, uint64_t conn, const void *data, size_t bytes, uint32_t flags)
{
    struct tcb *tcb = tcb_find(tcp, conn);
    if (tcb == NULL) {
        return -EBADF;
    }
    int error = check_send(tcb);
    if (error < 0) {
        return error;
    }
    uint32_t limit = options_send_limit(tcp, tcb);
    uint32_t room = limit > tcb->snd.count ? limit - tcb->snd.count : 0;
    uint32_t count = bytes < room ? (uint32_t)bytes : room;
    if (count == 0) {
        tcb->reported &= (uint8_t)~TCP_WRITABLE;
        return bytes == 0 ? 0 : -EAGAIN;
    }
    if (ring_reserve(&tcp->rings, &tcb->snd, tcb->snd.count + count, tcb->snd.count) < 0) {
        tcp_count(tcp, TCP_COUNTER_memory_refused);
        return -ENOMEM;
    }
    ring_write_at(&tcb->snd, tcb->snd.count, data, count);
    ring_extend(&tcb->snd, count);
    tcb->reported &= (uint8_t)~TCP_SENT;
    tcb->flags =
        (flags & TCP_SEND_MORE) != 0 ? tcb->flags | TCB_MORE : tcb->flags & ~(uint32_t)TCB_MORE;
    if (flags & TCP_SEND_URGENT) {
        mark_urgent(tcp, tcb);
    }
    output_want(tcp, tcb);
    return count;
}

/* What RECEIVE says when nothing is queued. */
static int64_t recv_empty(const struct tcb *tcb)
{
    if (tcb->error != 0) { /* before the FIN: a reset threw away what lay in front of it */
        return -(int64_t)tcb->error;
    }
    if (tcb_has(tcb, TCB_FIN_RECEIVED)) {
        return 0;
    }
    return tcb->state == TCP_STATE_CLOSED ? -ENOTCONN : -EAGAIN;
}

/* A mark that was read past is done with: left where it is, it would lie ahead again 2^31 bytes
 * later. */
static void forget_urgent(struct tcb *tcb)
{
    if (tcb->extra != NULL && tcb->extra->rcv_urgent && !event_urgent_is_ahead(tcb)) {
        tcb->extra->rcv_urgent = false;
    }
}

int64_t tcp_recv(struct tcp *tcp, uint64_t conn, void *data, size_t bytes)
{
    struct tcb *tcb = tcb_find(tcp, conn);
    if (tcb == NULL) {
        return -EBADF;
    }
    uint32_t count = bytes < tcb->rcv.count ? (uint32_t)bytes : tcb->rcv.count;
    if (count == 0) {
        return bytes == 0 && tcb->rcv.count > 0 ? 0 : recv_empty(tcb);
    }
    ring_copy(&tcb->rcv, 0, data, count);
    ring_consume(&tcp->rings, &tcb->rcv, count, tcb_receive_reach(tcb));
    forget_urgent(tcb);
    tcb->reported &= event_bits(event_ready(tcp, tcb));
    if (tcb_has(tcb, TCB_ON_WIRE) && !tcb_has(tcb, TCB_FIN_RECEIVED) &&
        segment_window_update(tcp, tcb) > 0) {
        output_ack(tcp, tcb);
    }
    return count;
}

/* CLOSE as RFC 9293 section 3.10.4 means it: nothing more to send. */
static void queue_fin(struct tcp *tcp, struct tcb *tcb)
{
    if (tcb_has(tcb, TCB_FIN_QUEUED)) {
        return;
    }
    tcb->flags = (tcb->flags | TCB_FIN_QUEUED) & ~(uint32_t)TCB_MORE;
    bool is_early = tcb->state == TCP_STATE_SYN_RECEIVED && tcb->snd.count == 0;
    if (tcb->state == TCP_STATE_ESTABLISHED || is_early) {
        state_set(tcp, tcb, TCP_STATE_FIN_WAIT_1);
    } else if (tcb->state == TCP_STATE_CLOSE_WAIT) {
        state_set(tcp, tcb, TCP_STATE_LAST_ACK);
    }
    output_want(tcp, tcb);
}

int tcp_shutdown(struct tcp *tcp, uint64_t conn)
{
    struct tcb *tcb = tcb_find(tcp, conn);
    if (tcb == NULL) {
        return -EBADF;
    }
    if (!tcb_has(tcb, TCB_ON_WIRE)) {
        return -ENOTCONN;
    }
    queue_fin(tcp, tcb);
    return 0;
}

/* RFC 9293 section 3.10.5: an RST in these states. */
static bool wants_reset(const struct tcb *tcb)
{
    return tcb->state == TCP_STATE_SYN_RECEIVED || tcb->state == TCP_STATE_ESTABLISHED ||
           tcb->state == TCP_STATE_FIN_WAIT_1 || tcb->state == TCP_STATE_FIN_WAIT_2 ||
           tcb->state == TCP_STATE_CLOSE_WAIT;
}

static void abort_record(struct tcp *tcp, struct tcb *tcb)
{
    tcb->flags |= TCB_ORPHAN;
    event_forget(tcp, tcb);
    if (!tcb_has(tcb, TCB_ON_WIRE)) {
        uint64_t hash = tcp_hash(tcp, &tcb->tuple);
        uint32_t ref = index_find(&tcp->index, &tcb->tuple, hash);
        if (tcb->state == TCP_STATE_TIME_WAIT && ref != INDEX_NONE &&
            index_ref_population(ref) == INDEX_TIME_WAIT) {
            time_wait_drop(tcp, index_ref_record(ref));
        }
        tcb_release(tcp, tcb);
        return;
    }
    if (wants_reset(tcb)) {
        reply_reset_of(tcp, tcb);
    }
    tcb_finish(tcp, tcb, ECONNABORTED);
}

static void close_record(struct tcp *tcp, struct tcb *tcb)
{
    bool has_unread = tcb->rcv.count > 0;
    if (!tcb_has(tcb, TCB_ON_WIRE)) {
        tcb->flags |= TCB_ORPHAN;
        tcb_release(tcp, tcb);
        return;
    }
    if (tcb->state == TCP_STATE_SYN_SENT || tcb_has(tcb, TCB_LINGER_RST) || has_unread) {
        if (has_unread && !tcb_has(tcb, TCB_LINGER_RST)) {
            tcp_count(tcp, TCP_COUNTER_closed_unread);
            if (!wants_reset(tcb)) { /* CLOSING, LAST_ACK: SHLD-3 knows no state */
                reply_reset_of(tcp, tcb);
            }
        }
        abort_record(tcp, tcb);
        return;
    }
    if (tcb->state == TCP_STATE_FIN_WAIT_2 && tcb_has(tcb, TCB_NO_TIME_WAIT)) {
        tcp_count(tcp, TCP_COUNTER_closed_no_time_wait);
        abort_record(tcp, tcb); /* our FIN was acknowledged before: the peer has to be told */
        return;
    }
    tcb->flags |= TCB_ORPHAN;
    event_forget(tcp, tcb);
    queue_fin(tcp, tcb);
    if (tcb->state == TCP_STATE_FIN_WAIT_2) {
        timer_fin_wait_2_start(tcp, tcb);
    }
}

int tcp_close(struct tcp *tcp, uint64_t handle)
{
    uint16_t number;
    if (listener_find(tcp, handle, &number) != NULL) {
        listener_close(tcp, number);
        return 0;
    }
    struct tcb *tcb = tcb_find(tcp, handle);
    if (tcb == NULL) {
        return -EBADF;
    }
    close_record(tcp, tcb);
    return 0;
}

int tcp_abort(struct tcp *tcp, uint64_t conn)
{
    struct tcb *tcb = tcb_find(tcp, conn);
    if (tcb == NULL) {
        return -EBADF;
    }
    abort_record(tcp, tcb);
    return 0;
}

int tcp_set_user(struct tcp *tcp, uint64_t handle, uint64_t user)
{
    uint16_t number;
    struct listener *listener = listener_find(tcp, handle, &number);
    if (listener != NULL) {
        listener->user = user;
        return 0;
    }
    struct tcb *tcb = tcb_find(tcp, handle);
    if (tcb == NULL) {
        return -EBADF;
    }
    tcb->user = user;
    return 0;
}

int64_t tcp_ready(struct tcp *tcp, uint64_t handle)
{
    uint16_t number;
    const struct listener *listener = listener_find(tcp, handle, &number);
    if (listener != NULL) {
        return listener->accept_count > 0 ? TCP_ACCEPTABLE : 0;
    }
    const struct tcb *tcb = tcb_find(tcp, handle);
    return tcb == NULL ? -EBADF : (int64_t)event_ready(tcp, tcb);
}
