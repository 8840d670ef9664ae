/* The stack engine: the loop, the listeners and the lists of connections that have something to do.
 * See stack_engine.h for how it works. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "transport/stack_engine.h"

/* In a handle's place as the host's user word; connections have their handle there. */
#define TAG_LISTENER (UINT64_C(1) << SLAB_HANDLE_BITS)

/* Where ports that the caller leaves to us begin; as Linux's ip_local_port_range. */
#define PORT_FIRST 32768u
#define PORT_LAST 60999u

static void run_queue(struct stack_engine *engine)
{
    for (uint32_t runs = 0; runs < STACK_RUNS_PER_TURN; runs++) {
        struct ready_conn *conn = ready_list_pop(&engine->ready.queue);
        if (conn == NULL) {
            return;
        }
        engine->turn_worked = true;
        stack_conn_run(engine, stack_conn_of(&conn->base));
    }
}

/* Listens on the port given, or on a free one. */
static int listen_host(struct stack_engine *engine, struct fws_endpoint *local,
                       const struct transport_listen_options *options, fws_handle *listener)
{
    struct fws_options own =
        stack_conn_options(engine, !options->conn.quickack_off, options->conn.close_how);
    if (local->port != 0) {
        return fws_listen(engine->host, local, options->backlog, &own, listener);
    }
    int rc = -EADDRINUSE;
    for (uint32_t port = PORT_FIRST; port <= PORT_LAST && rc == -EADDRINUSE; port++) {
        local->port = (uint16_t)port;
        rc = fws_listen(engine->host, local, options->backlog, &own, listener);
    }
    return rc;
}

static int listen_failed(const struct endpoint *address, int error, struct failure *failure)
{
    char text[ENDPOINT_TEXT_MAX];
    const char *why = error == EADDRINUSE      ? "the stack listens there already"
                      : error == EADDRNOTAVAIL ? "it is not an address of the stack's"
                                               : strerror(error);
    return failure_set(failure, error, "cannot listen on %s: %s", endpoint_format(address, text),
                       why);
}

static int engine_listen(struct transport *transport, struct endpoint *address,
                         const struct transport_listen_options *options, uint32_t *listener,
                         struct failure *failure)
{
    struct stack_engine *engine = stack_engine_of(transport);
    struct fws_endpoint local = {.port = address->port};
    char text[ENDPOINT_TEXT_MAX];
    uint32_t index = engine->listener_count;
    if (index == TRANSPORT_LISTENERS_MAX) {
        return failure_set(failure, ENOSPC, "too many listeners: %u are the most",
                           TRANSPORT_LISTENERS_MAX);
    }
    if (address->ip.family == AF_INET6) {
        return failure_set(failure, EAFNOSUPPORT,
                           "cannot listen on %s: the stack speaks IPv4 only, for now",
                           endpoint_format(address, text));
    }
    if (stack_ip_of(&address->ip) != 0) {
        local.addr.version = 4;
        memcpy(local.addr.bytes, address->ip.bytes, sizeof(local.addr.bytes));
    }
    if (options->conn.fastopen) {
        ENGINE_COUNT(transport, option_failed); /* RFC 7413: not in the stack */
    }
    fws_handle tcp;
    int rc = listen_host(engine, &local, options, &tcp);
    if (rc != 0) {
        return listen_failed(address, -rc, failure);
    }
    (void)fws_set_user(engine->host, tcp, TAG_LISTENER | index);
    engine->listeners[index] = (struct stack_listener){
        .tcp = tcp, .defer_accept_ns = options->defer_accept_ns, .conn = options->conn};
    engine->listener_count++;
    address->port = local.port;
    *listener = index;
    return 0;
}

static void engine_listen_stop(struct transport *transport)
{
    struct stack_engine *engine = stack_engine_of(transport);
    for (uint32_t i = 0; i < engine->listener_count; i++) {
        struct stack_listener *listener = &engine->listeners[i];
        if (listener->tcp != 0) {
            (void)fws_close(engine->host, listener->tcp);
        }
        listener->tcp = 0;
        listener->ready = false;
    }
}

