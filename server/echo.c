#include "server/echo.h"

#include <errno.h>

#include "base/assert.h"
#include "base/clock.h"

struct echo_conn {
    uint64_t handle; /* the transport's */
    uint64_t accepted_ns;
    uint64_t active_ns;    /* when something moved last */
    uint64_t answered;     /* in the limit's unit */
    uint64_t unsent_bytes; /* handed to the transport and not SENT yet */
    uint32_t replies_due;  /* requests whose response was not handed over yet */
    uint8_t state;         /* enum echo_state */
    uint8_t scan;          /* enum respond_scan_state */
    uint8_t fail_phase;    /* of use when fail_error is not 0 */
    uint8_t fail_error;    /* 0: in order */
    bool peer_fin;
};

static const bool transition_allowed[ECHO_STATE_COUNT][ECHO_STATE_COUNT] = {
    [ECHO_FREE] = {[ECHO_OPEN] = true},
    [ECHO_OPEN] = {[ECHO_FINISHING] = true, [ECHO_LAST] = true, [ECHO_CLOSING] = true},
    [ECHO_FINISHING] = {[ECHO_CLOSING] = true},
    [ECHO_LAST] = {[ECHO_FIN_SENT] = true, [ECHO_CLOSING] = true},
    [ECHO_FIN_SENT] = {[ECHO_CLOSING] = true},
    [ECHO_CLOSING] = {[ECHO_FREE] = true},
};

static const struct counter_info counter_infos[ECHO_COUNTER_COUNT] = {
#define COUNTER(name, help) [ECHO_COUNTER_##name] = {#name, help},
#include "server/counters.def"
#undef COUNTER
};

#define ECHO_COUNT(echo, name) ((echo)->stats.counters[ECHO_COUNTER_##name]++)
#define ECHO_ADD(echo, name, n) ((echo)->stats.counters[ECHO_COUNTER_##name] += (n))

const char *echo_state_name(enum echo_state state)
{
    static const char *const names[ECHO_STATE_COUNT] = {"free", "open",     "finishing",
                                                        "last", "fin_sent", "closing"};
    return names[state];
}

const char *echo_phase_name(uint32_t phase)
{
    ASSERT(phase < ECHO_PHASE_COUNT);
    if (phase < TRANSPORT_PHASE_COUNT) {
        return transport_phase_name((enum transport_phase)phase);
    }
    return phase == ECHO_PHASE_IDLE ? "idle" : "drain";
}

void echo_stats_init(struct echo_stats *stats)
{
    *stats = (struct echo_stats){.first_accept_ns = CLOCK_NEVER};
    hist_init(&stats->lifetime);
}

void echo_stats_merge(struct echo_stats *into, const struct echo_stats *from)
{
    for (size_t i = 0; i < ECHO_COUNTER_COUNT; i++) {
        into->counters[i] += from->counters[i];
    }
    for (size_t i = 0; i < ECHO_STATE_COUNT; i++) {
        for (size_t j = 0; j < ECHO_STATE_COUNT; j++) {
            into->transitions[i][j] += from->transitions[i][j];
        }
    }
    for (size_t i = 0; i < ECHO_PHASE_COUNT; i++) {
        for (size_t j = 0; j < ECHO_ERRNO_COUNT; j++) {
            into->errors[i][j] += from->errors[i][j];
        }
    }
    hist_merge(&into->lifetime, &from->lifetime);
    into->open_max += from->open_max;
    if (from->first_accept_ns < into->first_accept_ns) {
        into->first_accept_ns = from->first_accept_ns;
    }
    if (from->last_close_ns > into->last_close_ns) {
        into->last_close_ns = from->last_close_ns;
    }
}

struct counter_view echo_counters(const struct echo_stats *stats)
{
    return (struct counter_view){counter_infos, stats->counters, ECHO_COUNTER_COUNT};
}

enum transport_close_how echo_close_how(const struct echo_config *config)
{
    if (config->limit.unit == ECHO_LIMIT_NONE) {
        return TRANSPORT_CLOSE_PLAIN;
    }
    switch (config->how) {
    case ECHO_CLOSE_FIN:
    case ECHO_CLOSE_CLOSE:
    case ECHO_CLOSE_HALF:
        return TRANSPORT_CLOSE_PLAIN;
    case ECHO_CLOSE_RST:
        return TRANSPORT_CLOSE_RST;
    case ECHO_CLOSE_FIN_NO_TIMEWAIT:
        return TRANSPORT_CLOSE_NO_TIMEWAIT;
    }
    return TRANSPORT_CLOSE_PLAIN;
}

