/* What the engines that act on readiness share (epoll; the stack, whose host tells readiness as
 * epoll does): the lists of connections that have something to do, the read credit, and the events
 * of a connection, one at a time.
 *
 * Layer: L4, private to common/transport. Owner: the engine, whose own struct begins with a
 * ready_engine and whose connection records begin with a ready_conn. One thread. Time is the
 * transport's now_ns.
 *
 * A call acts at once where it can (send, shutdown, close) and puts the connection on the engine's
 * queue; what came of it is delivered when poll runs the queue. A connection that is being run is
 * not put there: its own run picks the result up. A run is, with the engine's own steps between:
 *
 *     ready_run_begin .. ready_deliver, ready_receive_* until nothing is due .. ready_run_end */
#ifndef FINWAIT_TRANSPORT_READY_H
#define FINWAIT_TRANSPORT_READY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "transport/buffer_pool.h"
#include "transport/engine.h"
#include "transport/send_queue.h"

#define READY_STEPS_PER_RUN 32u /* events delivered on one connection: 16 pieces of an echo */
#define READY_SEND_BYTES_PER_RUN (256u * 1024u)

/* After running out of descriptors or memory: others in the process may have given some back. */
#define READY_RETRY_NS (20 * NS_PER_MS)

/* Written by ready_become alone; who calls it is in the engine's header. */
enum ready_state {
    READY_SETUP, /* waits for poll to connect */
    READY_CONNECTING,
    READY_DEFERRED, /* accepted, and not shown to the handler before data come: the stack's */
    READY_OPEN,
    READY_FAILED, /* FAILED was delivered or is about to be */
    READY_CLOSED, /* given up; CLOSED waits to be delivered */
};

struct ready_conn {
    struct transport_conn base;
    struct ready_conn *next; /* on one of the engine's lists, when `listed` */
    struct send_queue sends;
    struct send_piece memory; /* the caller's memory that is being sent */
    uint64_t closed_ns;
    uint32_t news; /* what readiness said and no run has looked at yet: the engine's bits */
    uint32_t held; /* buffers that count against the read credit */
    uint32_t run_sent_bytes; /* since the last run began */
    int error;               /* of FAILED, then of CLOSED */
    uint8_t state;           /* enum ready_state */
    uint8_t phase;           /* enum transport_phase, of FAILED */
    uint8_t prepared_how;    /* enum transport_close_how that was set up in advance */
    bool listed : 1;
    bool pull : 1;           /* receives only when asked */
    bool asked : 1;          /* was asked */
    bool readable : 1;       /* news said so, and no receive has drained it since */
    bool peer_shut : 1;      /* news said that the peer's FIN is in, behind the data */
    bool fin_due : 1;        /* drained up to the FIN: PEER_FIN needs no receive */
    bool fin_done : 1;       /* PEER_FIN was delivered */
    bool paused : 1;         /* holds its whole credit */
    bool starved : 1;        /* found no memory for a buffer */
    bool blocked : 1;        /* no more is taken until news of room */
    bool memory_pending : 1; /* `memory` is in the queue */
    bool shut_wanted : 1;
    bool shut_done : 1;
    bool failed_due : 1; /* FAILED is to be delivered */
};

struct ready_list {
    struct ready_conn *head;
    struct ready_conn *tail;
};

struct ready_engine {
    struct transport base;
    struct buffer_pool pool;
    struct ready_list queue;    /* to be run in this poll */
    struct ready_list later;    /* used up a run's bounds: in the next poll */
    struct ready_list starved;  /* at retry_ns */
    struct ready_conn *running; /* it is on no list, and needs none */
    uint64_t retry_ns;          /* when to try again what ran short; CLOCK_NEVER: nothing did */
    bool accept_paused;         /* until a connection ends, or retry_ns */
};

static inline struct ready_engine *ready_engine_of(struct transport *transport)
{
    return (struct ready_engine *)transport; /* its first member */
}

static inline struct ready_conn *ready_conn_of(struct transport_conn *head)
{
    return (struct ready_conn *)head; /* its first member */
}

/* Prepares what follows an initialised `base`; needs no undoing but buffer_pool_destroy. */
void ready_init(struct ready_engine *engine);

