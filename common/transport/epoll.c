/* The epoll engine: the loop, the listeners and the lists of connections that have something to do.
 * See epoll_engine.h for how it works. It is the baseline that people know, and what is left where
 * io_uring is forbidden. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/assert.h"
#include "transport/epoll_engine.h"
#include "transport/socket.h"

/* Above a handle's bits, the byte that tells what an epoll event is about; 0: a connection. */
#define TAG_LISTENER (UINT64_C(1) << SLAB_HANDLE_BITS)
#define TAG_WAKE (UINT64_C(2) << SLAB_HANDLE_BITS)
#define TAG_MASK (~UINT64_C(0) << SLAB_HANDLE_BITS)

static void run_queue(struct epoll_engine *engine)
{
    for (uint32_t runs = 0; runs < EPOLL_RUNS_PER_TURN; runs++) {
        struct ready_conn *conn = ready_list_pop(&engine->ready.queue);
        if (conn == NULL) {
            return;
        }
        epoll_conn_run(engine, epoll_conn_of(&conn->base));
    }
}

static int engine_listen(struct transport *transport, struct endpoint *address,
                         const struct transport_listen_options *options, uint32_t *listener,
                         struct failure *failure)
{
    struct epoll_engine *engine = epoll_engine_of(transport);
    if (engine->listener_count == TRANSPORT_LISTENERS_MAX) {
        return failure_set(failure, ENOSPC, "too many listeners: %u are the most",
                           TRANSPORT_LISTENERS_MAX);
    }
    int fd = socket_listen(address, options, SOCK_NONBLOCK, failure);
    if (fd < 0) {
        return fd;
    }
    uint32_t index = engine->listener_count;
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u64 = TAG_LISTENER | index};
    if (epoll_ctl(engine->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
        int rc =
            failure_set(failure, errno, "cannot watch a listener by epoll: %s", strerror(errno));
        close(fd);
        return rc;
    }
    engine->listeners[index] = (struct epoll_listener){
        .fd = fd,
        .data_first = options->defer_accept_ns > 0 || options->conn.fastopen,
        .conn = options->conn,
    };
    engine->listener_count++;
    *listener = index;
    return 0;
}

static void engine_listen_stop(struct transport *transport)
{
    struct epoll_engine *engine = epoll_engine_of(transport);
    for (uint32_t i = 0; i < engine->listener_count; i++) {
        struct epoll_listener *listener = &engine->listeners[i];
        if (listener->fd >= 0) {
            close(listener->fd);
        }
        listener->fd = -1;
        listener->ready = false;
    }
}

/* Handles accept4's error; returns false when accepting is over for this turn. */
static bool accept_failed(struct epoll_engine *engine, struct epoll_listener *listener, int error)
{
    if (error == EAGAIN) {
        listener->ready = false;
        return false;
    }
    ENGINE_COUNT(&engine->base, accept_failed);
    if (error == EMFILE || error == ENFILE || error == ENOMEM || error == ENOBUFS) {
        /* The connection stays in the backlog. A close of ours may help, or one elsewhere in the
         * process that nobody tells us of; asking again at once would spin. */
        ready_accept_pause(&engine->ready);
        ready_retry_soon(&engine->ready);
        return false;
    }
    /* ECONNABORTED, and errors that belong to the one connection (accept(2)): the next may do. */
    return true;
}

static void accept_some(struct epoll_engine *engine, uint32_t index)
{
    struct epoll_listener *listener = &engine->listeners[index];
    for (uint32_t n = 0; n < EPOLL_ACCEPTS_PER_TURN && listener->ready; n++) {
        if (!ready_accept_begin(&engine->ready)) {
            return;
        }
        ENGINE_COUNT(&engine->base, syscalls);
        int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            epoll_conn_accepted(engine, fd, index);
            continue;
        }
        bool goes_on = accept_failed(engine, listener, errno);
        engine_place_give(&engine->base);
        if (!goes_on) {
            return;
        }
    }
}

static void accept_ready(struct epoll_engine *engine)
{
    for (uint32_t i = 0; i < engine->listener_count && !engine->ready.accept_paused; i++) {
        accept_some(engine, i);
    }
}

static bool can_accept(const struct epoll_engine *engine)
{
    for (uint32_t i = 0; i < engine->listener_count && !engine->ready.accept_paused; i++) {
        if (engine->listeners[i].ready) {
            return true;
        }
    }
    return false;
}