/* Tells whether our FIN goes out by itself and the peer's is waited for. */
static bool closes_by_shutdown(const struct echo_config *config)
{
    return config->how == ECHO_CLOSE_FIN || config->how == ECHO_CLOSE_HALF;
}

bool echo_shuts_down(const struct echo_config *config)
{
    return config->limit.unit != ECHO_LIMIT_NONE && closes_by_shutdown(config);
}

bool echo_pulls(const struct echo_config *config)
{
    bool closes_at_once = config->limit.unit != ECHO_LIMIT_NONE && !closes_by_shutdown(config);
    return closes_at_once || config->respond.data != NULL;
}

int echo_init(struct echo *echo, const struct echo_config *config, uint32_t conns_max)
{
    *echo = (struct echo){.config = config, .pull = echo_pulls(config)};
    echo_stats_init(&echo->stats);
    return slab_init(&echo->conns, sizeof(struct echo_conn), conns_max);
}

void echo_fini(struct echo *echo)
{
    slab_destroy(&echo->conns);
}

uint32_t echo_open_count(const struct echo *echo)
{
    return echo->conns.live_count;
}

/* The one writer of a connection's state. */
static void set_state(struct echo *echo, struct echo_conn *conn, enum echo_state state)
{
    ASSERT(transition_allowed[conn->state][state]);
    echo->stats.transitions[conn->state][state]++;
    conn->state = (uint8_t)state;
}

static void close_conn(struct echo *echo, struct echo_conn *conn, enum transport_close_how how)
{
    set_state(echo, conn, ECHO_CLOSING);
    int rc = transport_close(echo->transport, conn->handle, how);
    ASSERT(rc == 0);
}

static void note_failure(struct echo_conn *conn, uint32_t phase, int error)
{
    ASSERT(error > 0);
    conn->fail_phase = (uint8_t)phase;
    conn->fail_error = (uint8_t)(error < ECHO_ERRNO_COUNT ? error : ECHO_ERRNO_COUNT - 1);
}

static void fail_conn(struct echo *echo, struct echo_conn *conn, uint32_t phase, int error)
{
    note_failure(conn, phase, error);
    /* What the kernel has ended already needs no reset; what we give up must not linger. */
    bool ours = phase == ECHO_PHASE_IDLE || phase == ECHO_PHASE_DRAIN;
    close_conn(echo, conn, ours ? TRANSPORT_CLOSE_RST : TRANSPORT_CLOSE_PLAIN);
}

static bool all_sent(const struct echo_conn *conn)
{
    return conn->unsent_bytes == 0 && conn->replies_due == 0;
}

/* Closes after the last answer, as --close says. */
static void close_after_last(struct echo *echo, struct echo_conn *conn)
{
    ECHO_COUNT(echo, closed_by_server);
    if (!closes_by_shutdown(echo->config)) {
        close_conn(echo, conn, echo_close_how(echo->config));
    } else if (conn->peer_fin) {
        /* Both FINs are due at once: closing sends ours, and there is nothing to read. */
        close_conn(echo, conn, TRANSPORT_CLOSE_PLAIN);
    } else {
        set_state(echo, conn, ECHO_FIN_SENT);
        int rc = transport_shutdown_write(echo->transport, conn->handle);
        ASSERT(rc == 0);
    }
}

/* Moves on once everything is sent, and asks for the next bytes where they must be asked for. */
static void settle(struct echo *echo, struct echo_conn *conn)
{
    if (!all_sent(conn)) {
        return;
    }
    if (conn->state == ECHO_FINISHING) {
        close_conn(echo, conn, TRANSPORT_CLOSE_PLAIN);
        return;
    }
    if (conn->state == ECHO_LAST) {
        close_after_last(echo, conn);
    }
    bool reads = conn->state == ECHO_OPEN || conn->state == ECHO_FIN_SENT;
    if (reads && echo->pull) {
        int rc = transport_recv(echo->transport, conn->handle);
        ASSERT(rc == 0);
    }
}

static void mark_last(struct echo *echo, struct echo_conn *conn)
{
    const struct echo_limit *limit = &echo->config->limit;
    if (limit->unit != ECHO_LIMIT_NONE && conn->answered == limit->count) {
        set_state(echo, conn, ECHO_LAST);
    }
}

/* Counts how much more may be answered, in the limit's unit. */
static uint64_t answers_left(const struct echo *echo, const struct echo_conn *conn,
                             enum echo_limit_unit unit)
{
    const struct echo_limit *limit = &echo->config->limit;
    return limit->unit == unit ? limit->count - conn->answered : UINT64_MAX;
}

