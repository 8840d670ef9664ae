/* Connections of the io_uring engine: connected, shut down, closed. Set-up is in uring_setup.c,
 * data in uring_data.c. */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "transport/uring_engine.h"

/* state_allowed[from][to] */
static const bool state_allowed[4][4] = {
    [URING_CONN_SETUP] =
        {[URING_CONN_CONNECTING] = true, [URING_CONN_OPEN] = true, [URING_CONN_CLOSING] = true},
    [URING_CONN_CONNECTING] = {[URING_CONN_OPEN] = true, [URING_CONN_CLOSING] = true},
    [URING_CONN_OPEN] = {[URING_CONN_CLOSING] = true},
};

void uring_conn_state_set(struct uring_conn *conn, enum uring_conn_state state)
{
    ASSERT(state_allowed[conn->state][state]);
    conn->state = state;
}

struct io_uring_sqe *uring_conn_sqe(struct uring_engine *engine, struct uring_conn *conn)
{
    conn->pending++;
    return uring_sqe(&uring_conn_ring(engine, conn)->uring);
}

void uring_conn_sqe_set(struct io_uring_sqe *sqe, const struct uring_conn *conn, enum uring_op op)
{
    io_uring_sqe_set_data64(sqe, uring_user_data(op, conn->head.handle));
    if (conn->direct) {
        sqe->flags |= IOSQE_FIXED_FILE;
    }
}

void uring_conn_init(struct uring_conn *conn, uint32_t ring,
                     const struct transport_conn_options *options)
{
    conn->ring = (uint8_t)ring;
    conn->options = *options;
    conn->how = options->close_how;
    conn->pull = options->pull;
    conn->queue_first = URING_QUEUE_END;
}

static void cancel_issue(struct uring_engine *engine, struct uring_conn *conn, enum uring_op op)
{
    struct io_uring_sqe *sqe = uring_conn_sqe(engine, conn);
    io_uring_prep_cancel64(sqe, uring_user_data(op, conn->head.handle), 0);
    io_uring_sqe_set_data64(sqe, uring_user_data(URING_OP_CANCEL, conn->head.handle));
}

/* Queues close(), and before it the end of what still waits in the kernel: a pending operation
 * would hold the socket open. Each is named by its user data, which the kernel finds by hash: a
 * cancel by descriptor walks everything that is armed, 0.2 ms for each close among 18,000. */
static void close_issue(struct uring_engine *engine, struct uring_conn *conn)
{
    if (conn->connecting) {
        cancel_issue(engine, conn, URING_OP_CONNECT);
    }
    if (conn->sending) {
        cancel_issue(engine, conn, URING_OP_SEND);
    }
    if (conn->recv_armed) {
        cancel_issue(engine, conn, URING_OP_RECV);
    }
    struct io_uring_sqe *sqe = uring_conn_sqe(engine, conn);
    if (conn->direct) {
        io_uring_prep_close_direct(sqe, (unsigned)conn->file);
    } else {
        io_uring_prep_close(sqe, conn->file);
    }
    io_uring_sqe_set_data64(sqe, uring_user_data(URING_OP_CLOSE, conn->head.handle));
}

/* Sets the options that make close() act as asked for, where the socket was set up for another way.
 */
static void close_how_set(struct uring_engine *engine, struct uring_conn *conn,
                          enum transport_close_how how)
{
    struct socket_option list[SOCKET_OPTIONS_MAX];
    size_t count = socket_change_options(conn->how, how, list);
    /* After both FINs the kernel's TIME_WAIT stands, whatever is asked for now. After a failure
     * there is none. */
    if (how != TRANSPORT_CLOSE_PLAIN && conn->shut_done && conn->peer_fin && !conn->head.failed) {
        ENGINE_COUNT(&engine->head, close_how_unavailable);
        return;
    }
    if (count == 0) {
        return;
    }
    if (!conn->direct) {
        ENGINE_COUNT(&engine->head, syscalls);
        if (socket_change_close_how(conn->file, conn->how, how) != 0) {
            ENGINE_COUNT(&engine->head, close_how_unavailable);
        }
        return;
    }
    if (!uring_has(engine, URING_FEATURE_SETSOCKOPT_OP)) {
        ENGINE_COUNT(&engine->head, close_how_unavailable);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        struct io_uring_sqe *sqe = uring_conn_sqe(engine, conn);
        uring_prep_setsockopt(sqe, conn->file, &list[i]);
        uring_conn_sqe_set(sqe, conn, URING_OP_CANCEL);
    }
}

/* Begins the close, once nothing of the set-up is in the kernel any more. */
static void close_start(struct uring_engine *engine, struct uring_conn *conn)
{
    conn->close_started = true;
    uring_data_stop(engine, conn);
    if (conn->has_file) {
        close_how_set(engine, conn, conn->how_wanted);
        close_issue(engine, conn);
        return;
    }
    /* There is no file to close; CLOSED still has to come from a completion, never from this call.
     */
    struct io_uring_sqe *sqe = uring_conn_sqe(engine, conn);
    io_uring_prep_nop(sqe);
    io_uring_sqe_set_data64(sqe, uring_user_data(URING_OP_CLOSE, conn->head.handle));
}

