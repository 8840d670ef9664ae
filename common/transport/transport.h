/* Transport: one connection API over three engines (io_uring, epoll, and a TCP stack of our own,
 * finwait's TCP on a link of its own, see transport/stack.h).
 *
 * Layer: L4. The server and the load generator know no other way to reach a socket, so that a
 * comparison of engines changes one thing only.
 *
 * Shape. Completion style: a call starts something and returns; what came of it is an event, handed
 * to the one handler that the transport was opened with. Events are delivered from within
 * transport_poll and from nowhere else, never from inside of a call, so a handler may make any call
 * but transport_poll and transport_destroy.
 *
 * Threads. A transport belongs to one thread, the one that opened it: one per worker, nothing
 * shared. Only transport_wake may be called from another thread, or from a signal's handler.
 *
 * Connections are named by handles (index + generation). A handle is valid from transport_connect
 * or ACCEPTED until the handler returns from CLOSED, which is every connection's last event,
 * exactly once, whatever went wrong before. Calls on a stale handle are refused with -EBADF and
 * counted. The user word is the caller's, to find its own record.
 *
 * Time. Events carry the clock's value read for their batch of completions. Nothing here sleeps
 * longer than the caller's `until_ns` or the next timer.
 *
 * Memory. Received bytes stay in the engine's buffers and are lent to the caller (DATA); sent bytes
 * are either such a lent buffer, given back by sending it, or constant memory of the caller's.
 * The kernel's engines copy nothing in user space on the way through; the stack copies once each
 * way, between its segments and these buffers, as the kernel does. */
#ifndef FINWAIT_TRANSPORT_TRANSPORT_H
#define FINWAIT_TRANSPORT_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/addr.h"
#include "base/counter.h"
#include "base/cpu.h"
#include "base/failure.h"
#include "base/hist.h"
#include "base/tcp_state.h"

struct transport;
struct transport_stack_config; /* transport/stack.h */
struct transport_quota;        /* transport/quota.h */

enum transport_engine {
    TRANSPORT_AUTO, /* io_uring where the system allows it, else epoll */
    TRANSPORT_URING,
    TRANSPORT_EPOLL,
    TRANSPORT_STACK, /* finwait's own TCP over a link; AUTO never chooses it */
};

/* What a connection was doing when it failed. */
enum transport_phase {
    TRANSPORT_PHASE_ACCEPT,
    TRANSPORT_PHASE_SETUP, /* socket, its options, bind: nothing has left this host */
    TRANSPORT_PHASE_CONNECT,
    TRANSPORT_PHASE_SEND,
    TRANSPORT_PHASE_RECV,
    TRANSPORT_PHASE_SHUTDOWN,
    TRANSPORT_PHASE_CLOSE,
};

#define TRANSPORT_PHASE_COUNT 7

/* How transport_close ends a connection. The ways to close that the programs offer (fin, half, ...)
 * are made of these and of transport_shutdown_write. */
enum transport_close_how {
    TRANSPORT_CLOSE_PLAIN, /* close(): a FIN unless one went out before; the rest is the engine's */
    TRANSPORT_CLOSE_RST,   /* linger 0: a reset, no TIME_WAIT */
    TRANSPORT_CLOSE_NO_TIMEWAIT, /* TCP_LINGER2 -1: the peer reads a clean end, no TIME_WAIT stays
                                  */
};

enum transport_event_type {
    TRANSPORT_ACCEPTED,   /* a new connection; its user word is 0 until transport_set_user */
    TRANSPORT_CONNECTED,  /* transport_connect came through */
    TRANSPORT_CONNECTING, /* set-up is done, the SYN leaves now: `time_ns` starts the connect phase
                           */
    TRANSPORT_DATA,       /* `buffer` is lent to the handler */
    TRANSPORT_SENT,       /* one transport_send came through whole; `bytes` of it */
    TRANSPORT_PEER_FIN,   /* the peer sent its FIN; all data came before. No DATA follows */
    TRANSPORT_TIMER,      /* the connection's timer expired; it is disarmed */
    TRANSPORT_FAILED, /* `phase` and `error` say what failed first. Only TIMER and CLOSED follow;
                       * the caller still has to transport_close */
    TRANSPORT_CLOSED, /* the record is gone after this. `error` is 0 or what closing gave */
};