static void accept_some(struct stack_engine *engine, uint32_t index)
{
    struct stack_listener *listener = &engine->listeners[index];
    for (uint32_t n = 0; n < STACK_ACCEPTS_PER_TURN && listener->ready; n++) {
        fws_handle tcp;
        if (!ready_accept_begin(&engine->ready)) {
            return;
        }
        if (fws_accept(engine->host, listener->tcp, &tcp) == 0) {
            engine->turn_worked = true;
            stack_conn_accepted(engine, tcp, index);
        } else {
            engine_place_give(&engine->base);
            listener->ready = false;
        }
    }
}

static void accept_ready(struct stack_engine *engine)
{
    for (uint32_t i = 0; i < engine->listener_count && !engine->ready.accept_paused; i++) {
        accept_some(engine, i);
    }
}

static bool can_accept(const struct stack_engine *engine)
{
    for (uint32_t i = 0; i < engine->listener_count && !engine->ready.accept_paused; i++) {
        if (engine->listeners[i].ready) {
            return true;
        }
    }
    return false;
}

static void handle_event(struct stack_engine *engine, const struct fws_event *event)
{
    if (event->user & TAG_LISTENER) {
        struct stack_listener *listener = &engine->listeners[event->user & ~TAG_LISTENER];
        listener->ready = listener->tcp != 0;
        return;
    }
    struct stack_conn *conn = slab_get(&engine->base.conns, event->user);
    if (conn == NULL || conn->io.base.closing) {
        ENGINE_COUNT(&engine->base, stale_completion);
        return;
    }
    conn->io.news |= event->ready;
    if (conn->io.state == READY_CONNECTING || conn->io.state == READY_SETUP) {
        conn->io.error = -event->error;
    }
    if (!conn->io.listed) {
        stack_conn_run(engine, conn);
    }
}

void stack_handle_events(struct stack_engine *engine)
{
    struct fws_event events[STACK_EVENTS_PER_POLL];
    size_t total = 0;
    size_t count = STACK_EVENTS_PER_POLL;
    while (count == STACK_EVENTS_PER_POLL && total < STACK_EVENTS_PER_TURN) {
        count = fws_poll(engine->host, events, STACK_EVENTS_PER_POLL);
        for (size_t i = 0; i < count; i++) {
            handle_event(engine, &events[i]);
        }
        total += count;
    }
    engine->events_left = count == STACK_EVENTS_PER_POLL;
    engine->turn_worked |= total > 0;
    accept_ready(engine);
}

/* Tells whether a turn would find something to do without anything coming in. */
static bool is_busy(const struct stack_engine *engine)
{
    return engine->ready.queue.head != NULL || engine->ready.later.head != NULL ||
           engine->events_left || can_accept(engine);
}

/* Waits, unless there is something to do or the link is likely to have more. Returns 0 or -errno.
 */
static int wait_for_work(struct stack_engine *engine, bool busy, uint64_t until_ns, uint64_t now_ns)
{
    if (busy || is_busy(engine)) {
        return 0;
    }
    if (now_ns < engine->spin_until_ns) {
        return 0;
    }
    return stack_pump_wait(engine, until_ns, now_ns);
}

/* Counts a turn for which nothing was there to do, and its time: what spinning costs, apart from
 * what connections cost. */
static void note_turn(struct stack_engine *engine, uint64_t now_ns)
{
    struct transport *transport = &engine->base;
    if (!engine->turn_worked && transport->turn_start_ns != 0) {
        ENGINE_COUNT(transport, polls_empty);
        ENGINE_ADD(transport, polls_empty_ns, now_ns - transport->turn_start_ns);
    }
    engine->turn_worked = false;
    engine_turn_end(transport, now_ns);
}

