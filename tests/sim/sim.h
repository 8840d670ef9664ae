/* The simulator: hosts of finwait's own TCP on virtual time, a network with faults between them,
 * applications that follow scripts, and judges at every step.
 *
 * Layer: tests. Owner: the caller; what a run allocates is kept for the next one. One thread, no
 * clock, no randomness but the plan's. Hosts are used through the C ABI alone, so that any library
 * that has it can be judged.
 *
 * Order of an event: time moves in the host that it touches; packets are handed in; what the host
 * sends is judged as an answer to them; then readiness is polled, applications make their calls,
 * and what the host sends is judged as the calls'. */
#ifndef FINWAIT_TESTS_SIM_SIM_H
#define FINWAIT_TESTS_SIM_SIM_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "sim/checker.h"
#include "sim/heap.h"
#include "sim/plan.h"
#include "sim/rules.h"
#include "stack/finwait-stack.h"

#define SIM_PACKET_MAX 65535u
#define SIM_GHOSTS 4u /* kept for a flow */
#define SIM_PARTITIONS 8u
#define SIM_COUNTERS 160u
#define SIM_UNTOLD 64u /* in a turn; beyond so many, one is left out */

enum sim_event {
    EVENT_DELIVER, /* index: slot of the packet */
    EVENT_HOST,    /* index: host whose deadline this may be */
    EVENT_APP,     /* index: connection * 2 + side */
    EVENT_START,   /* index: connection */
    EVENT_START_PEER,
    EVENT_LISTEN,    /* index: entry */
    EVENT_UNLISTEN,  /* index: entry */
    EVENT_NET,       /* index: entry */
    EVENT_NET_OVER,  /* index: entry */
    EVENT_ACK,       /* index: connection * 2 + side: its ACK may be overdue */
    EVENT_TIME_WAIT, /* index: connection * 2 + side; word: 1 when it must be over */
    EVENT_END,       /* faults end, applications close */
    EVENT_FINAL,     /* all must be over */
};

/* Totals of runs; they add up. */
struct totals {
    uint64_t runs;
    uint64_t conns;     /* that were started */
    uint64_t completed; /* both ends read the other's FIN, or closed as their script said */
    uint64_t reset;
    uint64_t refused;
    uint64_t timed_out;
    uint64_t refused_locally; /* fws_connect would not: the 4-tuple lives, or a limit */
    uint64_t other_errors;
    uint64_t bytes;
    uint64_t packets;
    uint64_t events;
    uint64_t retransmitted;
    uint64_t rsts;
    uint64_t window_probes;
    uint64_t simultaneous_opens;
    uint64_t strays;        /* connections that a late packet and a SYN cookie made */
    uint64_t late_dropped;  /* late packets that 2MSL would have kept away */
    uint64_t fins_answered; /* FINs that came again in TIME_WAIT */
    uint64_t troubles;      /* told */
    uint64_t icmp;
    uint64_t fragments;
    uint64_t peer_gone; /* a reset or time-out that the script did not ask for */
    uint64_t faults[FAULT_OP_COUNT];
    uint64_t nets[NET_OP_COUNT];
    uint64_t net_drops;
    uint64_t virtual_ns;
    uint64_t transitions[FWS_STATE_COUNT][FWS_STATE_COUNT];
};

enum excuse {
    EXCUSE_FAULT = 1,    /* a packet of it was harmed, or a late one came */
    EXCUSE_RUDE = 2,     /* abort, or close before the peer's end was read */
    EXCUSE_LISTENER = 4, /* nobody need listen there */
    EXCUSE_LIMIT = 8,    /* a host's tables are small */
    EXCUSE_NET = 16,     /* the network fails in this run */
    EXCUSE_REUSED = 32,  /* the 4-tuple was used before */
    EXCUSE_CROSSED = 64, /* both sides connect */
    EXCUSE_END = 128,    /* the run's end cut it short */
    EXCUSE_TIMEOUT = 256 /* a user time-out is set */
};

