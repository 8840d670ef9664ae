/* The epoll engine's connections: opening, receiving, failing and closing them, one step at a time.
 */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "transport/epoll_engine.h"
#include "transport/socket.h"

/* EPOLLPRI is there to learn of urgent data: a receive stops at its mark, short but not drained. */
#define CONN_EDGES (EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI | EPOLLET)

/* Tells the errors of setting up that transport_connect returns: they are the process's state, not
 * the connection's. */
static bool is_shortage(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOMEM || error == ENOBUFS ||
           error == EAFNOSUPPORT;
}

int epoll_conn_connect(struct transport *transport, struct transport_conn *head,
                       const struct flow *flow, const struct transport_conn_options *options)
{
    struct epoll_engine *engine = epoll_engine_of(transport);
    struct epoll_conn *conn = epoll_conn_of(head);
    struct socket_option list[SOCKET_OPTIONS_MAX];
    bool bound = flow->source.ip.family != AF_UNSPEC;
    ENGINE_ADD(transport, syscalls, 1u + bound + socket_connect_options(options, bound, list));
    int fd = socket_open_client(flow, options, SOCK_NONBLOCK);
    if (fd < 0 && is_shortage(-fd)) {
        return fd;
    }
    conn->fd = fd < 0 ? -1 : fd;
    conn->target = flow->target;
    conn->io.pull = options->pull;
    conn->io.prepared_how = (uint8_t)options->close_how;
    if (fd < 0) {
        ready_fail(&engine->ready, &conn->io, TRANSPORT_PHASE_SETUP, -fd);
    }
    ready_enqueue(&engine->ready, &conn->io);
    return 0;
}

/* Adds a descriptor to the epoll set, which reports at once what is ready already. */
static void conn_register(struct epoll_engine *engine, struct epoll_conn *conn)
{
    struct epoll_event event = {.events = CONN_EDGES, .data.u64 = conn->io.base.handle};
    ENGINE_COUNT(&engine->base, syscalls);
    if (epoll_ctl(engine->epoll_fd, EPOLL_CTL_ADD, conn->fd, &event) == 0) {
        conn->registered = true;
        return;
    }
    /* ENOMEM, or ENOSPC for fs.epoll.max_user_watches. */
    ready_fail(&engine->ready, &conn->io,
               conn->io.state == READY_CONNECTING ? TRANSPORT_PHASE_CONNECT : TRANSPORT_PHASE_RECV,
               errno);
}

static void conn_connected(struct epoll_engine *engine, struct epoll_conn *conn)
{
    ready_become(&conn->io, READY_OPEN);
    engine_event(&engine->base, &conn->io.base, TRANSPORT_CONNECTED);
}

/* Calls connect, which answers at once only where nothing is sent: with Fast Open, or when it fails
 * on this host. CONNECTING is delivered after the call, so that the handler's own time is not in
 * the phase. */
static void conn_start(struct epoll_engine *engine, struct epoll_conn *conn)
{
    union socket_address target;
    socklen_t length = socket_address_set(&target, &conn->target);
    uint64_t start_ns = clock_now_ns();
    ENGINE_COUNT(&engine->base, syscalls);
    int error = connect(conn->fd, &target.any, length) == 0 ? 0 : errno;
    if (error == EINPROGRESS) {
        ready_become(&conn->io, READY_CONNECTING);
    }
    engine_connecting(&engine->base, &conn->io.base, start_ns);
    if (error == EINPROGRESS || conn->io.base.closing) {
        return;
    }
    if (error == 0) {
        conn_connected(engine, conn);
    } else {
        ready_fail(&engine->ready, &conn->io, TRANSPORT_PHASE_CONNECT, error);
    }
}

/* Learns how connecting ended. */
static void conn_conclude(struct epoll_engine *engine, struct epoll_conn *conn, uint32_t edges)
{
    int error = 0;
    socklen_t length = sizeof(error);
    if (edges & (EPOLLERR | EPOLLHUP)) {
        ENGINE_COUNT(&engine->base, syscalls);
        if (getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0) {
            error = errno;
        }
    } else if (!(edges & EPOLLOUT)) {
        return;
    }
    if (error == 0) {
        conn_connected(engine, conn);
    } else {
        ready_fail(&engine->ready, &conn->io, TRANSPORT_PHASE_CONNECT, error);
    }
}

static void conn_take_edges(struct epoll_engine *engine, struct epoll_conn *conn)
{
    uint32_t edges = conn->io.news;
    conn->io.news = 0;
    if (edges & (EPOLLIN | EPOLLRDHUP | EPOLLERR | EPOLLHUP | EPOLLPRI)) {
        conn->io.readable = true;
    }
    conn->io.peer_shut |= (edges & EPOLLRDHUP) != 0;
    conn->exact |= (edges & (EPOLLERR | EPOLLPRI)) != 0;
    if (conn->io.state == READY_CONNECTING) {
        conn_conclude(engine, conn, edges);
    } else if (conn->io.blocked && (edges & (EPOLLOUT | EPOLLERR | EPOLLHUP))) {
        conn->io.blocked = false;
    }
}

/* Lends `bytes` just received. An edge that came before the receive and told of the FIN, and a
 * receive that left room in its buffer, say together that the FIN is next: no call is needed to be
 * told so. */
