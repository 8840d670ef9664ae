/* The independent packet checker: every packet that a host sends is held against what the same
 * 4-tuple's packets have shown before, and against RFC 9293 and its company.
 *
 * Layer: tests. Owner: the run. One thread; time comes in. Works from packets alone, and sharper
 * where the run says what the application did (flow.h, struct half_app). O(1) for each packet. */
#ifndef FINWAIT_TESTS_SIM_CHECKER_H
#define FINWAIT_TESTS_SIM_CHECKER_H

#include <stddef.h>
#include <stdint.h>

#include "sim/flow.h"
#include "sim/packet.h"
#include "sim/rules.h"

/* Length of the pattern that all streams are cut from; a prime, so that it beats with no size. */
#define PATTERN_BYTES 65521u
#define CHECKER_RESENT_MAX 64u

enum event_cause {
    CAUSE_DELIVERY, /* packets were handed in, and nothing else happened */
    CAUSE_TIMER,
    CAUSE_CALL,
};

/* What a time-out sent: the oldest segment again, or a probe of the peer's window. */
struct resent {
    struct flow_ref ref;
    uint32_t seq;
    uint8_t flags;
};

struct checker {
    struct flow_table table;
    struct violation *violation; /* of the run's */
    uint8_t *pattern;            /* twice PATTERN_BYTES, so that a run of bytes never wraps */
    uint64_t event;              /* number of the present one */
    enum event_cause cause;
    uint64_t now_ns;
    uint32_t mtu_bytes[8];  /* of each host's link */
    uint8_t ttl[8];         /* of each host's packets; 0: 64 */
    uint64_t syn_rto_ns[8]; /* the least until a SYN is sent again */
    uint64_t segments_sent[8];
    uint64_t packets_sent;
    uint64_t segments_rst;
    uint64_t segments_retransmitted;
    uint64_t window_probes;
    /* Ends that a timer had send a segment again, in this event; beyond so many, one is left out.
     */
    uint32_t resent_count;
    struct resent resent[CHECKER_RESENT_MAX];
};

/* Makes the pattern. Ends the program when memory is out. */
void checker_init(struct checker *checker, struct violation *violation);
void checker_destroy(struct checker *checker);

/* Forgets all flows and makes room for `flows_max`. */
void checker_reset(struct checker *checker, uint32_t flows_max);

/* Begins an event: what is sent from now on has this cause. */
void checker_begin(struct checker *checker, enum event_cause cause, uint64_t now_ns);

/* What came of a packet that was sent. */
struct checked {
    struct packet packet;
    struct flow_ref ref;
    uint32_t instance; /* to be handed back on delivery */
};

/* Holds a packet that a host sends against all rules; the first that is broken is kept. */
void checker_sent(struct checker *checker, uint32_t host, const uint8_t *bytes, size_t count,
                  struct checked *checked);

/* Notes a packet that a host was handed, as it arrived (damaged ones are no matter), and under
 * which instance it was sent. */
void checker_received(struct checker *checker, const struct checked *checked);

/* Forgets what is known of one end, when the run knows that its record went without a word. */
void checker_forget(struct half *half);

/* Tells whether the FIN of the opening that this end talks to has come. */
static inline bool half_has_fin(const struct half *half)
{
    return half->irs_known && half->fin_instance != 0 &&
           half->fin_instance == half->now.peer_instance;
}

/* Compares sequence numbers: how far `a` lies behind `b`, negative when before it. */
static inline int32_t seq_distance(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b);
}

#endif
