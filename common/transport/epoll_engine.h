/* The epoll engine's own types: what its loop (epoll.c) and its connections (epoll_conn.c) share.
 *
 * Layer: L4, private to common/transport. Owner: epoll.c. One thread.
 *
 * Edge-triggered throughout: a descriptor is added to the epoll set once, never modified and never
 * removed (close does that), and what an edge said is remembered in the connection. A receive that
 * fills its buffer only in part has drained the socket, so nobody asks again to be told EAGAIN.
 *
 * Calls act at once where a system call can (send, shutdown, close) and put the connection on the
 * engine's queue; what came of it is delivered when poll runs the queue. A connection that is being
 * run is not put there: its own run picks the result up. */
#ifndef FINWAIT_TRANSPORT_EPOLL_ENGINE_H
#define FINWAIT_TRANSPORT_EPOLL_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "transport/engine.h"
#include "transport/epoll_pool.h"

/* The bounds of one turn: a bulk connection and a full backlog each leave room for the others. */
#define EPOLL_EVENTS_PER_WAIT 64
#define EPOLL_ACCEPTS_PER_TURN 64u
#define EPOLL_RUNS_PER_TURN 1024u
#define EPOLL_STEPS_PER_RUN 32u /* events delivered on one connection: 16 pieces of an echo */
#define EPOLL_SEND_BYTES_PER_RUN (256u * 1024u)
#define EPOLL_SEND_PIECES_MAX 16u /* in one sendmsg */

/* The engine's one feature; io_uring's count up from bit 0. */
#define EPOLL_FEATURE_PWAIT2 (UINT64_C(1) << 63)

/* After running out of descriptors or memory: others in the process may have given some back. */
#define EPOLL_RETRY_NS (20 * NS_PER_MS)

/* Written by epoll_conn_become alone:
 *
 *   SETUP ---------conn_start----------> CONNECTING ----conn_connected----> OPEN
 *     |  `--conn_start (Fast Open), epoll_conn_accepted-----------------^    |
 *     |                                  |                                  |
 *     `----------------------------epoll_conn_fail-----------------------> FAILED
 *   any of these --epoll_conn_close--> CLOSED */
enum epoll_conn_state {
    EPOLL_CONN_SETUP, /* waits for poll to call connect */
    EPOLL_CONN_CONNECTING,
    EPOLL_CONN_OPEN,
    EPOLL_CONN_FAILED, /* FAILED was delivered or is about to be */
    EPOLL_CONN_CLOSED, /* the descriptor is closed; CLOSED waits to be delivered */
};

struct epoll_conn {
    struct transport_conn base;
    struct epoll_conn *next;   /* on one of the engine's lists, when `listed` */
    struct epoll_send *sends;  /* oldest first: those that the kernel took, then `unsent` */
    struct epoll_send *last;   /* newest; undefined while `sends` is NULL */
    struct epoll_send *unsent; /* first that the kernel has not taken whole; NULL: none */
    struct epoll_send memory;  /* the caller's memory that is being sent */
    struct endpoint target;    /* until connect was called */
    uint64_t closed_ns;
    uint32_t edges;          /* what epoll_wait said and no run has looked at yet */
    uint32_t held;           /* buffers that count against the read credit */
    uint32_t run_sent_bytes; /* since the last run began */
    int fd;                  /* -1: there is none */
    int error;               /* of FAILED, then of CLOSED */
    uint8_t state;           /* enum epoll_conn_state */
    uint8_t phase;           /* enum transport_phase, of FAILED */
    uint8_t prepared_how;    /* enum transport_close_how that the socket was given in advance */
    bool listed : 1;
    bool registered : 1;     /* is in the epoll set */
    bool pull : 1;           /* receives only when asked */
    bool asked : 1;          /* was asked */
    bool readable : 1;       /* an edge said so, and no receive has drained it since */
    bool peer_shut : 1;      /* an edge said that the peer's FIN is in, behind the data */
    bool exact : 1;          /* urgent data or an error: a short receive does not mean drained */
    bool fin_due : 1;        /* drained up to the FIN; PEER_FIN is to be delivered */
    bool fin_done : 1;       /* PEER_FIN was delivered */
    bool paused : 1;         /* holds its whole credit */
    bool starved : 1;        /* found no memory for a buffer */
    bool blocked : 1;        /* the kernel takes no more until EPOLLOUT */
    bool memory_pending : 1; /* `memory` is in the queue */
    bool shut_wanted : 1;
    bool shut_done : 1;
    bool failed_due : 1; /* FAILED is to be delivered */
};