/* Bytes that the engine lends. Valid until transport_buffer_release, or until transport_send_buffer
 * and then the SENT event. Every DATA buffer must be given back one of these two ways, once. */
struct transport_buffer {
    const uint8_t *data;
    uint32_t size;
    uint32_t id; /* the engine's */
};

struct transport_event {
    enum transport_event_type type;
    enum transport_phase phase; /* FAILED */
    int error;                  /* FAILED, CLOSED: positive errno */
    uint64_t conn;
    uint64_t user;
    uint64_t time_ns;
    uint64_t bytes;                 /* SENT */
    struct transport_buffer buffer; /* DATA */
    uint32_t listener;              /* ACCEPTED: what transport_listen stored */
};

typedef void transport_handler(void *context, const struct transport_event *event);

/* Limits, each a counted outcome when it is reached. */
#define TRANSPORT_BUFFER_BYTES 4096u
#define TRANSPORT_READ_CREDIT                                                                      \
    8u /* lent buffers that one connection may hold before it stops receiving */
#define TRANSPORT_LISTENERS_MAX 64u

struct transport_config {
    enum transport_engine engine; /* not AUTO: see transport_choose */
    uint32_t conns_max;           /* live connections; 1..2^22 */
    uint32_t buffer_bytes;        /* of a receive buffer; 0: TRANSPORT_BUFFER_BYTES */
    uint32_t read_credit;         /* buffers; 0: TRANSPORT_READ_CREDIT */
    uint64_t features_off;        /* bits of transport_feature_find: fall-backs that are forced */
    /* Shared with other transports that listen; borrowed. What is accepted takes a place of it, and
     * what finds none waits in the backlog, or unseen where the engine had taken it already. NULL:
     * conns_max is the only limit. Not with `connects`. */
    struct transport_quota *quota;
    bool listens;  /* transport_listen will be called */
    bool connects; /* transport_connect will be called */
    /* A blocking eventfd for transport_wake, which the caller keeps open; 0: the transport makes
     * its own. A thread that has descriptors of its own (unshare(CLONE_FILES)) can be woken only by
     * one that was made before. */
    int wake_fd;
    /* STACK: required, borrowed during transport_open (and the calls that open a transport). The
     * other engines do not look at it. */
    const struct transport_stack_config *stack;
    transport_handler *handler;
    void *context;
};

/* Options of a connection, given before it exists: on the listener (where the kernel lets accepted
 * sockets inherit them) or to transport_connect. */
struct transport_conn_options {
    enum transport_close_how
        close_how; /* how transport_close will mostly be called; set up in advance */
    bool pull; /* receive only when asked: one DATA (or PEER_FIN) for each transport_recv. Leaves no
                * receive armed, so that close() takes effect at once. Otherwise receive all the
                * time */
    bool shuts_down;   /* transport_shutdown_write will mostly be called: a hint, some engines can
                        * make   that call cheaper */
    bool quickack_off; /* TCP_QUICKACK 0: let acknowledgements ride on data */
    bool fastopen;     /* TCP_FASTOPEN: on a listener accept, on connect TCP_FASTOPEN_CONNECT */
};

struct transport_listen_options {
    struct transport_conn_options conn;
    uint32_t backlog;         /* of accept queue, 1..2^20; the kernel caps it at somaxconn */
    uint64_t defer_accept_ns; /* TCP_DEFER_ACCEPT, rounded up to seconds; 0: off */
    const struct cpu_list
        *steer_cpus; /* not NULL: SO_REUSEPORT group, one listener a CPU of this list,
                      * in the list's order; a CPU's connections go to its own */
};

/* Chooses the engine: `wanted`, or for AUTO the best that works here. Returns 0 and stores the
 * choice, or -errno with the text set (io_uring asked for and forbidden). With AUTO, when io_uring
 * does not work, stores EPOLL, returns 0, and the text says why; otherwise the text is empty. */
int transport_choose(enum transport_engine wanted, enum transport_engine *chosen,
                     uint64_t features_off, struct failure *failure);

