#include "transport/ready.h"

#include <errno.h>

#include "base/assert.h"

void ready_init(struct ready_engine *engine)
{
    buffer_pool_init(&engine->pool, engine->base.config.buffer_bytes);
    engine->retry_ns = CLOCK_NEVER;
}

static void list_append(struct ready_list *list, struct ready_conn *conn)
{
    ASSERT(!conn->listed);
    conn->listed = true;
    conn->next = NULL;
    if (list->head == NULL) {
        list->head = conn;
    } else {
        list->tail->next = conn;
    }
    list->tail = conn;
}

struct ready_conn *ready_list_pop(struct ready_list *list)
{
    struct ready_conn *conn = list->head;
    if (conn != NULL) {
        list->head = conn->next;
        conn->listed = false;
    }
    return conn;
}

/* Moves a whole list to the end of another. */
static void list_splice(struct ready_list *to, struct ready_list *from)
{
    if (from->head == NULL) {
        return;
    }
    if (to->head == NULL) {
        to->head = from->head;
    } else {
        to->tail->next = from->head;
    }
    to->tail = from->tail;
    from->head = NULL;
}

void ready_enqueue(struct ready_engine *engine, struct ready_conn *conn)
{
    if (engine->running != conn && !conn->listed) {
        list_append(&engine->queue, conn);
    }
}

void ready_queue_leftovers(struct ready_engine *engine, uint64_t now_ns)
{
    list_splice(&engine->queue, &engine->later);
    if (engine->retry_ns <= now_ns) {
        engine->retry_ns = CLOCK_NEVER;
        engine->accept_paused = false;
        list_splice(&engine->queue, &engine->starved);
    }
}

void ready_retry_soon(struct ready_engine *engine)
{
    if (engine->retry_ns == CLOCK_NEVER) {
        engine->retry_ns = engine->base.now_ns + READY_RETRY_NS;
    }
}

void ready_accept_pause(struct ready_engine *engine)
{
    engine->accept_paused = true;
    ENGINE_COUNT(&engine->base, accept_paused);
}

bool ready_accept_begin(struct ready_engine *engine)
{
    if (engine->base.conns.live_count >= engine->base.config.conns_max) {
        ready_accept_pause(engine);
        return false;
    }
    if (!engine_place_take(&engine->base)) {
        /* A close of another worker's frees a place as well, and tells us nothing. */
        ready_accept_pause(engine);
        ready_retry_soon(engine);
        return false;
    }
    return true;
}

#define STATE_BIT(state) (1u << READY_##state)

void ready_become(struct ready_conn *conn, enum ready_state state)
{
    static const uint8_t after[] = {
        [READY_SETUP] = STATE_BIT(CONNECTING) | STATE_BIT(DEFERRED) | STATE_BIT(OPEN) |
                        STATE_BIT(FAILED) | STATE_BIT(CLOSED),
        [READY_CONNECTING] = STATE_BIT(OPEN) | STATE_BIT(FAILED) | STATE_BIT(CLOSED),
        [READY_DEFERRED] = STATE_BIT(OPEN) | STATE_BIT(CLOSED),
        [READY_OPEN] = STATE_BIT(FAILED) | STATE_BIT(CLOSED),
        [READY_FAILED] = STATE_BIT(CLOSED),
        [READY_CLOSED] = 0,
    };
    ASSERT(after[conn->state] & 1u << state);
    conn->state = (uint8_t)state;
}

/* Gives a buffer back, and with it a piece of the connection's credit. */
static void put_buffer(struct ready_engine *engine, struct ready_conn *conn,
                       struct pool_buffer *buffer)
{
    buffer_pool_put(&engine->pool, buffer);
    ASSERT(conn->held > 0);
    conn->held--;
    if (conn->paused) {
        conn->paused = false;
        ready_enqueue(engine, conn);
    }
}

static void piece_finish(struct ready_engine *engine, struct ready_conn *conn,
                         const struct send_piece *piece)
{
    if (piece == &conn->memory) {
        conn->memory_pending = false;
    } else {
        put_buffer(engine, conn, buffer_pool_find(&engine->pool, piece->buffer_id));
    }
}

static void pieces_drop(struct ready_engine *engine, struct ready_conn *conn,
                        const struct send_piece *piece)
{
    while (piece != NULL) {
        const struct send_piece *next = piece->next;
        piece_finish(engine, conn, piece);
        piece = next;
    }
}

void ready_fail(struct ready_engine *engine, struct ready_conn *conn, enum transport_phase phase,
                int error)
{
    ready_become(conn, READY_FAILED);
    conn->phase = (uint8_t)phase;
    conn->error = error;
    conn->failed_due = true;
    pieces_drop(engine, conn, send_queue_cut_unsent(&conn->sends));
    ready_enqueue(engine, conn);
}

void ready_run_begin(struct ready_engine *engine, struct ready_conn *conn)
{
    ASSERT(!conn->listed);
    engine->running = conn;
    conn->run_sent_bytes = 0;
    conn->starved = false;
}

