/* Host: its life, and packets in and out. */
#include "stack/host.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Packets of a batch that are looked up side by side, so that cache misses overlap. */
#define BATCH 32u

const struct counter_info host_counter_infos[HOST_COUNTER_COUNT] = {
#define COUNTER(name, help) {#name, help},
#include "stack/host.def"
#undef COUNTER
};

static void *allocate_from_libc(void *context, size_t bytes)
{
    (void)context;
    return malloc(bytes);
}

static void release_to_libc(void *context, void *block, size_t bytes)
{
    (void)context;
    (void)bytes;
    free(block);
}

static struct fws_allocator choose_allocator(const struct fws_allocator *given)
{
    if (given->allocate != NULL) {
        return *given;
    }
    return (struct fws_allocator){.allocate = allocate_from_libc, .release = release_to_libc};
}

int fws_host_create(struct fws_host **created, const struct fws_config *config)
{
    struct fws_config own;
    struct tcp_config tcp;
    host_struct_in(&own, sizeof(own), config, config->size);
    int error = host_config_read(&tcp, &own);
    if (error < 0) {
        return error;
    }
    struct fws_allocator allocator = choose_allocator(&own.allocator);
    struct fws_host *host = allocator.allocate(allocator.context, sizeof(*host));
    if (host == NULL) {
        return -ENOMEM;
    }
    *host = (struct fws_host){
        .memory = {.allocate = allocator.allocate,
                   .release = allocator.release,
                   .context = allocator.context,
                   .bytes = sizeof(*host)},
        .allocator = allocator,
        .own_ip = host_ip_of(&own.address),
        .first_ip = tcp.first_ip,
        .last_ip = tcp.last_ip,
        .mtu_bytes = tcp.mtu_bytes,
        .reassembles = (own.features_off & FWS_REASSEMBLY) == 0,
    };
    tcp.memory = &host->memory;
    error = tcp_create(&host->tcp, &tcp);
    if (error < 0) {
        goto err_release_host;
    }
    reassembly_init(&host->reassembly, &host->memory);
    *created = host;
    return 0;

err_release_host:
    allocator.release(allocator.context, host, sizeof(*host));
    return error;
}

static void drop_first_echo(struct fws_host *host)
{
    struct host_echo *echo = &host->echoes[host->echo_first];
    memory_release(&host->memory, echo->packet, echo->bytes);
    host->echo_first = (host->echo_first + 1) % HOST_ECHOES_MAX;
    host->echo_count--;
}

void fws_host_destroy(struct fws_host *host)
{
    if (host == NULL) {
        return;
    }
    while (host->echo_count > 0) {
        drop_first_echo(host);
    }
    reassembly_release(&host->reassembly);
    tcp_destroy(host->tcp);
    struct fws_allocator allocator = host->allocator;
    allocator.release(allocator.context, host, sizeof(*host));
}

/* Makes room for an ICMP message at the end of those that wait; NULL: there is none. */
static uint8_t *queue_echo(struct fws_host *host, uint32_t bytes)
{
    if (bytes > host->mtu_bytes || host->echo_count == HOST_ECHOES_MAX) {
        return NULL;
    }
    uint8_t *packet = memory_alloc(&host->memory, bytes);
    if (packet != NULL) {
        uint32_t at = (host->echo_first + host->echo_count) % HOST_ECHOES_MAX;
        host->echoes[at] = (struct host_echo){.bytes = bytes, .packet = packet};
        host->echo_count++;
    }
    return packet;
}

static void answer_echo(struct fws_host *host, const struct wire_ipv4 *ip,
                        const struct wire_icmp *icmp)
{
    uint8_t *packet = queue_echo(host, WIRE_IPV4_BYTES + 4u + icmp->body_bytes);
    if (packet == NULL) {
        host->counters[HOST_COUNTER_echoes_dropped]++;
        return;
    }
    wire_icmp_emit_echo_reply(packet, ip, icmp, host->echo_id++);
    host->counters[HOST_COUNTER_echoes_answered]++;
}

