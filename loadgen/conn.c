#include "loadgen/conn.h"

#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"

struct conn {
    uint64_t self;   /* handle in our slab */
    uint64_t handle; /* in the transport */
    uint64_t index;  /* of the arrival, in the whole run */
    uint64_t tuple;
    uint64_t arrival_ns;   /* when the schedule wanted it */
    uint64_t began_ns;     /* when we got to it */
    uint64_t phase_due_ns; /* when the present phase was due */
    uint64_t phase_ns;     /* when it really began */
    uint64_t received;     /* bytes of the present answer */
    uint64_t echo;         /* answers complete */
    uint32_t offset;       /* of the present request in the payload's pattern */
    uint8_t state;         /* enum conn_state; written by set_state alone */
    bool planned;          /* `tuple` is the planner's */
    bool sent;             /* the present request left whole */
    bool answered;         /* the present answer is complete */
    bool last_send;        /* DONE, but a last send is on its way (--close half by the server) */
};

_Static_assert(sizeof(struct conn) <= 128, "two cache lines a connection");

/* Which state may follow which. */
static const bool transition_allowed[CONN_STATE_COUNT][CONN_STATE_COUNT] = {
    [CONN_SETUP] = {[CONN_CONNECT] = true, [CONN_DONE] = true},
    [CONN_CONNECT] =
        {[CONN_EXCHANGE] = true, [CONN_HOLD] = true, [CONN_CLOSE] = true, [CONN_DONE] = true},
    [CONN_EXCHANGE] = {[CONN_HOLD] = true, [CONN_CLOSE] = true, [CONN_DONE] = true},
    [CONN_HOLD] = {[CONN_CLOSE] = true, [CONN_DONE] = true},
    [CONN_CLOSE] = {[CONN_DONE] = true},
};

static void set_state(struct conn_env *env, struct conn *conn, enum conn_state state)
{
    ASSERT(transition_allowed[conn->state][state]);
    env->transitions[conn->state][state]++;
    env->active_count -= state == CONN_DONE;
    conn->state = (uint8_t)state;
}

static enum conn_phase phase_of_state(enum conn_state state)
{
    switch (state) {
    case CONN_SETUP:
        return CONN_PHASE_SETUP;
    case CONN_CONNECT:
        return CONN_PHASE_CONNECT;
    case CONN_EXCHANGE:
        return CONN_PHASE_ECHO;
    case CONN_HOLD:
        return CONN_PHASE_HOLD;
    case CONN_CLOSE:
    case CONN_DONE:
        return CONN_PHASE_CLOSE;
    }
    return CONN_PHASE_CLOSE;
}

int conn_env_init(struct conn_env *env, const struct plan *plan, uint32_t share, uint32_t shares,
                  uint32_t conns_max)
{
    memset(env, 0, sizeof(*env));
    env->plan = plan;
    env->shares = shares;
    env->window_end_ns = CLOCK_NEVER;
    if (!plan->ports_by_kernel) {
        planner_init(&env->planner, &(struct planner_config){
                                        .sources = &plan->sources,
                                        .targets = plan->targets,
                                        .target_count = plan->target_count,
                                        .ports = plan->ports,
                                        .reuse_after_ns = plan->options.reuse_after_ns,
                                        .share = share,
                                        .shares = shares,
                                        .by_port = plan->engine == TRANSPORT_STACK,
                                    });
    }
    return slab_init(&env->conns, sizeof(struct conn), conns_max);
}

void conn_env_destroy(struct conn_env *env)
{
    planner_destroy(&env->planner);
    slab_destroy(&env->conns);
}

static void record(struct conn_env *env, enum stats_latency which, uint64_t from_due_ns,
                   uint64_t from_start_ns)
{
    hist_record(&env->stats->latency[which][STATS_FROM_DUE], from_due_ns);
    hist_record(&env->stats->latency[which][STATS_FROM_START], from_start_ns);
}