bool ready_deliver(struct ready_engine *engine, struct ready_conn *conn)
{
    if (send_queue_has_sent(&conn->sends)) {
        const struct send_piece *piece = send_queue_shift(&conn->sends);
        uint64_t bytes = piece->bytes;
        piece_finish(engine, conn, piece);
        engine_sent(&engine->base, &conn->base, bytes);
        return true;
    }
    if (conn->failed_due) {
        conn->failed_due = false;
        engine_failed(&engine->base, &conn->base, conn->phase, conn->error);
        return true;
    }
    return false;
}

struct pool_buffer *ready_receive_buffer(struct ready_engine *engine, struct ready_conn *conn)
{
    struct pool_buffer *buffer = buffer_pool_take(&engine->pool);
    if (buffer == NULL) {
        ENGINE_COUNT(&engine->base, buffers_short);
        conn->starved = true;
    }
    return buffer;
}

void ready_receive_data(struct ready_engine *engine, struct ready_conn *conn,
                        struct pool_buffer *buffer, uint32_t bytes)
{
    conn->asked = false;
    conn->held++;
    struct transport_buffer lent = {
        .data = buffer->bytes, .size = bytes, .id = buffer->piece.buffer_id};
    bool delivered = engine_data(&engine->base, &conn->base, &lent);
    ASSERT(delivered);
}

void ready_receive_fin(struct ready_engine *engine, struct ready_conn *conn)
{
    conn->fin_due = false;
    conn->fin_done = true;
    conn->asked = false;
    engine_event(&engine->base, &conn->base, TRANSPORT_PEER_FIN);
}

/* Counts a connection that would receive and may not. */
static void note_pause(struct ready_engine *engine, struct ready_conn *conn)
{
    if (conn->readable && !conn->fin_done && !conn->paused &&
        conn->held >= engine->base.config.read_credit) {
        conn->paused = true;
        ENGINE_COUNT(&engine->base, credit_paused);
    }
}

static bool has_more(const struct ready_engine *engine, const struct ready_conn *conn)
{
    return conn->news != 0 || conn->failed_due || send_queue_has_sent(&conn->sends) ||
           (ready_may_flush(conn) && conn->sends.unsent != NULL) || ready_can_receive(engine, conn);
}

void ready_run_end(struct ready_engine *engine, struct ready_conn *conn)
{
    engine->running = NULL;
    if (conn->base.closing) {
        engine->accept_paused = false;
        engine_closed(&engine->base, &conn->base, conn->closed_ns, conn->error);
        return;
    }
    note_pause(engine, conn);
    if (conn->starved) {
        list_append(&engine->starved, conn);
        ready_retry_soon(engine);
    } else if (has_more(engine, conn)) {
        list_append(&engine->later, conn);
    }
}

int ready_send(struct ready_conn *conn, const void *data, uint64_t bytes)
{
    if (conn->shut_wanted) {
        return -EPIPE;
    }
    if (conn->state < READY_OPEN) {
        return -ENOTCONN;
    }
    if (conn->memory_pending) {
        return -EBUSY;
    }
    if (conn->state == READY_FAILED) {
        return conn->failed_due ? 0 : -EPIPE;
    }
    conn->memory_pending = true;
    conn->memory.buffer_id = SEND_PIECE_MEMORY;
    send_queue_append(&conn->sends, &conn->memory, data, bytes);
    return 0;
}

int ready_send_buffer(struct ready_engine *engine, struct ready_conn *conn,
                      const struct transport_buffer *lent)
{
    if (conn->shut_wanted || conn->state == READY_FAILED) {
        ready_buffer_release(&engine->base, &conn->base, lent);
        return conn->failed_due && !conn->shut_wanted ? 0 : -EPIPE;
    }
    struct pool_buffer *buffer = buffer_pool_find(&engine->pool, lent->id);
    ASSERT(buffer->state == POOL_BUFFER_LENT);
    ASSERT(lent->size > 0 && lent->size <= engine->pool.buffer_bytes);
    buffer->state = POOL_BUFFER_SENDING;
    send_queue_append(&conn->sends, &buffer->piece, lent->data, lent->size);
    return 0;
}

void ready_closed(struct ready_engine *engine, struct ready_conn *conn, int error)
{
    conn->closed_ns = clock_now_ns();
    pieces_drop(engine, conn, send_queue_cut_all(&conn->sends));
    conn->paused = false; /* buffers that come back from now on resume nothing */
    conn->error = error;
    ready_become(conn, READY_CLOSED);
    ready_enqueue(engine, conn);
}

void ready_buffer_release(struct transport *transport, struct transport_conn *head,
                          const struct transport_buffer *lent)
{
    struct ready_engine *engine = ready_engine_of(transport);
    struct pool_buffer *buffer = buffer_pool_find(&engine->pool, lent->id);
    ASSERT(buffer->state == POOL_BUFFER_LENT);
    if (head != NULL) {
        put_buffer(engine, ready_conn_of(head), buffer);
    } else {
        buffer_pool_put(&engine->pool, buffer);
    }
}

void ready_recv(struct transport *transport, struct transport_conn *head)
{
    struct ready_conn *conn = ready_conn_of(head);
    conn->asked = true;
    if (conn->readable || conn->fin_due) {
        ready_enqueue(ready_engine_of(transport), conn);
    }
}
