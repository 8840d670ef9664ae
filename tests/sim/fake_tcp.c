/* The fake host's protocol: see fake.h.
 *
 * Layer: tests. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sim/checker.h"
#include "sim/fake.h"

#define RTO_NS UINT64_C(1000000000)
#define TRIES_MAX 8u

static bool has_bug(const struct fws_host *host, enum fake_bug bug)
{
    return host->bug == bug;
}

static void arm(struct fws_host *host, struct fake_conn *conn)
{
    uint64_t first_ns = RTO_NS;
    if (conn->state == FWS_STATE_SYN_SENT) {
        first_ns = host->config.rto_initial_ns ? host->config.rto_initial_ns : RTO_NS;
        first_ns /= has_bug(host, FAKE_EAGER_SYN) ? 10 : 1;
    }
    conn->timer_ns = host->now_ns + (first_ns << (conn->tries < 5 ? conn->tries : 5));
}

static void reply_rst(struct fws_host *host, const struct packet *to)
{
    bool has_ack = (to->flags & PACKET_ACK) && !has_bug(host, FAKE_RST_FORM);
    if (((to->flags & PACKET_RST) && !has_bug(host, FAKE_RST_FOR_RST)) ||
        host->reply_count == FAKE_QUEUE) {
        return;
    }
    host->replies[host->reply_count++] = (struct packet){
        .source = to->target,
        .target = to->source,
        .source_port = to->target_port,
        .target_port = to->source_port,
        .seq = has_ack ? to->ack : 0,
        .ack = has_ack ? 0 : to->seq + packet_length(to),
        .flags = has_ack ? PACKET_RST : PACKET_RST | PACKET_ACK,
    };
}

void fake_abort(struct fws_host *host, struct fake_conn *conn)
{
    if (conn->state != FWS_STATE_CLOSED && conn->state != FWS_STATE_SYN_SENT &&
        conn->state != FWS_STATE_TIME_WAIT && host->reply_count < FAKE_QUEUE) {
        host->replies[host->reply_count++] = (struct packet){
            .source = conn->local,
            .target = conn->remote,
            .source_port = conn->local_port,
            .target_port = conn->remote_port,
            .seq = conn->snd_max,
            .flags = PACKET_RST,
        };
    }
    if (conn->state == FWS_STATE_SYN_RECEIVED) {
        conn->listener = 0; /* to CLOSED, not to LISTEN */
    }
    fake_free(host, conn);
}

static void fail(struct fws_host *host, struct fake_conn *conn, int error)
{
    conn->error = error;
    conn->recv_count = error == -ECONNRESET ? 0 : conn->recv_count;
    fake_free(host, conn);
}

void fake_timer(struct fws_host *host, struct fake_conn *conn)
{
    conn->timer_ns = UINT64_MAX;
    if (conn->state == FWS_STATE_TIME_WAIT) {
        fake_free(host, conn);
        return;
    }
    if (conn->state == FWS_STATE_FIN_WAIT_2) {
        fake_free(host, conn);
        return;
    }
    if (++conn->tries > TRIES_MAX) {
        fail(host, conn, -ETIMEDOUT);
        return;
    }
    conn->snd_nxt = conn->snd_una;
    conn->probe_due = conn->snd_wnd == 0;
    conn->resends += !conn->probe_due || conn->state == FWS_STATE_SYN_SENT;
    if (has_bug(host, FAKE_FIN_ONCE) && conn->fin_sent && conn->snd_una + 1 == conn->snd_max) {
        conn->snd_nxt = conn->snd_max;
        conn->tries = 0; /* nor does it ever give up */
        conn->resends = 0;
    }
    arm(host, conn);
}

static void enter_time_wait(struct fws_host *host, struct fake_conn *conn)
{
    uint64_t time_wait_ns = fake_time_wait_ns(host);
    if (fake_is_full(host, true, host->config.time_wait_max)) {
        fake_free(host, conn);
        return;
    }
    fake_move(host, conn, FWS_STATE_TIME_WAIT);
    conn->timer_ns =
        host->now_ns + (has_bug(host, FAKE_SHORT_TIME_WAIT) ? time_wait_ns / 2 : time_wait_ns);
}

