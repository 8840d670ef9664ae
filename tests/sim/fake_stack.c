/* The fake host's C ABI: see fake.h.
 *
 * Layer: tests. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sim/checker.h"
#include "sim/fake.h"

int fws_host_create(struct fws_host **created, const struct fws_config *config)
{
    struct fws_host *fresh = calloc(1, sizeof(*fresh));
    if (!fresh) {
        return -ENOMEM;
    }
    fresh->conns = calloc(FAKE_CONNS, sizeof(*fresh->conns));
    if (!fresh->conns) {
        free(fresh);
        return -ENOMEM;
    }
    fresh->config = *config;
    fresh->bug = (enum fake_bug)config->seed[15];
    fresh->address = packet_get32(config->address.bytes);
    fresh->last =
        config->address_last.version ? packet_get32(config->address_last.bytes) : fresh->address;
    fresh->now_ns = config->now_ns;
    *created = fresh;
    return 0;
}

void fws_host_destroy(struct fws_host *host)
{
    for (uint32_t i = 0; i < FAKE_CONNS; i++) {
        host->conns[i].held = false;
        if (host->conns[i].used) {
            host->bug = host->bug == FAKE_LEAK ? FAKE_LEAK : FAKE_SOUND;
            fake_free(host, &host->conns[i]);
        }
    }
    free(host->conns);
    free(host);
}

static struct fake_conn *by_handle(struct fws_host *host, fws_handle handle)
{
    uint64_t index = (handle & 0xffff) - 1;
    if (index >= FAKE_CONNS || !host->conns[index].used || !host->conns[index].held ||
        host->conns[index].handle != handle) {
        return NULL;
    }
    return &host->conns[index];
}

static struct fake_listener *listener_by_handle(struct fws_host *host, fws_handle handle)
{
    for (uint32_t i = 0; i < 8; i++) {
        if (host->listeners[i].used && host->listeners[i].handle == handle) {
            return &host->listeners[i];
        }
    }
    return NULL;
}

void fws_input(struct fws_host *host, const struct fws_packet *packets, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct packet packet;
        enum packet_verdict verdict = packet_parse(&packet, packets[i].data, packets[i].bytes);
        bool is_taken = verdict == PACKET_OK ||
                        (verdict == PACKET_BAD_CHECKSUM && host->bug == FAKE_NO_CHECKSUM);
        is_taken |= verdict == PACKET_BAD_CHECKSUM && (packets[i].flags & FWS_CHECKSUM_DONE);
        if (is_taken && packet.target - host->address <= host->last - host->address) {
            fake_segment(host, &packet);
        }
    }
}

static void emit(struct fws_host *host, const struct packet *packet, struct fws_buffer *buffer)
{
    buffer->bytes = (uint32_t)packet_build(packet, buffer->data, buffer->capacity);
    host->sent++;
    if (host->bug == FAKE_BAD_CHECKSUM && host->sent % 23 == 0) {
        buffer->data[buffer->bytes - 1] ^= 1;
    }
}

size_t fws_output(struct fws_host *host, struct fws_buffer *buffers, size_t count)
{
    size_t made = 0;
    uint8_t payload[FAKE_MSS];
    struct packet packet;
    while (host->reply_count > 0 && made < count) {
        emit(host, &host->replies[0], &buffers[made++]);
        host->reply_count--;
        memmove(host->replies, host->replies + 1, host->reply_count * sizeof(host->replies[0]));
    }
    for (uint32_t i = 0; i < host->conn_count; i++) {
        while (made < count && host->conns[i].used &&
               fake_next_segment(host, &host->conns[i], &packet, payload)) {
            emit(host, &packet, &buffers[made++]);
        }
    }
    return made;
}

void fws_advance(struct fws_host *host, uint64_t now_ns)
{
    host->now_ns = now_ns > host->now_ns ? now_ns : host->now_ns;
    for (uint32_t i = 0; i < host->conn_count; i++) {
        if (host->conns[i].used && host->conns[i].timer_ns <= host->now_ns) {
            fake_timer(host, &host->conns[i]);
        }
    }
}

uint64_t fws_next_deadline(const struct fws_host *host)
{
    uint64_t first_ns = host->bug == FAKE_DEADLINE_STUCK ? host->now_ns : UINT64_MAX;
    for (uint32_t i = 0; i < host->conn_count; i++) {
        if (host->conns[i].used && host->conns[i].timer_ns < first_ns) {
            first_ns = host->conns[i].timer_ns;
        }
    }
    return first_ns;
}

int fws_listen(struct fws_host *host, const struct fws_endpoint *local, uint32_t backlog,
               const struct fws_options *options, fws_handle *listener)
{
    (void)backlog;
    for (uint32_t i = 0; i < 8; i++) {
        if (!host->listeners[i].used) {
            *listener = (++host->generation << 16) | 0xffff;
            host->listeners[i] =
                (struct fake_listener){.used = true, .port = local->port, .handle = *listener};
            host->listeners[i].options = options ? *options : (struct fws_options){0};
            host->transitions[FWS_STATE_CLOSED][FWS_STATE_LISTEN]++;
            return 0;
        }
    }
    return -ENOBUFS;
}

static bool waits_for(const struct fake_conn *conn, fws_handle listener)
{
    return conn->used && !conn->taken && conn->listener == listener &&
           conn->state != FWS_STATE_SYN_RECEIVED && conn->state != FWS_STATE_CLOSED;
}

int fws_accept(struct fws_host *host, fws_handle listener, fws_handle *conn)
{
    for (uint32_t i = 0; i < host->conn_count; i++) {
        struct fake_conn *of = &host->conns[i];
        if (waits_for(of, listener)) {
            of->taken = true;
            of->held = true;
            *conn = of->handle;
            return 0;
        }
    }
    return -EAGAIN;
}

/* The first port that is free and this stack's share. */
static bool choose_port(struct fws_host *host, struct fake_tuple *tuple)
{
    uint32_t first = host->config.port_first ? host->config.port_first : 32768;
    uint32_t last = host->config.port_last ? host->config.port_last : 60999;
    uint32_t modulus = host->config.port_modulus ? host->config.port_modulus : 1;
    for (uint32_t port = first; port <= last; port++) {
        tuple->local_port = (uint16_t)port;
        bool is_share = port % modulus == host->config.port_residue || host->bug == FAKE_OTHER_PORT;
        if (is_share && !fake_find(host, tuple)) {
            return true;
        }
    }
    return false;
}