/* Takes a list's first connection off; NULL when it is empty. */
struct ready_conn *ready_list_pop(struct ready_list *list);

/* Has a connection run in this poll or the next, unless it is being run or is listed already. */
void ready_enqueue(struct ready_engine *engine, struct ready_conn *conn);

/* Puts on the queue what the last turn left, and what ran short when its time has come by `now_ns`.
 */
void ready_queue_leftovers(struct ready_engine *engine, uint64_t now_ns);

/* Has the engine try again soon what ran short. */
void ready_retry_soon(struct ready_engine *engine);

/* Stops accepting until a connection ends, or retry_ns; counted. */
void ready_accept_pause(struct ready_engine *engine);

/* Takes a place for a connection that is about to be accepted, as engine_place_take. Returns false,
 * and pauses accepting, when there are conns_max connections or no place is left; what is in the
 * backlog stays there. */
bool ready_accept_begin(struct ready_engine *engine);

void ready_become(struct ready_conn *conn, enum ready_state state);

/* Notes a failure, gives up what is unsent, and has FAILED delivered. */
void ready_fail(struct ready_engine *engine, struct ready_conn *conn, enum transport_phase phase,
                int error);

/* Begins a run. Requires that the connection is on no list. */
void ready_run_begin(struct ready_engine *engine, struct ready_conn *conn);

/* Delivers a SENT or a FAILED that is due; returns false when none is. */
bool ready_deliver(struct ready_engine *engine, struct ready_conn *conn);

/* Tells whether a receive may be tried, or PEER_FIN delivered. */
static inline bool ready_can_receive(const struct ready_engine *engine,
                                     const struct ready_conn *conn)
{
    bool may = conn->held < engine->base.config.read_credit;
    return conn->state == READY_OPEN && (conn->fin_due || (conn->readable && may)) &&
           !conn->fin_done && (!conn->pull || conn->asked);
}

/* Takes a buffer to receive into; NULL, noted and counted, when memory is out. */
struct pool_buffer *ready_receive_buffer(struct ready_engine *engine, struct ready_conn *conn);

/* Lends what was just received. Requires bytes > 0, and `readable` as it is then. */
void ready_receive_data(struct ready_engine *engine, struct ready_conn *conn,
                        struct pool_buffer *buffer, uint32_t bytes);

/* Delivers PEER_FIN. */
void ready_receive_fin(struct ready_engine *engine, struct ready_conn *conn);

/* Ends a run: on a list, if the run's bounds cut it short; closed, if it was closed, and then the
 * record is gone. */
void ready_run_end(struct ready_engine *engine, struct ready_conn *conn);

/* Takes the caller's memory, or a lent buffer, as struct transport_ops has it; the engine then
 * flushes, which is its own. A buffer that is refused is given back. */
int ready_send(struct ready_conn *conn, const void *data, uint64_t bytes);
int ready_send_buffer(struct ready_engine *engine, struct ready_conn *conn,
                      const struct transport_buffer *lent);

/* Tells whether a flush may hand something over now: data, or the FIN behind them. */
static inline bool ready_may_flush(const struct ready_conn *conn)
{
    return conn->state == READY_OPEN && !conn->blocked;
}

/* Tells whether a flush, in a run's bounds, has data to hand over. */
static inline bool ready_has_unsent(const struct ready_conn *conn)
{
    return conn->sends.unsent != NULL && !conn->blocked &&
           conn->run_sent_bytes < READY_SEND_BYTES_PER_RUN;
}

/* Tells whether the FIN's turn has come. */
static inline bool ready_shut_due(const struct ready_conn *conn)
{
    return conn->state == READY_OPEN && conn->sends.unsent == NULL && conn->shut_wanted &&
           !conn->shut_done;
}

/* Notes that the connection's socket is given up, which gave `error`: its sends are dropped, and
 * CLOSED is delivered when it is run. */
void ready_closed(struct ready_engine *engine, struct ready_conn *conn, int error);

/* The calls of struct transport_ops that are the same for both engines. */
void ready_buffer_release(struct transport *transport, struct transport_conn *head,
                          const struct transport_buffer *lent);
void ready_recv(struct transport *transport, struct transport_conn *head);

#endif
