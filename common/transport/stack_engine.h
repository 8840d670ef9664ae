/* The stack engine's own types: what its loop (stack.c), its pump (stack_pump.c) and its
 * connections (stack_conn.c, stack_send.c) share.
 *
 * Layer: L4, private to common/transport. Owner: stack.c. One thread.
 *
 *     link --frames--> ether --packets--> host --events--> connections --events--> the handler
 *       ^------------- ether <--packets---- '  <---calls------'          <--calls------'
 *
 * A turn hands everything that came in to the host as one batch, tells the connections, runs them,
 * and only then fetches what is to be sent: so acknowledgements ride on what the handler answers.
 *
 * Lists, the read credit and the queue of sends are ready.h's. What the calls give to send leaves
 * with the next poll, at its beginning or its end. Packets that the link has no room for stay in
 * the host. */
#ifndef FINWAIT_TRANSPORT_STACK_ENGINE_H
#define FINWAIT_TRANSPORT_STACK_ENGINE_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

#include "link/link.h"
#include "stack/ether.h"
#include "stack/finwait-stack.h"
#include "tcp/memory.h"
#include "transport/ready.h"
#include "transport/stack.h"

/* The bounds of one turn. */
#define STACK_BATCHES_PER_TURN 2u /* of LINK_BATCH_MAX frames received */
/* RSTs between two sends. They wait in the host's queue of 1024 answers, where those to what a turn
 * received need room too. */
#define STACK_RESETS_PER_SEND 256u
#define STACK_EVENTS_PER_POLL 64u
#define STACK_EVENTS_PER_TURN 4096u
#define STACK_ACCEPTS_PER_TURN 256u
#define STACK_RUNS_PER_TURN 4096u
#define STACK_SLOTS_PER_RESERVE 64u

/* When to ask again a link that had no room. */
#define STACK_LINK_RETRY_NS (100 * NS_PER_US)

#define STACK_MTU_MIN 576u /* RFC 791: every host takes it */

/* Records beside those of the caller's connections: what closes in the background. */
#define STACK_CLOSING_MAX 262144u

/* Its states, written by ready_become alone:
 *
 *   SETUP -------conn_start-------> CONNECTING ------conn_conclude-------> OPEN
 *     |  |`--stack_conn_accepted (defer_accept)--> DEFERRED ---conn_show----^
 *     |  `---------------stack_conn_accepted--------------------------------'|
 *     `--------------------------------ready_fail-------------------------> FAILED
 *   any of these --stack_conn_close, conn_drop--> CLOSED */
struct stack_conn {
    struct ready_conn io;
    fws_handle tcp;   /* 0: there is none */
    uint8_t listener; /* of an accepted one */
    bool quickack;
};

struct stack_listener {
    fws_handle tcp;           /* 0: stopped */
    uint64_t defer_accept_ns; /* 0: off */
    bool ready;               /* an event said so, and accept has not said -EAGAIN since */
    struct transport_conn_options conn;
};

#define STACK_LINKS_MAX 8u

enum stack_memory {
#define COUNTER(name, help) STACK_MEMORY_##name,
#include "transport/stack_memory.def"
#undef COUNTER
    STACK_MEMORY_COUNT
};

struct stack_engine {
    union {
        struct ready_engine ready;
        struct transport base; /* its first member */
    };
    struct transport_stack_config config; /* pointers in it are not kept */
    struct fws_host *host;
    struct memory memory; /* ether's */
    struct ether ether;
    struct link *link;
    uint64_t link_retry_ns; /* when to ask a full link again; CLOCK_NEVER: it was not full */
    uint32_t reset_count;   /* of `resets` */
    uint64_t spin_until_ns; /* no turn before it waits */
    fws_handle resets[STACK_RESETS_PER_SEND]; /* to be aborted when what they sent has left */
    bool events_left; /* the last turn did not take all of the host's events */
    bool turn_worked; /* something came or was done in this turn */
    int wake_fd;
    int promiscuous_fd; /* -1: none */
    int lock_fd;        /* -1: none */
    nfds_t fd_count;    /* of fds: wake_fd, then the link's */
    struct pollfd fds[1 + LINK_FDS_MAX];
    uint32_t listener_count;
    struct stack_listener listeners[TRANSPORT_LISTENERS_MAX];
    /* For stack_views. */
    size_t host_counter_count;
    struct fws_counter *host_counters;
    struct counter_info *host_infos;
    uint64_t *host_values;
    uint64_t memory_values[STACK_MEMORY_COUNT];
};