/* Opens a transport in the thread that will use it. Returns 0 or -errno with the text set. */
int transport_open(struct transport **transport, const struct transport_config *config,
                   struct failure *failure);

/* Ends it: listeners and connections are closed at once, without events, and all memory goes.
 * Unclosed connections end by RST; by FIN where close_how_unavailable would be counted (io_uring
 * without its setsockopt). NULL is allowed. Not from within a handler. */
void transport_destroy(struct transport *transport);

/* Listens; connections become ACCEPTED events from the next poll on. Stores the bound address (with
 * the port that the system chose for port 0) and the listener's number. Returns 0 or -errno with
 * the text set. */
int transport_listen(struct transport *transport, struct endpoint *address,
                     const struct transport_listen_options *options, uint32_t *listener,
                     struct failure *failure);

/* Stops accepting on every listener and closes them. What was accepted goes on. */
void transport_listen_stop(struct transport *transport);

/* Opens a connection. CONNECTING comes when the SYN is about to leave, then CONNECTED or FAILED.
 * Returns 0 and stores the handle, or -errno with nothing left behind: -ENOBUFS (conns_max or the
 * engine's table is full), -EMFILE (no descriptors), -ENOMEM, -EAFNOSUPPORT. */
int transport_connect(struct transport *transport, const struct flow *flow,
                      const struct transport_conn_options *options, uint64_t user,
                      uint64_t *handle);

/* Tells of a transport_connect that will come: the stack asks the caches for what that will look
 * at, which with millions in TIME_WAIT is nowhere near. Worth a call by those who plan their flows,
 * one open ahead or some; changes nothing else. Engines of the kernel have nothing to ask for. */
void transport_connect_soon(struct transport *transport, const struct flow *flow);

/* Attaches the caller's word to a connection. */
int transport_set_user(struct transport *transport, uint64_t handle, uint64_t user);

/* Sends constant memory that stays valid until SENT, FAILED or CLOSED. One such send may be pending
 * on a connection (-EBUSY). Requires bytes > 0. Returns 0, -EBADF (stale or closing), -EPIPE (after
 * transport_shutdown_write) or -ENOTCONN (before CONNECTED). */
int transport_send(struct transport *transport, uint64_t handle, const void *data, uint64_t bytes);

/* Sends a lent buffer and gives it back to the engine; in order with other sends. The caller may
 * have made `size` smaller: so many bytes are sent then. On an error the buffer is released all the
 * same. Returns as transport_send. */
int transport_send_buffer(struct transport *transport, uint64_t handle,
                          const struct transport_buffer *buffer);

/* Gives a lent buffer back unsent. */
void transport_buffer_release(struct transport *transport, uint64_t handle,
                              const struct transport_buffer *buffer);

/* Asks a `pull` connection for its next DATA or PEER_FIN; no effect while one is asked for. Returns
 * 0 or -EBADF. */
int transport_recv(struct transport *transport, uint64_t handle);

/* Sends a FIN after what is queued; receiving goes on. Failure comes as FAILED. Returns 0 or
 * -EBADF. */
int transport_shutdown_write(struct transport *transport, uint64_t handle);

/* Closes: pending sends and receives are given up, no event but CLOSED follows, whose time is that
 * of close()'s return. Queued bytes that were not handed over yet are lost: wait for SENT first.
 * Returns 0 or -EBADF; a second close is refused with -EBADF. */
int transport_close(struct transport *transport, uint64_t handle, enum transport_close_how how);

/* Arms the connection's one timer, or moves it; CLOCK_NEVER disarms. Returns 0 or -EBADF. */
int transport_timer(struct transport *transport, uint64_t handle, uint64_t deadline_ns);

/* Waits for events until `until_ns` at the latest (a past time: does not wait), handles everything
 * that is ready, expires timers, and returns. Returns 0 or -errno (the engine is broken: give up).
 */
int transport_poll(struct transport *transport, uint64_t until_ns);

/* Has what is to be sent leave now, where the stack was told to gather it (`sends_gather`); nothing
 * waits otherwise. In the transport's thread only, not from a handler. */
void transport_flush(struct transport *transport);