void fws_connect_soon(const struct fws_host *host, const struct fws_endpoint *local,
                      const struct fws_endpoint *remote)
{
    (void)host;
    (void)local;
    (void)remote;
}

int fws_connect(struct fws_host *host, const struct fws_endpoint *local,
                const struct fws_endpoint *remote, const struct fws_options *options,
                fws_handle *conn)
{
    uint32_t address = packet_get32(remote->addr.bytes);
    struct fake_tuple tuple = {.local = packet_get32(local->addr.bytes),
                               .remote = address,
                               .local_port = local->port,
                               .remote_port = remote->port};
    if (local->port ? fake_find(host, &tuple) != NULL : !choose_port(host, &tuple)) {
        return local->port ? -EADDRINUSE : -EADDRNOTAVAIL;
    }
    struct fake_conn *of = fake_conn_new(host);
    if (!of) {
        return -ENOBUFS;
    }
    of->taken = true;
    of->held = true;
    of->local = tuple.local;
    of->remote = address;
    of->remote_port = remote->port;
    of->local_port = tuple.local_port;
    of->options = options ? *options : (struct fws_options){0};
    fake_move(host, of, FWS_STATE_SYN_SENT);
    *conn = of->handle;
    return 0;
}

/* RFC 9293 section 3.8.3: R1 is three retransmissions. */
static bool has_trouble(const struct fws_host *host, const struct fake_conn *conn)
{
    uint32_t r1 = host->bug == FAKE_FALSE_TROUBLE ? 1 : 3;
    return host->bug != FAKE_NO_TROUBLE && conn->resends >= r1 && conn->state != FWS_STATE_CLOSED &&
           conn->state != FWS_STATE_TIME_WAIT;
}

static uint32_t readiness(const struct fws_host *host, const struct fake_conn *conn)
{
    uint32_t ready = 0;
    bool is_open = conn->state == FWS_STATE_ESTABLISHED || conn->state == FWS_STATE_CLOSE_WAIT;
    ready |= conn->recv_count || conn->fin_came || conn->error ? FWS_READABLE : 0u;
    ready |= is_open && conn->send_count < FAKE_BUFFER ? FWS_WRITABLE : 0u;
    ready |= conn->fin_came || conn->tells_fin ? FWS_PEER_FIN : 0u;
    ready |= conn->error ? FWS_ERROR : 0u;
    ready |= has_trouble(host, conn) ? FWS_TROUBLE : 0u;
    return ready;
}

