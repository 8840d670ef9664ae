/* The stack engine's connections: opening, receiving, failing and closing them, one step at a time.
 */
#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "transport/stack_engine.h"

/* Nagle is off on every engine. TCP_QUICKACK is the kernel's default and not the stack's: there
 * acknowledgements ride on data where they can, and `acks_apart` asks for the kernel's way. */
struct fws_options stack_conn_options(const struct stack_engine *engine, bool quickack,
                                      enum transport_close_how how)
{
    return (struct fws_options){
        .size = sizeof(struct fws_options),
        .nodelay = 1,
        .quickack = quickack && engine->config.acks_apart,
        .no_time_wait = how == TRANSPORT_CLOSE_NO_TIMEWAIT,
    };
}

/* Tells the errors of opening that transport_connect returns: they are the process's state, not the
 * connection's. */
static bool is_shortage(int error)
{
    return error == ENOMEM || error == ENOBUFS || error == EAFNOSUPPORT;
}

/* Replies to a source port that is another worker's go to that worker. */
static bool is_steered_here(const struct stack_engine *engine, uint16_t port)
{
    return engine->config.steer != LINK_STEER_LOCAL_PORT || port == 0 ||
           port % engine->config.workers == engine->config.worker;
}

/* Spells an IPv4 endpoint as the host does; any other, and 0.0.0.0, is none given. */
static struct fws_endpoint host_endpoint(const struct endpoint *endpoint)
{
    struct fws_endpoint spelt = {.port = endpoint->port};
    if (endpoint->ip.family == AF_INET && stack_ip_of(&endpoint->ip) != 0) {
        spelt.addr.version = 4;
        memcpy(spelt.addr.bytes, endpoint->ip.bytes, sizeof(spelt.addr.bytes));
    }
    return spelt;
}

static int connect_host(struct stack_engine *engine, struct stack_conn *conn,
                        const struct flow *flow, const struct transport_conn_options *options)
{
    struct fws_options own = stack_conn_options(engine, conn->quickack, options->close_how);
    struct fws_endpoint source = host_endpoint(&flow->source);
    struct fws_endpoint target = host_endpoint(&flow->target);
    if (flow->target.ip.family != AF_INET || flow->source.ip.family == AF_INET6) {
        return -EAFNOSUPPORT;
    }
    if (!is_steered_here(engine, flow->source.port)) {
        return -EADDRNOTAVAIL;
    }
    if (!ether_has_route(&engine->ether, stack_ip_of(&flow->target.ip))) {
        return -ENETUNREACH;
    }
    return fws_connect(engine->host, &source, &target, &own, &conn->tcp);
}

int stack_conn_connect(struct transport *transport, struct transport_conn *head,
                       const struct flow *flow, const struct transport_conn_options *options)
{
    struct stack_engine *engine = stack_engine_of(transport);
    struct stack_conn *conn = stack_conn_of(head);
    conn->quickack = !options->quickack_off;
    int rc = connect_host(engine, conn, flow, options);
    if (is_shortage(-rc)) {
        return rc;
    }
    if (options->fastopen) {
        ENGINE_COUNT(transport, option_failed); /* RFC 7413: not in the stack */
    }
    conn->io.pull = options->pull;
    conn->io.prepared_how = (uint8_t)options->close_how;
    if (rc == 0) {
        (void)fws_set_user(engine->host, conn->tcp, head->handle);
    } else {
        /* The kernel's bind fails in set-up, and its connect for want of a route. */
        ready_fail(&engine->ready, &conn->io,
                   rc == -ENETUNREACH ? TRANSPORT_PHASE_CONNECT : TRANSPORT_PHASE_SETUP, -rc);
    }
    ready_enqueue(&engine->ready, &conn->io);
    return 0;
}

void stack_conn_connect_soon(struct transport *transport, const struct flow *flow)
{
    struct fws_endpoint source = host_endpoint(&flow->source);
    struct fws_endpoint target = host_endpoint(&flow->target);
    fws_connect_soon(stack_engine_of(transport)->host, &source, &target);
}

/* The SYN leaves at the next stack_pump_send, with all others of a run through the queue: they have
 * the turn's time. */
static void conn_start(struct stack_engine *engine, struct stack_conn *conn)
{
    ready_become(&conn->io, READY_CONNECTING);
    engine_connecting(&engine->base, &conn->io.base, engine->base.now_ns);
}