/* Makes a transport_poll that waits, or the next one, return soon. From any thread, and safe in a
 * signal's handler. */
void transport_wake(struct transport *transport);

/* Counts live connections: from ACCEPTED or transport_connect to CLOSED. */
uint32_t transport_conn_count(const struct transport *transport);

enum transport_feature_state {
    TRANSPORT_FEATURE_USED,
    TRANSPORT_FEATURE_UNUSED,  /* there, and not needed by this engine or role */
    TRANSPORT_FEATURE_OFF,     /* switched off by the user */
    TRANSPORT_FEATURE_MISSING, /* not in this kernel */
};

struct transport_feature {
    const char *name;     /* of --without-feature */
    const char *since;    /* the kernel that brought it, "6.1" */
    const char *help;     /* what it is */
    const char *fallback; /* what is done without it */
    enum transport_feature_state state;
};

/* Lists the engine's optional features with their state; returns how many, at most `max`. The
 * strings are static. `transport` may be NULL: then the state is what a probe of this kernel says.
 */
size_t transport_features(const struct transport *transport, struct transport_feature *features,
                          size_t max);

/* Finds a feature's bit by name; 0 when there is none of that name. */
uint64_t transport_feature_find(const char *name);

#define TRANSPORT_FEATURES_MAX 32

/* Names a feature's state: "used", "unused", "off", "missing". Static memory. */
const char *transport_feature_state_name(enum transport_feature_state state);

/* Opens what a run with this configuration would (its engine may be AUTO here, its handler is not
 * used), and prints kernel, liburing, engine, features, and for the stack its link and addresses.
 * Returns 0 or -errno with the text set.
 */
int transport_features_print(const struct transport_config *config, FILE *out,
                             struct failure *failure);

const char *transport_engine_name(enum transport_engine engine);
const char *transport_phase_name(enum transport_phase phase);
const char *transport_event_name(enum transport_event_type type);
enum transport_engine transport_engine_of(const struct transport *transport);

/* Shows the counters (transport/counters.def); borrowed, updated by the owner's thread. */
struct counter_view transport_counters(const struct transport *transport);

#define TRANSPORT_VIEWS_MAX 8

/* One module's counters. */
struct transport_view {
    const char *module; /* a JSON key: "stack", "ether", "link", "link_faults", "link_pcap" */
    struct counter_view counters;
};

/* Lists the counters of what stands below the engine, beside transport_counters; returns how many
 * views, at most `max` (TRANSPORT_VIEWS_MAX holds all). The kernel's engines have none. Values are
 * borrowed and as new as this call; call it in the transport's thread. */
size_t transport_views(struct transport *transport, struct transport_view *views, size_t max);

/* Copies the histogram of turn lengths, in ns: from the return of one wait to the start of the
 * next. */
void transport_turns(const struct transport *transport, struct hist *turns);

/* Counts the bytes of memory that the transport holds for connections and buffers. */
uint64_t transport_memory_bytes(const struct transport *transport);

/* Takes a census of the connections by TCP state, and of how often each state followed each since
 * the transport was opened; either pointer may be NULL. It is what the wire knows: TIME_WAIT and
 * what closes in the background are in it, listeners are LISTEN. Costs nothing that grows with the
 * connections. Returns 0, or -ENOTSUP for the kernel's engines: there the kernel knows, and tcpstat
 * asks it. In the transport's thread only. */
int transport_census(struct transport *transport, struct tcp_state_counts *counts,
                     struct tcp_transitions *transitions);

/* What the wire still knows and no connection of the caller's has: it goes with the transport. */
struct transport_lingering {
    uint64_t closing;   /* closed by us and not yet done: FIN_WAIT_1 and 2, CLOSING, LAST_ACK */
    uint64_t time_wait; /* records in TIME_WAIT */
};

/* Tells what would be abandoned by transport_destroy now. To linger, go on with transport_poll
 * until both are 0: peers are answered meanwhile. Always zeros for the kernel's engines: the kernel
 * keeps TIME_WAIT, whatever ends. In the transport's thread only. */
struct transport_lingering transport_lingering(const struct transport *transport);

#endif
