/* The fake host's records: see fake.h.
 *
 * Layer: tests. */
#include "sim/fake.h"

void fake_move(struct fws_host *host, struct fake_conn *conn, enum fws_state state)
{
    host->transitions[conn->state][state]++;
    conn->state = state;
}

struct fake_conn *fake_find(struct fws_host *host, const struct fake_tuple *tuple)
{
    for (uint32_t i = 0; i < host->conn_count; i++) {
        struct fake_conn *conn = &host->conns[i];
        if (conn->used && conn->state != FWS_STATE_CLOSED && conn->remote == tuple->remote &&
            conn->remote_port == tuple->remote_port && conn->local == tuple->local &&
            conn->local_port == tuple->local_port) {
            return conn;
        }
    }
    return NULL;
}

static void *take(struct fws_host *host, size_t bytes)
{
    host->memory_bytes += bytes;
    return host->config.allocator.allocate(host->config.allocator.context, bytes);
}

/* Tells whether as many records are in TIME_WAIT, or are not, as the limit lets. */
bool fake_is_full(const struct fws_host *host, bool in_time_wait, uint32_t limit)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < host->conn_count; i++) {
        const struct fake_conn *conn = &host->conns[i];
        count += conn->used && (conn->state == FWS_STATE_TIME_WAIT) == in_time_wait;
    }
    return limit != 0 && count >= limit && host->bug != FAKE_NO_LIMITS;
}

struct fake_conn *fake_conn_new(struct fws_host *host)
{
    uint32_t index = 0;
    while (index < host->conn_count && host->conns[index].used) {
        index++;
    }
    if (index == FAKE_CONNS || fake_is_full(host, false, host->config.live_max)) {
        return NULL;
    }
    host->conn_count = index == host->conn_count ? index + 1 : host->conn_count;
    struct fake_conn *conn = &host->conns[index];
    *conn = (struct fake_conn){.used = true, .state = FWS_STATE_CLOSED, .timer_ns = UINT64_MAX};
    conn->handle = (++host->generation << 16) | (index + 1);
    conn->send = take(host, FAKE_BUFFER);
    conn->recv = take(host, FAKE_BUFFER);
    /* RFC 6528 without the hash: the clock alone, so that incarnations follow each other. */
    conn->iss = (uint32_t)(host->now_ns / 4000) + host->config.iss_offset +
                (uint32_t)host->generation * 65536;
    conn->snd_una = conn->snd_nxt = conn->snd_max = conn->iss;
    conn->send_first = conn->iss + 1;
    return conn;
}

static void give_back(struct fws_host *host, uint8_t **buffer)
{
    if (*buffer) {
        host->memory_bytes -= FAKE_BUFFER;
        host->config.allocator.release(host->config.allocator.context, *buffer, FAKE_BUFFER);
        *buffer = NULL;
    }
}

/* Ends the wire's part; the slot stays while the application holds the handle. */
void fake_free(struct fws_host *host, struct fake_conn *conn)
{
    if (host->bug == FAKE_KEEP_RECORD && host->generation % 7 == 0) {
        conn->held = false;
        return;
    }
    if (conn->state != FWS_STATE_CLOSED) {
        bool is_passive = conn->listener && conn->state == FWS_STATE_SYN_RECEIVED;
        fake_move(host, conn, is_passive ? FWS_STATE_LISTEN : FWS_STATE_CLOSED);
    }
    conn->state = FWS_STATE_CLOSED;
    conn->timer_ns = UINT64_MAX;
    if (conn->held) {
        return;
    }
    if (host->bug == FAKE_LEAK && host->generation % 5 == 0) {
        conn->send = NULL;
    }
    give_back(host, &conn->send);
    give_back(host, &conn->recv);
    conn->used = false;
}
