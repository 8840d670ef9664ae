/* The io_uring engine's own structures, shared by its files.
 *
 * Layer: L4, private to common/transport.
 *
 * A worker has one ring, and further ones where the table of direct descriptors, which
 * RLIMIT_NOFILE bounds for each ring, is smaller than the population. The first ring waits; the
 * others wake it through a registered eventfd. A connection stays on the ring where it was made.
 *
 *   connection      SETUP --socket, options, bind done--> CONNECTING --connect done--> OPEN
 *   (accepted ones begin as OPEN)      any --transport_close--> CLOSING --last completion--> gone
 *
 * `pending` counts the completions that the kernel still owes a connection; its record goes when
 * that is zero and close() has returned, so that no completion ever finds a stranger's record. */
#ifndef FINWAIT_TRANSPORT_URING_ENGINE_H
#define FINWAIT_TRANSPORT_URING_ENGINE_H

#include "base/clock.h"
#include "transport/engine.h"
#include "transport/socket.h"
#include "uring/uring.h"

#define URING_SQ_ENTRIES 1024u
#define URING_CQ_ENTRIES 8192u
#define URING_RINGS_MAX 64u
#define URING_TABLE_MAX (1u << 20)
#define URING_GROUPS_MAX 1024u   /* of receive buffers, per ring */
#define URING_GROUP_FIRST 256u   /* buffers in a ring's first group: what a busy ring has lent */
#define URING_GROUP_NEXT 2048u   /* buffers in each further one */
#define URING_SINGLE_ACCEPTS 16u /* single accepts that are armed at a time */

/* A buffer's id: ring in the top 6 bits, then 10 bits of group, then 16 of index. */
#define URING_ID_RING_SHIFT 26
#define URING_ID_GROUP_SHIFT 16

/* A failed accept that found no descriptor, slot or memory is tried again after so long, or when a
 * connection closes. */
#define URING_ACCEPT_RETRY_NS (20 * NS_PER_MS)

/* A ring's alarm goes off so often, while something is to be done later than that. It stays armed
 * from wait to wait: a wait with a time-out of its own arms and cancels a kernel timer each time.
 */
#define URING_ALARM_NS (100 * NS_PER_MS)

enum uring_op {
    URING_OP_IGNORE, /* a completion that nobody waits for */
    URING_OP_WAKE,
    URING_OP_ALARM,
    URING_OP_ACCEPT,
    URING_OP_ACCEPT_CANCEL,
    URING_OP_SOCKET,
    URING_OP_SETUP,
    URING_OP_CONNECT,
    URING_OP_RECV,
    URING_OP_SEND,
    URING_OP_SHUTDOWN,
    URING_OP_CANCEL,
    URING_OP_CLOSE,
};

enum uring_conn_state {
    URING_CONN_SETUP,
    URING_CONN_CONNECTING,
    URING_CONN_OPEN,
    URING_CONN_CLOSING,
};

#define URING_QUEUE_END UINT32_MAX           /* no buffer */
#define URING_QUEUE_STATIC (UINT32_MAX - 1u) /* the connection's constant memory */

struct uring_conn {
    struct transport_conn head;
    enum uring_conn_state state;
    enum transport_close_how how; /* what close() does as the socket is set up */
    enum transport_close_how how_wanted;
    uint8_t ring;
    bool direct; /* `file` is a slot of the ring's table, else a descriptor */
    bool has_file;
    bool deferred; /* set up; connect follows from the next poll */
    bool pull;
    bool recv_wanted; /* pull: asked for */
    bool recv_armed;
    bool recv_dry;     /* nothing can be there yet: wait before the first try */
    bool recv_starved; /* waits in the ring's list for a free buffer */
    bool peer_fin;
    bool connecting; /* a connect is in the kernel */
    bool sending;
    bool shut;         /* transport_shutdown_write was called */
    bool shut_done;    /* ... and handed to the kernel */
    bool shut_pending; /* ... or will be at the turn's end, and has not answered yet */
    bool close_started;
    bool closed; /* close() has returned */
    int32_t file;
    uint32_t pending;
    uint32_t held;       /* lent buffers */
    uint32_t recv_group; /* of the receive that is armed */
    int error;           /* SETUP: the first; CLOSING: close()'s */
    uint64_t closed_ns;
    const uint8_t *data; /* transport_send's memory; NULL: none pending */
    uint64_t data_bytes;
    uint32_t data_next; /* the queue's link behind it */
    uint32_t queue_first;
    uint32_t queue_last;
    uint64_t sent;          /* bytes of queue_first that are out */
    uint64_t starved_next;  /* handle */
    uint64_t deferred_next; /* handle: of the engine's list that it is on, at most one */
    union socket_address source;
    union socket_address target;
    struct transport_conn_options options;
};

