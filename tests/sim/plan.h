/* Plans: what a run does, in full. A seed expands to an explicit list of connections, application
 * calls, faults and events of the network; a list can be cut down and written as readable text.
 *
 * Layer: tests. Owner: the caller; the list is kept between runs. A fault is named by connection,
 * direction and the packet's number within both, so that what is deleted elsewhere does not move
 * it. */
#ifndef FINWAIT_TESTS_SIM_PLAN_H
#define FINWAIT_TESTS_SIM_PLAN_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/failure.h"
#include "base/rng.h"

#define PLAN_HOSTS_MAX 4u
#define PLAN_HOST_ADDRESS 0x0a000001u   /* of host 0; the others follow */
#define PLAN_RANGE_ADDRESS 0x0a000101u  /* of host 0 where it owns several; 256 apart */
#define PLAN_ROUTER_ADDRESS 0x0a0000feu /* that sends ICMP */
#define PLAN_PORT 7000u                 /* where hosts listen */

enum host_field {
#define HOST_FIELD(name) HOST_##name,
#include "sim/host_fields.def"
#undef HOST_FIELD
    HOST_FIELD_COUNT
};

enum plan_field {
#define PLAN_FIELD(name) PLAN_##name,
#include "sim/plan_fields.def"
#undef PLAN_FIELD
    PLAN_FIELD_COUNT
};

enum entry_kind {
    ENTRY_LISTEN, /* host, port, at, arg: backlog, arg2: when it stops (0: never), nth: enum
                     option_bit of the connections to come */
    ENTRY_CONN,   /* conn, at, host:port to peer:peer_port (port 0: the host's choice); op; arg2:
                     enum option_bit of those that connect */
    ENTRY_CALL,   /* conn, side, op, arg: one step of that side's script */
    ENTRY_FAULT,  /* conn, side that sends, nth packet of it, op, arg, arg2 */
    ENTRY_NET,    /* at, op, host, peer, arg: for how long, arg2 */
    ENTRY_KIND_COUNT,
};

enum conn_op {
    CONN_ACTIVE,       /* one side connects */
    CONN_SIMULTANEOUS, /* both do; the other arg ns later, from the ports given */
    CONN_OP_COUNT,
};

enum call_op {
    CALL_SEND,   /* arg bytes, reading along while the buffer is full */
    CALL_URGENT, /* as CALL_SEND, with the urgent pointer behind them */
    CALL_RECV,   /* until arg bytes have come in all */
    CALL_EOF,    /* until the peer's FIN */
    CALL_WAIT,   /* arg ns, without reading */
    CALL_UNTIL,  /* until arg ns after the connection's start, without reading */
    CALL_SHUTDOWN,
    CALL_CLOSE,
    CALL_ABORT,
    CALL_OPTIONS, /* arg: enum option_bit, arg2: user time-out in ns */
    CALL_MORE,    /* as CALL_SEND, and says that more follows */
    CALL_OP_COUNT,
};

enum option_bit {
    OPTION_NODELAY = 1,
    OPTION_KEEP_ALIVE = 2,
    OPTION_LINGER = 4,
    OPTION_QUICKACK = 8,
    OPTION_NEWRENO = 16,
    OPTION_SMALL_MSS = 32, /* 400 bytes */
    OPTION_NO_TIME_WAIT = 64,
    OPTION_MARKS = 128,      /* a TTL and a DSCP of their own */
    OPTION_BUFFERS = 256,    /* 3000 bytes each way */
    OPTION_FIN_WAIT_2 = 512, /* 300 ms */
    OPTION_ALL = 1023,
    /* What an opening may ask for without an excuse for what becomes of the connection. */
    OPTION_OPENING = OPTION_ALL & ~(OPTION_LINGER | OPTION_KEEP_ALIVE),
};

enum fault_op {
    FAULT_DROP,        /* this and arg2 packets behind it */
    FAULT_DUPLICATE,   /* a copy arg ns later */
    FAULT_DELAY,       /* by arg ns: reordering */
    FAULT_FLIP,        /* bit arg */
    FAULT_TRUNCATE,    /* to arg bytes */
    FAULT_GHOST,       /* a copy is kept until arg ns after the next connection on the 4-tuple */
    FAULT_CE,          /* congestion experienced, on a packet that is ECN-capable */
    FAULT_UNREACHABLE, /* lost, and the router says "host unreachable" */
    FAULT_OP_COUNT,
};

enum net_op {
    NET_PARTITION,  /* nothing passes between host and peer, either way */
    NET_MTU,        /* of the path, arg2 bytes; ICMP "fragmentation needed" tells of it */
    NET_BLACK_HOLE, /* as NET_MTU, and nobody tells */
    NET_OP_COUNT,
};

struct entry {
    uint8_t kind; /* enum entry_kind */
    uint8_t op;   /* of that kind */
    uint8_t side;
    uint8_t host;
    uint8_t peer;
    uint16_t port;
    uint16_t peer_port;
    uint32_t conn;
    uint32_t nth;
    uint64_t at_ns;
    uint64_t arg;
    uint64_t arg2;
};

struct plan {
    uint64_t settings[PLAN_FIELD_COUNT];
    uint64_t hosts[PLAN_HOSTS_MAX][HOST_FIELD_COUNT];
    struct entry *entries;
    uint32_t count;
    uint32_t capacity;
};

/* What a plan is made from. */
struct plan_wish {
    uint64_t seed;
    uint32_t conns;
    uint32_t hours;        /* 0: as the seed says; else connections are spread over so long */
    uint32_t loss_percent; /* with hours */
    uint32_t fake_bug;     /* for the fake host of the self-test */
};

/* Fills a plan from a wish: the same wish gives the same plan. A zeroed plan is an empty one. */
void plan_make(struct plan *plan, const struct plan_wish *wish);
void plan_destroy(struct plan *plan);

/* Adds an entry. Ends the program when memory is out. */
void plan_add(struct plan *plan, struct entry entry);

/* Writes one connection with its calls and faults; private to plan_make. */
void plan_add_conn(struct plan *plan, struct rng *rng, struct entry conn, uint32_t loss_permille);

/* Writes a plan as text, one line an entry, and reads it back. Reading returns 0 or -EINVAL with
 * the text set. */
void plan_write(const struct plan *plan, FILE *out);
int plan_read(struct plan *plan, FILE *in, struct failure *failure);

/* Names for texts. */
const char *entry_kind_name(uint32_t kind);
const char *entry_op_name(uint32_t kind, uint32_t op);
uint32_t entry_op_count(uint32_t kind);

#endif