static void handle_event(struct epoll_engine *engine, const struct epoll_event *event)
{
    uint64_t tag = event->data.u64 & TAG_MASK;
    if (tag == TAG_WAKE) {
        /* Every write to the eventfd is an edge of its own: nobody needs to read it. */
        ENGINE_COUNT(&engine->base, wakeups);
        return;
    }
    if (tag == TAG_LISTENER) {
        struct epoll_listener *listener = &engine->listeners[event->data.u64 & ~TAG_MASK];
        listener->ready = listener->fd >= 0;
        return;
    }
    /* The handle tells a connection from an earlier one whose descriptor had the same number. */
    struct epoll_conn *conn = slab_get(&engine->base.conns, event->data.u64);
    if (conn == NULL || conn->io.base.closing) {
        ENGINE_COUNT(&engine->base, stale_completion);
        return;
    }
    conn->io.news |= event->events;
    if (!conn->io.listed) {
        epoll_conn_run(engine, conn);
    }
}

static int wait_ms(const struct epoll_engine *engine, struct epoll_event *events, uint64_t wait_ns)
{
    int timeout = -1;
    if (wait_ns != CLOCK_NEVER) {
        uint64_t ms = wait_ns / NS_PER_MS + (wait_ns % NS_PER_MS != 0); /* never early */
        timeout = ms < INT_MAX ? (int)ms : INT_MAX;
    }
    return epoll_wait(engine->epoll_fd, events, EPOLL_EVENTS_PER_WAIT, timeout);
}

static int wait_ns(const struct epoll_engine *engine, struct epoll_event *events, uint64_t wait_ns)
{
    struct timespec timeout = {.tv_sec = (time_t)(wait_ns / NS_PER_SEC),
                               .tv_nsec = (long)(wait_ns % NS_PER_SEC)};
    return epoll_pwait2(engine->epoll_fd, events, EPOLL_EVENTS_PER_WAIT,
                        wait_ns == CLOCK_NEVER ? NULL : &timeout, NULL);
}

/* Tells whether the kernel has epoll_pwait2: those before 5.11 lack it, and some containers'
 * filters refuse with EPERM what they do not know. */
static bool probe_pwait2(const struct epoll_engine *engine)
{
    struct epoll_event events[EPOLL_EVENTS_PER_WAIT];
    return wait_ns(engine, events, 0) >= 0;
}

/* Waits; returns how many events came or -errno. */
static int wait_events(struct epoll_engine *engine, struct epoll_event *events,
                       uint64_t duration_ns)
{
    ENGINE_COUNT(&engine->base, syscalls);
    int count = engine->has_pwait2 ? wait_ns(engine, events, duration_ns)
                                   : wait_ms(engine, events, duration_ns);
    if (count < 0) {
        return errno == EINTR ? 0 : -errno; /* a signal may be what the caller waits for */
    }
    return count;
}

/* Tells how long a wait may last: not at all when something is to be done or was done. */
static uint64_t wait_duration(const struct epoll_engine *engine, bool busy, uint64_t until_ns,
                              uint64_t now_ns)
{
    if (busy || can_accept(engine)) {
        return 0;
    }
    uint64_t end_ns = engine->ready.retry_ns < until_ns ? engine->ready.retry_ns : until_ns;
    if (end_ns == CLOCK_NEVER) {
        return CLOCK_NEVER;
    }
    return end_ns > now_ns ? end_ns - now_ns : 0;
}

static int engine_poll(struct transport *transport, uint64_t until_ns)
{
    struct epoll_engine *engine = epoll_engine_of(transport);
    struct epoll_event events[EPOLL_EVENTS_PER_WAIT];
    /* The clock is read only where something waits for it. */
    ready_queue_leftovers(&engine->ready,
                          engine->ready.retry_ns != CLOCK_NEVER ? clock_now_ns() : 0);
    bool busy = engine->ready.queue.head != NULL;
    if (busy) {
        transport->now_ns = clock_now_ns();
        run_queue(engine);
    }
    uint64_t now_ns = clock_now_ns();
    engine_turn_end(transport, now_ns);
    int count = wait_events(engine, events, wait_duration(engine, busy, until_ns, now_ns));
    engine_turn_begin(transport, clock_now_ns());
    for (int i = 0; i < count; i++) {
        handle_event(engine, &events[i]);
    }
    accept_ready(engine);
    run_queue(engine);
    return count < 0 ? count : 0;
}

/* Async-signal-safe: one write, errno as it was. */
static void engine_wake(struct transport *transport)
{
    int saved = errno;
    uint64_t one = 1;
    ssize_t written = write(epoll_engine_of(transport)->wake_fd, &one, sizeof(one));
    (void)written; /* it can fail only with 2^64 - 1 wake-ups behind it */
    errno = saved;
}

