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

#define STATE_BIT(state) (1u << EPOLL_CONN_##state)

void epoll_conn_become(struct epoll_conn *conn, enum epoll_conn_state state)
{
    static const uint8_t after[] = {
        [EPOLL_CONN_SETUP] =
            STATE_BIT(CONNECTING) | STATE_BIT(OPEN) | STATE_BIT(FAILED) | STATE_BIT(CLOSED),
        [EPOLL_CONN_CONNECTING] = STATE_BIT(OPEN) | STATE_BIT(FAILED) | STATE_BIT(CLOSED),
        [EPOLL_CONN_OPEN] = STATE_BIT(FAILED) | STATE_BIT(CLOSED),
        [EPOLL_CONN_FAILED] = STATE_BIT(CLOSED),
        [EPOLL_CONN_CLOSED] = 0,
    };
    ASSERT(after[conn->state] & 1u << state);
    conn->state = (uint8_t)state;
}

void epoll_conn_fail(struct epoll_engine *engine, struct epoll_conn *conn,
                     enum transport_phase phase, int error)
{
    epoll_conn_become(conn, EPOLL_CONN_FAILED);
    conn->phase = (uint8_t)phase;
    conn->error = error;
    conn->failed_due = true;
    epoll_conn_drop_unsent(engine, conn);
    epoll_conn_enqueue(engine, conn);
}

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
    conn->pull = options->pull;
    conn->prepared_how = (uint8_t)options->close_how;
    if (fd < 0) {
        epoll_conn_fail(engine, conn, TRANSPORT_PHASE_SETUP, -fd);
    }
    epoll_conn_enqueue(engine, conn);
    return 0;
}

/* Adds a descriptor to the epoll set, which reports at once what is ready already. */
static void conn_register(struct epoll_engine *engine, struct epoll_conn *conn)
{
    struct epoll_event event = {.events = CONN_EDGES, .data.u64 = conn->base.handle};
    ENGINE_COUNT(&engine->base, syscalls);
    if (epoll_ctl(engine->epoll_fd, EPOLL_CTL_ADD, conn->fd, &event) == 0) {
        conn->registered = true;
        return;
    }
    /* ENOMEM, or ENOSPC for fs.epoll.max_user_watches. */
    epoll_conn_fail(engine, conn,
                    conn->state == EPOLL_CONN_CONNECTING ? TRANSPORT_PHASE_CONNECT
                                                         : TRANSPORT_PHASE_RECV,
                    errno);
}

static void conn_connected(struct epoll_engine *engine, struct epoll_conn *conn)
{
    epoll_conn_become(conn, EPOLL_CONN_OPEN);
    engine_event(&engine->base, &conn->base, TRANSPORT_CONNECTED);
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
        epoll_conn_become(conn, EPOLL_CONN_CONNECTING);
    }
    engine_connecting(&engine->base, &conn->base, start_ns);
    if (error == EINPROGRESS || conn->base.closing) {
        return;
    }
    if (error == 0) {
        conn_connected(engine, conn);
    } else {
        epoll_conn_fail(engine, conn, TRANSPORT_PHASE_CONNECT, error);
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
        epoll_conn_fail(engine, conn, TRANSPORT_PHASE_CONNECT, error);
    }
}

static void conn_take_edges(struct epoll_engine *engine, struct epoll_conn *conn)
{
    uint32_t edges = conn->edges;
    conn->edges = 0;
    if (edges & (EPOLLIN | EPOLLRDHUP | EPOLLERR | EPOLLHUP | EPOLLPRI)) {
        conn->readable = true;
    }
    conn->peer_shut |= (edges & EPOLLRDHUP) != 0;
    conn->exact |= (edges & (EPOLLERR | EPOLLPRI)) != 0;
    if (conn->state == EPOLL_CONN_CONNECTING) {
        conn_conclude(engine, conn, edges);
    } else if (conn->blocked && (edges & (EPOLLOUT | EPOLLERR | EPOLLHUP))) {
        conn->blocked = false;
    }
}