void fake_shut(struct fws_host *host, struct fake_conn *conn)
{
    if (conn->fin_queued) {
        return;
    }
    if (conn->state == FWS_STATE_ESTABLISHED || conn->state == FWS_STATE_SYN_RECEIVED) {
        fake_move(host, conn, FWS_STATE_FIN_WAIT_1);
    } else if (conn->state == FWS_STATE_CLOSE_WAIT) {
        fake_move(host, conn,
                  has_bug(host, FAKE_WRONG_ARROW) ? FWS_STATE_CLOSING : FWS_STATE_LAST_ACK);
    } else {
        return;
    }
    conn->fin_queued = true;
}

static uint32_t window_of(const struct fws_host *host, const struct fake_conn *conn)
{
    uint32_t window = FAKE_BUFFER - conn->recv_count;
    if (conn->fin_came || conn->recv_count == FAKE_BUFFER) {
        /* Never less than was offered; nothing more comes behind a FIN. */
        int32_t left = seq_distance(conn->edge, conn->rcv_nxt);
        window = left > 0 ? (uint32_t)left : 0;
    }
    return has_bug(host, FAKE_SHRINK_WINDOW) && host->sent % 13 == 0 ? window / 2 : window;
}

/* Acknowledged: what was sent goes from the buffer, states move. Returns false for an ACK of what
 * was not sent. */
static bool take_ack(struct fws_host *host, struct fake_conn *conn, const struct packet *packet)
{
    if (seq_distance(packet->ack, conn->snd_max) > 0) {
        conn->ack_due = true;
        return false;
    }
    if (seq_distance(packet->ack, conn->snd_una) < 0) {
        return true;
    }
    if (packet->ack != conn->snd_una) {
        conn->tries = 0;
        conn->resends = 0;
        int32_t drop = seq_distance(packet->ack, conn->send_first);
        if (drop > 0) {
            uint32_t bytes = (uint32_t)drop < conn->send_count ? (uint32_t)drop : conn->send_count;
            memmove(conn->send, conn->send + bytes, conn->send_count - bytes);
            conn->send_count -= bytes;
            conn->send_first += bytes;
        }
        conn->snd_una = packet->ack;
        if (seq_distance(conn->snd_nxt, packet->ack) < 0) {
            conn->snd_nxt = packet->ack;
        }
        conn->timer_ns = UINT64_MAX;
        if (conn->snd_una != conn->snd_max) {
            arm(host, conn);
        }
    }
    conn->snd_wnd = packet->window;
    conn->fin_acked = conn->fin_sent && conn->snd_una == conn->snd_max;
    return true;
}

static void take_text(struct fws_host *host, struct fake_conn *conn, const struct packet *packet)
{
    int32_t old = seq_distance(conn->rcv_nxt, packet->seq);
    uint32_t length = packet_length(packet);
    if (length == 0) {
        conn->ack_due |= old > 0 || has_bug(host, FAKE_ACK_LOOP);
        return;
    }
    conn->ack_due = old > 0 || !has_bug(host, FAKE_LATE_ACK);
    if (old < 0 || conn->fin_came || (uint32_t)old > length) {
        return;
    }
    uint32_t skip = (uint32_t)old < packet->payload_bytes ? (uint32_t)old : packet->payload_bytes;
    uint32_t bytes = packet->payload_bytes - skip;
    uint32_t room = FAKE_BUFFER - conn->recv_count;
    bool fits = bytes <= room;
    bytes = fits ? bytes : room;
    memcpy(conn->recv + conn->recv_count, packet->payload + skip, bytes);
    conn->recv_count += bytes;
    conn->rcv_nxt += bytes;
    conn->tells_fin |= has_bug(host, FAKE_TELLS_FIN) && bytes > 0;
    if (bytes && has_bug(host, FAKE_EAT_BYTE) && host->generation % 3 == 0) {
        conn->recv_count--;
    }
    if ((packet->flags & PACKET_FIN) && fits) {
        conn->rcv_nxt++;
        conn->fin_came = true;
    }
}