static void discard(struct echo *echo, const struct echo_conn *conn,
                    const struct transport_buffer *buffer)
{
    ECHO_ADD(echo, surplus_bytes, buffer->size);
    transport_buffer_release(echo->transport, conn->handle, buffer);
}

/* Sends the buffer itself back; bytes beyond the limit are cut off. */
static void echo_buffer(struct echo *echo, struct echo_conn *conn,
                        const struct transport_buffer *buffer)
{
    struct transport_buffer kept = *buffer;
    uint64_t left = answers_left(echo, conn, ECHO_LIMIT_BYTES);
    if (kept.size > left) {
        kept.size = (uint32_t)left;
        ECHO_ADD(echo, surplus_bytes, buffer->size - kept.size);
    }
    int rc = transport_send_buffer(echo->transport, conn->handle, &kept);
    if (rc != 0) {
        fail_conn(echo, conn, TRANSPORT_PHASE_SEND, -rc);
        return;
    }
    ECHO_COUNT(echo, echoes);
    ECHO_ADD(echo, bytes_echoed, kept.size);
    conn->unsent_bytes += kept.size;
    conn->answered += echo->config->limit.unit == ECHO_LIMIT_BYTES ? kept.size : 1;
    mark_last(echo, conn);
}

/* Hands the next response over when none is on the way out: the transport takes one at a time. */
static void send_response(struct echo *echo, struct echo_conn *conn)
{
    const struct respond_file *file = &echo->config->respond;
    if (conn->replies_due == 0 || conn->unsent_bytes != 0) {
        return;
    }
    int rc = transport_send(echo->transport, conn->handle, file->data, file->size);
    if (rc != 0) {
        fail_conn(echo, conn, TRANSPORT_PHASE_SEND, -rc);
        return;
    }
    conn->replies_due--;
    conn->unsent_bytes = file->size;
}

/* Finds the requests in a buffer, gives it back, and answers as many as the limit allows. */
static void respond_buffer(struct echo *echo, struct echo_conn *conn,
                           const struct transport_buffer *buffer)
{
    enum respond_scan_state scan = (enum respond_scan_state)conn->scan;
    uint64_t requests = respond_scan(&scan, buffer->data, buffer->size);
    conn->scan = (uint8_t)scan;
    transport_buffer_release(echo->transport, conn->handle, buffer);
    uint64_t left = answers_left(echo, conn, ECHO_LIMIT_ECHOES);
    ECHO_ADD(echo, requests, requests);
    if (requests > left) {
        ECHO_ADD(echo, surplus_requests, requests - left);
        requests = left;
    }
    conn->answered += requests;
    conn->replies_due += (uint32_t)requests;
    mark_last(echo, conn);
    send_response(echo, conn);
}

static void on_data(struct echo *echo, struct echo_conn *conn,
                    const struct transport_buffer *buffer)
{
    if (conn->state != ECHO_OPEN) {
        discard(echo, conn, buffer);
    } else if (echo->config->respond.data != NULL) {
        respond_buffer(echo, conn, buffer);
    } else {
        echo_buffer(echo, conn, buffer);
    }
    settle(echo, conn);
}

static void on_sent(struct echo *echo, struct echo_conn *conn, uint64_t bytes)
{
    ASSERT(bytes <= conn->unsent_bytes);
    conn->unsent_bytes -= bytes;
    if (echo->config->respond.data != NULL && conn->unsent_bytes == 0) {
        ECHO_COUNT(echo, responses);
        send_response(echo, conn);
    }
    settle(echo, conn);
}

static void on_peer_fin(struct echo *echo, struct echo_conn *conn)
{
    conn->peer_fin = true;
    if (conn->state == ECHO_FIN_SENT) {
        close_conn(echo, conn, TRANSPORT_CLOSE_PLAIN);
        return;
    }
    if (echo->config->limit.unit != ECHO_LIMIT_NONE) {
        ECHO_COUNT(echo, peer_closed_first);
    }
    if (conn->state == ECHO_LAST) {
        return; /* our own way to close stands; settle comes with SENT */
    }
    if (all_sent(conn)) {
        close_conn(echo, conn, TRANSPORT_CLOSE_PLAIN);
    } else {
        set_state(echo, conn, ECHO_FINISHING);
    }
}

static void on_failed(struct echo *echo, struct echo_conn *conn,
                      const struct transport_event *event)
{
    /* A send on a connection that was reset gives EPIPE when the reset was read before. */
    if (event->error == ECONNRESET || event->error == EPIPE) {
        ECHO_COUNT(echo, peer_reset);
    }
    fail_conn(echo, conn, event->phase, event->error);
}