struct uring_ring {
    struct uring uring;
    uint32_t slots_free; /* of the table */
    uint32_t slots_ours; /* [slots_ours, table_size) are given out by us, the rest by the kernel's
                            accept */
    uint32_t *free_slots;
    uint32_t free_count; /* of free_slots */
    uint32_t group_count;
    uint32_t group; /* that receives are armed on */
    struct uring_buffers *groups;
    uint64_t starved_first, starved_last; /* connections that found no buffer; handles */
    int eventfd;                          /* rings after the first: signalled when there is work */
    uint64_t eventfd_value;
};

struct uring_listener {
    int fd;
    struct transport_conn_options options;
    uint32_t backlog;
    bool multishot;  /* one is armed, on `ring` */
    bool cancelling; /* ... and is being cancelled */
    bool plain;      /* accepts to descriptors, not into the table */
    uint32_t ring;
    uint32_t singles; /* single accepts that are armed, on whatever ring */
};

/* A socket that the kernel accepted for us. */
struct uring_taken {
    int file;
    uint32_t ring;
    uint32_t listener;
    bool direct; /* `file` is a slot of the ring's table */
};

/* Taken sockets that wait, unseen, for a place of the quota; the oldest is admitted first. */
struct uring_parked {
    struct uring_taken *taken;
    uint32_t first;
    uint32_t count;
    uint32_t size;
};

struct uring_engine {
    struct transport head;
    uint64_t features;
    uint32_t table_wanted; /* slots for each ring */
    uint32_t ring_count;
    struct uring_ring *rings[URING_RINGS_MAX];
    uint32_t accept_ring;
    uint32_t connect_ring;
    uint32_t plain_count;                   /* connections on descriptors of their own */
    uint32_t plain_max;                     /* how many there were when descriptors got short */
    int descriptors_plenty;                 /* a descriptor below this says that there are plenty */
    uint64_t deferred_first, deferred_last; /* handles: set up, to be connected */
    uint64_t shut_first, shut_last;         /* handles: to be shut down by a call */
    uint32_t listener_count;
    struct uring_listener listeners[TRANSPORT_LISTENERS_MAX];
    struct uring_parked parked;
    bool accept_stopped;
    bool accept_paused;       /* nothing can be accepted now */
    uint64_t accept_retry_ns; /* 0: now */
    bool accept_short;        /* fewer accepts are armed than there could be */
    int wake_fd;
    uint64_t wake_value;
    uint64_t alarm_ns; /* when it goes off; 0: not armed */
};

static inline uint64_t uring_user_data(enum uring_op op, uint64_t handle)
{
    return ((uint64_t)op << SLAB_HANDLE_BITS) | handle;
}

static inline struct uring_engine *uring_engine_of(struct transport *transport)
{
    return (struct uring_engine *)transport;
}

static inline struct uring_ring *uring_conn_ring(struct uring_engine *engine,
                                                 const struct uring_conn *conn)
{
    return engine->rings[conn->ring];
}

static inline bool uring_has(const struct uring_engine *engine, enum uring_feature feature)
{
    return (engine->features >> feature & 1) != 0;
}

/* uring_engine.c: reads an eventfd in the first ring; `which` is the ring that signals it, 0:
 * transport_wake. */
void uring_wake_arm(struct uring_engine *engine, int fd, uint64_t *value, uint64_t which);