static void move_on(struct fws_host *host, struct fake_conn *conn)
{
    if (conn->state == FWS_STATE_ESTABLISHED && conn->fin_came) {
        fake_move(host, conn, FWS_STATE_CLOSE_WAIT);
    } else if (conn->state == FWS_STATE_FIN_WAIT_1 && conn->fin_acked) {
        if (conn->fin_came) {
            enter_time_wait(host, conn);
            return;
        }
        fake_move(host, conn, FWS_STATE_FIN_WAIT_2);
        conn->timer_ns = conn->held ? UINT64_MAX : host->now_ns + 60 * RTO_NS;
    } else if (conn->state == FWS_STATE_FIN_WAIT_1 && conn->fin_came) {
        fake_move(host, conn, FWS_STATE_CLOSING);
    } else if (conn->state == FWS_STATE_CLOSING && conn->fin_acked) {
        enter_time_wait(host, conn);
    } else if (conn->state == FWS_STATE_LAST_ACK && conn->fin_acked) {
        fake_free(host, conn);
        return;
    }
    if (conn->state == FWS_STATE_FIN_WAIT_2 && conn->fin_came) {
        enter_time_wait(host, conn);
    }
}

static void in_time_wait(struct fws_host *host, struct fake_conn *conn, const struct packet *packet)
{
    if ((packet->flags & PACKET_RST) && packet->seq == conn->rcv_nxt && !host->config.rfc1337) {
        fake_free(host, conn);
        return;
    }
    if (packet->flags & PACKET_RST) {
        return;
    }
    bool is_fin = (packet->flags & PACKET_FIN) != 0;
    conn->ack_due |= !(is_fin && has_bug(host, FAKE_NO_LAST_ACK_AGAIN)) &&
                     (packet_length(packet) > 0 || packet->seq != conn->rcv_nxt);
    if (is_fin && !has_bug(host, FAKE_NO_RESTART)) {
        conn->timer_ns = host->now_ns + fake_time_wait_ns(host);
    }
}

static void in_syn_sent(struct fws_host *host, struct fake_conn *conn, const struct packet *packet)
{
    bool has_ack = (packet->flags & PACKET_ACK) != 0;
    if (has_ack && packet->ack != conn->iss + 1) {
        reply_rst(host, packet);
        return;
    }
    if (packet->flags & PACKET_RST) {
        if (has_ack) {
            fail(host, conn, -ECONNREFUSED);
        }
        return;
    }
    if (!(packet->flags & PACKET_SYN)) {
        return;
    }
    conn->irs = packet->seq;
    conn->rcv_nxt = packet->seq + 1;
    conn->edge = conn->rcv_nxt + FAKE_BUFFER;
    conn->snd_wnd = packet->window;
    if (has_ack) {
        fake_move(host, conn, FWS_STATE_ESTABLISHED);
        (void)take_ack(host, conn, packet);
        conn->ack_due = true;
    } else {
        fake_move(host, conn, FWS_STATE_SYN_RECEIVED);
        conn->snd_nxt = conn->iss; /* again, now with an ACK */
        conn->resends = 0;
        arm(host, conn);
    }
}

/* RFC 5961 section 7: so many a second, then none. */
static bool may_challenge(struct fws_host *host)
{
    uint64_t limit = host->config.challenge_ack_per_sec ? host->config.challenge_ack_per_sec : 1000;
    uint64_t second = host->now_ns / UINT64_C(1000000000);
    host->challenges = host->challenge_second == second ? host->challenges + 1 : 1;
    host->challenge_second = second;
    return host->challenges <= limit;
}

static void in_synchronized(struct fws_host *host, struct fake_conn *conn,
                            const struct packet *packet)
{
    int32_t ahead = seq_distance(packet->seq, conn->rcv_nxt);
    if (packet->flags & PACKET_RST) {
        if (ahead == 0) {
            bool was_open = conn->state != FWS_STATE_SYN_RECEIVED;
            fail(host, conn, was_open ? -ECONNRESET : -ECONNREFUSED);
        } else if (ahead > 0 && (uint32_t)ahead < FAKE_BUFFER) {
            conn->ack_due |= may_challenge(host);
        }
        return;
    }
    if (packet->flags & PACKET_SYN) {
        conn->ack_due |= conn->state != FWS_STATE_SYN_RECEIVED && may_challenge(host);
        conn->snd_nxt = conn->state == FWS_STATE_SYN_RECEIVED ? conn->iss : conn->snd_nxt;
        if (conn->state != FWS_STATE_SYN_RECEIVED || !(packet->flags & PACKET_ACK)) {
            return;
        }
    } else if (ahead > (int32_t)FAKE_BUFFER ||
               seq_distance(packet->seq + packet_length(packet), conn->rcv_nxt) < 0) {
        conn->ack_due = true;
        return;
    }
    if (!(packet->flags & PACKET_ACK)) {
        return;
    }
    if (conn->state == FWS_STATE_SYN_RECEIVED) {
        if (seq_distance(packet->ack, conn->iss) <= 0 ||
            seq_distance(packet->ack, conn->snd_max) > 0) {
            reply_rst(host, packet);
            return;
        }
        fake_move(host, conn, FWS_STATE_ESTABLISHED);
        conn->snd_nxt = conn->iss + 1;
    }
    if (!take_ack(host, conn, packet)) {
        return;
    }
    bool is_orphan = !conn->held && conn->taken;
    if (is_orphan && conn->fin_acked && conn->state != FWS_STATE_LAST_ACK &&
        fake_wants_nothing_kept(host, conn)) {
        fake_free(host, conn);
        if (packet_length(packet) > 0) {
            reply_rst(host, packet);
        }
        return;
    }
    if (is_orphan && packet->payload_bytes && ahead >= 0) {
        fake_abort(host, conn); /* SHLD-3 */
        return;
    }
    if (!(packet->flags & PACKET_SYN)) {
        take_text(host, conn, packet);
    }
    move_on(host, conn);
}

