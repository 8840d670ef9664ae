/* The stack engine's connections: opening, receiving, failing and closing them, one step at a time.
 */
#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "transport/stack_engine.h"

#define STATE_BIT(state) (1u << STACK_CONN_##state)

void stack_conn_become(struct stack_conn *conn, enum stack_conn_state state)
{
    static const uint8_t after[] = {
        [STACK_CONN_SETUP] = STATE_BIT(CONNECTING) | STATE_BIT(DEFERRED) | STATE_BIT(OPEN) |
                             STATE_BIT(FAILED) | STATE_BIT(CLOSED),
        [STACK_CONN_CONNECTING] = STATE_BIT(OPEN) | STATE_BIT(FAILED) | STATE_BIT(CLOSED),
        [STACK_CONN_DEFERRED] = STATE_BIT(OPEN) | STATE_BIT(CLOSED),
        [STACK_CONN_OPEN] = STATE_BIT(FAILED) | STATE_BIT(CLOSED),
        [STACK_CONN_FAILED] = STATE_BIT(CLOSED),
        [STACK_CONN_CLOSED] = 0,
    };
    ASSERT(after[conn->state] & 1u << state);
    conn->state = (uint8_t)state;
}

void stack_conn_fail(struct stack_engine *engine, struct stack_conn *conn,
                     enum transport_phase phase, int error)
{
    stack_conn_become(conn, STACK_CONN_FAILED);
    conn->phase = (uint8_t)phase;
    conn->error = error;
    conn->failed_due = true;
    stack_conn_drop_unsent(engine, conn);
    stack_conn_enqueue(engine, conn);
}

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