/* Times of one batch may lie a little before a clock read that was made while it was handled. */
static uint64_t since(uint64_t earlier_ns, uint64_t later_ns)
{
    return later_ns > earlier_ns ? later_ns - earlier_ns : 0;
}

static void record_phase(struct conn_env *env, const struct conn *conn, enum stats_latency which,
                         uint64_t now_ns)
{
    record(env, which, since(conn->phase_due_ns, now_ns), since(conn->phase_ns, now_ns));
}

static void arm_timeout(struct conn_env *env, const struct conn *conn, uint64_t now_ns)
{
    transport_timer(env->transport, conn->handle, now_ns + env->plan->options.timeout_ns);
}

/* Failures of connect() that the host finds before it sends anything, so that ActiveOpens lacks
 * them: no free port or 4-tuple, no route, a source that does not fit the target. */
static bool fails_before_syn(enum conn_phase phase, int error)
{
    return phase == CONN_PHASE_SETUP ||
           (phase == CONN_PHASE_CONNECT && (error == EADDRNOTAVAIL || error == ENETUNREACH ||
                                            error == EINVAL || error == EAFNOSUPPORT));
}

/* Tells whether an open met a former connection of ours with the same 4-tuple, in TIME_WAIT mostly.
 * Nobody else has the stack's addresses. A kernel says so when it connects a planned source; when
 * it binds one, its port is another program's, since our sockets allow its reuse. */
static bool meets_former(const struct plan *plan, enum conn_phase phase, int error)
{
    if (plan->engine == TRANSPORT_STACK) {
        return phase == CONN_PHASE_SETUP && error == EADDRINUSE;
    }
    return phase == CONN_PHASE_CONNECT && error == EADDRNOTAVAIL && !plan->ports_by_kernel;
}

/* What a failure says about 4-tuples. */
static void count_tuple(struct conn_env *env, enum conn_phase phase, int error)
{
    struct stats *stats = env->stats;
    if (meets_former(env->plan, phase, error)) {
        stats->tuple_early++;
        return;
    }
    stats->no_tuple += error == EADDRNOTAVAIL;
    stats->tuple_taken += phase == CONN_PHASE_SETUP && error == EADDRINUSE;
}

static void count_failure(struct conn_env *env, enum conn_phase phase, int error, uint64_t now_ns)
{
    struct stats *stats = env->stats;
    stats_bump(&stats->live.failed);
    stats_count_error(stats, phase, error);
    stats->failed_before_syn += fails_before_syn(phase, error);
    count_tuple(env, phase, error);
    stats->last_ns = now_ns;
}

/* Counts the failure and ends the connection; nothing is left to be said to its peer, so a reset.
 */
static void conn_fail(struct conn_env *env, struct conn *conn, enum conn_phase phase, int error,
                      uint64_t now_ns)
{
    count_failure(env, phase, error, now_ns);
    set_state(env, conn, CONN_DONE);
    bool was_open = phase > CONN_PHASE_CONNECT;
    env->stats->resets_sent += was_open && error != ECONNRESET;
    transport_close(env->transport, conn->handle,
                    was_open ? TRANSPORT_CLOSE_RST : TRANSPORT_CLOSE_PLAIN);
}

/* Counts the connection as completed. Its socket may still be open: the caller closes it, or did.
 */
static void conn_complete(struct conn_env *env, struct conn *conn, uint64_t now_ns)
{
    struct stats *stats = env->stats;
    record_phase(env, conn, STATS_CLOSE, now_ns);
    record(env, STATS_LIFETIME, since(conn->arrival_ns, now_ns), since(conn->began_ns, now_ns));
    stats_bump(&stats->live.completed);
    stats->completed_in_window += now_ns < env->window_end_ns;
    stats->last_ns = now_ns;
    set_state(env, conn, CONN_DONE);
}

