/* Input: a segment finds its connection, and the state's rules (RFC 9293 section 3.10.7).
 *
 *   no record      LISTEN (listen.c) when a listener matches, else CLOSED: an RST
 *   half-open      SYN_RECEIVED of a passive open (half_open.c)
 *   TIME_WAIT      time_wait.c
 *   live           SYN_SENT (syn_sent.c), or the eight steps of the others (synchronized.c) */
#include "tcp/tcb.h"

static void input_without_record(struct tcp *tcp, const struct tcp_arrival *arrival)
{
    uint16_t number;
    if (listener_match(tcp, &arrival->tuple, &number) != NULL) {
        listener_input(tcp, arrival, number);
        return;
    }
    tcp_count(tcp, TCP_COUNTER_segments_no_connection);
    if ((arrival->segment->flags & WIRE_RST) == 0) {
        tcp_count(tcp, TCP_COUNTER_resets_no_connection);
    }
    reply_reset(tcp, arrival);
}

static void input_live(struct tcp *tcp, const struct tcp_arrival *arrival, uint32_t record)
{
    struct tcb *tcb = tcb_at(tcp, record);
    if (tcb->state == TCP_STATE_SYN_SENT) {
        syn_sent_input(tcp, arrival, tcb);
    } else {
        synchronized_input(tcp, arrival, tcb);
    }
}

void tcp_input(struct tcp *tcp, const struct tcp_arrival *arrival)
{
    tcp_count(tcp, TCP_COUNTER_segments_received);
    uint32_t ref = index_find(&tcp->index, &arrival->tuple, arrival->hash);
    if (ref == INDEX_NONE) {
        input_without_record(tcp, arrival);
        return;
    }
    uint32_t record = index_ref_record(ref);
    switch (index_ref_population(ref)) {
    case INDEX_LIVE:
        input_live(tcp, arrival, record);
        break;
    case INDEX_HALF_OPEN:
        half_open_input(tcp, arrival, record);
        break;
    case INDEX_TIME_WAIT:
        time_wait_input(tcp, arrival, record);
        break;
    }
}
