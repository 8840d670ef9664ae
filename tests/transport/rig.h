/* The rig that the transport's tests stand on: a private network namespace for each test, one
 * transport under test, a record of all that it said, and raw sockets for peers.
 *
 * Layer: tests. One thread. The rig's handler checks, on every event of every test, what holds
 * always: nothing follows CLOSED, no DATA follows PEER_FIN, a connection begins with ACCEPTED or
 * CONNECTING.
 *
 * Every test runs once per variant: each engine, and io_uring without each of its features in turn.
 */
#ifndef FINWAIT_TESTS_TRANSPORT_RIG_H
#define FINWAIT_TESTS_TRANSPORT_RIG_H

/* cmocka.h asks for these before itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "transport/transport.h"

#define RIG_CONNS_MAX 64
#define RIG_EVENT_TYPES 9
#define RIG_BUFFERS_MAX 4096

/* Far above what anything here takes: only a test that fails waits for so long. */
#define RIG_PATIENCE_NS (30 * NS_PER_SEC)

struct rig_variant {
    char name[64];
    enum transport_engine engine;
    uint64_t features_off;
};

/* What the handler does with DATA. */
enum rig_mode {
    RIG_ECHO,    /* sends it back */
    RIG_COLLECT, /* keeps the bytes, gives the buffer back */
    RIG_HOLD,    /* keeps the buffer until rig_give_back */
};

struct rig_conn {
    uint64_t handle;
    uint64_t counts[RIG_EVENT_TYPES];   /* of events, by type */
    uint64_t times_ns[RIG_EVENT_TYPES]; /* of the last event of each type */
    uint64_t received_bytes;
    uint64_t sent_bytes;
    enum transport_phase phase; /* of FAILED */
    int error;                  /* of FAILED */
    int closed_error;
    uint32_t listener;
    bool known;
    /* What to do from within the handler. */
    bool close_on[RIG_EVENT_TYPES];
    enum transport_close_how close_how;
    bool shut_on_fin; /* shutdown_write after the peer's FIN; its echo goes out first */
    bool recv_on_data;
};

struct rig {
    const struct rig_variant *variant;
    struct transport *transport;
    struct link *router; /* of the stack that is connected to itself; NULL: on the cable */
    bool loops;          /* rig_needs_loopback was called */
    enum rig_mode mode;
    bool release_on_closed;               /* in CLOSED's handler, what is held of the connection */
    bool tolerant;                        /* the handler's calls may be refused: a random test */
    const struct flow *connect_on_failed; /* connect so from FAILED's handler ... */
    uint32_t connects_left;               /* ... so many times */
    uint64_t seed;                        /* of a random test, for the message; 0: none */
    const char *broken;                   /* the first rule that the handler saw broken */
    struct rig_conn conns[RIG_CONNS_MAX];
    uint32_t conn_count;
    struct rig_conn accept_as; /* what accepted connections do */
    uint8_t *collected;        /* RIG_COLLECT: bytes of all connections */
    size_t collected_bytes;
    size_t collected_room;
    struct transport_buffer held[RIG_BUFFERS_MAX]; /* RIG_HOLD */
    uint64_t held_by[RIG_BUFFERS_MAX];
    uint32_t held_count;
};

/* Opens a transport of the test's variant; `conns_max` 0: 64. Skips the test where the variant
 * cannot run. */
void rig_open(struct rig *rig, uint32_t conns_max);
void rig_open_config(struct rig *rig, struct transport_config config);
void rig_close(struct rig *rig);

/* The transport's own address number `last` (127.0.0.x, or 10.9.0.x on the stack's side of the
 * cable: 2 to 9), and the kernel's on the other side, where peers are. */
struct endpoint rig_own_end(const struct rig *rig, uint8_t last, uint16_t port);
struct endpoint rig_peer_end(const struct rig *rig, uint16_t port);

/* Skips the test where the engine is the stack: it is about what only a kernel has. */
void rig_needs_kernel(const struct rig *rig);

/* Says that the test connects the transport to itself, before it is opened. The stack is then on a
 * link in memory whose router sends everything back. */
void rig_needs_loopback(struct rig *rig);

/* Listens on the first own address and a port of the system's choice. `options` may be NULL: a
 * backlog of 64.
 */
