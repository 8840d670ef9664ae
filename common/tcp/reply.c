/* Replies: segments of which no live record keeps account, so they are never sent again by
 * themselves: RSTs, SYN-ACKs of the SYN cache, ACKs of TIME_WAIT. They wait in a bounded queue
 * until output pulls them; what does not fit is dropped and counted, and the peer asks again. */
#include "tcp/tcb.h"

void reply_push(struct tcp *tcp, const struct reply *reply)
{
    if (tcp->reply_count == TCP_REPLIES_MAX) {
        tcp_count(tcp, TCP_COUNTER_replies_dropped);
        return;
    }
    uint32_t at = (tcp->reply_first + tcp->reply_count) % TCP_REPLIES_MAX;
    tcp->replies[at] = *reply;
    tcp->reply_count++;
}

/* RFC 9293 section 3.10.7.1. RFC 7323 section 3.2: a timestamp when the segment had one. */
void reply_reset(struct tcp *tcp, const struct tcp_arrival *arrival)
{
    const struct wire_tcp *segment = arrival->segment;
    if (segment->flags & WIRE_RST) {
        return;
    }
    struct reply reply = {
        .tuple = arrival->tuple,
        .flags = WIRE_RST,
        .options = segment->options.has_timestamp ? TCB_TIMESTAMPS : 0,
        .ts_ecr = segment->options.ts_val,
    };
    if (segment->options.has_timestamp) {
        reply.ts_val = tcp_timestamp(tcp, &arrival->tuple);
    }
    if (segment->flags & WIRE_ACK) {
        reply.seq = segment->ack;
    } else {
        reply.flags |= WIRE_ACK;
        reply.ack = segment->seq + segment->payload_bytes +
                    ((segment->flags & WIRE_SYN) != 0 ? 1u : 0u) +
                    ((segment->flags & WIRE_FIN) != 0 ? 1u : 0u);
    }
    tcp_count(tcp, TCP_COUNTER_resets_sent);
    reply_push(tcp, &reply);
}

/* RFC 9293 section 3.10.5: <SEQ=SND.NXT><CTL=RST>. */
void reply_reset_of(struct tcp *tcp, const struct tcb *tcb)
{
    bool has_timestamp = tcb_has(tcb, TCB_TIMESTAMPS);
    tcp_count(tcp, TCP_COUNTER_resets_sent);
    reply_push(tcp, &(struct reply){
                        .tuple = tcb->tuple,
                        .seq = tcb->snd_nxt,
                        .flags = WIRE_RST,
                        .options = has_timestamp ? TCB_TIMESTAMPS : 0,
                        .ts_val = has_timestamp ? tcp_timestamp(tcp, &tcb->tuple) : 0,
                        .ts_ecr = tcb->ts_recent,
                        .dscp = tcb->extra != NULL ? tcb->extra->dscp : 0,
                        .ttl = tcb->extra != NULL ? tcb->extra->ttl : 0,
                    });
}

/* RFC 7323 section 3.2: TSecr is 0 in a segment without ACK. */
static struct wire_tcp_options reply_options(const struct reply *reply)
{
    struct wire_tcp_options options = {
        .has_timestamp = (reply->options & TCB_TIMESTAMPS) != 0,
        .ts_val = reply->ts_val,
        .ts_ecr = (reply->flags & WIRE_ACK) != 0 ? reply->ts_ecr : 0,
    };
    if (reply->flags & WIRE_SYN) {
        options.mss = reply->mss;
        options.sack_permitted = (reply->options & TCB_SACK) != 0;
        options.has_wscale = (reply->options & TCB_WINDOW_SCALING) != 0;
        options.wscale = reply->wscale;
    }
    return options;
}

uint32_t reply_output(struct tcp *tcp, uint8_t *packet)
{
    if (tcp->reply_count == 0) {
        return 0;
    }
    const struct reply *reply = &tcp->replies[tcp->reply_first];
    tcp->reply_first = (tcp->reply_first + 1) % TCP_REPLIES_MAX;
    tcp->reply_count--;
    struct wire_tcp segment = {
        .source_port = reply->tuple.local_port,
        .target_port = reply->tuple.remote_port,
        .seq = reply->seq,
        .ack = reply->ack,
        .flags = reply->flags,
        .window = reply->window,
        .options = reply_options(reply),
    };
    struct wire_ipv4 ip = {
        .source = reply->tuple.local_ip,
        .target = reply->tuple.remote_ip,
        .protocol = WIRE_PROTO_TCP,
        .ttl = reply->ttl != 0 ? reply->ttl : tcp->config.ttl,
        .dscp = reply->dscp,
        .dont_fragment = tcp->config.path_mtu,
        .id = tcp->config.path_mtu ? 0 : tcp->ip_id++,
    };
    tcp_count(tcp, TCP_COUNTER_segments_sent);
    return wire_tcp_emit(packet, &ip, &segment, NULL);
}
