/* ICMP: what the network says about our segments (RFC 9293 section 3.9.2.2, RFC 1122 section
 * 4.2.3.9, RFC 5927). An error counts only when it quotes a sequence number that is in flight,
 * which an attacker off the path would have to guess. */
#include <errno.h>

#include "tcp/tcb.h"

/* RFC 1191 section 5: no path is narrower; and RFC 9293's smallest: 536 + 40. */
#define PATH_MTU_MIN 576u

static int error_of(const struct wire_icmp *icmp)
{
    if (icmp->type != WIRE_ICMP_UNREACHABLE) {
        return EHOSTUNREACH; /* time exceeded, parameter problem */
    }
    switch (icmp->code) {
    case WIRE_UNREACHABLE_NET:
        return ENETUNREACH;
    case WIRE_UNREACHABLE_PROTOCOL:
        return ENOPROTOOPT;
    case WIRE_UNREACHABLE_PORT:
        return ECONNREFUSED;
    case WIRE_UNREACHABLE_FRAGMENTATION_NEEDED:
        return EMSGSIZE;
    default:
        return EHOSTUNREACH;
    }
}

/* SHLD-26: codes 2 to 4 are hard errors. RFC 5927 section 4: once synchronized they are treated as
 * soft, since a forged one would be a reset. */
static bool is_hard(const struct wire_icmp *icmp)
{
    return icmp->type == WIRE_ICMP_UNREACHABLE && icmp->code >= WIRE_UNREACHABLE_PROTOCOL &&
           icmp->code <= WIRE_UNREACHABLE_FRAGMENTATION_NEEDED;
}

static void lower_path_mtu(struct tcp *tcp, struct tcb *tcb, const struct wire_icmp *icmp)
{
    uint32_t mtu = icmp->next_hop_mtu;
    if (mtu < PATH_MTU_MIN) {
        mtu = PATH_MTU_MIN;
    }
    uint32_t mss = mtu - WIRE_IPV4_BYTES - WIRE_TCP_BYTES;
    if (!tcp->config.path_mtu || mss >= tcb->mss) {
        tcp_count(tcp, TCP_COUNTER_icmp_ignored);
        return;
    }
    tcb->mss = (uint16_t)mss;
    tcp_count(tcp, TCP_COUNTER_path_mtu_lowered);
    if (tcb_is_synchronized(tcb)) {
        recovery_on_path_mtu(tcp, tcb);
    }
}

static void note_soft(struct tcp *tcp, struct tcb *tcb, int error)
{
    struct tcb_extra *extra = tcb_need_extra(tcp, tcb);
    tcp_count(tcp, TCP_COUNTER_icmp_soft);
    if (extra != NULL) {
        extra->soft_error = (uint16_t)error; /* MUST-56 */
        event_raise_trouble(tcp, tcb);
    }
}

static void input(struct tcp *tcp, struct tcb *tcb, const struct wire_icmp *icmp)
{
    bool is_too_big =
        icmp->type == WIRE_ICMP_UNREACHABLE && icmp->code == WIRE_UNREACHABLE_FRAGMENTATION_NEEDED;
    if (is_too_big && tcb_is_synchronized(tcb)) {
        lower_path_mtu(tcp, tcb, icmp);
    } else if (is_hard(icmp) && !is_too_big && !tcb_is_synchronized(tcb)) {
        tcp_count(tcp, TCP_COUNTER_icmp_hard);
        tcb_finish(tcp, tcb, error_of(icmp));
    } else {
        note_soft(tcp, tcb, error_of(icmp));
    }
}

static bool is_error(const struct wire_icmp *icmp)
{
    return icmp->type == WIRE_ICMP_UNREACHABLE || icmp->type == WIRE_ICMP_TIME_EXCEEDED ||
           icmp->type == WIRE_ICMP_PARAMETER_PROBLEM;
}

/* A half-open connection has no user to tell of a soft error; a hard one ends it as it ends an open
 * of ours (SHLD-26, RFC 5461 section 2). */
static void input_half_open(struct tcp *tcp, const struct wire_icmp *icmp, uint32_t record)
{
    if (!half_open_is_answered_by(tcp, record, icmp->quoted_seq)) {
        tcp_count(tcp, TCP_COUNTER_icmp_ignored);
    } else if (is_hard(icmp) && icmp->code != WIRE_UNREACHABLE_FRAGMENTATION_NEEDED) {
        tcp_count(tcp, TCP_COUNTER_icmp_hard);
        half_open_drop(tcp, record, TCP_STATE_CLOSED);
    } else {
        tcp_count(tcp, TCP_COUNTER_icmp_soft);
    }
}

void tcp_icmp(struct tcp *tcp, const struct wire_icmp *icmp)
{
    struct tuple tuple = {.local_ip = icmp->quoted_source,
                          .remote_ip = icmp->quoted_target,
                          .local_port = icmp->quoted_source_port,
                          .remote_port = icmp->quoted_target_port};
    uint32_t ref = icmp->quotes_tcp && is_error(icmp) /* MUST-55: source quench is discarded */
                       ? index_find(&tcp->index, &tuple, tcp_hash(tcp, &tuple))
                       : INDEX_NONE;
    if (ref != INDEX_NONE && index_ref_population(ref) == INDEX_HALF_OPEN) {
        input_half_open(tcp, icmp, index_ref_record(ref));
        return;
    }
    if (ref == INDEX_NONE || index_ref_population(ref) != INDEX_LIVE) {
        tcp_count(tcp, TCP_COUNTER_icmp_ignored);
        return;
    }
    struct tcb *tcb = tcb_at(tcp, index_ref_record(ref));
    bool in_flight =
        seq_ge(icmp->quoted_seq, tcb->snd_una) && seq_lt(icmp->quoted_seq, tcb->snd_nxt);
    if (!in_flight) {
        tcp_count(tcp, TCP_COUNTER_icmp_ignored);
        return;
    }
    input(tcp, tcb, icmp);
}
