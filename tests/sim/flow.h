/* Flows: one record for each 4-tuple, with all that its packets have shown of either end.
 *
 * Layer: tests. Owner: the run; the table is kept between runs. Side 0 is the end that the plan
 * names first. A flow lives through several incarnations; each opening (a SYN or SYN-ACK with a new
 * ISN) gives its half a new instance number, and every packet carries the number under which it was
 * sent, so that what is late is known to be late. */
#ifndef FINWAIT_TESTS_SIM_FLOW_H
#define FINWAIT_TESTS_SIM_FLOW_H

#include <stdbool.h>
#include <stdint.h>

#define FLOW_NONE UINT32_MAX
#define FLOW_SYNS 4
#define FLOW_OPENINGS 4
#define FLOW_ARRIVALS 8

enum half_phase {
    HALF_CLOSED,  /* nothing is known */
    HALF_ACTIVE,  /* it sent a SYN */
    HALF_PASSIVE, /* it answered one */
};

/* What names an opening. A passive end may answer with several before one is taken up. */
struct opening {
    uint32_t iss;
    uint32_t irs;
    uint32_t instance;
    uint32_t peer_instance;
    uint32_t tsval; /* the first: nothing older can be an echo of it */
    bool ecn;       /* a passive end's answer granted it */
    /* Of one that another took the place of: what it agreed on, and the peer's right edge by the
     * segments that acknowledge its ISN. */
    bool timestamps_on;
    bool sack_on;
    bool scale_on;
    uint8_t offered;
    uint16_t syn_window;
    uint32_t edge_seen;
};

/* A SYN that came to this end. */
struct seen_syn {
    uint32_t seq;
    uint16_t window; /* never scaled: it begins behind the own ISN */
    uint32_t instance;
    uint32_t tsval;
    uint16_t mss; /* 0: none */
    uint8_t options;
    uint8_t wscale;
    uint8_t flags;
};

/* A segment that came in this event, as far as an RST may answer it. */
struct arrival {
    uint32_t ack;
    uint32_t end; /* SEG.SEQ + SEG.LEN */
    uint8_t flags;
};

/* What the application gave and asked for; written by the run. */
struct half_app {
    bool known;
    uint32_t owner;   /* the run's connection that it belongs to */
    bool closed;      /* shutdown or close was called: a FIN may come */
    uint32_t written; /* bytes that the host took, from the start of the stream */
    uint32_t content; /* where the stream begins in the pattern */
    uint32_t urgent;  /* position behind the last urgent byte */
    uint8_t ttl;      /* asked for; 0: the host's */
    uint8_t dscp;     /* likewise */
};

/* One end of a flow, as its packets show it. */
struct half {
    uint8_t host;
    enum half_phase phase;
    bool forgotten; /* the run knows that its opening cannot be told from packets */
    bool irs_known;
    bool confirmed; /* passive: a segment behind the SYN-ACK was sent */
    bool fin_sent;
    bool edge_over; /* the peer's FIN was acknowledged: nothing is left to be offered */
    bool timestamps_on;
    bool sack_on;
    bool scale_on;
    bool ecn_on;
    bool sent_plain_syn; /* one that did not ask for ECN */
    uint8_t offered;     /* options of the own SYN or SYN-ACK */
    uint8_t wscale;
    uint8_t peer_wscale;
    uint16_t mss;
    uint16_t peer_mss;
    uint16_t syn_window;
    uint16_t syn_flags;
    uint32_t instances;   /* openings so far */
    uint64_t syn_sent_ns; /* active: when last */
    uint32_t opened_by;   /* active: the run's connection whose SYN it was */
    struct opening now;
    struct opening before[FLOW_OPENINGS]; /* of the same wait, newest last */
    uint8_t before_count;
    uint32_t snd_max;
    uint32_t previous_snd_max; /* of the instance before: the peer may still answer it */
    uint32_t previous_instance;
    uint32_t fin_end; /* sequence number behind the FIN */
    uint32_t ack_max;
    uint32_t edge_advertised;
    uint32_t edge_seen; /* right edge of the peer's, as received */
    uint32_t tsval_last;
    uint32_t urgent_last;
    uint32_t path_mtu; /* as ICMP told it; 0: not told */
    uint64_t path_mtu_until_ns;
    uint32_t fin_instance; /* of the peer, whose FIN came last; 0: none */
    struct {               /* a window that came with the SYN-ACK's batch, before the ACK of it */
        uint32_t instance;
        uint32_t ack;
        uint16_t window;
    } early;
    struct seen_syn syns[FLOW_SYNS];
    struct seen_syn agreed_on; /* the peer's that `now` began with, however many came since */
    uint8_t syn_next;
    struct half_app app;
    /* The present event, and what adds up over events. */
    uint64_t event;
    struct arrival arrivals[FLOW_ARRIVALS];
    uint16_t arrived;
    uint16_t arrived_rst;
    uint16_t arrived_empty; /* pure ACKs */
    uint16_t sent_empty;
    uint16_t sent_again; /* by a timer */
    uint32_t echoes;     /* pure ACKs in answer to pure ACKs, without progress */
    uint32_t packets;
};

struct flow {
    uint32_t address[2];
    uint16_t port[2];
    uint32_t conn; /* the run's newest connection on this 4-tuple */
    struct half half[2];
};

struct flow_slot {
    uint64_t key[2]; /* source and target, as sent by the side below */
    uint32_t flow;   /* FLOW_NONE: free */
    uint32_t side;
};

struct flow_table {
    struct flow *flows;
    uint32_t count;
    uint32_t capacity;
    struct flow_slot *slots; /* two a flow; a power of two */
    uint32_t slot_count;
};

/* Where a packet belongs: the flow and the side that sent it. */
struct flow_ref {
    uint32_t flow; /* FLOW_NONE: of no flow */
    uint32_t side;
};

struct flow_tuple {
    uint32_t source;
    uint32_t target;
    uint16_t source_port;
    uint16_t target_port;
};

/* Empties the table and makes room for `flows_max`. */
void flow_table_reset(struct flow_table *table, uint32_t flows_max);
void flow_table_destroy(struct flow_table *table);

/* Finds a flow by the 4-tuple of a packet that its side `side` sends. */
struct flow_ref flow_find(const struct flow_table *table, const struct flow_tuple *tuple);

/* Finds or adds a flow; for a new one the tuple's source is side 0. */
struct flow_ref flow_add(struct flow_table *table, const struct flow_tuple *tuple);

#endif
