/* The io_uring engine: opening, the loop's turn, dispatch of completions. */
#include "transport/uring_engine.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"

static const struct transport_ops uring_ops;

/* The kernel takes a table that fits RLIMIT_NOFILE when it is registered. */
static uint32_t table_size(const struct transport_config *config)
{
    struct rlimit limit = {.rlim_cur = 1024};
    (void)getrlimit(RLIMIT_NOFILE, &limit);
    uint64_t size = (uint64_t)config->conns_max + URING_SINGLE_ACCEPTS;
    if (config->listens && config->connects) {
        size *= 2;
    }
    size = size < limit.rlim_cur ? size : limit.rlim_cur;
    return size < URING_TABLE_MAX ? (uint32_t)size : URING_TABLE_MAX;
}

/* Descriptors from here on are for what else a process needs: rings, listeners, reports. */
static int descriptors_plenty(void)
{
    struct rlimit limit = {.rlim_cur = 1024};
    (void)getrlimit(RLIMIT_NOFILE, &limit);
    rlim_t kept = limit.rlim_cur / 8 > 32 ? limit.rlim_cur / 8 : 32;
    rlim_t plenty = limit.rlim_cur > kept ? limit.rlim_cur - kept : 0;
    return plenty < INT_MAX ? (int)plenty : INT_MAX;
}

/* Waits for a signal on an eventfd by reading it in the first ring. */
void uring_wake_arm(struct uring_engine *engine, int fd, uint64_t *value, uint64_t which)
{
    struct io_uring_sqe *sqe = uring_sqe(&engine->rings[0]->uring);
    io_uring_prep_read(sqe, fd, value, sizeof(*value), 0);
    io_uring_sqe_set_data64(sqe, uring_user_data(URING_OP_WAKE, which));
}

int uring_engine_open(struct transport **transport, const struct transport_config *config,
                      struct failure *failure)
{
    uint64_t features;
    int rc = uring_probe(config->features_off, &features, failure);
    if (rc != 0) {
        return rc;
    }
    struct uring_engine *engine = calloc(1, sizeof(*engine));
    if (engine == NULL) {
        return failure_set(failure, ENOMEM, "out of memory for a worker");
    }
    engine->features = features;
    engine->plain_max = UINT32_MAX;
    engine->descriptors_plenty = descriptors_plenty();
    engine->table_wanted = uring_has(engine, URING_FEATURE_DIRECT) ? table_size(config) : 0;
    rc = engine_init(&engine->head, &uring_ops, config, sizeof(struct uring_conn));
    if (rc != 0) {
        rc = failure_set(failure, -rc, "out of memory for a worker");
        goto err_free;
    }
    rc = uring_rings_add(engine, failure);
    if (rc != 0) {
        goto err_init;
    }
    engine->wake_fd = config->wake_fd != 0 ? config->wake_fd : eventfd(0, EFD_CLOEXEC);
    if (engine->wake_fd < 0) {
        rc = failure_set(failure, errno, "eventfd: %s", strerror(errno));
        goto err_rings;
    }
    uring_wake_arm(engine, engine->wake_fd, &engine->wake_value, 0);
    *transport = &engine->head;
    return 0;

err_rings:
    uring_rings_free(engine);
err_init:
    engine_fini(&engine->head);
err_free:
    free(engine);
    return rc;
}

/* Makes the end of a connection that nobody closed a reset. A direct descriptor is dropped with its
 * ring; where the ring cannot set options, its end is a FIN. What was closed has its close() in the
 * ring, which is about to be flushed: a second one might meet another thread's descriptor. */
static void conn_abort(struct uring_engine *engine, struct uring_conn *conn)
{
    struct socket_option option[SOCKET_OPTIONS_MAX];
    if (!conn->has_file || conn->close_started) {
        return;
    }
    if (!conn->direct) {
        (void)socket_set_close_how(conn->file, TRANSPORT_CLOSE_RST);
        close(conn->file);
    } else if (uring_has(engine, URING_FEATURE_SETSOCKOPT_OP)) {
        socket_close_options(TRANSPORT_CLOSE_RST, option);
        struct io_uring_sqe *sqe = uring_sqe(&uring_conn_ring(engine, conn)->uring);
        uring_prep_setsockopt(sqe, conn->file, &option[0]);
        sqe->flags |= IOSQE_FIXED_FILE;
        io_uring_sqe_set_data64(sqe, uring_user_data(URING_OP_IGNORE, 0));
    }
}

static int rings_flush(struct uring_engine *engine)
{
    for (uint32_t i = 0; i < engine->ring_count; i++) {
        struct uring *uring = &engine->rings[i]->uring;
        if (uring->queued || uring_has_work(uring)) {
            int rc = uring_flush(uring);
            if (rc != 0) {
                return rc;
            }
        }
    }
    return 0;
}

