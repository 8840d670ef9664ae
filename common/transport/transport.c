/* The part of the transport that all engines share: records, timers, events, and the choice of
 * engine. */
#include "transport/transport.h"

#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "transport/engine.h"
#include "transport/quota.h"

/* Time-outs and holds need no finer grain; a deadline is late by less than this. */
#define TRANSPORT_TIMER_TICK_NS (NS_PER_MS / 2)

static const struct counter_info counter_infos[TRANSPORT_COUNTER_COUNT] = {
#define COUNTER(name, help) [TRANSPORT_COUNTER_##name] = {#name, help},
#include "transport/counters.def"
#undef COUNTER
};

const char *transport_engine_name(enum transport_engine engine)
{
    static const char *const names[] = {"auto", "uring", "epoll", "stack"};
    return names[engine];
}

const char *transport_phase_name(enum transport_phase phase)
{
    static const char *const names[TRANSPORT_PHASE_COUNT] = {
        "accept", "setup", "connect", "send", "recv", "shutdown", "close"};
    return names[phase];
}

const char *transport_event_name(enum transport_event_type type)
{
    static const char *const names[] = {"accepted", "connected", "connecting", "data",  "sent",
                                        "peer_fin", "timer",     "failed",     "closed"};
    return names[type];
}

int transport_choose(enum transport_engine wanted, enum transport_engine *chosen,
                     uint64_t features_off, struct failure *failure)
{
    failure->error = 0;
    failure->text[0] = '\0';
    if (wanted == TRANSPORT_EPOLL || wanted == TRANSPORT_STACK) {
        *chosen = wanted;
        return 0;
    }
    *chosen = TRANSPORT_EPOLL;
    int rc = uring_engine_check(features_off, failure);
    if (rc == 0) {
        *chosen = TRANSPORT_URING;
        return 0;
    }
    return wanted == TRANSPORT_AUTO ? 0 : rc;
}

int transport_open(struct transport **transport, const struct transport_config *config,
                   struct failure *failure)
{
    ASSERT(config->engine != TRANSPORT_AUTO);
    ASSERT(config->handler != NULL);
    ASSERT(config->conns_max > 0 && config->conns_max <= 1u << 22);
    ASSERT(config->quota == NULL || !config->connects);
    struct transport_config filled = *config;
    filled.buffer_bytes = filled.buffer_bytes ? filled.buffer_bytes : TRANSPORT_BUFFER_BYTES;
    filled.read_credit = filled.read_credit ? filled.read_credit : TRANSPORT_READ_CREDIT;
    if (config->engine == TRANSPORT_URING) {
        return uring_engine_open(transport, &filled, failure);
    }
    if (config->engine == TRANSPORT_STACK) {
        return stack_engine_open(transport, &filled, failure);
    }
    return epoll_engine_open(transport, &filled, failure);
}

void transport_destroy(struct transport *transport)
{
    if (transport != NULL) {
        ASSERT(!transport->polling);
        transport->ops->destroy(transport);
    }
}

int engine_init(struct transport *transport, const struct transport_ops *ops,
                const struct transport_config *config, size_t conn_bytes)
{
    ASSERT(conn_bytes >= sizeof(struct transport_conn));
    transport->ops = ops;
    transport->config = *config;
    transport->now_ns = clock_now_ns();
    hist_init(&transport->turns);
    wheel_init(&transport->wheel, transport->now_ns, TRANSPORT_TIMER_TICK_NS);
    return slab_init(&transport->conns, conn_bytes, config->conns_max);
}

void engine_fini(struct transport *transport)
{
    struct transport_quota *quota = transport->config.quota;
    if (quota != NULL) {
        quota_wait_end(quota, &transport->quota_waits);
        quota_give(quota, transport->conns.live_count);
    }
    slab_destroy(&transport->conns);
}

bool engine_place_take(struct transport *transport)
{
    struct transport_quota *quota = transport->config.quota;
    return quota == NULL || quota_take(quota, &transport->quota_waits);
}

void engine_place_give(struct transport *transport)
{
    if (transport->config.quota != NULL) {
        quota_give(transport->config.quota, 1);
    }
}

struct transport_conn *engine_conn_new(struct transport *transport)
{
    uint64_t handle;
    struct transport_conn *conn = slab_alloc(&transport->conns, &handle);
    if (conn != NULL) {
        conn->handle = handle;
    }
    return conn;
}

void engine_conn_drop(struct transport *transport, struct transport_conn *conn)
{
    wheel_disarm(&transport->wheel, &conn->timer);
    slab_release(&transport->conns, conn->handle);
    engine_place_give(transport);
}

void engine_turn_begin(struct transport *transport, uint64_t now_ns)
{
    transport->now_ns = now_ns;
    transport->turn_start_ns = now_ns;
    ENGINE_COUNT(transport, polls);
}

void engine_turn_end(struct transport *transport, uint64_t now_ns)
{
    if (transport->turn_start_ns != 0) {
        hist_record(&transport->turns, now_ns - transport->turn_start_ns);
        transport->turn_start_ns = 0;
    }
}

