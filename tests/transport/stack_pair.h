/* Two stacks, a client and a server, each in a transport of its own, joined by a link in memory.
 *
 * Layer: tests. One thread, which polls both in turn: real time, but nothing waits. */
#ifndef FINWAIT_TESTS_TRANSPORT_STACK_PAIR_H
#define FINWAIT_TESTS_TRANSPORT_STACK_PAIR_H

/* cmocka.h asks for these before itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "transport/stack.h"
#include "transport/transport.h"

#define PAIR_EVENT_TYPES 9
#define PAIR_PORT 7000

enum pair_side { PAIR_CLIENT, PAIR_SERVER };

/* One side, and what its newest connection said. */
struct pair_end {
    struct transport *transport;
    uint64_t conn; /* 0: none yet */
    uint64_t counts[PAIR_EVENT_TYPES];
    uint64_t all[PAIR_EVENT_TYPES]; /* of every connection, since the start */
    uint64_t received_bytes;
    enum transport_phase phase;
    int error;
    bool echoes;
    uint8_t *keep; /* bytes received go here, as far as there is room; NULL: nowhere */
    size_t keep_bytes;
    const char *say; /* to be sent on CONNECTED; NULL: nothing */
    bool close_on[PAIR_EVENT_TYPES];
    enum transport_close_how close_how;
};

struct pair {
    struct pair_end ends[2];
    struct transport_stack_config configs[2]; /* may be changed before pair_open */
    struct transport_conn_options options;    /* likewise; of both sides */
    uint32_t conns_max;                       /* likewise; 16 */
    uint64_t defer_accept_ns;                 /* likewise */
    uint32_t slots;                           /* likewise, of the link; 1024 */
};

/* Fills in 10.9.0.1 for the client and 10.9.0.2 for the server, which echoes. */
void pair_init(struct pair *pair);
void pair_open(struct pair *pair); /* the server listens on PAIR_PORT */
void pair_close(struct pair *pair);

struct endpoint pair_address(enum pair_side side, uint16_t port);

/* Opens a connection from `port`, 0: any; what it said before is forgotten, on both sides. */
void pair_connect(struct pair *pair, uint16_t port);
/* As transport_connect of any flow. */
int pair_try_connect(struct pair *pair, const struct flow *flow);

void pair_poll(struct pair *pair);
void pair_ignore(void *context, const struct transport_event *event);
void pair_wait(struct pair *pair, uint64_t end_ns, const char *condition);
#define PAIR_PATIENCE_NS (30 * NS_PER_SEC)
#define PAIR_UNTIL(pair, condition)                                                                \
    for (uint64_t pair_end_ns = clock_now_ns() + PAIR_PATIENCE_NS; !(condition);                   \
         pair_wait(pair, pair_end_ns, #condition)) {                                               \
    }

/* Connects and waits until both sides know. */
void pair_establish(struct pair *pair);

/* Reads a counter of one of a side's modules. */
uint64_t pair_counter(struct pair *pair, enum pair_side side, const char *module, const char *name);

uint64_t pair_state(struct pair *pair, enum pair_side side, enum tcp_state state);

#endif