static void close_begin(struct conn_env *env, struct conn *conn, uint64_t due_ns, uint64_t now_ns)
{
    const struct close_rule *rule = &env->plan->rule;
    set_state(env, conn, CONN_CLOSE);
    conn->phase_due_ns = due_ns;
    conn->phase_ns = now_ns;
    switch (rule->opening) {
    case CLOSE_OPENS_WITH_SHUTDOWN:
        transport_shutdown_write(env->transport, conn->handle);
        break;
    case CLOSE_OPENS_WITH_CLOSE:
        transport_close(env->transport, conn->handle, rule->how);
        return;
    case CLOSE_OPENS_EARLIER:
    case CLOSE_OPENS_BY_PEER:
        break;
    }
    arm_timeout(env, conn, conn->phase_ns);
}

static void echo_begin(struct conn_env *env, struct conn *conn, uint64_t due_ns, uint64_t now_ns)
{
    const struct plan *plan = env->plan;
    conn->offset = payload_offset(&plan->payload, conn->index, conn->echo);
    conn->received = 0;
    conn->sent = false;
    conn->answered = false;
    conn->phase_due_ns = due_ns;
    conn->phase_ns = now_ns;
    int rc = transport_send(env->transport, conn->handle, payload_at(&plan->payload, conn->offset),
                            plan->payload.size);
    if (rc != 0) {
        conn_fail(env, conn, CONN_PHASE_ECHO, -rc, conn->phase_ns);
        return;
    }
    if (plan->rule.opening == CLOSE_OPENS_EARLIER && conn->echo + 1 == plan->options.echoes) {
        transport_shutdown_write(env->transport, conn->handle);
    }
    if (plan->conn_options.pull) {
        transport_recv(env->transport, conn->handle);
    }
    arm_timeout(env, conn, conn->phase_ns);
}

static void hold_or_close(struct conn_env *env, struct conn *conn, uint64_t now_ns)
{
    uint64_t hold_ns = env->plan->options.hold_ns;
    if (hold_ns == 0) {
        close_begin(env, conn, now_ns, now_ns);
        return;
    }
    set_state(env, conn, CONN_HOLD);
    conn->phase_due_ns = now_ns + hold_ns;
    transport_timer(env->transport, conn->handle, conn->phase_due_ns);
}

/* Goes on when the answer came and the request left whole. The answer may be first: by a batch when
 * it is an echo, by more when the server answers before it has read all. The last echo says by
 * itself that its request has left, and the server may close upon it, so that is not waited for. */
static void echo_completed(struct conn_env *env, struct conn *conn, uint64_t now_ns)
{
    const struct plan *plan = env->plan;
    bool last_echo = conn->echo + 1 == plan->options.echoes && plan->expect == EXPECT_ECHO;
    if (!conn->answered || !(conn->sent || last_echo)) {
        return;
    }
    conn->echo++;
    if (conn->echo < plan->options.echoes) {
        echo_begin(env, conn, now_ns, now_ns);
    } else {
        hold_or_close(env, conn, now_ns);
    }
}

static void on_connecting(struct conn_env *env, struct conn *conn, uint64_t now_ns)
{
    set_state(env, conn, CONN_CONNECT);
    conn->phase_ns = now_ns;
    arm_timeout(env, conn, now_ns);
}

static void on_connected(struct conn_env *env, struct conn *conn, uint64_t now_ns)
{
    record_phase(env, conn, STATS_CONNECT, now_ns);
    env->stats->connected++;
    if (env->plan->options.echoes > 0) {
        set_state(env, conn, CONN_EXCHANGE);
        echo_begin(env, conn, conn->arrival_ns, now_ns);
        return;
    }
    if (env->plan->rule.opening == CLOSE_OPENS_EARLIER) {
        transport_shutdown_write(env->transport, conn->handle);
    }
    hold_or_close(env, conn, now_ns);
}