/* The timer is not moved with each event: when it expires it is set to where it belongs by then. */
static void on_timer(struct echo *echo, struct echo_conn *conn, uint64_t now_ns)
{
    uint64_t deadline_ns = conn->active_ns + echo->config->idle_ns;
    if (now_ns < deadline_ns) {
        transport_timer(echo->transport, conn->handle, deadline_ns);
        return;
    }
    ECHO_COUNT(echo, idle_timeouts);
    fail_conn(echo, conn, ECHO_PHASE_IDLE, ETIMEDOUT);
}

static void accept_conn(struct echo *echo, const struct transport_event *event)
{
    ECHO_COUNT(echo, accepted);
    if (event->time_ns < echo->stats.first_accept_ns) {
        echo->stats.first_accept_ns = event->time_ns;
    }
    uint64_t user;
    struct echo_conn *conn = slab_alloc(&echo->conns, &user);
    if (conn == NULL) {
        /* Memory is out. Its CLOSED comes with the user word 0 and counts it as failed. */
        transport_close(echo->transport, event->conn, TRANSPORT_CLOSE_RST);
        return;
    }
    if (echo->conns.live_count > echo->stats.open_max) {
        echo->stats.open_max = echo->conns.live_count;
    }
    conn->handle = event->conn;
    conn->accepted_ns = event->time_ns;
    conn->active_ns = event->time_ns;
    set_state(echo, conn, ECHO_OPEN);
    transport_set_user(echo->transport, event->conn, user);
    if (echo->config->idle_ns != 0) {
        transport_timer(echo->transport, event->conn, event->time_ns + echo->config->idle_ns);
    }
    settle(echo, conn);
}

static void count_failed(struct echo *echo, uint32_t phase, int error)
{
    ECHO_COUNT(echo, failed);
    echo->stats.errors[phase][error]++;
}

static void end_conn(struct echo *echo, const struct transport_event *event)
{
    if (event->time_ns > echo->stats.last_close_ns) {
        echo->stats.last_close_ns = event->time_ns;
    }
    struct echo_conn *conn = slab_get(&echo->conns, event->user);
    if (conn == NULL) {
        count_failed(echo, TRANSPORT_PHASE_ACCEPT, ENOMEM);
        return;
    }
    if (event->error != 0 && conn->fail_error == 0) {
        note_failure(conn, TRANSPORT_PHASE_CLOSE, event->error);
    }
    if (conn->fail_error != 0) {
        count_failed(echo, conn->fail_phase, conn->fail_error);
    } else {
        ECHO_COUNT(echo, completed);
        hist_record(&echo->stats.lifetime, event->time_ns - conn->accepted_ns);
    }
    set_state(echo, conn, ECHO_FREE);
    slab_release(&echo->conns, event->user);
}

void echo_abort_all(struct echo *echo)
{
    uint32_t index = 0;
    uint64_t user;
    struct echo_conn *conn;
    while ((conn = slab_next(&echo->conns, &index, &user)) != NULL) {
        if (conn->state != ECHO_CLOSING) {
            ECHO_COUNT(echo, drain_aborted);
            fail_conn(echo, conn, ECHO_PHASE_DRAIN, ECANCELED);
        }
    }
}

static void handle_on_conn(struct echo *echo, struct echo_conn *conn,
                           const struct transport_event *event)
{
    switch (event->type) {
    case TRANSPORT_DATA:
        conn->active_ns = event->time_ns;
        on_data(echo, conn, &event->buffer);
        break;
    case TRANSPORT_SENT:
        conn->active_ns = event->time_ns;
        on_sent(echo, conn, event->bytes);
        break;
    case TRANSPORT_PEER_FIN:
        conn->active_ns = event->time_ns;
        on_peer_fin(echo, conn);
        break;
    case TRANSPORT_FAILED:
        on_failed(echo, conn, event);
        break;
    case TRANSPORT_TIMER:
        on_timer(echo, conn, event->time_ns);
        break;
    case TRANSPORT_ACCEPTED:
    case TRANSPORT_CLOSED:
    case TRANSPORT_CONNECTED:
    case TRANSPORT_CONNECTING:
        ASSERT(false); /* handled before, or a client's */
    }
}

void echo_handle(void *context, const struct transport_event *event)
{
    struct echo *echo = context;
    if (event->type == TRANSPORT_ACCEPTED) {
        accept_conn(echo, event);
    } else if (event->type == TRANSPORT_CLOSED) {
        end_conn(echo, event);
    } else {
        struct echo_conn *conn = slab_get(&echo->conns, event->user);
        ASSERT(conn != NULL);
        handle_on_conn(echo, conn, event);
    }
}