/* One side of a connection: the application and what is known of its record. */
struct app {
    fws_handle handle; /* 0: none, or given up */
    uint32_t step;     /* into the sorted calls */
    uint32_t step_end;
    uint32_t step_sent; /* of CALL_SEND */
    uint32_t sent;
    uint32_t received;
    uint32_t content;
    uint64_t wake_ns;
    int error;
    bool used; /* has or had a handle */
    bool eof;
    bool shut;
    bool lingers;            /* close is an abort */
    bool wants_nothing_kept; /* closed with OPTION_NO_TIME_WAIT, before TIME_WAIT began */
    uint32_t options;        /* enum option_bit, as set last */
    /* Of the record, as fws_info told it last. */
    uint8_t state; /* enum fws_state; NONE: no record */
    bool aborted;  /* in TIME_WAIT, which may end by it */
    uint32_t instance;
    uint32_t snd_una;
    uint32_t rcv_nxt;
    uint32_t edge;
    uint64_t last_fin_ns;
    uint64_t last_any_ns;
    bool told_trouble;      /* FWS_TROUBLE, while snd_una was ... */
    uint32_t trouble_una;   /* ... this */
    bool had_icmp;          /* a router's word came, while snd_una was ... */
    uint32_t icmp_una;      /* ... this */
    uint32_t timeouts;      /* in a row that sent the segment at timeout_una again */
    uint32_t timeouts_sure; /* of them, since the peer last said that its window is closed */
    uint32_t timeout_una;
    bool timeout_is_answer; /* it is a SYN-ACK */
    uint64_t owed_ns;       /* since when rcv_nxt is not acknowledged; 0: it is */
    uint32_t owed_nxt;      /* and up to where it was not, then */
};

struct conn {
    uint32_t entry;
    uint32_t flow;
    uint32_t excuses;
    uint32_t nth[2];
    uint32_t fault[2]; /* next one, into the sorted faults */
    uint32_t fault_end[2];
    uint32_t drop_left[2];
    bool started;
    bool judged;
    struct app app[2];
};

/* Memory of a host, counted. Its address is the allocator's context. */
struct host_memory {
    uint64_t bytes;
    uint64_t blocks;
    uint64_t failures;
};

struct sim_host {
    struct fws_host *host;
    struct host_memory memory;
    uint64_t memory_start_bytes;
    uint64_t wake_ns; /* of the event that is queued */
    uint64_t time_wait_ns;
    uint64_t counters[SIM_COUNTERS]; /* as read last */
    uint64_t challenge_second;
    uint64_t challenges; /* in that second */
    uint64_t same_time;  /* events of EVENT_HOST at one time */
    uint64_t same_time_ns;
};

/* A packet under way. */
struct slot {
    uint8_t *data;
    uint32_t bytes;
    uint32_t capacity;
    uint32_t next_free;
    uint8_t host; /* it goes to */
    bool damaged; /* not as it was sent: no judge looks at it */
    bool is_icmp;
    bool is_late; /* a ghost */
    struct checked checked;
};

struct net_state {
    bool active;
    uint32_t entry;
};

struct sim {
    const struct plan *plan;
    struct violation violation;
    struct checker checker;
    struct heap heap;
    struct totals totals;
    uint64_t now_ns;
    uint64_t event_count;
    uint64_t event_max;
    uint64_t trace_hash;
    uint64_t end_ns;
    uint64_t final_ns;
    bool ending;
    uint32_t host_count;
    uint32_t run_excuses;
    uint32_t always_listen; /* bits of hosts whose PLAN_PORT is open from start to end */
    struct sim_host hosts[PLAN_HOSTS_MAX];
    struct conn *conns;
    uint32_t conn_count;
    uint32_t conn_capacity;
    uint32_t *calls; /* entries of calls, by connection and side */
    uint32_t *faults;
    uint32_t sorted_capacity;
    uint32_t *buckets;
    uint32_t bucket_capacity;
    uint32_t *ghosts; /* slots + 1, SIM_GHOSTS a flow */
    uint32_t ghost_capacity;
    struct slot *slots;
    uint32_t slot_count;
    uint32_t slot_free;
    struct net_state nets[SIM_PARTITIONS];
    uint32_t untold_count;
    struct flow_ref
        untold[SIM_UNTOLD]; /* are to be told of trouble by the end of the host's turn */
    fws_handle *listeners;  /* by entry */
    uint8_t *output;        /* room for a batch of packets */
    uint8_t *scratch;       /* room for what applications read */
    FILE *pcap;             /* NULL: none is written */
};

/* Prepares and ends a simulator. */
void sim_init(struct sim *sim);
void sim_destroy(struct sim *sim);

/* Runs a plan to its end or its first violation (sim->violation). Totals are added up over runs. */
void sim_run(struct sim *sim, const struct plan *plan);

/* Adds up totals. */
void totals_add(struct totals *into, const struct totals *from);

#endif