/* RFC 1122 section 3.3.2: the source of a datagram that was never complete learns of it, when its
 * first fragment is there to be quoted. At most REASSEMBLY_DATAGRAMS_MAX in REASSEMBLY_TIMEOUT_NS,
 * each smaller than what led to it or little larger: no flood becomes a greater one. */
static void expire_fragments(struct fws_host *host)
{
    struct reassembly_head head;
    while (reassembly_expire_one(&host->reassembly, tcp_now_ns(host->tcp), &head)) {
        if (head.quoted_bytes == 0) {
            continue;
        }
        uint8_t *packet = queue_echo(host, WIRE_ICMP_ERROR_BYTES + head.quoted_bytes);
        if (packet == NULL) {
            host->counters[HOST_COUNTER_time_exceeded_dropped]++;
            continue;
        }
        struct wire_icmp_quote quote = {.bytes = head.quote, .count = head.quoted_bytes};
        wire_icmp_emit_time_exceeded(packet, &quote, host->echo_id++);
        host->counters[HOST_COUNTER_time_exceeded_sent]++;
    }
}

static void input_icmp(struct fws_host *host, const struct wire_ipv4 *ip)
{
    struct wire_icmp icmp;
    enum wire_verdict verdict = wire_icmp_parse(&icmp, ip);
    host->verdicts[verdict]++;
    if (verdict != WIRE_OK) {
        return;
    }
    if (icmp.type == WIRE_ICMP_ECHO && icmp.code == 0) {
        answer_echo(host, ip, &icmp);
    } else if (icmp.quotes_tcp && icmp.quoted_source >= host->first_ip &&
               icmp.quoted_source <= host->last_ip) {
        host->counters[HOST_COUNTER_icmp_errors]++;
        tcp_icmp(host->tcp, &icmp); /* MUST-54 */
    } else {
        host->counters[HOST_COUNTER_icmp_other]++;
    }
}

/* A TCP segment between its parsing and its handling. */
struct pending {
    struct wire_ipv4 ip;
    struct wire_tcp segment;
    struct tcp_arrival arrival;
};

static bool parse_tcp(struct fws_host *host, struct pending *pending, bool checksum_done)
{
    enum wire_verdict verdict = wire_tcp_parse(&pending->segment, &pending->ip, checksum_done);
    host->verdicts[verdict]++;
    if (verdict != WIRE_OK) {
        return false;
    }
    pending->arrival = (struct tcp_arrival){
        .ip = &pending->ip,
        .segment = &pending->segment,
        .tuple = {.local_ip = pending->ip.target,
                  .remote_ip = pending->ip.source,
                  .local_port = pending->segment.target_port,
                  .remote_port = pending->segment.source_port},
    };
    pending->arrival.hash = tcp_hash(host->tcp, &pending->arrival.tuple);
    tcp_prefetch_index(host->tcp, pending->arrival.hash);
    return true;
}

/* RFC 1122 section 3.2.1.3: what no host may have as its address on a network. A host that is
 * itself on 127/8 lives in a program that keeps to itself. */
static bool is_of_a_host(const struct fws_host *host, uint32_t address)
{
    uint32_t net = address >> 24;
    return net != 0 && net < 224 && (net != 127 || host->first_ip >> 24 == 127);
}

/* MUST-57, MUST-63: from and to a host, and to us. */
static bool is_for_us(const struct fws_host *host, const struct wire_ipv4 *ip)
{
    return ip->target >= host->first_ip && ip->target <= host->last_ip &&
           is_of_a_host(host, ip->source);
}

/* Parses one packet. True: it is a segment, which waits in `pending`. A datagram that was put
 * together from fragments is handled at once, since its memory is lent. */