static struct transport_event event_of(const struct transport *transport,
                                       const struct transport_conn *conn,
                                       enum transport_event_type type)
{
    return (struct transport_event){
        .type = type, .conn = conn->handle, .user = conn->user, .time_ns = transport->now_ns};
}

static void deliver(struct transport *transport, const struct transport_event *event)
{
    transport->config.handler(transport->config.context, event);
}

/* After FAILED nothing comes but the timer and CLOSED: what other operations still say of a broken
 * connection would be a second account of the same end. */
static bool is_quiet(const struct transport_conn *conn)
{
    return conn->closing || conn->failed;
}

void engine_event(struct transport *transport, struct transport_conn *conn,
                  enum transport_event_type type)
{
    if (!is_quiet(conn) || (type == TRANSPORT_TIMER && !conn->closing)) {
        struct transport_event event = event_of(transport, conn, type);
        deliver(transport, &event);
    }
}

void engine_accepted(struct transport *transport, struct transport_conn *conn, uint32_t listener)
{
    ENGINE_COUNT(transport, accepted);
    struct transport_event event = event_of(transport, conn, TRANSPORT_ACCEPTED);
    event.listener = listener;
    deliver(transport, &event);
}

void engine_connecting(struct transport *transport, struct transport_conn *conn, uint64_t now_ns)
{
    if (!conn->closing) {
        struct transport_event event = event_of(transport, conn, TRANSPORT_CONNECTING);
        event.time_ns = now_ns;
        deliver(transport, &event);
    }
}

bool engine_data(struct transport *transport, struct transport_conn *conn,
                 const struct transport_buffer *buffer)
{
    if (is_quiet(conn)) {
        return false;
    }
    ENGINE_ADD(transport, bytes_received, buffer->size);
    struct transport_event event = event_of(transport, conn, TRANSPORT_DATA);
    event.buffer = *buffer;
    deliver(transport, &event);
    return true;
}

void engine_sent(struct transport *transport, struct transport_conn *conn, uint64_t bytes)
{
    ENGINE_ADD(transport, bytes_sent, bytes);
    if (!is_quiet(conn)) {
        struct transport_event event = event_of(transport, conn, TRANSPORT_SENT);
        event.bytes = bytes;
        deliver(transport, &event);
    }
}

void engine_failed(struct transport *transport, struct transport_conn *conn,
                   enum transport_phase phase, int error)
{
    if (!is_quiet(conn)) {
        conn->failed = true;
        struct transport_event event = event_of(transport, conn, TRANSPORT_FAILED);
        event.phase = phase;
        event.error = error;
        deliver(transport, &event);
    }
}

void engine_closed(struct transport *transport, struct transport_conn *conn, uint64_t time_ns,
                   int error)
{
    struct transport_event event = event_of(transport, conn, TRANSPORT_CLOSED);
    event.time_ns = time_ns;
    event.error = error;
    deliver(transport, &event);
    engine_conn_drop(transport, conn);
}

/* Finds the live and open connection of a handle; NULL, counted, when it is gone or closing. */
static struct transport_conn *conn_find(struct transport *transport, uint64_t handle)
{
    struct transport_conn *conn = slab_get(&transport->conns, handle);
    if (conn == NULL || conn->closing) {
        ENGINE_COUNT(transport, stale_handle);
        return NULL;
    }
    return conn;
}

int transport_listen(struct transport *transport, struct endpoint *address,
                     const struct transport_listen_options *options, uint32_t *listener,
                     struct failure *failure)
{
    ASSERT(transport->config.listens);
    return transport->ops->listen(transport, address, options, listener, failure);
}

void transport_listen_stop(struct transport *transport)
{
    transport->ops->listen_stop(transport);
}

int transport_connect(struct transport *transport, const struct flow *flow,
                      const struct transport_conn_options *options, uint64_t user, uint64_t *handle)
{
    ASSERT(transport->config.connects);
    struct transport_conn *conn = engine_conn_new(transport);
    if (conn == NULL) {
        return -ENOBUFS;
    }
    conn->user = user;
    int rc = transport->ops->connect(transport, conn, flow, options);
    if (rc != 0) {
        engine_conn_drop(transport, conn);
        return rc;
    }
    ENGINE_COUNT(transport, connects);
    *handle = conn->handle;
    return 0;
}

void transport_connect_soon(struct transport *transport, const struct flow *flow)
{
    if (transport->ops->connect_soon != NULL) {
        transport->ops->connect_soon(transport, flow);
    }
}

void transport_flush(struct transport *transport)
{
    if (transport->ops->flush != NULL) {
        transport->ops->flush(transport);
    }
}

int transport_set_user(struct transport *transport, uint64_t handle, uint64_t user)
{
    struct transport_conn *conn = conn_find(transport, handle);
    if (conn == NULL) {
        return -EBADF;
    }
    conn->user = user;
    return 0;
}

int transport_send(struct transport *transport, uint64_t handle, const void *data, uint64_t bytes)
{
    ASSERT(bytes > 0);
    struct transport_conn *conn = conn_find(transport, handle);
    return conn != NULL ? transport->ops->send(transport, conn, data, bytes) : -EBADF;
}