static void conn_deliver_fin(struct epoll_engine *engine, struct epoll_conn *conn)
{
    conn->fin_due = false;
    conn->fin_done = true;
    conn->asked = false;
    engine_event(&engine->base, &conn->base, TRANSPORT_PEER_FIN);
}

/* Lends `bytes` just received. An edge that came before the receive and told of the FIN, and a
 * receive that left room in its buffer, say together that the FIN is next: no call is needed to be
 * told so. */
static void conn_deliver_data(struct epoll_engine *engine, struct epoll_conn *conn,
                              struct epoll_buffer *buffer, uint32_t bytes)
{
    bool drained = bytes < engine->base.config.buffer_bytes && !conn->exact;
    conn->readable = !drained;
    conn->fin_due = drained && conn->peer_shut;
    conn->asked = false;
    conn->held++;
    struct transport_buffer lent = {
        .data = buffer->bytes, .size = bytes, .id = buffer->send.buffer_id};
    bool delivered = engine_data(&engine->base, &conn->base, &lent);
    ASSERT(delivered);
}

static bool can_receive(const struct epoll_engine *engine, const struct epoll_conn *conn)
{
    bool may = conn->held < engine->base.config.read_credit;
    return (conn->fin_due || (conn->readable && may)) && !conn->fin_done &&
           (!conn->pull || conn->asked);
}

/* Receives once and delivers what came; returns false when nothing did. */
static bool conn_receive(struct epoll_engine *engine, struct epoll_conn *conn)
{
    if (conn->fin_due) {
        conn_deliver_fin(engine, conn);
        return true;
    }
    struct epoll_buffer *buffer = epoll_pool_take(&engine->pool);
    if (buffer == NULL) {
        ENGINE_COUNT(&engine->base, buffers_short);
        conn->starved = true;
        return false;
    }
    ENGINE_COUNT(&engine->base, syscalls);
    ssize_t bytes = recv(conn->fd, buffer->bytes, engine->base.config.buffer_bytes, 0);
    if (bytes > 0) {
        conn_deliver_data(engine, conn, buffer, (uint32_t)bytes);
        return true;
    }
    epoll_pool_put(&engine->pool, buffer);
    if (bytes == 0) {
        conn_deliver_fin(engine, conn);
    } else if (errno == EAGAIN) {
        conn->readable = false;
        return false;
    } else if (errno != EINTR) {
        epoll_conn_fail(engine, conn, TRANSPORT_PHASE_RECV, errno);
    }
    return true;
}

/* Delivers one event that is due, sends before failures before data; returns false when none is. */
static bool conn_step(struct epoll_engine *engine, struct epoll_conn *conn)
{
    if (conn->base.closing) {
        return false;
    }
    if (epoll_conn_has_sent(conn)) {
        epoll_conn_deliver_sent(engine, conn);
        return true;
    }
    if (conn->failed_due) {
        conn->failed_due = false;
        engine_failed(&engine->base, &conn->base, conn->phase, conn->error);
        return true;
    }
    return conn->state == EPOLL_CONN_OPEN && can_receive(engine, conn) &&
           conn_receive(engine, conn);
}

/* Counts a connection that would receive and may not. */
static void conn_note_pause(struct epoll_engine *engine, struct epoll_conn *conn)
{
    if (conn->readable && !conn->fin_done && !conn->paused &&
        conn->held >= engine->base.config.read_credit) {
        conn->paused = true;
        ENGINE_COUNT(&engine->base, credit_paused);
    }
}

static bool conn_has_more(const struct epoll_engine *engine, const struct epoll_conn *conn)
{
    return conn->edges != 0 || conn->failed_due || epoll_conn_has_sent(conn) ||
           (conn->state == EPOLL_CONN_OPEN &&
            ((conn->unsent != NULL && !conn->blocked) || can_receive(engine, conn)));
}

/* Decides where an open connection goes after a run: to the epoll set if it is not there yet, and
 * to a list if the run's bounds cut it short. */