static bool input_packet(struct fws_host *host, const struct fws_packet *packet,
                         struct pending *pending)
{
    bool checksum_done = (packet->flags & FWS_CHECKSUM_DONE) != 0;
    enum wire_verdict verdict = wire_ipv4_parse(&pending->ip, packet->data, packet->bytes);
    bool is_whole = false;
    if (verdict != WIRE_OK) {
        host->verdicts[verdict]++;
        return false;
    }
    if (!is_for_us(host, &pending->ip)) {
        host->counters[HOST_COUNTER_packets_not_ours]++;
        return false;
    }
    if (pending->ip.source_routed) {
        /* DEVIATION from MUST-51 to MUST-53 of RFC 9293: RFC 7126 sections 4.3 and 4.4 drop these
         * by default, as Linux does: the route would lead our answers past any filter. */
        host->counters[HOST_COUNTER_packets_source_routed]++;
        return false;
    }
    if (pending->ip.more_fragments || pending->ip.fragment_offset != 0) {
        if (!host->reassembles) {
            host->counters[HOST_COUNTER_fragments_refused]++;
            return false;
        }
        struct wire_ipv4 whole;
        expire_fragments(host);
        if (!reassembly_add(&host->reassembly, &pending->ip, tcp_now_ns(host->tcp), &whole)) {
            return false;
        }
        pending->ip = whole;
        checksum_done = false;
        is_whole = true;
    }
    if (pending->ip.protocol == WIRE_PROTO_ICMP) {
        input_icmp(host, &pending->ip);
        return false;
    }
    if (pending->ip.protocol != WIRE_PROTO_TCP) {
        host->counters[HOST_COUNTER_packets_other_protocol]++;
        return false;
    }
    if (!parse_tcp(host, pending, checksum_done)) {
        return false;
    }
    if (is_whole) {
        tcp_input(host->tcp, &pending->arrival);
    }
    return !is_whole;
}

void fws_input(struct fws_host *host, const struct fws_packet *packets, size_t count)
{
    struct pending pending[BATCH];
    host->counters[HOST_COUNTER_packets_received] += count;
    while (count > 0) {
        size_t batch = count < BATCH ? count : BATCH;
        size_t segments = 0;
        for (size_t i = 0; i < batch; i++) {
            segments += input_packet(host, &packets[i], &pending[segments]) ? 1 : 0;
        }
        for (size_t i = 0; batch > 1 && i < segments; i++) {
            tcp_prefetch_record(host->tcp, pending[i].arrival.hash);
        }
        for (size_t i = 0; i < segments; i++) {
            tcp_input(host->tcp, &pending[i].arrival);
        }
        packets += batch;
        count -= batch;
    }
}

static uint32_t output_packet(struct fws_host *host, const struct fws_buffer *buffer)
{
    if (buffer->capacity < host->mtu_bytes) {
        return 0;
    }
    if (host->echo_count > 0) {
        const struct host_echo *echo = &host->echoes[host->echo_first];
        uint32_t bytes = echo->bytes;
        memcpy(buffer->data, echo->packet, bytes);
        drop_first_echo(host);
        return bytes;
    }
    return tcp_output(host->tcp, buffer->data);
}

size_t fws_output(struct fws_host *host, struct fws_buffer *buffers, size_t count)
{
    size_t done = 0;
    while (done < count) {
        buffers[done].bytes = output_packet(host, &buffers[done]);
        if (buffers[done].bytes == 0) {
            break;
        }
        done++;
    }
    host->counters[HOST_COUNTER_packets_sent] += done;
    return done;
}

void fws_advance(struct fws_host *host, uint64_t now_ns)
{
    tcp_advance(host->tcp, now_ns);
    expire_fragments(host);
}

uint64_t fws_next_deadline(const struct fws_host *host)
{
    if (host->echo_count > 0) {
        return tcp_now_ns(host->tcp);
    }
    uint64_t tcp_ns = tcp_next_deadline(host->tcp);
    uint64_t reassembly_ns = reassembly_deadline_ns(&host->reassembly);
    return tcp_ns < reassembly_ns ? tcp_ns : reassembly_ns;
}
