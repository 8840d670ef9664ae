/* What the checker's files share.
 *
 * Layer: tests; private to checker*.c. */
#ifndef FINWAIT_TESTS_SIM_CHECKER_PRIVATE_H
#define FINWAIT_TESTS_SIM_CHECKER_PRIVATE_H

#include "sim/checker.h"

/* One packet under judgement: what the checks need, so that they take one argument. */
struct judgement {
    struct checker *checker;
    const struct packet *packet;
    struct flow *flow;
    struct half *own;  /* that sent it */
    struct half *peer; /* that it goes to */
    uint32_t host;
};

/* The peer is still in the opening that this end talks to. */
static inline bool peer_is_present(const struct judgement *judgement)
{
    return judgement->peer->phase != HALF_CLOSED &&
           judgement->peer->now.instance == judgement->own->now.peer_instance;
}

/* Break a rule with the packet's numbers in front. Returns false. */
__attribute__((format(printf, 3, 4))) bool judgement_fail(const struct judgement *judgement,
                                                          enum rule rule, const char *format, ...);

/* Openings: find what a SYN, SYN-ACK or first segment opens. Return false on a violation.
 * opening_keep notes an opening that another takes the place of, while none was taken up. */
bool opening_syn(const struct judgement *judgement);
bool opening_syn_ack(const struct judgement *judgement);
void opening_keep(struct half *own);
bool opening_confirm(const struct judgement *judgement);

/* Hold an RST against RFC 9293 3.10.7.1 and 3.10.5. */
bool check_rst(const struct judgement *judgement);

/* Hold options, header and size of any segment against the rules that need no history. */
bool check_plain(const struct judgement *judgement);

/* Hold a segment of an open connection against its history, and note it. */
bool check_segment(const struct judgement *judgement);

#endif