/* uring_rings.c: rings, their tables and buffers. */
int uring_rings_add(struct uring_engine *engine, struct failure *failure);
void uring_rings_free(struct uring_engine *engine);
/* Finds a ring with a free slot of our own, opening one if need be; -ENOBUFS or -errno. */
int uring_rings_for_connect(struct uring_engine *engine);
int32_t uring_slot_take(struct uring_ring *ring);
void uring_slot_give(struct uring_ring *ring, int32_t slot);
/* Chooses the group for a receive: false when every buffer is lent and no group can be added. */
bool uring_group_choose(struct uring_engine *engine, struct uring_ring *ring);
struct uring_buffers *uring_group_of(struct uring_engine *engine, uint32_t id, uint32_t *index);
uint32_t uring_buffer_id(uint32_t ring, uint32_t group, uint32_t index);
uint64_t uring_rings_memory(const struct uring_engine *engine);

/* uring_accept.c */
int uring_listen(struct transport *transport, struct endpoint *address,
                 const struct transport_listen_options *options, uint32_t *listener,
                 struct failure *failure);
void uring_listen_stop(struct transport *transport);
void uring_accept_arm(struct uring_engine *engine);

/* Closes the sockets that wait for a place of the quota, at the engine's end. */
void uring_parked_free(struct uring_engine *engine);
void uring_on_accept(struct uring_engine *engine, uint32_t ring, const struct io_uring_cqe *cqe);

/* uring_setup.c: client sockets up to connect. */
int uring_connect(struct transport *transport, struct transport_conn *base, const struct flow *flow,
                  const struct transport_conn_options *options);
/* Goes on with the connections that wait to be connected; returns whether one has failed. */
bool uring_setup_deferred(struct uring_engine *engine);
void uring_on_socket(struct uring_engine *engine, struct uring_conn *conn, int result);
void uring_on_setup(struct uring_engine *engine, struct uring_conn *conn, int result);

/* uring_conn.c: connections from connect to close. */
void uring_shutdown_write(struct transport *transport, struct transport_conn *base);
void uring_close_conn(struct transport *transport, struct transport_conn *base,
                      enum transport_close_how how);
void uring_conn_init(struct uring_conn *conn, uint32_t ring,
                     const struct transport_conn_options *options);
void uring_conn_state_set(struct uring_conn *conn, enum uring_conn_state state);
void uring_conn_settle(struct uring_engine *engine, struct uring_conn *conn);
/* Makes the calls that waited for the turn's end; returns whether one has failed. */
bool uring_shutdown_deferred(struct uring_engine *engine);
void uring_shutdown_issue(struct uring_engine *engine, struct uring_conn *conn);
void uring_on_connect(struct uring_engine *engine, struct uring_conn *conn, int result);
void uring_on_shutdown(struct uring_engine *engine, struct uring_conn *conn, int result);
void uring_on_close(struct uring_engine *engine, struct uring_conn *conn, int result);
/* Takes an SQE for an operation on a connection, which owes one completion from here on. */
struct io_uring_sqe *uring_conn_sqe(struct uring_engine *engine, struct uring_conn *conn);
/* Names the operation and the file; call it after io_uring_prep_*. */
void uring_conn_sqe_set(struct io_uring_sqe *sqe, const struct uring_conn *conn, enum uring_op op);

/* uring_data.c: receiving, sending, buffers. */
int uring_send(struct transport *transport, struct transport_conn *base, const void *data,
               uint64_t bytes);
int uring_send_buffer(struct transport *transport, struct transport_conn *base,
                      const struct transport_buffer *buffer);
void uring_buffer_release(struct transport *transport, struct transport_conn *base,
                          const struct transport_buffer *buffer);
void uring_recv(struct transport *transport, struct transport_conn *base);
void uring_recv_arm(struct uring_engine *engine, struct uring_conn *conn);
/* Goes on after a send: the rest of it, the next one, or the FIN that waited. */
void uring_send_next(struct uring_engine *engine, struct uring_conn *conn);
/* Gives up what is queued and what waits for a buffer. */
void uring_data_stop(struct uring_engine *engine, struct uring_conn *conn);
void uring_on_recv(struct uring_engine *engine, struct uring_conn *conn,
                   const struct io_uring_cqe *cqe);
void uring_on_send(struct uring_engine *engine, struct uring_conn *conn, int result);

#endif
