/* The stack engine's sending half of a connection: a queue of lent buffers and of the caller's
 * memory, copied into the host's send buffer at once where it has room, else when FWS_WRITABLE
 * comes. */
#include <errno.h>

#include "base/assert.h"
#include "transport/stack_engine.h"

/* Hands the first unsent piece to the host, or as much of it as `bytes_max` says. What it takes
 * only in part has filled its buffer: asked again it says so, and FWS_WRITABLE will come. */
static void send_some(struct stack_engine *engine, struct stack_conn *conn, uint64_t bytes_max)
{
    const struct send_piece *piece = conn->io.sends.unsent;
    uint64_t bytes = piece->left_bytes < bytes_max ? piece->left_bytes : bytes_max;
    int64_t sent = fws_send(engine->host, conn->tcp, piece->data, bytes, 0);
    if (sent == -EAGAIN) {
        conn->io.blocked = true;
        return;
    }
    if (sent < 0) {
        ready_fail(&engine->ready, &conn->io, TRANSPORT_PHASE_SEND, (int)-sent);
        return;
    }
    send_queue_consume(&conn->io.sends, (uint64_t)sent);
    conn->io.run_sent_bytes += (uint32_t)sent;
}

static void shut_down(struct stack_engine *engine, struct stack_conn *conn)
{
    conn->io.shut_done = true;
    if (fws_shutdown(engine->host, conn->tcp) == 0) {
        return;
    }
    /* -ENOTCONN: a reset came in meanwhile, or retransmissions ended; the host knows which. */
    struct fws_info info = {.size = sizeof(info)};
    int error = ENOTCONN;
    if (fws_info(engine->host, conn->tcp, &info) == 0 && info.error != 0) {
        error = -info.error;
    }
    ready_fail(&engine->ready, &conn->io, TRANSPORT_PHASE_SHUTDOWN, error);
}

void stack_conn_flush(struct stack_engine *engine, struct stack_conn *conn)
{
    while (ready_has_unsent(&conn->io)) {
        send_some(engine, conn, READY_SEND_BYTES_PER_RUN - conn->io.run_sent_bytes);
    }
    if (ready_shut_due(&conn->io)) {
        shut_down(engine, conn);
    }
}

/* Hands over what a call just added; what comes of it is delivered when the connection is run. */
static void flush_now(struct stack_engine *engine, struct stack_conn *conn)
{
    if (ready_may_flush(&conn->io)) {
        stack_conn_flush(engine, conn);
        ready_enqueue(&engine->ready, &conn->io);
    }
}

int stack_conn_send(struct transport *transport, struct transport_conn *head, const void *data,
                    uint64_t bytes)
{
    struct stack_conn *conn = stack_conn_of(head);
    int rc = ready_send(&conn->io, data, bytes);
    if (rc == 0) {
        flush_now(stack_engine_of(transport), conn);
    }
    return rc;
}

int stack_conn_send_buffer(struct transport *transport, struct transport_conn *head,
                           const struct transport_buffer *lent)
{
    struct stack_engine *engine = stack_engine_of(transport);
    struct stack_conn *conn = stack_conn_of(head);
    int rc = ready_send_buffer(&engine->ready, &conn->io, lent);
    if (rc == 0) {
        flush_now(engine, conn);
    }
    return rc;
}

void stack_conn_shutdown_write(struct transport *transport, struct transport_conn *head)
{
    struct stack_conn *conn = stack_conn_of(head);
    conn->io.shut_wanted = true;
    flush_now(stack_engine_of(transport), conn);
}