int64_t fws_send(struct fws_host *host, fws_handle conn, const void *data, size_t bytes,
                 uint32_t flags)
{
    struct fake_conn *of = by_handle(host, conn);
    (void)flags;
    if (!of) {
        return -EBADF;
    }
    if (of->error) {
        return of->error;
    }
    if (of->fin_queued || of->state == FWS_STATE_CLOSED) {
        return -EPIPE;
    }
    size_t room = FAKE_BUFFER - of->send_count;
    size_t took = bytes < room ? bytes : room;
    memcpy(of->send + of->send_count, data, took);
    of->send_count += (uint32_t)took;
    of->told &= readiness(host, of);
    return took ? (int64_t)took : -EAGAIN;
}

int64_t fws_recv(struct fws_host *host, fws_handle conn, void *data, size_t bytes)
{
    struct fake_conn *of = by_handle(host, conn);
    if (!of) {
        return -EBADF;
    }
    if (host->bug == FAKE_EARLY_END && of->fin_came) {
        of->recv_count = 0;
    }
    if (of->recv_count == 0) {
        return of->error ? of->error : of->fin_came ? 0 : -EAGAIN;
    }
    uint32_t took = bytes < of->recv_count ? (uint32_t)bytes : of->recv_count;
    memcpy(data, of->recv, took);
    memmove(of->recv, of->recv + took, of->recv_count - took);
    of->recv_count -= took;
    of->told &= readiness(host, of);
    bool is_open = of->state == FWS_STATE_ESTABLISHED || of->state == FWS_STATE_FIN_WAIT_1 ||
                   of->state == FWS_STATE_FIN_WAIT_2;
    uint32_t edge = of->rcv_nxt + FAKE_BUFFER - of->recv_count;
    of->ack_due |= is_open && seq_distance(edge, of->edge) >= (int32_t)FAKE_MSS;
    return took;
}

int fws_shutdown(struct fws_host *host, fws_handle conn)
{
    struct fake_conn *of = by_handle(host, conn);
    if (!of) {
        return -EBADF;
    }
    if (of->state == FWS_STATE_SYN_SENT || of->state == FWS_STATE_CLOSED) {
        return -ENOTCONN;
    }
    fake_shut(host, of);
    return 0;
}

static void close_listener(struct fws_host *host, struct fake_listener *listener)
{
    for (uint32_t i = 0; i < host->conn_count; i++) {
        struct fake_conn *conn = &host->conns[i];
        if (conn->used && !conn->taken && conn->listener == listener->handle) {
            fake_abort(host, conn);
        }
    }
    host->transitions[FWS_STATE_LISTEN][FWS_STATE_CLOSED]++;
    listener->used = false;
}

int fws_close(struct fws_host *host, fws_handle handle)
{
    struct fake_listener *listener = listener_by_handle(host, handle);
    struct fake_conn *conn = by_handle(host, handle);
    if (listener) {
        close_listener(host, listener);
        return 0;
    }
    if (!conn) {
        return -EBADF;
    }
    conn->held = false;
    if (conn->state == FWS_STATE_CLOSED || conn->state == FWS_STATE_SYN_SENT) {
        fake_free(host, conn);
    } else if ((conn->recv_count && conn->state != FWS_STATE_TIME_WAIT) ||
               conn->options.linger_rst ||
               (conn->state == FWS_STATE_FIN_WAIT_2 && fake_wants_nothing_kept(host, conn))) {
        fake_abort(host, conn);
    } else {
        fake_shut(host, conn);
        if (conn->state == FWS_STATE_FIN_WAIT_2) {
            conn->timer_ns = host->now_ns + UINT64_C(60000000000);
        }
    }
    return 0;
}

int fws_abort(struct fws_host *host, fws_handle conn)
{
    struct fake_conn *of = by_handle(host, conn);
    if (!of) {
        return -EBADF;
    }
    of->held = false;
    if (of->state != FWS_STATE_TIME_WAIT) {
        fake_abort(host, of);
    }
    return 0;
}

int fws_set_options(struct fws_host *host, fws_handle conn, const struct fws_options *options)
{
    struct fake_conn *of = by_handle(host, conn);
    if (!of) {
        return -EBADF;
    }
    of->options = *options;
    return 0;
}

int fws_get_options(struct fws_host *host, fws_handle conn, struct fws_options *options)
{
    struct fake_conn *of = by_handle(host, conn);
    if (!of) {
        return -EBADF;
    }
    *options = of->options;
    options->size = sizeof(*options);
    return 0;
}

int fws_set_user(struct fws_host *host, fws_handle handle, uint64_t user)
{
    struct fake_listener *listener = listener_by_handle(host, handle);
    struct fake_conn *conn = by_handle(host, handle);
    if (listener) {
        listener->user = user;
    } else if (conn) {
        conn->user = user;
    }
    return listener || conn ? 0 : -EBADF;
}