static const struct transport_feature pwait2_feature = {
    .name = "epoll-pwait2",
    .since = "5.11",
    .help = "epoll waits with a deadline in nanoseconds",
    .fallback = "deadlines are rounded up to milliseconds",
};

static size_t engine_features(const struct transport *transport, struct transport_feature *features,
                              size_t max)
{
    const struct epoll_engine *engine = (const struct epoll_engine *)transport;
    if (max == 0) {
        return 0;
    }
    features[0] = pwait2_feature;
    if (engine->has_pwait2) {
        features[0].state = TRANSPORT_FEATURE_USED;
    } else if (transport->config.features_off & EPOLL_FEATURE_PWAIT2) {
        features[0].state = TRANSPORT_FEATURE_OFF;
    } else {
        features[0].state = TRANSPORT_FEATURE_MISSING;
    }
    return 1;
}

uint64_t epoll_engine_feature_find(const char *name)
{
    return strcmp(name, pwait2_feature.name) == 0 ? EPOLL_FEATURE_PWAIT2 : 0;
}

static uint64_t engine_memory_bytes(const struct transport *transport)
{
    const struct epoll_engine *engine = (const struct epoll_engine *)transport;
    return sizeof(*engine) + engine->ready.pool.memory_bytes;
}

/* The caller's eventfd is the caller's to close. */
static void wake_close(const struct epoll_engine *engine)
{
    if (engine->base.config.wake_fd == 0) {
        close(engine->wake_fd);
    }
}

static void engine_destroy(struct transport *transport)
{
    struct epoll_engine *engine = epoll_engine_of(transport);
    uint32_t index = 0;
    uint64_t handle;
    struct epoll_conn *conn;
    engine_listen_stop(transport);
    while ((conn = slab_next(&transport->conns, &index, &handle)) != NULL) {
        epoll_conn_abort(conn);
    }
    wake_close(engine);
    close(engine->epoll_fd);
    buffer_pool_destroy(&engine->ready.pool);
    engine_fini(transport);
    free(engine);
}

static const struct transport_ops epoll_ops = {
    .engine = TRANSPORT_EPOLL,
    .destroy = engine_destroy,
    .listen = engine_listen,
    .listen_stop = engine_listen_stop,
    .connect = epoll_conn_connect,
    .send = epoll_conn_send,
    .send_buffer = epoll_conn_send_buffer,
    .buffer_release = ready_buffer_release,
    .recv = ready_recv,
    .shutdown_write = epoll_conn_shutdown_write,
    .close = epoll_conn_close,
    .poll = engine_poll,
    .wake = engine_wake,
    .features = engine_features,
    .memory_bytes = engine_memory_bytes,
};

/* Opens the epoll set and the eventfd that wakes it. Returns 0 or -errno with nothing left open. */
static int open_descriptors(struct epoll_engine *engine)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u64 = TAG_WAKE};
    engine->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (engine->epoll_fd < 0) {
        return -errno;
    }
    int rc;
    engine->wake_fd = engine->base.config.wake_fd;
    if (engine->wake_fd == 0) {
        engine->wake_fd = eventfd(0, EFD_CLOEXEC);
    }
    if (engine->wake_fd < 0) {
        rc = -errno;
        goto err_close_epoll;
    }
    if (epoll_ctl(engine->epoll_fd, EPOLL_CTL_ADD, engine->wake_fd, &event) != 0) {
        rc = -errno;
        goto err_close_wake;
    }
    return 0;
err_close_wake:
    wake_close(engine);
err_close_epoll:
    close(engine->epoll_fd);
    return rc;
}

int epoll_engine_open(struct transport **transport, const struct transport_config *config,
                      struct failure *failure)
{
    struct epoll_engine *engine = calloc(1, sizeof(*engine));
    if (engine == NULL) {
        return failure_set(failure, ENOMEM, "no memory for an epoll engine");
    }
    int rc = engine_init(&engine->base, &epoll_ops, config, sizeof(struct epoll_conn));
    if (rc != 0) {
        failure_set(failure, -rc, "no memory for the records of %u connections", config->conns_max);
        goto err_free_engine;
    }
    rc = open_descriptors(engine);
    if (rc != 0) {
        failure_set(failure, -rc, "cannot open an epoll set: %s", strerror(-rc));
        goto err_fini;
    }
    ready_init(&engine->ready);
    engine->has_pwait2 = !(config->features_off & EPOLL_FEATURE_PWAIT2) && probe_pwait2(engine);
    *transport = &engine->base;
    return 0;
err_fini:
    engine_fini(&engine->base);
err_free_engine:
    free(engine);
    return rc;
}