static void conn_settle(struct epoll_engine *engine, struct epoll_conn *conn)
{
    bool live = conn->state == EPOLL_CONN_CONNECTING || conn->state == EPOLL_CONN_OPEN;
    if (live && !conn->registered) {
        conn_register(engine, conn);
    }
    engine->running = NULL;
    conn_note_pause(engine, conn);
    if (conn->starved) {
        epoll_list_append(&engine->starved, conn);
        epoll_retry_soon(engine);
    } else if (conn_has_more(engine, conn)) {
        epoll_list_append(&engine->later, conn);
    }
}

void epoll_conn_run(struct epoll_engine *engine, struct epoll_conn *conn)
{
    ASSERT(!conn->listed);
    engine->running = conn;
    conn->run_sent_bytes = 0;
    conn->starved = false;
    if (!conn->base.closing && conn->edges != 0) {
        conn_take_edges(engine, conn);
    }
    if (conn->state == EPOLL_CONN_SETUP) {
        conn_start(engine, conn);
    }
    if (conn->state == EPOLL_CONN_OPEN) {
        epoll_conn_flush(engine, conn);
    }
    uint32_t steps = 0;
    while (steps < EPOLL_STEPS_PER_RUN && conn_step(engine, conn)) {
        steps++;
    }
    if (!conn->base.closing) {
        conn_settle(engine, conn);
        return;
    }
    engine->running = NULL;
    engine->accept_paused = false;
    engine_closed(&engine->base, &conn->base, conn->closed_ns, conn->error);
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
    conn->pull = from->conn.pull;
    conn->prepared_how = (uint8_t)from->conn.close_how;
    conn->readable = from->data_first;
    epoll_conn_become(conn, EPOLL_CONN_OPEN);
    engine->running = conn;
    engine_accepted(&engine->base, head, listener);
    epoll_conn_run(engine, conn);
}

void epoll_conn_recv(struct transport *transport, struct transport_conn *head)
{
    struct epoll_conn *conn = epoll_conn_of(head);
    conn->asked = true;
    if (conn->readable || conn->fin_due) {
        epoll_conn_enqueue(epoll_engine_of(transport), conn);
    }
}

void epoll_conn_buffer_release(struct transport *transport, struct transport_conn *head,
                               const struct transport_buffer *lent)
{
    struct epoll_engine *engine = epoll_engine_of(transport);
    struct epoll_buffer *buffer = epoll_pool_find(&engine->pool, lent->id);
    ASSERT(buffer->state == EPOLL_BUFFER_LENT);
    if (head != NULL) {
        epoll_conn_put_buffer(engine, epoll_conn_of(head), buffer);
    } else {
        epoll_pool_put(&engine->pool, buffer);
    }
}

/* Makes the socket close as asked for where it was prepared otherwise. */
static void conn_change_how(struct epoll_engine *engine, struct epoll_conn *conn,
                            enum transport_close_how how)
{
    /* After both FINs the kernel's TIME_WAIT stands, whatever is asked for now. */
    bool too_late = how != TRANSPORT_CLOSE_PLAIN && conn->shut_done && conn->fin_done;
    int rc = 0;
    if (how != conn->prepared_how) {
        ENGINE_COUNT(&engine->base, syscalls);
        rc = socket_change_close_how(conn->fd, conn->prepared_how, how);
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
    epoll_conn_drop_sends(engine, conn);
    conn->paused = false; /* buffers that come back from now on resume nothing */
    conn->error = 0;
    if (conn->fd >= 0) {
        conn_change_how(engine, conn, how);
        ENGINE_COUNT(transport, syscalls);
        conn->error = close(conn->fd) == 0 ? 0 : errno;
        conn->fd = -1;
    }
    conn->closed_ns = clock_now_ns();
    epoll_conn_become(conn, EPOLL_CONN_CLOSED);
    epoll_conn_enqueue(engine, conn);
}

void epoll_conn_abort(struct epoll_conn *conn)
{
    if (conn->fd >= 0) {
        if (conn->prepared_how != TRANSPORT_CLOSE_RST) {
            /* Where it fails, the kernel closes with a FIN. */
            (void)socket_change_close_how(conn->fd, conn->prepared_how, TRANSPORT_CLOSE_RST);
        }
        close(conn->fd);
        conn->fd = -1;
    }
}