static void conn_deliver_data(struct epoll_engine *engine, struct epoll_conn *conn,
                              struct pool_buffer *buffer, uint32_t bytes)
{
    bool drained = bytes < engine->base.config.buffer_bytes && !conn->exact;
    conn->io.readable = !drained;
    conn->io.fin_due = drained && conn->io.peer_shut;
    ready_receive_data(&engine->ready, &conn->io, buffer, bytes);
}

/* Receives once and delivers what came; returns false when nothing did. */
static bool conn_receive(struct epoll_engine *engine, struct epoll_conn *conn)
{
    if (conn->io.fin_due) {
        ready_receive_fin(&engine->ready, &conn->io);
        return true;
    }
    struct pool_buffer *buffer = ready_receive_buffer(&engine->ready, &conn->io);
    if (buffer == NULL) {
        return false;
    }
    ENGINE_COUNT(&engine->base, syscalls);
    ssize_t bytes = recv(conn->fd, buffer->bytes, engine->base.config.buffer_bytes, 0);
    if (bytes > 0) {
        conn_deliver_data(engine, conn, buffer, (uint32_t)bytes);
        return true;
    }
    buffer_pool_put(&engine->ready.pool, buffer);
    if (bytes == 0) {
        ready_receive_fin(&engine->ready, &conn->io);
    } else if (errno == EAGAIN) {
        conn->io.readable = false;
        return false;
    } else if (errno != EINTR) {
        ready_fail(&engine->ready, &conn->io, TRANSPORT_PHASE_RECV, errno);
    }
    return true;
}

/* Delivers one event that is due, sends before failures before data; returns false when none is. */
static bool conn_step(struct epoll_engine *engine, struct epoll_conn *conn)
{
    if (conn->io.base.closing) {
        return false;
    }
    return ready_deliver(&engine->ready, &conn->io) ||
           (ready_can_receive(&engine->ready, &conn->io) && conn_receive(engine, conn));
}

/* A connection is added to the epoll set at the end of its first run, which may have found what
 * needs no waiting for. */
static bool needs_watching(const struct epoll_conn *conn)
{
    return !conn->io.base.closing && !conn->registered &&
           (conn->io.state == READY_CONNECTING || conn->io.state == READY_OPEN);
}

void epoll_conn_run(struct epoll_engine *engine, struct epoll_conn *conn)
{
    ready_run_begin(&engine->ready, &conn->io);
    if (!conn->io.base.closing && conn->io.news != 0) {
        conn_take_edges(engine, conn);
    }
    if (conn->io.state == READY_SETUP) {
        conn_start(engine, conn);
    }
    if (conn->io.state == READY_OPEN) {
        epoll_conn_flush(engine, conn);
    }
    uint32_t steps = 0;
    while (steps < READY_STEPS_PER_RUN && conn_step(engine, conn)) {
        steps++;
    }
    if (needs_watching(conn)) {
        conn_register(engine, conn);
    }
    ready_run_end(&engine->ready, &conn->io);
}

void epoll_conn_accepted(struct epoll_engine *engine, int fd, uint32_t listener)
{
    const struct epoll_listener *from = &engine->listeners[listener];
    struct transport_conn *head = engine_conn_new(&engine->base);
    if (head == NULL) {
        engine_place_give(&engine->base);
        ENGINE_COUNT(&engine->base, accept_no_record);
        ENGINE_COUNT(&engine->base, syscalls);
        close(fd);
        return;
    }
    struct epoll_conn *conn = epoll_conn_of(head);
    conn->fd = fd;
    conn->io.pull = from->conn.pull;
    conn->io.prepared_how = (uint8_t)from->conn.close_how;
    conn->io.readable = from->data_first;
    ready_become(&conn->io, READY_OPEN);
    engine->ready.running = &conn->io;
    engine_accepted(&engine->base, head, listener);
    epoll_conn_run(engine, conn);
}

/* Makes the socket close as asked for where it was prepared otherwise. */
static void conn_change_how(struct epoll_engine *engine, struct epoll_conn *conn,
                            enum transport_close_how how)
{
    /* After both FINs the kernel's TIME_WAIT stands, whatever is asked for now. */
    bool too_late = how != TRANSPORT_CLOSE_PLAIN && conn->io.shut_done && conn->io.fin_done;
    int rc = 0;
    if (how != conn->io.prepared_how) {
        ENGINE_COUNT(&engine->base, syscalls);
        rc = socket_change_close_how(conn->fd, conn->io.prepared_how, how);
    }
    if (rc != 0 || too_late) {
        ENGINE_COUNT(&engine->base, close_how_unavailable);
    }
}

void epoll_conn_close(struct transport *transport, struct transport_conn *head,
                      enum transport_close_how how)
{
    struct epoll_engine *engine = epoll_engine_of(transport);
    struct epoll_conn *conn = epoll_conn_of(head);
    int error = 0;
    if (conn->fd >= 0) {
        conn_change_how(engine, conn, how);
        ENGINE_COUNT(transport, syscalls);
        error = close(conn->fd) == 0 ? 0 : errno;
        conn->fd = -1;
    }
    ready_closed(&engine->ready, &conn->io, error);
}

void epoll_conn_abort(struct epoll_conn *conn)
{
    if (conn->fd >= 0) {
        if (conn->io.prepared_how != TRANSPORT_CLOSE_RST) {
            /* Where it fails, the kernel closes with a FIN. */
            (void)socket_change_close_how(conn->fd, conn->io.prepared_how, TRANSPORT_CLOSE_RST);
        }
        close(conn->fd);
        conn->fd = -1;
    }
}