static int engine_poll(struct transport *transport, uint64_t until_ns)
{
    struct stack_engine *engine = stack_engine_of(transport);
    uint64_t now_ns = clock_now_ns();
    ready_queue_leftovers(&engine->ready, now_ns);
    bool busy = engine->ready.queue.head != NULL;
    transport->now_ns = now_ns;
    stack_pump_advance(engine, now_ns);
    run_queue(engine);
    stack_pump_send(engine, now_ns);
    now_ns = engine->turn_worked ? clock_now_ns() : now_ns;
    note_turn(engine, now_ns);
    int rc = wait_for_work(engine, busy, until_ns, now_ns);
    now_ns = clock_now_ns();
    engine_turn_begin(transport, now_ns);
    stack_pump_advance(engine, now_ns);
    if (stack_pump_receive(engine, now_ns) > 0) {
        engine->turn_worked = true;
        engine->spin_until_ns = now_ns + engine->config.spin_ns;
    }
    if (engine->config.acks_apart) {
        stack_pump_send(engine, now_ns);
    }
    stack_handle_events(engine);
    run_queue(engine);
    if (!engine->config.sends_gather) {
        stack_pump_send(engine, now_ns);
    }
    return rc;
}

static void engine_flush(struct transport *transport)
{
    stack_pump_send(stack_engine_of(transport), clock_now_ns());
}

/* Async-signal-safe: one write, errno as it was. */
static void engine_wake(struct transport *transport)
{
    int saved = errno;
    uint64_t one = 1;
    ssize_t written = write(stack_engine_of(transport)->wake_fd, &one, sizeof(one));
    (void)written; /* it can fail only with 2^64 - 1 wake-ups behind it */
    errno = saved;
}

static void engine_destroy(struct transport *transport)
{
    struct stack_engine *engine = stack_engine_of(transport);
    uint32_t index = 0;
    uint64_t handle;
    struct stack_conn *conn;
    engine_listen_stop(transport);
    while ((conn = slab_next(&transport->conns, &index, &handle)) != NULL) {
        if (conn->tcp != 0) {
            stack_conn_reset(engine, conn->tcp);
        }
    }
    stack_pump_send(engine, clock_now_ns());
    stack_setup_close(engine);
    buffer_pool_destroy(&engine->ready.pool);
    engine_fini(transport);
    free(engine);
}

static const struct transport_ops stack_ops = {
    .engine = TRANSPORT_STACK,
    .destroy = engine_destroy,
    .listen = engine_listen,
    .listen_stop = engine_listen_stop,
    .connect = stack_conn_connect,
    .connect_soon = stack_conn_connect_soon,
    .send = stack_conn_send,
    .send_buffer = stack_conn_send_buffer,
    .buffer_release = ready_buffer_release,
    .recv = ready_recv,
    .shutdown_write = stack_conn_shutdown_write,
    .close = stack_conn_close,
    .expired = stack_conn_expired,
    .poll = engine_poll,
    .flush = engine_flush,
    .wake = engine_wake,
    .features = stack_report_features,
    .memory_bytes = stack_report_memory,
    .census = stack_report_census,
    .lingering = stack_report_lingering,
    .views = stack_report_views,
};

int stack_engine_open(struct transport **transport, const struct transport_config *config,
                      struct failure *failure)
{
    ASSERT(config->stack != NULL);
    struct stack_engine *engine = calloc(1, sizeof(*engine));
    if (engine == NULL) {
        link_destroy(config->stack->opened);
        return failure_set(failure, ENOMEM, "no memory for a stack engine");
    }
    int rc = engine_init(&engine->base, &stack_ops, config, sizeof(struct stack_conn));
    engine->base.config.stack = NULL;
    engine->link_retry_ns = CLOCK_NEVER;
    if (rc != 0) {
        link_destroy(config->stack->opened);
        failure_set(failure, -rc, "no memory for the records of %u connections", config->conns_max);
        goto err_free_engine;
    }
    ready_init(&engine->ready);
    rc = stack_setup_open(engine, config->stack, failure);
    if (rc != 0) {
        goto err_fini;
    }
    *transport = &engine->base;
    return 0;
err_fini:
    stack_setup_close(engine);
    engine_fini(&engine->base);
err_free_engine:
    free(engine);
    return rc;
}