/* Learns how connecting ended. */
static void conn_conclude(struct stack_engine *engine, struct stack_conn *conn, uint32_t ready,
                          int error)
{
    if (ready & FWS_ERROR) {
        ready_fail(&engine->ready, &conn->io, TRANSPORT_PHASE_CONNECT, error);
    } else if (ready & FWS_WRITABLE) {
        ready_become(&conn->io, READY_OPEN);
        engine_event(&engine->base, &conn->io.base, TRANSPORT_CONNECTED);
    }
}

void stack_conn_reset(struct stack_engine *engine, fws_handle tcp)
{
    engine->resets[engine->reset_count++] = tcp;
    if (engine->reset_count == STACK_RESETS_PER_SEND) {
        stack_pump_send(engine, clock_now_ns());
    }
}

/* Shows a connection to the handler. */
static void conn_show(struct stack_engine *engine, struct stack_conn *conn)
{
    ready_become(&conn->io, READY_OPEN);
    engine_accepted(&engine->base, &conn->io.base, conn->listener);
}

/* Gives a deferred connection up that the handler never saw. */
static void conn_drop(struct stack_engine *engine, struct stack_conn *conn)
{
    ready_become(&conn->io, READY_CLOSED);
    ENGINE_COUNT(&engine->base, accept_failed);
    engine->ready.accept_paused = false; /* its place is free, and no CLOSED will say so */
    stack_conn_reset(engine, conn->tcp);
    engine_conn_drop(&engine->base, &conn->io.base);
}

static void conn_undefer(struct stack_engine *engine, struct stack_conn *conn)
{
    wheel_disarm(&engine->base.wheel, &conn->io.base.timer);
    conn->io.base.deadline_ns = 0;
    conn_show(engine, conn);
}

bool stack_conn_expired(struct transport *transport, struct transport_conn *head)
{
    struct stack_engine *engine = stack_engine_of(transport);
    struct stack_conn *conn = stack_conn_of(head);
    if (conn->io.state != READY_DEFERRED) {
        return false;
    }
    engine->ready.running = &conn->io;
    conn_undefer(engine, conn);
    engine->ready.running = NULL;
    ready_enqueue(&engine->ready, &conn->io); /* the handler may have called */
    return true;
}

/* Takes what fws_poll said. Returns false when the record is gone. */
static bool conn_take_ready(struct stack_engine *engine, struct stack_conn *conn)
{
    uint32_t ready = conn->io.news;
    conn->io.news = 0;
    if (ready & FWS_READABLE) {
        conn->io.readable = true;
    }
    conn->io.peer_shut |= (ready & (FWS_PEER_FIN | FWS_ERROR)) != 0;
    if (ready & (FWS_WRITABLE | FWS_ERROR)) {
        conn->io.blocked = false;
    }
    if (conn->io.state == READY_CONNECTING) {
        conn_conclude(engine, conn, ready, conn->io.error);
    } else if (conn->io.state == READY_DEFERRED && (ready & FWS_ERROR) != 0) {
        conn_drop(engine, conn);
        return false;
    } else if (conn->io.state == READY_DEFERRED && conn->io.readable) {
        conn_undefer(engine, conn);
    }
    return true;
}

/* Lends `bytes` just received. One that left room in its buffer took all there was, but for a FIN
 * or an error behind it. */
static void conn_deliver_data(struct stack_engine *engine, struct stack_conn *conn,
                              struct pool_buffer *buffer, uint32_t bytes)
{
    conn->io.readable = conn->io.peer_shut || bytes == engine->base.config.buffer_bytes;
    ready_receive_data(&engine->ready, &conn->io, buffer, bytes);
}

/* Receives once and delivers what came; returns false when nothing did. */
static bool conn_receive(struct stack_engine *engine, struct stack_conn *conn)
{
    struct pool_buffer *buffer = ready_receive_buffer(&engine->ready, &conn->io);
    if (buffer == NULL) {
        return false;
    }
    int64_t bytes =
        fws_recv(engine->host, conn->tcp, buffer->bytes, engine->base.config.buffer_bytes);
    if (bytes > 0) {
        conn_deliver_data(engine, conn, buffer, (uint32_t)bytes);
        return true;
    }
    buffer_pool_put(&engine->ready.pool, buffer);
    if (bytes == -EAGAIN) {
        conn->io.readable = false;
        return false;
    }
    if (bytes == 0) {
        ready_receive_fin(&engine->ready, &conn->io);
    } else {
        ready_fail(&engine->ready, &conn->io, TRANSPORT_PHASE_RECV, (int)-bytes);
    }
    return true;
}