struct epoll_list {
    struct epoll_conn *head;
    struct epoll_conn *tail;
};

struct epoll_listener {
    int fd;          /* -1: stopped */
    bool ready;      /* an edge said so, and accept has not said EAGAIN since */
    bool data_first; /* a connection brings data with it: receive before adding it to the epoll set
                      */
    struct transport_conn_options conn;
};

struct epoll_engine {
    struct transport base;
    struct epoll_pool pool;
    struct epoll_list queue;    /* to be run in this poll */
    struct epoll_list later;    /* used up a run's bounds: in the next poll */
    struct epoll_list starved;  /* at retry_ns */
    struct epoll_conn *running; /* it is on no list, and needs none */
    uint64_t retry_ns;          /* when to try again what ran short; CLOCK_NEVER: nothing did */
    bool accept_paused;         /* until a connection closes, or retry_ns */
    bool has_pwait2;
    int epoll_fd;
    int wake_fd;
    uint32_t listener_count;
    struct epoll_listener listeners[TRANSPORT_LISTENERS_MAX];
};

static inline struct epoll_engine *epoll_engine_of(struct transport *transport)
{
    return (struct epoll_engine *)transport; /* its first member */
}

static inline struct epoll_conn *epoll_conn_of(struct transport_conn *head)
{
    return (struct epoll_conn *)head; /* its first member */
}

static inline bool epoll_conn_has_sent(const struct epoll_conn *conn)
{
    return conn->sends != NULL && conn->sends != conn->unsent;
}

/* epoll.c */

/* Puts a connection at a list's end. Requires that it is on none. */
void epoll_list_append(struct epoll_list *list, struct epoll_conn *conn);

/* Has a connection run in this poll or the next, unless it is being run or is listed already. */
void epoll_conn_enqueue(struct epoll_engine *engine, struct epoll_conn *conn);

/* Has the engine try again soon what ran short. */
void epoll_retry_soon(struct epoll_engine *engine);

/* epoll_conn.c */

void epoll_conn_become(struct epoll_conn *conn, enum epoll_conn_state state);

/* Notes a failure, gives up what is unsent, and has FAILED delivered. */
void epoll_conn_fail(struct epoll_engine *engine, struct epoll_conn *conn,
                     enum transport_phase phase, int error);

/* Takes an accepted descriptor, delivers ACCEPTED and what follows. Without a record for it the
 * descriptor is closed and counted. */
void epoll_conn_accepted(struct epoll_engine *engine, int fd, uint32_t listener);

/* Does what a connection has to do and delivers what is due, within a run's bounds. Afterwards the
 * record may be gone. Requires that it is on no list. */
void epoll_conn_run(struct epoll_engine *engine, struct epoll_conn *conn);

/* Resets a connection and closes its descriptor, without events. */
void epoll_conn_abort(struct epoll_conn *conn);

/* The calls of struct transport_ops that concern one connection. */
int epoll_conn_connect(struct transport *transport, struct transport_conn *head,
                       const struct flow *flow, const struct transport_conn_options *options);
void epoll_conn_buffer_release(struct transport *transport, struct transport_conn *head,
                               const struct transport_buffer *lent);
void epoll_conn_recv(struct transport *transport, struct transport_conn *head);
void epoll_conn_close(struct transport *transport, struct transport_conn *head,
                      enum transport_close_how how);

/* epoll_send.c */

int epoll_conn_send(struct transport *transport, struct transport_conn *head, const void *data,
                    uint64_t bytes);
int epoll_conn_send_buffer(struct transport *transport, struct transport_conn *head,
                           const struct transport_buffer *lent);
void epoll_conn_shutdown_write(struct transport *transport, struct transport_conn *head);

/* Hands the kernel what it takes of the queue, and the FIN behind it. */
void epoll_conn_flush(struct epoll_engine *engine, struct epoll_conn *conn);

/* Delivers SENT of the oldest send. Requires epoll_conn_has_sent. */
void epoll_conn_deliver_sent(struct epoll_engine *engine, struct epoll_conn *conn);

/* Drops the sends from `unsent` on, or all of them, and gives their buffers back. */
void epoll_conn_drop_unsent(struct epoll_engine *engine, struct epoll_conn *conn);
void epoll_conn_drop_sends(struct epoll_engine *engine, struct epoll_conn *conn);

/* Gives a buffer back, and with it a piece of the connection's credit. */
void epoll_conn_put_buffer(struct epoll_engine *engine, struct epoll_conn *conn,
                           struct epoll_buffer *buffer);

#endif