/* Judges received bytes: 0, EOVERFLOW (more than was due) or EBADMSG (not what was sent). */
static int check_data(const struct conn_env *env, const struct conn *conn,
                      const struct transport_buffer *buffer)
{
    const struct plan *plan = env->plan;
    if (conn->state != CONN_EXCHANGE) {
        return EOVERFLOW;
    }
    if (plan->expect == EXPECT_UNTIL_CLOSE) {
        return 0;
    }
    if (buffer->size > plan->expect_bytes - conn->received) {
        return EOVERFLOW;
    }
    if (plan->expect == EXPECT_ECHO &&
        !payload_matches(&plan->payload, conn->offset, conn->received, buffer->data,
                         buffer->size)) {
        return EBADMSG;
    }
    return 0;
}

static void on_data(struct conn_env *env, struct conn *conn, const struct transport_event *event)
{
    const struct plan *plan = env->plan;
    int error = conn->state == CONN_DONE ? 0 : check_data(env, conn, &event->buffer);
    transport_buffer_release(env->transport, conn->handle, &event->buffer);
    if (conn->state == CONN_DONE) {
        return;
    }
    if (error != 0) {
        conn_fail(env, conn, phase_of_state(conn->state), error, event->time_ns);
        return;
    }
    if (conn->received == 0) {
        record_phase(env, conn, STATS_FIRST_BYTE, event->time_ns);
    }
    conn->received += event->buffer.size;
    if (plan->expect != EXPECT_UNTIL_CLOSE && conn->received == plan->expect_bytes) {
        record_phase(env, conn, STATS_ECHO, event->time_ns);
        conn->answered = true;
        echo_completed(env, conn, event->time_ns);
    } else if (plan->conn_options.pull) {
        transport_recv(env->transport, conn->handle);
    }
}

/* Sends once more after the server's half of a close, to show that this direction still works;
 * closes when that has left. */
static void send_last(struct conn_env *env, struct conn *conn)
{
    const struct payload *payload = &env->plan->payload;
    conn->last_send = transport_send(env->transport, conn->handle,
                                     payload_at(payload, conn->offset), payload->size) == 0;
    if (!conn->last_send) {
        transport_close(env->transport, conn->handle, env->plan->rule.how);
    }
}

static void on_sent(struct conn_env *env, struct conn *conn, uint64_t now_ns)
{
    conn->sent = true;
    if (conn->last_send) {
        transport_close(env->transport, conn->handle, env->plan->rule.how);
    } else if (conn->state == CONN_DONE) {
        send_last(env, conn);
    } else if (conn->state == CONN_EXCHANGE) {
        echo_completed(env, conn, now_ns);
    }
}

/* The peer's FIN ends the close phase. */
static void close_by_fin(struct conn_env *env, struct conn *conn, uint64_t now_ns)
{
    const struct plan *plan = env->plan;
    env->stats->close_not_as_asked += plan->rule.peer_resets;
    conn_complete(env, conn, now_ns);
    if (!plan->rule.sends_after_fin) {
        transport_close(env->transport, conn->handle, plan->rule.how);
    } else if (conn->sent || plan->options.echoes == 0) {
        send_last(env, conn);
    } /* Else when the last request has left. */
}

static void on_peer_fin(struct conn_env *env, struct conn *conn, uint64_t now_ns)
{
    if (conn->state == CONN_EXCHANGE && env->plan->expect == EXPECT_UNTIL_CLOSE &&
        conn->received > 0) {
        record_phase(env, conn, STATS_ECHO, now_ns);
        conn->phase_due_ns = now_ns;
        conn->phase_ns = now_ns;
        set_state(env, conn, CONN_CLOSE);
    }
    if (conn->state == CONN_CLOSE) {
        close_by_fin(env, conn, now_ns);
    } else if (conn->state != CONN_DONE) {
        /* Not a reset, and no byte was wrong: there are just none left. */
        conn_fail(env, conn, phase_of_state(conn->state), ENODATA, now_ns);
    }
}