/* Delivers one event that is due, sends before failures before data; returns false when none is. */
static bool conn_step(struct stack_engine *engine, struct stack_conn *conn)
{
    if (conn->io.base.closing) {
        return false;
    }
    return ready_deliver(&engine->ready, &conn->io) ||
           (ready_can_receive(&engine->ready, &conn->io) && conn_receive(engine, conn));
}

void stack_conn_run(struct stack_engine *engine, struct stack_conn *conn)
{
    ready_run_begin(&engine->ready, &conn->io);
    if (!conn->io.base.closing && conn->io.state == READY_SETUP) {
        conn_start(engine, conn);
    }
    if (!conn->io.base.closing && conn->io.news != 0 && !conn_take_ready(engine, conn)) {
        engine->ready.running = NULL;
        return;
    }
    if (conn->io.state == READY_OPEN) {
        stack_conn_flush(engine, conn);
    }
    uint32_t steps = 0;
    while (steps < READY_STEPS_PER_RUN && conn_step(engine, conn)) {
        steps++;
    }
    ready_run_end(&engine->ready, &conn->io);
}

void stack_conn_accepted(struct stack_engine *engine, fws_handle tcp, uint32_t listener)
{
    const struct stack_listener *from = &engine->listeners[listener];
    struct transport_conn *head = engine_conn_new(&engine->base);
    if (head == NULL) {
        engine_place_give(&engine->base);
        ENGINE_COUNT(&engine->base, accept_no_record);
        stack_conn_reset(engine, tcp);
        return;
    }
    struct stack_conn *conn = stack_conn_of(head);
    conn->tcp = tcp;
    conn->io.pull = from->conn.pull;
    conn->quickack = !from->conn.quickack_off;
    conn->io.prepared_how = (uint8_t)from->conn.close_how;
    conn->listener = (uint8_t)listener;
    (void)fws_set_user(engine->host, tcp, head->handle);
    conn->io.news = (uint32_t)fws_ready(engine->host, tcp);
    if (from->defer_accept_ns > 0 && (conn->io.news & FWS_READABLE) == 0) {
        ready_become(&conn->io, READY_DEFERRED);
        head->deadline_ns = engine->base.now_ns + from->defer_accept_ns;
        wheel_arm(&engine->base.wheel, &head->timer, head->deadline_ns);
        return;
    }
    engine->ready.running = &conn->io;
    conn_show(engine, conn);
    stack_conn_run(engine, conn);
}

/* Closes the host's end as asked for. */
static void close_host(struct stack_engine *engine, const struct stack_conn *conn,
                       enum transport_close_how how)
{
    /* After both FINs TIME_WAIT stands, whatever is asked for now, as it does in the kernel. */
    bool too_late = how != TRANSPORT_CLOSE_PLAIN && conn->io.shut_done && conn->io.fin_done;
    if (too_late) {
        ENGINE_COUNT(&engine->base, close_how_unavailable);
    } else if (how == TRANSPORT_CLOSE_RST) {
        stack_conn_reset(engine, conn->tcp);
        return;
    } else if ((how == TRANSPORT_CLOSE_NO_TIMEWAIT) !=
               (conn->io.prepared_how == TRANSPORT_CLOSE_NO_TIMEWAIT)) {
        struct fws_options options = stack_conn_options(engine, conn->quickack, how);
        (void)fws_set_options(engine->host, conn->tcp, &options);
    }
    (void)fws_close(engine->host, conn->tcp);
}

void stack_conn_close(struct transport *transport, struct transport_conn *head,
                      enum transport_close_how how)
{
    struct stack_engine *engine = stack_engine_of(transport);
    struct stack_conn *conn = stack_conn_of(head);
    if (conn->tcp != 0) {
        close_host(engine, conn, how);
        conn->tcp = 0;
    }
    ready_closed(&engine->ready, &conn->io, 0);
}
