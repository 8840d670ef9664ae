/* What an engine implements, and what the shared part (transport.c) does for every engine.
 *
 * Layer: L4, private to common/transport.
 *
 * The shared part owns the slab of connection records, the timer wheel, the counters and the
 * histogram of turns, refuses stale handles, and delivers events. An engine's connection record
 * begins with a struct transport_conn; the engine gives the record's size when it opens. */
#ifndef FINWAIT_TRANSPORT_ENGINE_H
#define FINWAIT_TRANSPORT_ENGINE_H

#include "base/hist.h"
#include "base/slab.h"
#include "base/wheel.h"
#include "transport/transport.h"

enum transport_counter {
#define COUNTER(name, help) TRANSPORT_COUNTER_##name,
#include "transport/counters.def"
#undef COUNTER
    TRANSPORT_COUNTER_COUNT
};

/* The head of every engine's connection record. */
struct transport_conn {
    struct wheel_timer timer;
    uint64_t deadline_ns; /* the timer's, which the wheel may try earlier; CLOCK_NEVER: disarmed */
    uint64_t handle;
    uint64_t user;
    bool closing; /* transport_close was called: only CLOSED may still be delivered */
    bool failed;  /* FAILED was delivered: only TIMER and CLOSED may follow */
};

struct transport_ops {
    enum transport_engine engine;
    void (*destroy)(struct transport *transport);
    int (*listen)(struct transport *transport, struct endpoint *address,
                  const struct transport_listen_options *options, uint32_t *listener,
                  struct failure *failure);
    void (*listen_stop)(struct transport *transport);
    /* Called with a fresh record; on an error the shared part takes the record back. */
    int (*connect)(struct transport *transport, struct transport_conn *conn,
                   const struct flow *flow, const struct transport_conn_options *options);
    /* NULL where there is nothing to prepare. */
    void (*connect_soon)(struct transport *transport, const struct flow *flow);
    int (*send)(struct transport *transport, struct transport_conn *conn, const void *data,
                uint64_t bytes);
    int (*send_buffer)(struct transport *transport, struct transport_conn *conn,
                       const struct transport_buffer *buffer);
    /* `conn` is NULL when the connection is gone. */
    void (*buffer_release)(struct transport *transport, struct transport_conn *conn,
                           const struct transport_buffer *buffer);
    void (*recv)(struct transport *transport, struct transport_conn *conn);
    void (*shutdown_write)(struct transport *transport, struct transport_conn *conn);
    /* `conn->closing` is set already. The engine ends with engine_closed. */
    void (*close)(struct transport *transport, struct transport_conn *conn,
                  enum transport_close_how how);
    /* NULL, or takes the timer of a connection that the handler does not know yet. Returns false
     * where it is the handler's. */
    bool (*expired)(struct transport *transport, struct transport_conn *conn);
    /* Waits until `until_ns` at most, sets now_ns once per batch, delivers events. */
    int (*poll)(struct transport *transport, uint64_t until_ns);
    /* NULL where nothing is gathered. */
    void (*flush)(struct transport *transport);
    void (*wake)(struct transport *transport);
    size_t (*features)(const struct transport *transport, struct transport_feature *features,
                       size_t max);
    uint64_t (*memory_bytes)(const struct transport *transport);
    /* NULL for the kernel's engines. */
    void (*census)(const struct transport *transport, struct tcp_state_counts *counts,
                   struct tcp_transitions *transitions);
    struct transport_lingering (*lingering)(const struct transport *transport);
    size_t (*views)(struct transport *transport, struct transport_view *views, size_t max);
};

/* The shared head; an engine's own struct begins with it. */
struct transport {
    const struct transport_ops *ops;
    struct transport_config config; /* defaults filled in */
    struct slab conns;
    struct wheel wheel;
    uint64_t now_ns;        /* of the batch that is being handled */
    uint64_t turn_start_ns; /* when the last wait returned; 0 before the first */
    bool polling;           /* inside transport_poll */
    bool quota_waits;       /* config.quota's: we found no place */
    uint64_t counters[TRANSPORT_COUNTER_COUNT];
    struct hist turns;
};

/* Counts once, or `n` times. */
#define ENGINE_COUNT(transport, name) ((transport)->counters[TRANSPORT_COUNTER_##name]++)
#define ENGINE_ADD(transport, name, n) ((transport)->counters[TRANSPORT_COUNTER_##name] += (n))

/* Prepares the shared head. Returns 0 or -ENOMEM. */
int engine_init(struct transport *transport, const struct transport_ops *ops,
                const struct transport_config *config, size_t conn_bytes);

/* Frees what engine_init made; the engine's own struct is the engine's to free. */
void engine_fini(struct transport *transport);

/* Takes a place of the quota for a connection that is about to be accepted; true where there is no
 * quota. engine_conn_drop gives it back, or engine_place_give where it came to no record. */
bool engine_place_take(struct transport *transport);
void engine_place_give(struct transport *transport);

/* Takes a connection record, for an accept; NULL when conns_max is reached or memory is out. */
struct transport_conn *engine_conn_new(struct transport *transport);

/* Gives a record back that never became visible to the handler. */
void engine_conn_drop(struct transport *transport, struct transport_conn *conn);

/* Stamps the batch that begins, and the turn's histogram. Call it when a wait returns; call
 * engine_turn_end before the next wait. */
void engine_turn_begin(struct transport *transport, uint64_t now_ns);
void engine_turn_end(struct transport *transport, uint64_t now_ns);

/* Deliver events. Nothing is delivered on a connection that is closing; a DATA buffer that cannot
 * be delivered is the engine's to take back: engine_data returns false then. */
void engine_event(struct transport *transport, struct transport_conn *conn,
                  enum transport_event_type type);
void engine_accepted(struct transport *transport, struct transport_conn *conn, uint32_t listener);
void engine_connecting(struct transport *transport, struct transport_conn *conn, uint64_t now_ns);
bool engine_data(struct transport *transport, struct transport_conn *conn,
                 const struct transport_buffer *buffer);
void engine_sent(struct transport *transport, struct transport_conn *conn, uint64_t bytes);
void engine_failed(struct transport *transport, struct transport_conn *conn,
                   enum transport_phase phase, int error);

/* Delivers CLOSED with the time that close() returned and takes the record back. */
void engine_closed(struct transport *transport, struct transport_conn *conn, uint64_t time_ns,
                   int error);

/* The engines. Open fills *transport or returns -errno with the text set. */
int uring_engine_open(struct transport **transport, const struct transport_config *config,
                      struct failure *failure);
int epoll_engine_open(struct transport **transport, const struct transport_config *config,
                      struct failure *failure);

int stack_engine_open(struct transport **transport, const struct transport_config *config,
                      struct failure *failure);

/* Tells whether io_uring, as the engine needs it, works here. Returns 0 or -errno with the text
 * set. */
int uring_engine_check(uint64_t features_off, struct failure *failure);

size_t uring_engine_probe(struct transport_feature *features, size_t max);
uint64_t uring_engine_feature_find(const char *name);
uint64_t epoll_engine_feature_find(const char *name);

#endif