static void on_timer(struct conn_env *env, struct conn *conn, uint64_t now_ns)
{
    if (conn->state == CONN_HOLD) {
        close_begin(env, conn, conn->phase_due_ns, now_ns);
    } else if (conn->state == CONN_DONE) {
        /* The last send after a server's half close does not leave; the connection is counted. */
        transport_close(env->transport, conn->handle, TRANSPORT_CLOSE_RST);
    } else {
        conn_fail(env, conn, phase_of_state(conn->state), ETIMEDOUT, now_ns);
    }
}

/* Tells the phase of the report: the transport's where it knows better than our state does (a bind
 * may fail after the SYN's own phase was announced). */
static enum conn_phase phase_of_failure(const struct conn *conn, enum transport_phase phase)
{
    if (phase == TRANSPORT_PHASE_SETUP) {
        return CONN_PHASE_SETUP;
    }
    if (phase == TRANSPORT_PHASE_CONNECT) {
        return CONN_PHASE_CONNECT;
    }
    return phase_of_state(conn->state);
}

static void on_failed(struct conn_env *env, struct conn *conn, const struct transport_event *event)
{
    const struct close_rule *rule = &env->plan->rule;
    if (conn->state == CONN_DONE) {
        /* A server that closed where it was asked to shut down answers the last send by a reset. */
        env->stats->close_not_as_asked += conn->last_send;
        transport_close(env->transport, conn->handle, TRANSPORT_CLOSE_RST);
        return;
    }
    if (conn->state == CONN_CLOSE && rule->opening == CLOSE_OPENS_BY_PEER &&
        event->error == ECONNRESET) {
        env->stats->close_not_as_asked += !rule->peer_resets;
        conn_complete(env, conn, event->time_ns);
        transport_close(env->transport, conn->handle, rule->how);
        return;
    }
    conn_fail(env, conn, phase_of_failure(conn, event->phase), event->error, event->time_ns);
}

static void release(struct conn_env *env, struct conn *conn)
{
    slab_release(&env->conns, conn->self);
    if (env->quota != NULL) {
        quota_give(env->quota, 1);
    }
}

static void on_closed(struct conn_env *env, struct conn *conn, const struct transport_event *event)
{
    if (conn->state == CONN_CLOSE) {
        /* Our close() was the whole close phase. */
        if (event->error == 0) {
            conn_complete(env, conn, event->time_ns);
        } else {
            count_failure(env, CONN_PHASE_CLOSE, event->error, event->time_ns);
            set_state(env, conn, CONN_DONE);
        }
    }
    if (conn->planned) {
        planner_release(&env->planner, conn->tuple, event->time_ns);
    }
    release(env, conn);
}

void conn_handle(void *context, const struct transport_event *event)
{
    struct conn_env *env = context;
    struct conn *conn = slab_get(&env->conns, event->user);
    ASSERT(conn != NULL);
    switch (event->type) {
    case TRANSPORT_CONNECTING:
        on_connecting(env, conn, event->time_ns);
        break;
    case TRANSPORT_CONNECTED:
        on_connected(env, conn, event->time_ns);
        break;
    case TRANSPORT_DATA:
        on_data(env, conn, event);
        break;
    case TRANSPORT_SENT:
        on_sent(env, conn, event->time_ns);
        break;
    case TRANSPORT_PEER_FIN:
        on_peer_fin(env, conn, event->time_ns);
        break;
    case TRANSPORT_TIMER:
        on_timer(env, conn, event->time_ns);
        break;
    case TRANSPORT_FAILED:
        on_failed(env, conn, event);
        break;
    case TRANSPORT_CLOSED:
        on_closed(env, conn, event);
        break;
    case TRANSPORT_ACCEPTED:
        ASSERT(event->type != TRANSPORT_ACCEPTED);
        break;
    }
}

