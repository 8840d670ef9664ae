/* The epoll engine's own types: what its loop (epoll.c) and its connections (epoll_conn.c) share.
 *
 * Layer: L4, private to common/transport. Owner: epoll.c. One thread. Lists, the read credit and
 * the queue of sends are ready.h's.
 *
 * Edge-triggered throughout: a descriptor is added to the epoll set once, never modified and never
 * removed (close does that), and what an edge said is remembered in the connection. A receive that
 * fills its buffer only in part has drained the socket, so nobody asks again to be told EAGAIN. */
#ifndef FINWAIT_TRANSPORT_EPOLL_ENGINE_H
#define FINWAIT_TRANSPORT_EPOLL_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#include "transport/ready.h"

/* The bounds of one turn: a bulk connection and a full backlog each leave room for the others. */
#define EPOLL_EVENTS_PER_WAIT 64
#define EPOLL_ACCEPTS_PER_TURN 64u
#define EPOLL_RUNS_PER_TURN 1024u
#define EPOLL_SEND_PIECES_MAX 16u /* in one sendmsg */

/* The engine's one feature; io_uring's count up from bit 0. */
#define EPOLL_FEATURE_PWAIT2 (UINT64_C(1) << 63)

/* Its states, written by ready_become alone:
 *
 *   SETUP ---------conn_start----------> CONNECTING ----conn_connected----> OPEN
 *     |  `--conn_start (Fast Open), epoll_conn_accepted-----------------^    |
 *     |                                  |                                  |
 *     `------------------------------ready_fail--------------------------> FAILED
 *   any of these --epoll_conn_close--> CLOSED */
struct epoll_conn {
    struct ready_conn io;
    struct endpoint target; /* until connect was called */
    int fd;                 /* -1: there is none */
    bool registered;        /* is in the epoll set */
    bool exact;             /* urgent data or an error: a short receive does not mean drained */
};

struct epoll_listener {
    int fd;          /* -1: stopped */
    bool ready;      /* an edge said so, and accept has not said EAGAIN since */
    bool data_first; /* a connection brings data with it: receive before adding it to the epoll set
                      */
    struct transport_conn_options conn;
};

struct epoll_engine {
    union {
        struct ready_engine ready;
        struct transport base; /* its first member */
    };
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

/* epoll_conn.c */

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

#endif