static inline struct stack_engine *stack_engine_of(struct transport *transport)
{
    return (struct stack_engine *)transport; /* its first member */
}

static inline struct stack_conn *stack_conn_of(struct transport_conn *head)
{
    return (struct stack_conn *)head; /* its first member */
}

/* stack_check.c */

/* An IPv4 address in host order. */
uint32_t stack_ip_of(const struct ip_addr *ip);
struct ip_addr stack_ip_from(uint32_t number);

/* The address that answers ARP and asks by it. */
const struct ip_addr *stack_link_address(const struct transport_stack_config *config);

/* stack_claim.c */

/* Claims the addresses, for as long as `lock_fd` is open. Returns 0; -EADDRINUSE when another stack
 * of this network namespace has one of them on the same interface, or -errno, with the text set. */
int stack_claim_take(struct stack_engine *engine, struct failure *failure);

/* stack_setup.c */

/* Opens link, ether and host, looks whether somebody else has the addresses, and announces them.
 * Returns 0 or -errno with the text set; stack_setup_close undoes what was done either way. */
int stack_setup_open(struct stack_engine *engine, const struct transport_stack_config *config,
                     struct failure *failure);
void stack_setup_close(struct stack_engine *engine);

/* stack_pump.c */

/* Moves everything's time. */
void stack_pump_advance(struct stack_engine *engine, uint64_t now_ns);

/* Hands to the host what the link received; returns how many frames. */
size_t stack_pump_receive(struct stack_engine *engine, uint64_t now_ns);

/* Hands to the link what is due, as far as it has room, and has it leave. */
void stack_pump_send(struct stack_engine *engine, uint64_t now_ns);

/* Waits for frames or a wake-up until `until_ns` or whatever of the engine's is due before. */
int stack_pump_wait(struct stack_engine *engine, uint64_t until_ns, uint64_t now_ns);

/* stack.c */

/* Takes what the host has to tell, in a turn's bounds, and what accepting brings up, and runs the
 * connections concerned. */
void stack_handle_events(struct stack_engine *engine);

/* stack_conn.c */

/* Says how a connection of these options is to behave. */
struct fws_options stack_conn_options(const struct stack_engine *engine, bool quickack,
                                      enum transport_close_how how);

/* Takes an accepted connection and delivers ACCEPTED, unless it has to wait for data. Without a
 * record for it it is reset and counted. */
void stack_conn_accepted(struct stack_engine *engine, fws_handle tcp, uint32_t listener);

/* Does what a connection has to do and delivers what is due, within a run's bounds. Afterwards the
 * record may be gone. Requires that it is on no list. */
void stack_conn_run(struct stack_engine *engine, struct stack_conn *conn);

/* A deferred connection's time is up. Returns false for others: their timers are the handler's. */
bool stack_conn_expired(struct transport *transport, struct transport_conn *head);

/* The calls of struct transport_ops that concern one connection. */
int stack_conn_connect(struct transport *transport, struct transport_conn *head,
                       const struct flow *flow, const struct transport_conn_options *options);
void stack_conn_connect_soon(struct transport *transport, const struct flow *flow);
void stack_conn_close(struct transport *transport, struct transport_conn *head,
                      enum transport_close_how how);

/* stack_send.c */

int stack_conn_send(struct transport *transport, struct transport_conn *head, const void *data,
                    uint64_t bytes);
int stack_conn_send_buffer(struct transport *transport, struct transport_conn *head,
                           const struct transport_buffer *lent);
void stack_conn_shutdown_write(struct transport *transport, struct transport_conn *head);

/* Hands the host what it takes of the queue, and the FIN behind it. */
void stack_conn_flush(struct stack_engine *engine, struct stack_conn *conn);

/* Resets a host's connection, which leaves soon even where very many are reset at once. */
void stack_conn_reset(struct stack_engine *engine, fws_handle tcp);

/* stack_report.c */

size_t stack_report_features(const struct transport *transport, struct transport_feature *features,
                             size_t max);
uint64_t stack_report_memory(const struct transport *transport);
void stack_report_census(const struct transport *transport, struct tcp_state_counts *counts,
                         struct tcp_transitions *transitions);
struct transport_lingering stack_report_lingering(const struct transport *transport);
/* Prints the link, on `interface` (NULL: on none), and the addresses. */
void stack_report_print(const struct transport *transport, const char *interface, FILE *out);

size_t stack_report_views(struct transport *transport, struct transport_view *views, size_t max);

#endif