static void in_listen(struct fws_host *host, const struct packet *packet)
{
    fws_handle listener = 0;
    struct fws_options options = {0};
    for (uint32_t i = 0; i < 8; i++) {
        if (host->listeners[i].used && host->listeners[i].port == packet->target_port) {
            listener = host->listeners[i].handle;
            options = host->listeners[i].options;
        }
    }
    if (!listener || (packet->flags & (PACKET_ACK | PACKET_SYN)) != PACKET_SYN) {
        if (!listener || (packet->flags & PACKET_ACK)) {
            reply_rst(host, packet);
        }
        return;
    }
    struct fake_conn *conn = fake_conn_new(host);
    if (!conn) {
        return;
    }
    conn->state = FWS_STATE_LISTEN;
    fake_move(host, conn, FWS_STATE_SYN_RECEIVED);
    conn->listener = listener;
    conn->options = options;
    conn->local = packet->target;
    conn->remote = packet->source;
    conn->remote_port = packet->source_port;
    conn->local_port = packet->target_port;
    conn->irs = packet->seq;
    conn->rcv_nxt = packet->seq + 1;
    conn->edge = conn->rcv_nxt + FAKE_BUFFER;
    conn->snd_wnd = packet->window;
}

void fake_segment(struct fws_host *host, const struct packet *packet)
{
    struct fake_tuple tuple = {.local = packet->target,
                               .remote = packet->source,
                               .local_port = packet->target_port,
                               .remote_port = packet->source_port};
    struct fake_conn *conn = fake_find(host, &tuple);
    if (has_bug(host, FAKE_CRASH) && host->generation == 9) {
        abort();
    }
    if (!conn) {
        if (!(packet->flags & PACKET_RST) || has_bug(host, FAKE_RST_FOR_RST)) {
            in_listen(host, packet);
        }
    } else if (conn->state == FWS_STATE_SYN_SENT) {
        in_syn_sent(host, conn, packet);
    } else if (conn->state == FWS_STATE_TIME_WAIT) {
        in_time_wait(host, conn, packet);
    } else {
        in_synchronized(host, conn, packet);
        if (has_bug(host, FAKE_RESET_AT_ONCE) && !(packet->flags & PACKET_RST) &&
            host->generation % 11 == 0 && conn->state == FWS_STATE_ESTABLISHED) {
            fake_abort(host, conn);
        }
    }
}

/* How much may be sent at snd_nxt: what the buffer holds, cut to a segment and the window. */
static uint32_t sendable(const struct fws_host *host, const struct fake_conn *conn)
{
    int32_t offset = seq_distance(conn->snd_nxt, conn->send_first);
    if (offset < 0 || (uint32_t)offset >= conn->send_count) {
        return 0;
    }
    uint32_t bytes = conn->send_count - (uint32_t)offset;
    uint32_t window = conn->snd_wnd < 4 * FAKE_MSS ? conn->snd_wnd : 4 * FAKE_MSS;
    window += has_bug(host, FAKE_BEYOND_WINDOW) ? FAKE_BUFFER : 0;
    uint32_t used = conn->snd_nxt - conn->snd_una;
    uint32_t room = window > used ? window - used : 0;
    room = room == 0 && conn->probe_due ? 1 : room;
    bytes = bytes < room ? bytes : room;
    return bytes < FAKE_MSS ? bytes : FAKE_MSS;
}