static bool accepts(const struct fws_host *host, fws_handle listener)
{
    for (uint32_t i = 0; i < host->conn_count; i++) {
        if (waits_for(&host->conns[i], listener)) {
            return true;
        }
    }
    return false;
}

size_t fws_poll(struct fws_host *host, struct fws_event *events, size_t max)
{
    size_t count = 0;
    for (uint32_t i = 0; i < 8 && count < max; i++) {
        const struct fake_listener *of = &host->listeners[i];
        if (of->used && accepts(host, of->handle)) {
            events[count++] = (struct fws_event){of->handle, of->user, FWS_ACCEPTABLE, 0};
        }
    }
    for (uint32_t i = 0; i < host->conn_count && count < max; i++) {
        struct fake_conn *conn = &host->conns[i];
        uint32_t ready = conn->used && conn->held ? readiness(host, conn) : 0;
        if (ready & ~conn->told) {
            uint64_t user = host->bug == FAKE_NO_USER_WORD ? 0 : conn->user;
            events[count++] = (struct fws_event){conn->handle, user, ready, conn->error};
        }
        conn->told = ready;
    }
    return count;
}

int64_t fws_ready(struct fws_host *host, fws_handle handle)
{
    const struct fake_conn *conn = by_handle(host, handle);
    return conn ? (int64_t)readiness(host, conn) : -EBADF;
}

static void fill_info(const struct fws_host *host, const struct fake_conn *conn,
                      struct fws_info *info)
{
    bool lies = host->bug == FAKE_STATE_LIES && conn->state == FWS_STATE_CLOSE_WAIT;
    size_t size = info->size;
    *info = (struct fws_info){.size = size,
                              .state = lies ? FWS_STATE_FIN_WAIT_2 : conn->state,
                              .snd_una = conn->snd_una,
                              .snd_nxt = conn->snd_max,
                              .snd_wnd = conn->snd_wnd,
                              .rcv_nxt = conn->rcv_nxt,
                              .rcv_wnd = conn->edge - conn->rcv_nxt,
                              .error = conn->error,
                              .send_queued = conn->send_count,
                              .receive_queued = conn->recv_count,
                              .expires_ns = conn->timer_ns};
    info->local.addr.version = 4;
    info->remote.addr.version = 4;
    packet_put32(info->local.addr.bytes, conn->local);
    packet_put32(info->remote.addr.bytes, conn->remote);
    info->local.port = conn->local_port;
    info->remote.port = conn->remote_port;
}

int fws_info(struct fws_host *host, fws_handle handle, struct fws_info *info)
{
    const struct fake_conn *conn = by_handle(host, handle);
    if (!conn) {
        return -EBADF;
    }
    fill_info(host, conn, info);
    return 0;
}

int fws_info_by_tuple(struct fws_host *host, const struct fws_endpoint *local,
                      const struct fws_endpoint *remote, struct fws_info *info)
{
    struct fake_tuple tuple = {.local = packet_get32(local->addr.bytes),
                               .remote = packet_get32(remote->addr.bytes),
                               .local_port = local->port,
                               .remote_port = remote->port};
    const struct fake_conn *conn = fake_find(host, &tuple);
    if (!conn) {
        return -ENOENT;
    }
    fill_info(host, conn, info);
    return 0;
}

void fws_census(const struct fws_host *host, struct fws_census *census)
{
    size_t size = census->size;
    *census = (struct fws_census){.size = size, .memory_bytes = host->memory_bytes};
    for (uint32_t i = 0; i < host->conn_count; i++) {
        const struct fake_conn *conn = &host->conns[i];
        if (conn->used) {
            census->states[conn->state]++;
            census->timers_armed += conn->timer_ns != UINT64_MAX;
            census->live_records += conn->state != FWS_STATE_TIME_WAIT;
            census->time_wait_records += conn->state == FWS_STATE_TIME_WAIT;
            census->index_entries += conn->state != FWS_STATE_CLOSED;
            census->buffer_bytes += conn->send_count + conn->recv_count;
        }
    }
    for (uint32_t i = 0; i < 8; i++) {
        census->states[FWS_STATE_LISTEN] += host->listeners[i].used;
    }
    census->timers_armed += host->bug == FAKE_TIMER_LEFT;
    census->index_entries += host->bug == FAKE_CENSUS_SUM && host->sent > 40;
    memcpy(census->transitions, host->transitions, sizeof(census->transitions));
}

size_t fws_counters(const struct fws_host *host, struct fws_counter *counters, size_t max)
{
    if (max > 0) {
        uint64_t left_out = host->bug == FAKE_COUNTS_SHORT ? host->sent / 40 : 0;
        counters[0] = (struct fws_counter){"segments_sent", "segments sent", host->sent - left_out};
    }
    return 1;
}