static void destroy(struct transport *transport)
{
    struct uring_engine *engine = uring_engine_of(transport);
    uint32_t index = 0;
    uint64_t handle;
    struct uring_conn *conn;
    while ((conn = slab_next(&transport->conns, &index, &handle)) != NULL) {
        conn_abort(engine, conn);
    }
    (void)rings_flush(engine);
    for (uint32_t i = 0; i < engine->listener_count; i++) {
        if (engine->listeners[i].fd >= 0) {
            close(engine->listeners[i].fd);
        }
    }
    uring_parked_free(engine);
    uring_rings_free(engine);
    if (transport->config.wake_fd == 0) {
        close(engine->wake_fd);
    }
    engine_fini(transport);
    free(engine);
}

static void on_wake(struct uring_engine *engine, uint64_t which)
{
    if (which == 0) {
        ENGINE_COUNT(&engine->head, wakeups);
        uring_wake_arm(engine, engine->wake_fd, &engine->wake_value, 0);
    } else {
        struct uring_ring *ring = engine->rings[which];
        uring_wake_arm(engine, ring->eventfd, &ring->eventfd_value, which);
    }
}

static void dispatch_conn(struct uring_engine *engine, struct uring_conn *conn,
                          const struct io_uring_cqe *cqe)
{
    switch ((enum uring_op)(cqe->user_data >> SLAB_HANDLE_BITS)) {
    case URING_OP_SOCKET:
        uring_on_socket(engine, conn, cqe->res);
        break;
    case URING_OP_SETUP:
        uring_on_setup(engine, conn, cqe->res);
        break;
    case URING_OP_CONNECT:
        uring_on_connect(engine, conn, cqe->res);
        break;
    case URING_OP_RECV:
        uring_on_recv(engine, conn, cqe);
        break;
    case URING_OP_SEND:
        uring_on_send(engine, conn, cqe->res);
        break;
    case URING_OP_SHUTDOWN:
        uring_on_shutdown(engine, conn, cqe->res);
        break;
    case URING_OP_CANCEL:
        conn->pending--;
        uring_conn_settle(engine, conn);
        break;
    case URING_OP_CLOSE:
        uring_on_close(engine, conn, cqe->res);
        break;
    case URING_OP_IGNORE:
    case URING_OP_WAKE:
    case URING_OP_ALARM:
    case URING_OP_ACCEPT:
    case URING_OP_ACCEPT_CANCEL:
        break;
    }
}

static void dispatch(struct uring_engine *engine, uint32_t ring, const struct io_uring_cqe *cqe)
{
    enum uring_op op = (enum uring_op)(cqe->user_data >> SLAB_HANDLE_BITS);
    uint64_t handle = cqe->user_data & ((UINT64_C(1) << SLAB_HANDLE_BITS) - 1);
    if (op == URING_OP_ACCEPT) {
        uring_on_accept(engine, ring, cqe);
    } else if (op == URING_OP_WAKE) {
        on_wake(engine, handle);
    } else if (op == URING_OP_ALARM) {
        engine->alarm_ns = 0;
    } else if (op != URING_OP_IGNORE) {
        struct uring_conn *conn = slab_get(&engine->head.conns, handle);
        if (conn == NULL) {
            ENGINE_COUNT(&engine->head, stale_completion);
            return;
        }
        dispatch_conn(engine, conn, cqe);
    }
}

/* Handles the completions that are there now, not those that come meanwhile: a turn has an end. */
static void ring_drain(struct uring_engine *engine, uint32_t index)
{
    struct io_uring *ring = &engine->rings[index]->uring.ring;
    unsigned count = io_uring_cq_ready(ring);
    unsigned head = *ring->cq.khead;
    for (unsigned i = 0; i < count; i++) {
        struct io_uring_cqe cqe = ring->cq.cqes[(head + i) & *ring->cq.kring_mask];
        io_uring_cq_advance(ring, 1);
        dispatch(engine, index, &cqe);
    }
}

/* Tells whether a ring has something to do without a wait: completions, or work that a flush left.
 * The kernel works off some 20 items a call, and a further ring signals its eventfd only for an
 * item that is added to none: to wait while items are left (as when the first 20 completed nothing,
 * which a burst of state changes does) would strand them. */
static bool work_ready(struct uring_engine *engine)
{
    for (uint32_t i = 0; i < engine->ring_count; i++) {
        if (uring_has_work(&engine->rings[i]->uring)) {
            return true;
        }
    }
    return false;
}

/* Collects what the rings count by themselves. */
static void rings_count(struct uring_engine *engine)
{
    for (uint32_t i = 0; i < engine->ring_count; i++) {
        struct uring *uring = &engine->rings[i]->uring;
        ENGINE_ADD(&engine->head, syscalls, uring->enters);
        uring->enters = 0;
        if (uring_cq_overflowed(uring)) {
            ENGINE_COUNT(&engine->head, cq_overflow);
        }
    }
}

/* Waits in the first ring until `until_ns` at most. While the alarm goes off before that, it ends
 * the wait, and the next poll waits on. */