static int connect_host(struct stack_engine *engine, struct stack_conn *conn,
                        const struct flow *flow, const struct transport_conn_options *options)
{
    struct fws_options own = stack_conn_options(engine, conn->quickack, options->close_how);
    struct fws_endpoint source = {.port = flow->source.port};
    struct fws_endpoint target = {.addr.version = 4, .port = flow->target.port};
    if (flow->target.ip.family != AF_INET || flow->source.ip.family == AF_INET6) {
        return -EAFNOSUPPORT;
    }
    if (!is_steered_here(engine, flow->source.port)) {
        return -EADDRNOTAVAIL;
    }
    if (!ether_has_route(&engine->ether, stack_ip_of(&flow->target.ip))) {
        return -ENETUNREACH;
    }
    memcpy(target.addr.bytes, flow->target.ip.bytes, sizeof(target.addr.bytes));
    if (flow->source.ip.family == AF_INET && stack_ip_of(&flow->source.ip) != 0) {
        source.addr.version = 4;
        memcpy(source.addr.bytes, flow->source.ip.bytes, sizeof(source.addr.bytes));
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
    conn->pull = options->pull;
    conn->prepared_how = (uint8_t)options->close_how;
    if (rc == 0) {
        (void)fws_set_user(engine->host, conn->tcp, head->handle);
    } else {
        /* The kernel's bind fails in set-up, and its connect for want of a route. */
        stack_conn_fail(engine, conn,
                        rc == -ENETUNREACH ? TRANSPORT_PHASE_CONNECT : TRANSPORT_PHASE_SETUP, -rc);
    }
    stack_conn_enqueue(engine, conn);
    return 0;
}

/* The SYN leaves at this poll's next stack_pump_send. */
static void conn_start(struct stack_engine *engine, struct stack_conn *conn)
{
    stack_conn_become(conn, STACK_CONN_CONNECTING);
    engine_connecting(&engine->base, &conn->base, clock_now_ns());
}

/* Learns how connecting ended. */
static void conn_conclude(struct stack_engine *engine, struct stack_conn *conn, uint32_t ready,
                          int error)
{
    if (ready & FWS_ERROR) {
        stack_conn_fail(engine, conn, TRANSPORT_PHASE_CONNECT, error);
    } else if (ready & FWS_WRITABLE) {
        stack_conn_become(conn, STACK_CONN_OPEN);
        engine_event(&engine->base, &conn->base, TRANSPORT_CONNECTED);
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
    stack_conn_become(conn, STACK_CONN_OPEN);
    engine_accepted(&engine->base, &conn->base, conn->listener);
}

/* Gives a deferred connection up that the handler never saw. */
static void conn_drop(struct stack_engine *engine, struct stack_conn *conn)
{
    stack_conn_become(conn, STACK_CONN_CLOSED);
    ENGINE_COUNT(&engine->base, accept_failed);
    engine->accept_paused = false; /* its place is free, and no CLOSED will say so */
    stack_conn_reset(engine, conn->tcp);
    engine_conn_drop(&engine->base, &conn->base);
}

static void conn_undefer(struct stack_engine *engine, struct stack_conn *conn)
{
    wheel_disarm(&engine->base.wheel, &conn->base.timer);
    conn->base.deadline_ns = 0;
    conn_show(engine, conn);
}

bool stack_conn_expired(struct transport *transport, struct transport_conn *head)
{
    struct stack_engine *engine = stack_engine_of(transport);
    struct stack_conn *conn = stack_conn_of(head);
    if (conn->state != STACK_CONN_DEFERRED) {
        return false;
    }
    engine->running = conn;
    conn_undefer(engine, conn);
    engine->running = NULL;
    if (!conn->listed) {
        stack_conn_enqueue(engine, conn); /* the handler may have called */
    }
    return true;
}

/* Takes what fws_poll said. Returns false when the record is gone. */
static bool conn_take_ready(struct stack_engine *engine, struct stack_conn *conn)
{
    uint32_t ready = conn->ready;
    conn->ready = 0;
    if (ready & FWS_READABLE) {
        conn->readable = true;
    }
    conn->peer_shut |= (ready & (FWS_PEER_FIN | FWS_ERROR)) != 0;
    if (ready & (FWS_WRITABLE | FWS_ERROR)) {
        conn->blocked = false;
    }
    if (conn->state == STACK_CONN_CONNECTING) {
        conn_conclude(engine, conn, ready, conn->error);
    } else if (conn->state == STACK_CONN_DEFERRED && (ready & FWS_ERROR) != 0) {
        conn_drop(engine, conn);
        return false;
    } else if (conn->state == STACK_CONN_DEFERRED && conn->readable) {
        conn_undefer(engine, conn);
    }
    return true;
}

static bool can_receive(const struct stack_engine *engine, const struct stack_conn *conn)
{
    return conn->readable && conn->held < engine->base.config.read_credit && !conn->fin_done &&
           (!conn->pull || conn->asked);
}

/* Lends `bytes` just received. One that left room in its buffer took all there was, but for a FIN
 * or an error behind it. */
static void conn_deliver_data(struct stack_engine *engine, struct stack_conn *conn,
                              struct epoll_buffer *buffer, uint32_t bytes)
{
    conn->readable = conn->peer_shut || bytes == engine->base.config.buffer_bytes;
    conn->asked = false;
    conn->held++;
    struct transport_buffer lent = {
        .data = buffer->bytes, .size = bytes, .id = buffer->send.buffer_id};
    bool delivered = engine_data(&engine->base, &conn->base, &lent);
    ASSERT(delivered);
}

/* Receives once and delivers what came; returns false when nothing did. */
static bool conn_receive(struct stack_engine *engine, struct stack_conn *conn)
{
    struct epoll_buffer *buffer = epoll_pool_take(&engine->pool);
    if (buffer == NULL) {
        ENGINE_COUNT(&engine->base, buffers_short);
        conn->starved = true;
        return false;
    }
    int64_t bytes =
        fws_recv(engine->host, conn->tcp, buffer->bytes, engine->base.config.buffer_bytes);
    if (bytes > 0) {
        conn_deliver_data(engine, conn, buffer, (uint32_t)bytes);
        return true;
    }
    epoll_pool_put(&engine->pool, buffer);
    if (bytes == -EAGAIN) {
        conn->readable = false;
        return false;
    }
    if (bytes == 0) {
        conn->fin_done = true;
        conn->asked = false;
        engine_event(&engine->base, &conn->base, TRANSPORT_PEER_FIN);
    } else {
        stack_conn_fail(engine, conn, TRANSPORT_PHASE_RECV, (int)-bytes);
    }
    return true;
}

/* Delivers one event that is due, sends before failures before data; returns false when none is. */
static bool conn_step(struct stack_engine *engine, struct stack_conn *conn)
{
    if (conn->base.closing) {
        return false;
    }
    if (stack_conn_has_sent(conn)) {
        stack_conn_deliver_sent(engine, conn);
        return true;
    }
    if (conn->failed_due) {
        conn->failed_due = false;
        engine_failed(&engine->base, &conn->base, conn->phase, conn->error);
        return true;
    }
    return conn->state == STACK_CONN_OPEN && can_receive(engine, conn) &&
           conn_receive(engine, conn);
}

/* Counts a connection that would receive and may not. */
static void conn_note_pause(struct stack_engine *engine, struct stack_conn *conn)
{
    if (conn->readable && !conn->fin_done && !conn->paused &&
        conn->held >= engine->base.config.read_credit) {
        conn->paused = true;
        ENGINE_COUNT(&engine->base, credit_paused);
    }
}

static bool conn_has_more(const struct stack_engine *engine, const struct stack_conn *conn)
{
    return conn->ready != 0 || conn->failed_due || stack_conn_has_sent(conn) ||
           (conn->state == STACK_CONN_OPEN &&
            ((conn->unsent != NULL && !conn->blocked) || can_receive(engine, conn)));
}

/* Decides where a connection goes after a run: to a list, if the run's bounds cut it short. */
static void conn_settle(struct stack_engine *engine, struct stack_conn *conn)
{
    engine->running = NULL;
    conn_note_pause(engine, conn);
    if (conn->starved) {
        stack_list_append(&engine->starved, conn);
        stack_retry_soon(engine);
    } else if (conn_has_more(engine, conn)) {
        stack_list_append(&engine->later, conn);
    }
}

void stack_conn_run(struct stack_engine *engine, struct stack_conn *conn)
{
    ASSERT(!conn->listed);
    engine->running = conn;
    conn->run_sent_bytes = 0;
    conn->starved = false;
    if (!conn->base.closing && conn->state == STACK_CONN_SETUP) {
        conn_start(engine, conn);
    }
    if (!conn->base.closing && conn->ready != 0 && !conn_take_ready(engine, conn)) {
        engine->running = NULL;
        return;
    }
    if (conn->state == STACK_CONN_OPEN) {
        stack_conn_flush(engine, conn);
    }
    uint32_t steps = 0;
    while (steps < STACK_STEPS_PER_RUN && conn_step(engine, conn)) {
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
    conn->pull = from->conn.pull;
    conn->quickack = !from->conn.quickack_off;
    conn->prepared_how = (uint8_t)from->conn.close_how;
    conn->listener = (uint8_t)listener;
    (void)fws_set_user(engine->host, tcp, head->handle);
    conn->ready = (uint32_t)fws_ready(engine->host, tcp);
    if (from->defer_accept_ns > 0 && (conn->ready & FWS_READABLE) == 0) {
        stack_conn_become(conn, STACK_CONN_DEFERRED);
        head->deadline_ns = engine->base.now_ns + from->defer_accept_ns;
        wheel_arm(&engine->base.wheel, &head->timer, head->deadline_ns);
        return;
    }
    engine->running = conn;
    conn_show(engine, conn);
    stack_conn_run(engine, conn);
}

void stack_conn_recv(struct transport *transport, struct transport_conn *head)
{
    struct stack_conn *conn = stack_conn_of(head);
    conn->asked = true;
    if (conn->readable) {
        stack_conn_enqueue(stack_engine_of(transport), conn);
    }
}

void stack_conn_buffer_release(struct transport *transport, struct transport_conn *head,
                               const struct transport_buffer *lent)
{
    struct stack_engine *engine = stack_engine_of(transport);
    struct epoll_buffer *buffer = epoll_pool_find(&engine->pool, lent->id);
    ASSERT(buffer->state == EPOLL_BUFFER_LENT);
    if (head != NULL) {
        stack_conn_put_buffer(engine, stack_conn_of(head), buffer);
    } else {
        epoll_pool_put(&engine->pool, buffer);
    }
}

/* Closes the host's end as asked for. */
static void close_host(struct stack_engine *engine, const struct stack_conn *conn,
                       enum transport_close_how how)
{
    /* After both FINs TIME_WAIT stands, whatever is asked for now, as it does in the kernel. */
    bool too_late = how != TRANSPORT_CLOSE_PLAIN && conn->shut_done && conn->fin_done;
    if (too_late) {
        ENGINE_COUNT(&engine->base, close_how_unavailable);
    } else if (how == TRANSPORT_CLOSE_RST) {
        stack_conn_reset(engine, conn->tcp);
        return;
    } else if ((how == TRANSPORT_CLOSE_NO_TIMEWAIT) !=
               (conn->prepared_how == TRANSPORT_CLOSE_NO_TIMEWAIT)) {
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
    stack_conn_drop_sends(engine, conn);
    conn->paused = false; /* buffers that come back from now on resume nothing */
    conn->error = 0;
    if (conn->tcp != 0) {
        close_host(engine, conn, how);
        conn->tcp = 0;
    }
    conn->closed_ns = clock_now_ns();
    stack_conn_become(conn, STACK_CONN_CLOSED);
    stack_conn_enqueue(engine, conn);
}