void uring_close_conn(struct transport *transport, struct transport_conn *base,
                      enum transport_close_how how)
{
    struct uring_engine *engine = uring_engine_of(transport);
    struct uring_conn *conn = (struct uring_conn *)base;
    bool in_setup = conn->state == URING_CONN_SETUP && (conn->pending != 0 || conn->deferred);
    uring_conn_state_set(conn, URING_CONN_CLOSING);
    conn->how_wanted = how;
    /* A shutdown in the ring is handed to a thread that looks the file up by its slot only when it
     * runs: after a close it would find, and shut down, whichever connection has the slot then. One
     * that waits for the turn's end is on the engine's list. */
    if (!in_setup && !conn->shut_pending) {
        close_start(engine, conn);
    }
}

void uring_conn_settle(struct uring_engine *engine, struct uring_conn *conn)
{
    if (conn->state != URING_CONN_CLOSING || conn->pending != 0) {
        return;
    }
    if (!conn->close_started) {
        close_start(engine, conn);
        return;
    }
    ASSERT(conn->closed);
    ASSERT(conn->queue_first == URING_QUEUE_END);
    engine_closed(&engine->head, &conn->head, conn->closed_ns, conn->error);
}

void uring_on_connect(struct uring_engine *engine, struct uring_conn *conn, int result)
{
    conn->pending--;
    conn->connecting = false;
    if (conn->state == URING_CONN_CLOSING) {
        uring_conn_settle(engine, conn);
    } else if (result < 0) {
        engine_failed(&engine->head, &conn->head, TRANSPORT_PHASE_CONNECT, -result);
    } else {
        uring_conn_state_set(conn, URING_CONN_OPEN);
        conn->recv_dry = true; /* a peer that speaks first has hardly seen us yet */
        engine_event(&engine->head, &conn->head, TRANSPORT_CONNECTED);
        uring_send_next(engine, conn);
        /* After the handler, so that its first send is on its way before the receive is armed. */
        uring_recv_arm(engine, conn);
        conn->recv_dry = false;
    }
}

/* A ring hands every shutdown to a worker thread of the kernel's, which costs more than the call.
 * Calls wait for the turn's end and are made in one go, so that a peer that sleeps on another
 * processor is woken once for many FINs. */
static void shutdown_defer(struct uring_engine *engine, struct uring_conn *conn)
{
    conn->pending++;
    conn->deferred_next = SLAB_HANDLE_NONE;
    struct uring_conn *last = slab_get(&engine->head.conns, engine->shut_last);
    if (engine->shut_first != SLAB_HANDLE_NONE) {
        ASSERT(last != NULL);
        last->deferred_next = conn->head.handle;
    } else {
        engine->shut_first = conn->head.handle;
    }
    engine->shut_last = conn->head.handle;
}

bool uring_shutdown_deferred(struct uring_engine *engine)
{
    bool failed = false;
    uint64_t last = engine->shut_last;
    uint64_t handle = engine->shut_first;
    while (handle != SLAB_HANDLE_NONE) {
        struct uring_conn *conn = slab_get(&engine->head.conns, handle);
        bool is_last = handle == last; /* what a handler adds meanwhile waits for the next poll */
        engine->shut_first = conn->deferred_next;
        handle = is_last ? SLAB_HANDLE_NONE : conn->deferred_next;
        ENGINE_COUNT(&engine->head, syscalls);
        int rc = shutdown(conn->file, SHUT_WR) == 0 ? 0 : -errno;
        failed = failed || rc != 0;
        uring_on_shutdown(engine, conn, rc);
    }
    return failed;
}

void uring_shutdown_issue(struct uring_engine *engine, struct uring_conn *conn)
{
    conn->shut_done = true;
    conn->shut_pending = true;
    if (!conn->direct) {
        shutdown_defer(engine, conn);
        return;
    }
    struct io_uring_sqe *sqe = uring_conn_sqe(engine, conn);
    io_uring_prep_shutdown(sqe, conn->file, SHUT_WR);
    uring_conn_sqe_set(sqe, conn, URING_OP_SHUTDOWN);
}

void uring_shutdown_write(struct transport *transport, struct transport_conn *base)
{
    struct uring_engine *engine = uring_engine_of(transport);
    struct uring_conn *conn = (struct uring_conn *)base;
    if (conn->shut) {
        return;
    }
    conn->shut = true;
    if (conn->state == URING_CONN_OPEN && conn->queue_first == URING_QUEUE_END && !conn->sending) {
        uring_shutdown_issue(engine, conn);
    }
}

void uring_on_shutdown(struct uring_engine *engine, struct uring_conn *conn, int result)
{
    conn->pending--;
    conn->shut_pending = false;
    if (result < 0) {
        engine_failed(&engine->head, &conn->head, TRANSPORT_PHASE_SHUTDOWN, -result);
    }
    if (conn->state == URING_CONN_CLOSING && !conn->close_started) {
        close_start(engine, conn);
        return;
    }
    uring_conn_settle(engine, conn);
}

void uring_on_close(struct uring_engine *engine, struct uring_conn *conn, int result)
{
    conn->pending--;
    conn->closed = true;
    conn->closed_ns = engine->head.now_ns;
    conn->error = result < 0 ? -result : 0;
    if (conn->direct) {
        uring_slot_give(uring_conn_ring(engine, conn), conn->file);
    } else if (conn->has_file) {
        engine->plain_count--;
    }
    engine->accept_short = engine->accept_short || engine->listener_count != 0;
    engine->accept_retry_ns = 0;
    uring_conn_settle(engine, conn);
}