/* Fills in where from and where to. Returns false when no 4-tuple is free. */
static bool choose_flow(struct conn_env *env, struct conn *conn, uint64_t now_ns, struct flow *flow)
{
    const struct plan *plan = env->plan;
    if (!plan->ports_by_kernel) {
        conn->planned = planner_take(&env->planner, now_ns, &conn->tuple);
        if (conn->planned) {
            *flow = planner_flow(&env->planner, conn->tuple);
        }
        return conn->planned;
    }
    /* A worker's indices are `shares` apart: its turns grow by 1, through all targets. */
    uint64_t turn = conn->index / env->shares + conn->index % env->shares;
    *flow = (struct flow){.target = plan->targets[turn % plan->target_count]};
    if (plan->sources_given) {
        uint8_t family = flow->target.ip.family;
        uint64_t count = sources_of_family(&plan->sources, family);
        flow->source.ip = sources_at(&plan->sources, family, turn / plan->target_count % count);
    }
    return true;
}

/* Lets the transport prepare for the connection that comes next. */
static void announce_next(struct conn_env *env)
{
    uint64_t tuple;
    if (!env->plan->ports_by_kernel && planner_peek(&env->planner, &tuple)) {
        const struct flow flow = planner_flow(&env->planner, tuple);
        transport_connect_soon(env->transport, &flow);
    }
}

/* Takes back a record that never reached the transport. */
static void drop(struct conn_env *env, struct conn *conn, uint64_t now_ns)
{
    if (conn->planned) {
        planner_release(&env->planner, conn->tuple, now_ns);
    }
    release(env, conn);
}

/* Takes a record and its part of the limit; NULL when either is used up. */
static struct conn *take(struct conn_env *env, uint64_t *self)
{
    if (env->quota != NULL && !quota_try(env->quota)) {
        return NULL;
    }
    struct conn *conn = slab_alloc(&env->conns, self);
    if (conn == NULL && env->quota != NULL) {
        quota_give(env->quota, 1);
    }
    return conn;
}

enum conn_start conn_start(struct conn_env *env, uint64_t index, uint64_t due_ns, uint64_t now_ns)
{
    struct stats *stats = env->stats;
    uint64_t self;
    struct flow flow;
    struct conn *conn = take(env, &self);
    if (conn == NULL) {
        stats_bump(&stats->live.shed);
        return CONN_SHED;
    }
    conn->self = self;
    conn->index = index;
    conn->arrival_ns = due_ns;
    conn->phase_due_ns = due_ns;
    conn->began_ns = now_ns;
    int rc = -EADDRNOTAVAIL;
    if (choose_flow(env, conn, now_ns, &flow)) {
        rc =
            transport_connect(env->transport, &flow, &env->plan->conn_options, self, &conn->handle);
    }
    if (rc == -ENOBUFS) {
        drop(env, conn, now_ns);
        stats_bump(&stats->live.shed);
        return CONN_SHED;
    }
    stats_bump(&stats->live.attempted);
    env->active_count += rc == 0;
    if (rc != 0) {
        drop(env, conn, now_ns);
        count_failure(env, CONN_PHASE_SETUP, -rc, now_ns);
        return CONN_FAILED_AT_ONCE;
    }
    if (env->active_count > stats->open_max) {
        stats->open_max = env->active_count;
    }
    arm_timeout(env, conn, now_ns);
    announce_next(env);
    return CONN_STARTED;
}

void conn_abort_all(struct conn_env *env)
{
    uint32_t at = 0;
    uint64_t self;
    struct conn *conn;
    while ((conn = slab_next(&env->conns, &at, &self)) != NULL) {
        if (conn->state == CONN_CLOSE && env->plan->rule.opening == CLOSE_OPENS_WITH_CLOSE) {
            continue; /* close() is on its way already; it will be counted */
        }
        if (conn->state != CONN_DONE) {
            set_state(env, conn, CONN_DONE);
        }
        transport_close(env->transport, conn->handle, TRANSPORT_CLOSE_RST);
    }
}