static bool next_syn(struct fws_host *host, struct fake_conn *conn, struct packet *packet)
{
    packet->seq = conn->iss;
    packet->flags = PACKET_SYN;
    if (conn->state == FWS_STATE_SYN_RECEIVED) {
        packet->flags |= PACKET_ACK;
        packet->ack = conn->rcv_nxt;
    }
    packet->mss = FAKE_MSS;
    packet->order[0] = PACKET_OPTION_MSS;
    packet->order_count = 1;
    conn->snd_nxt = conn->iss + 1;
    conn->snd_max = conn->snd_nxt;
    conn->ack_due = false;
    arm(host, conn);
    return true;
}

static void fill_bugs(struct fws_host *host, struct fake_conn *conn, struct packet *packet,
                      uint8_t *payload)
{
    if (has_bug(host, FAKE_ACK_UNSENT) && host->sent % 17 == 0) {
        packet->ack += 3;
    }
    if (has_bug(host, FAKE_ACK_BACK) && host->sent % 17 == 0) {
        packet->ack = conn->irs + 1;
    }
    if (has_bug(host, FAKE_OTHER_BYTES) && conn->tries && packet->payload_bytes) {
        payload[0] ^= 1;
    }
    if (has_bug(host, FAKE_ECT_ON_ACK) && packet->payload_bytes == 0) {
        packet->ip_ecn = 2;
    }
    if (has_bug(host, FAKE_MSS_IN_ACK)) {
        packet->mss = FAKE_MSS;
        packet->order[0] = PACKET_OPTION_MSS;
        packet->order_count = 1;
    }
    if (has_bug(host, FAKE_URGENT_JUNK) && packet->payload_bytes) {
        packet->flags |= PACKET_URG;
        packet->urgent = 0;
    }
}

static void fill_marks(const struct fws_host *host, const struct fake_conn *conn,
                       struct packet *packet)
{
    packet->ttl = host->config.ttl;
    if (!has_bug(host, FAKE_NO_MARKS)) {
        packet->ttl = conn->options.ttl ? conn->options.ttl : packet->ttl;
        packet->ip_dscp = conn->options.dscp;
    }
}

bool fake_next_segment(struct fws_host *host, struct fake_conn *conn, struct packet *packet,
                       uint8_t *payload)
{
    if (conn->state == FWS_STATE_CLOSED) {
        return false;
    }
    *packet = (struct packet){.source = conn->local,
                              .target = conn->remote,
                              .source_port = conn->local_port,
                              .target_port = conn->remote_port,
                              .payload = payload,
                              .window = FAKE_BUFFER};
    fill_marks(host, conn, packet);
    if (conn->snd_nxt == conn->iss && conn->snd_una == conn->iss) {
        return next_syn(host, conn, packet);
    }
    if (conn->state == FWS_STATE_SYN_SENT || conn->state == FWS_STATE_SYN_RECEIVED) {
        return false;
    }
    uint32_t bytes = sendable(host, conn);
    uint32_t data_end = conn->send_first + conn->send_count;
    bool is_fin = conn->fin_queued && conn->snd_nxt + bytes == data_end &&
                  (conn->snd_wnd > 0 || conn->probe_due || bytes == 0);
    if (!bytes && !is_fin && !conn->ack_due) {
        return false;
    }
    if (bytes) {
        memcpy(payload, conn->send + (conn->snd_nxt - conn->send_first), bytes);
    }
    packet->seq = conn->snd_nxt;
    packet->ack = conn->rcv_nxt;
    packet->flags = (uint8_t)(PACKET_ACK | (is_fin ? PACKET_FIN : 0));
    packet->payload_bytes = bytes;
    packet->window = (uint16_t)window_of(host, conn);
    fill_bugs(host, conn, packet, payload);
    conn->edge = conn->rcv_nxt + packet->window;
    conn->snd_nxt += packet_length(packet);
    if (is_fin && has_bug(host, FAKE_FIN_MOVES) && conn->tries) {
        packet->seq++;
    }
    conn->fin_sent |= is_fin;
    if (seq_distance(conn->snd_nxt, conn->snd_max) > 0) {
        conn->snd_max = conn->snd_nxt;
    }
    if (packet_length(packet)) {
        arm(host, conn);
    }
    conn->ack_due = false;
    conn->probe_due = false;
    return true;
}
