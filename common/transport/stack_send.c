/* The stack engine's sending half of a connection: a queue of lent buffers and of the caller's
 * memory, copied into the host's send buffer at once where it has room, else when FWS_WRITABLE
 * comes. */
#include <errno.h>

#include "base/assert.h"
#include "transport/stack_engine.h"

void stack_conn_put_buffer(struct stack_engine *engine, struct stack_conn *conn,
                           struct epoll_buffer *buffer)
{
    epoll_pool_put(&engine->pool, buffer);
    ASSERT(conn->held > 0);
    conn->held--;
    if (conn->paused) {
        conn->paused = false;
        stack_conn_enqueue(engine, conn);
    }
}

static void send_finish(struct stack_engine *engine, struct stack_conn *conn,
                        struct epoll_send *send)
{
    if (send == &conn->memory) {
        conn->memory_pending = false;
    } else {
        stack_conn_put_buffer(engine, conn, epoll_pool_find(&engine->pool, send->buffer_id));
    }
}

static void drop_list(struct stack_engine *engine, struct stack_conn *conn, struct epoll_send *send)
{
    while (send != NULL) {
        struct epoll_send *next = send->next;
        send_finish(engine, conn, send);
        send = next;
    }
}

void stack_conn_drop_unsent(struct stack_engine *engine, struct stack_conn *conn)
{
    struct epoll_send **link = &conn->sends;
    while (*link != conn->unsent) {
        conn->last = *link;
        link = &(*link)->next;
    }
    struct epoll_send *unsent = conn->unsent;
    *link = NULL;
    conn->unsent = NULL;
    drop_list(engine, conn, unsent);
}

void stack_conn_drop_sends(struct stack_engine *engine, struct stack_conn *conn)
{
    struct epoll_send *sends = conn->sends;
    conn->sends = NULL;
    conn->unsent = NULL;
    drop_list(engine, conn, sends);
}

void stack_conn_deliver_sent(struct stack_engine *engine, struct stack_conn *conn)
{
    struct epoll_send *send = conn->sends;
    uint64_t bytes = send->bytes;
    conn->sends = send->next;
    send_finish(engine, conn, send);
    engine_sent(&engine->base, &conn->base, bytes);
}

/* Hands the first unsent piece to the host, or as much of it as `bytes_max` says. What it takes
 * only in part has filled its buffer: asked again it says so, and FWS_WRITABLE will come. */
static void send_some(struct stack_engine *engine, struct stack_conn *conn, uint64_t bytes_max)
{
    struct epoll_send *send = conn->unsent;
    uint64_t bytes = send->left_bytes < bytes_max ? send->left_bytes : bytes_max;
    int64_t sent = fws_send(engine->host, conn->tcp, send->data, bytes, 0);
    if (sent == -EAGAIN) {
        conn->blocked = true;
        return;
    }
    if (sent < 0) {
        stack_conn_fail(engine, conn, TRANSPORT_PHASE_SEND, (int)-sent);
        return;
    }
    send->data += sent;
    send->left_bytes -= (uint64_t)sent;
    conn->run_sent_bytes += (uint32_t)sent;
    if (send->left_bytes == 0) {
        conn->unsent = send->next;
    }
}

static void shut_down(struct stack_engine *engine, struct stack_conn *conn)
{
    conn->shut_done = true;
    if (fws_shutdown(engine->host, conn->tcp) == 0) {
        return;
    }
    /* -ENOTCONN: a reset came in meanwhile, or retransmissions ended; the host knows which. */
    struct fws_info info = {.size = sizeof(info)};
    int error = ENOTCONN;
    if (fws_info(engine->host, conn->tcp, &info) == 0 && info.error != 0) {
        error = -info.error;
    }
    stack_conn_fail(engine, conn, TRANSPORT_PHASE_SHUTDOWN, error);
}

void stack_conn_flush(struct stack_engine *engine, struct stack_conn *conn)
{
    while (conn->unsent != NULL && !conn->blocked &&
           conn->run_sent_bytes < STACK_SEND_BYTES_PER_RUN) {
        send_some(engine, conn, STACK_SEND_BYTES_PER_RUN - conn->run_sent_bytes);
    }
    if (conn->state == STACK_CONN_OPEN && conn->unsent == NULL && conn->shut_wanted &&
        !conn->shut_done) {
        shut_down(engine, conn);
    }
}

/* Puts a send at the queue's end; the first one goes to the host at once. */
static void send_append(struct stack_engine *engine, struct stack_conn *conn,
                        struct epoll_send *send)
{
    send->next = NULL;
    send->left_bytes = send->bytes;
    if (conn->sends == NULL) {
        conn->sends = send;
    } else {
        conn->last->next = send;
    }
    conn->last = send;
    if (conn->unsent == NULL) {
        conn->unsent = send;
        if (conn->state == STACK_CONN_OPEN) {
            stack_conn_flush(engine, conn);
            stack_conn_enqueue(engine, conn);
        }
    }
}

int stack_conn_send(struct transport *transport, struct transport_conn *head, const void *data,
                    uint64_t bytes)
{
    struct stack_conn *conn = stack_conn_of(head);
    if (conn->shut_wanted) {
        return -EPIPE;
    }
    if (conn->state < STACK_CONN_OPEN) {
        return -ENOTCONN;
    }
    if (conn->memory_pending) {
        return -EBUSY;
    }
    if (conn->state == STACK_CONN_FAILED) {
        return conn->failed_due ? 0 : -EPIPE;
    }
    conn->memory_pending = true;
    conn->memory =
        (struct epoll_send){.data = data, .bytes = bytes, .buffer_id = EPOLL_SEND_MEMORY};
    send_append(stack_engine_of(transport), conn, &conn->memory);
    return 0;
}

int stack_conn_send_buffer(struct transport *transport, struct transport_conn *head,
                           const struct transport_buffer *lent)
{
    struct stack_conn *conn = stack_conn_of(head);
    struct stack_engine *engine = stack_engine_of(transport);
    if (conn->shut_wanted || conn->state == STACK_CONN_FAILED) {
        stack_conn_buffer_release(transport, head, lent);
        return conn->failed_due && !conn->shut_wanted ? 0 : -EPIPE;
    }
    struct epoll_buffer *buffer = epoll_pool_find(&engine->pool, lent->id);
    ASSERT(buffer->state == EPOLL_BUFFER_LENT);
    ASSERT(lent->size > 0 && lent->size <= engine->pool.buffer_bytes);
    buffer->state = EPOLL_BUFFER_SENDING;
    buffer->send.data = lent->data;
    buffer->send.bytes = lent->size;
    send_append(engine, conn, &buffer->send);
    return 0;
}

void stack_conn_shutdown_write(struct transport *transport, struct transport_conn *head)
{
    struct stack_engine *engine = stack_engine_of(transport);
    struct stack_conn *conn = stack_conn_of(head);
    conn->shut_wanted = true;
    if (conn->state == STACK_CONN_OPEN && conn->unsent == NULL) {
        stack_conn_flush(engine, conn);
        stack_conn_enqueue(engine, conn);
    }
}