static int wait_until(struct uring_engine *engine, uint64_t now_ns, uint64_t until_ns)
{
    struct uring *uring = &engine->rings[0]->uring;
    uint64_t left_ns = until_ns - now_ns;
    if (left_ns >= URING_WAIT_FOREVER_NS) {
        return uring_wait(uring, URING_WAIT_FOREVER_NS);
    }
    if (engine->alarm_ns == 0 && left_ns >= URING_ALARM_NS) {
        uring_alarm(uring, URING_ALARM_NS, uring_user_data(URING_OP_ALARM, 0));
        engine->alarm_ns = now_ns + URING_ALARM_NS;
    }
    bool alarmed = engine->alarm_ns != 0 && engine->alarm_ns <= until_ns;
    return uring_wait(uring, alarmed ? URING_WAIT_FOREVER_NS : left_ns);
}

/* What handlers deferred while the deferred was worked off must not wait for a wait's end. */
static bool has_deferred(const struct uring_engine *engine)
{
    return engine->deferred_first != SLAB_HANDLE_NONE || engine->shut_first != SLAB_HANDLE_NONE;
}

static int poll_rings(struct transport *transport, uint64_t until_ns)
{
    struct uring_engine *engine = uring_engine_of(transport);
    /* The caller may have to act on a failure: it does not wait behind one either. */
    bool failed = uring_setup_deferred(engine);
    failed = uring_shutdown_deferred(engine) || failed;
    if (engine->accept_short) {
        uring_accept_arm(engine);
    }
    if (engine->accept_retry_ns != 0 && engine->accept_retry_ns < until_ns) {
        until_ns = engine->accept_retry_ns;
    }
    int rc = rings_flush(engine);
    uint64_t now_ns = clock_now_ns();
    engine_turn_end(transport, now_ns);
    if (rc == 0 && !work_ready(engine) && !failed && !has_deferred(engine) && now_ns < until_ns) {
        rc = wait_until(engine, now_ns, until_ns);
        now_ns = clock_now_ns();
        if (rc == 0 && engine->ring_count > 1) {
            rc = rings_flush(engine);
        }
    }
    rings_count(engine);
    engine_turn_begin(transport, now_ns);
    for (uint32_t i = 0; i < engine->ring_count && rc == 0; i++) {
        ring_drain(engine, i);
    }
    return rc;
}

static void wake(struct transport *transport)
{
    struct uring_engine *engine = uring_engine_of(transport);
    uint64_t one = 1;
    /* The only failure is a counter at its maximum, which wakes as well. */
    ssize_t written = write(engine->wake_fd, &one, sizeof(one));
    (void)written;
}

static size_t list_features(uint64_t present, uint64_t off, struct transport_feature *features,
                            size_t max)
{
    size_t count = URING_FEATURE_COUNT < max ? URING_FEATURE_COUNT : max;
    for (size_t i = 0; i < count; i++) {
        const struct uring_feature_info *info = &uring_feature_infos[i];
        features[i] = (struct transport_feature){info->name, info->since, info->help,
                                                 info->fallback, TRANSPORT_FEATURE_MISSING};
        if (off >> i & 1) {
            features[i].state = TRANSPORT_FEATURE_OFF;
        } else if (present >> i & 1) {
            features[i].state = TRANSPORT_FEATURE_USED;
        }
    }
    return count;
}

static size_t engine_features(const struct transport *transport, struct transport_feature *features,
                              size_t max)
{
    const struct uring_engine *engine = (const struct uring_engine *)transport;
    return list_features(engine->features, transport->config.features_off, features, max);
}

size_t uring_engine_probe(struct transport_feature *features, size_t max)
{
    uint64_t present = 0;
    struct failure failure;
    (void)uring_probe(0, &present, &failure);
    return list_features(present, 0, features, max);
}

uint64_t uring_engine_feature_find(const char *name)
{
    for (uint32_t i = 0; i < URING_FEATURE_COUNT; i++) {
        if (strcmp(uring_feature_infos[i].name, name) == 0) {
            return UINT64_C(1) << i;
        }
    }
    return 0;
}

int uring_engine_check(uint64_t features_off, struct failure *failure)
{
    uint64_t features;
    return uring_probe(features_off, &features, failure);
}

static uint64_t memory_bytes(const struct transport *transport)
{
    return uring_rings_memory((const struct uring_engine *)transport);
}

static const struct transport_ops uring_ops = {
    .engine = TRANSPORT_URING,
    .destroy = destroy,
    .listen = uring_listen,
    .listen_stop = uring_listen_stop,
    .connect = uring_connect,
    .send = uring_send,
    .send_buffer = uring_send_buffer,
    .buffer_release = uring_buffer_release,
    .recv = uring_recv,
    .shutdown_write = uring_shutdown_write,
    .close = uring_close_conn,
    .poll = poll_rings,
    .wake = wake,
    .features = engine_features,
    .memory_bytes = memory_bytes,
};