int transport_send_buffer(struct transport *transport, uint64_t handle,
                          const struct transport_buffer *buffer)
{
    struct transport_conn *conn = conn_find(transport, handle);
    if (conn == NULL) {
        transport_buffer_release(transport, handle, buffer);
        return -EBADF;
    }
    return transport->ops->send_buffer(transport, conn, buffer);
}

void transport_buffer_release(struct transport *transport, uint64_t handle,
                              const struct transport_buffer *buffer)
{
    transport->ops->buffer_release(transport, slab_get(&transport->conns, handle), buffer);
}

int transport_recv(struct transport *transport, uint64_t handle)
{
    struct transport_conn *conn = conn_find(transport, handle);
    if (conn == NULL) {
        return -EBADF;
    }
    transport->ops->recv(transport, conn);
    return 0;
}

int transport_shutdown_write(struct transport *transport, uint64_t handle)
{
    struct transport_conn *conn = conn_find(transport, handle);
    if (conn == NULL) {
        return -EBADF;
    }
    transport->ops->shutdown_write(transport, conn);
    return 0;
}

int transport_close(struct transport *transport, uint64_t handle, enum transport_close_how how)
{
    struct transport_conn *conn = conn_find(transport, handle);
    if (conn == NULL) {
        return -EBADF;
    }
    conn->closing = true;
    wheel_disarm(&transport->wheel, &conn->timer);
    transport->ops->close(transport, conn, how);
    return 0;
}

int transport_timer(struct transport *transport, uint64_t handle, uint64_t deadline_ns)
{
    struct transport_conn *conn = conn_find(transport, handle);
    if (conn == NULL) {
        return -EBADF;
    }
    /* A timer that is moved later is left where it is until it expires: most are moved on, phase by
     * phase, and never needed. */
    conn->deadline_ns = deadline_ns;
    if (deadline_ns != CLOCK_NEVER &&
        (!wheel_is_armed(&conn->timer) || deadline_ns < conn->timer.deadline_ns)) {
        wheel_arm(&transport->wheel, &conn->timer, deadline_ns);
    }
    return 0;
}

static void expire_timers(struct transport *transport)
{
    struct wheel_timer *timer;
    while ((timer = wheel_expire(&transport->wheel, transport->now_ns)) != NULL) {
        /* The timer is the record's first member. */
        struct transport_conn *conn = (struct transport_conn *)timer;
        if (conn->deadline_ns == CLOCK_NEVER) {
            continue;
        }
        if (timer->deadline_ns < conn->deadline_ns) {
            wheel_arm(&transport->wheel, timer, conn->deadline_ns);
            continue;
        }
        if (transport->ops->expired == NULL || !transport->ops->expired(transport, conn)) {
            engine_event(transport, conn, TRANSPORT_TIMER);
        }
    }
}

int transport_poll(struct transport *transport, uint64_t until_ns)
{
    ASSERT(!transport->polling);
    uint64_t next_ns = wheel_next_ns(&transport->wheel);
    transport->polling = true;
    int rc = transport->ops->poll(transport, next_ns < until_ns ? next_ns : until_ns);
    expire_timers(transport);
    transport->polling = false;
    return rc;
}

void transport_wake(struct transport *transport)
{
    transport->ops->wake(transport);
}

uint32_t transport_conn_count(const struct transport *transport)
{
    return transport->conns.live_count;
}

size_t transport_features(const struct transport *transport, struct transport_feature *features,
                          size_t max)
{
    if (transport == NULL) {
        return uring_engine_probe(features, max);
    }
    return transport->ops->features(transport, features, max);
}

uint64_t transport_feature_find(const char *name)
{
    uint64_t bit = uring_engine_feature_find(name);
    return bit != 0 ? bit : epoll_engine_feature_find(name);
}

enum transport_engine transport_engine_of(const struct transport *transport)
{
    return transport->ops->engine;
}

struct counter_view transport_counters(const struct transport *transport)
{
    return (struct counter_view){counter_infos, transport->counters, TRANSPORT_COUNTER_COUNT};
}

void transport_turns(const struct transport *transport, struct hist *turns)
{
    *turns = transport->turns;
}

uint64_t transport_memory_bytes(const struct transport *transport)
{
    return slab_memory_bytes(&transport->conns) + transport->ops->memory_bytes(transport);
}

size_t transport_views(struct transport *transport, struct transport_view *views, size_t max)
{
    return transport->ops->views != NULL ? transport->ops->views(transport, views, max) : 0;
}

int transport_census(struct transport *transport, struct tcp_state_counts *counts,
                     struct tcp_transitions *transitions)
{
    if (transport->ops->census == NULL) {
        return -ENOTSUP;
    }
    transport->ops->census(transport, counts, transitions);
    return 0;
}

struct transport_lingering transport_lingering(const struct transport *transport)
{
    if (transport->ops->census == NULL) {
        return (struct transport_lingering){0};
    }
    return transport->ops->lingering(transport);
}