struct endpoint rig_listen(struct rig *rig, const struct transport_listen_options *options);

/* Connects by the transport under test. `source` and `options` may be NULL. */
struct rig_conn *rig_connect(struct rig *rig, const struct endpoint *source,
                             const struct endpoint *target,
                             const struct transport_conn_options *options);

/* As transport_connect; the connection is recorded where it begins. */
int rig_try_connect(struct rig *rig, const struct flow *flow,
                    const struct transport_conn_options *options, struct rig_conn **conn);

/* Polls until the condition holds; fails the test when it does not within RIG_PATIENCE_NS. */
#define RIG_UNTIL(rig, condition)                                                                  \
    for (uint64_t rig_end_ns = clock_now_ns() + RIG_PATIENCE_NS; !(condition);                     \
         rig_wait(rig, rig_end_ns, #condition)) {                                                  \
    }
void rig_wait(struct rig *rig, uint64_t end_ns, const char *condition);

/* Polls once, for 5 ms at most, or until `until_ns`. */
void rig_poll(struct rig *rig);
void rig_poll_until(struct rig *rig, uint64_t until_ns);

/* Fails the test where the handler saw a rule broken. */
void rig_check(const struct rig *rig);

/* Polls until `ms` went by, and several times at the least, whatever the machine did meanwhile: for
 * what must not happen in that time, and to do what the calls before began. */
void rig_poll_for(struct rig *rig, uint64_t ms);

/* Gives the oldest held buffer back, by sending it or by releasing it. */
void rig_give_back(struct rig *rig, bool send);

/* Finds the one connection that the transport accepted; NULL before. */
struct rig_conn *rig_accepted(struct rig *rig);

/* Drops the records of connections that are closed; pointers to records end. */
void rig_forget_closed(struct rig *rig);

uint64_t rig_counter(const struct rig *rig, const char *name);

/* Closes a connection and polls until CLOSED came. */
void rig_finish(struct rig *rig, struct rig_conn *conn, enum transport_close_how how);

/* Opens a transport that listens, and a peer that is connected to it; returns the peer's descriptor
 * and stores the accepted connection. */
int rig_open_accepted(struct rig *rig, struct rig_conn **accepted);

/* Opens a transport and connects it to a peer; returns the peer's descriptor. */
int rig_open_connected(struct rig *rig, const struct transport_conn_options *options,
                       struct rig_conn **client);

/* Raw sockets, blocking, with a receive time-out of RIG_PATIENCE_NS. They fail the test where a
 * call does. Where the transport is the other kernel half of what a call waits for, the stack is,
 * it is polled meanwhile. */
int peer_listen(struct endpoint *address);
int peer_accept(int listener);
int peer_connect(struct rig *rig, const struct endpoint *target);
/* Connects and closes at once; returns 0 or -errno. */
int peer_try_connect(struct rig *rig, const struct endpoint *target);
void peer_send(struct rig *rig, int fd, const void *data, size_t bytes);
void peer_expect(struct rig *rig, int fd, const void *data, size_t bytes);
/* Receives once; returns recv's result, or -errno. */
ssize_t peer_recv(struct rig *rig, int fd, void *data, size_t bytes);
void peer_nonblocking(int fd);
/* Closes with a reset. */
void peer_reset(int fd);
/* Waits until the other end's kernel has acknowledged all that was sent; the stack acknowledges
 * when it is polled, which this does not do. */
void peer_wait_delivered(const struct rig *rig, int fd);
struct endpoint peer_name(int fd, bool remote);

/* Counts this namespace's TIME_WAIT records, /proc/net/sockstat, and the stack's. */
uint64_t time_wait_count(struct rig *rig);
/* Waits until there are so many: the last segments may be under way when a call returns. */
void time_wait_expect(struct rig *rig, uint64_t count);
/* Counts the process's descriptors. */
uint32_t descriptor_count(void);

/* Runs the tests for every variant; each test gets a namespace of its own and a zeroed rig as its
 * state. FINWAIT_TEST_VARIANT in the environment names the only one to run. Returns the exit code;
 * 77 where there can be no namespace. */
int rig_run(const char *name, const struct CMUnitTest *tests, size_t count);

#endif
