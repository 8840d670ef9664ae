#include "tcp/packet.h"

#include <string.h>

#define IP_HEADER 20u
#define TCP_HEADER 20u

enum option_kind {
    OPTION_END = 0,
    OPTION_NOTHING = 1,
    OPTION_MSS = 2,
    OPTION_WINDOW_SCALE = 3,
    OPTION_SACK_PERMITTED = 4,
    OPTION_SACK = 5,
    OPTION_TIMESTAMP = 8,
};

static void put16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static void put32(uint8_t *at, uint32_t value)
{
    put16(at, value >> 16);
    put16(at + 2, value);
}

static uint16_t get16(const uint8_t *at)
{
    return (uint16_t)((at[0] << 8) | at[1]);
}

static uint32_t get32(const uint8_t *at)
{
    return ((uint32_t)get16(at) << 16) | get16(at + 2);
}

uint32_t packet_sum(uint32_t sum, const uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        sum += (uint32_t)bytes[i] << (i % 2 == 0 ? 8 : 0);
        sum = (sum & 0xffffu) + (sum >> 16);
    }
    return sum;
}

uint16_t packet_sum_finish(uint32_t sum)
{
    while (sum > 0xffffu) {
        sum = (sum & 0xffffu) + (sum >> 16);
    }
    return (uint16_t)~sum;
}

/* RFC 9293 section 3.1, figure 2. */
static uint32_t pseudo_header_sum(const uint8_t *ip, size_t segment_bytes)
{
    uint32_t sum = packet_sum(0, ip + 12, 8);
    return sum + ip[9] + (uint32_t)segment_bytes;
}

static size_t put_options(const struct packet *packet, uint8_t *out)
{
    uint8_t *at = out;
    if (packet->mss != 0) {
        *at++ = OPTION_MSS;
        *at++ = 4;
        put16(at, packet->mss);
        at += 2;
    }
    if (packet->sack_permitted) {
        *at++ = OPTION_SACK_PERMITTED;
        *at++ = 2;
    }
    if (packet->has_timestamp) {
        *at++ = OPTION_TIMESTAMP;
        *at++ = 10;
        put32(at, packet->ts_val);
        put32(at + 4, packet->ts_ecr);
        at += 8;
    }
    if (packet->has_window_scale) {
        *at++ = OPTION_WINDOW_SCALE;
        *at++ = 3;
        *at++ = packet->window_scale;
    }
    if (packet->sack_count > 0) {
        *at++ = OPTION_SACK;
        *at++ = (uint8_t)(2u + 8u * packet->sack_count);
        for (uint32_t i = 0; i < packet->sack_count; i++) {
            put32(at, packet->sack[i].left);
            put32(at + 4, packet->sack[i].right);
            at += 8;
        }
    }
    if (packet->other_options_bytes > 0) {
        memcpy(at, packet->other_options, packet->other_options_bytes);
        at += packet->other_options_bytes;
    }
    while ((at - out) % 4 != 0) {
        *at++ = OPTION_END;
    }
    return (size_t)(at - out);
}

static size_t put_ip(const struct packet *packet, uint8_t protocol, size_t payload, uint8_t *out)
{
    size_t header = IP_HEADER + packet->ip_options_bytes;
    memset(out, 0, IP_HEADER);
    out[0] = (uint8_t)(0x40u | (header / 4u));
    out[1] = packet->tos;
    put16(out + 2, (uint32_t)(header + payload));
    put16(out + 6, packet->do_not_fragment ? 0x4000u : 0u);
    out[8] = packet->ttl != 0 ? packet->ttl : 64;
    out[9] = protocol;
    put32(out + 12, packet->source);
    put32(out + 16, packet->target);
    if (packet->ip_options_bytes > 0) {
        memcpy(out + IP_HEADER, packet->ip_options, packet->ip_options_bytes);
    }
    put16(out + 10, packet_sum_finish(packet_sum(0, out, header)));
    return header;
}

size_t packet_build(const struct packet *packet, uint8_t *out)
{
    uint8_t options[PACKET_OPTIONS_MAX + 64u];
    size_t options_bytes = put_options(packet, options);
    size_t segment = TCP_HEADER + options_bytes + packet->bytes;
    size_t header = put_ip(packet, 6, segment, out);
    uint8_t *tcp = out + header;
    put16(tcp, packet->source_port);
    put16(tcp + 2, packet->target_port);
    put32(tcp + 4, packet->seq);
    put32(tcp + 8, packet->ack);
    tcp[12] = (uint8_t)(((TCP_HEADER + options_bytes) / 4u) << 4 | packet->reserved);
    tcp[13] = (uint8_t)packet->flags;
    put16(tcp + 14, packet->window);
    put16(tcp + 16, 0);
    put16(tcp + 18, packet->urgent);
    memcpy(tcp + TCP_HEADER, options, options_bytes);
    if (packet->bytes > 0) {
        memcpy(tcp + TCP_HEADER + options_bytes, packet->data, packet->bytes);
    }
    uint32_t sum = packet_sum(pseudo_header_sum(out, segment), tcp, segment);
    put16(tcp + 16, packet_sum_finish(sum));
    return header + segment;
}

/* Takes one option of `room` bytes at most in. Returns its length, 0 when it is malformed. */
static size_t get_option(const uint8_t *at, size_t room, struct packet *packet)
{
    if (room < 2 || at[1] < 2 || at[1] > room) {
        return 0;
    }
    uint8_t length = at[1];
    switch (at[0]) {
    case OPTION_MSS:
        packet->mss = get16(at + 2);
        return length == 4 ? length : 0;
    case OPTION_WINDOW_SCALE:
        packet->has_window_scale = true;
        packet->window_scale = at[2];
        return length == 3 ? length : 0;
    case OPTION_SACK_PERMITTED:
        packet->sack_permitted = true;
        return length == 2 ? length : 0;
    case OPTION_TIMESTAMP:
        packet->has_timestamp = true;
        packet->ts_val = length == 10 ? get32(at + 2) : 0;
        packet->ts_ecr = length == 10 ? get32(at + 6) : 0;
        return length == 10 ? length : 0;
    case OPTION_SACK:
        packet->sack_count = (length - 2u) / 8u;
        if ((length - 2u) % 8u != 0 || packet->sack_count == 0 || packet->sack_count > 4) {
            return 0;
        }
        for (uint32_t i = 0; i < packet->sack_count; i++) {
            packet->sack[i].left = get32(at + 2 + 8 * i);
            packet->sack[i].right = get32(at + 6 + 8 * i);
        }
        return length;
    default:
        return length;
    }
}

static const char *get_options(const uint8_t *at, size_t bytes, struct packet *packet)
{
    size_t kinds = 0;
    size_t i = 0;
    while (i < bytes && at[i] != OPTION_END) {
        packet->kinds[kinds++] = at[i];
        size_t length = at[i] == OPTION_NOTHING ? 1 : get_option(at + i, bytes - i, packet);
        if (length == 0) {
            return "an option is malformed";
        }
        i += length;
    }
    for (; i < bytes; i++) {
        if (at[i] != 0) {
            return "padding is not zero (MUST-69)";
        }
    }
    return NULL;
}

/* Reads the IPv4 header and returns NULL, or what is wrong. */
static const char *get_ip(const uint8_t *in, size_t bytes, struct packet *packet, size_t *header)
{
    if (bytes < IP_HEADER || in[0] >> 4 != 4) {
        return "not IPv4";
    }
    *header = (in[0] & 0xfu) * 4u;
    if (*header < IP_HEADER || *header > bytes || get16(in + 2) != bytes) {
        return "IPv4 lengths disagree";
    }
    if (packet_sum_finish(packet_sum(0, in, *header)) != 0) {
        return "IPv4 checksum is wrong";
    }
    packet->tos = in[1];
    packet->do_not_fragment = (get16(in + 6) & 0x4000u) != 0;
    if ((get16(in + 6) & 0xbfffu) != 0) {
        return "a fragment, or the evil bit";
    }
    packet->ttl = in[8];
    packet->protocol = in[9];
    packet->source = get32(in + 12);
    packet->target = get32(in + 16);
    return NULL;
}

const char *packet_parse(const uint8_t *in, size_t bytes, struct packet *packet)
{
    *packet = (struct packet){0};
    size_t header = 0;
    const char *wrong = get_ip(in, bytes, packet, &header);
    if (wrong != NULL || packet->protocol != 6) {
        packet->data = in + header;
        packet->bytes = (uint32_t)(bytes - header);
        return wrong;
    }
    const uint8_t *tcp = in + header;
    size_t segment = bytes - header;
    if (segment < TCP_HEADER || (tcp[12] >> 4) * 4u < TCP_HEADER || (tcp[12] >> 4) * 4u > segment) {
        return "TCP lengths disagree";
    }
    if (packet_sum_finish(packet_sum(pseudo_header_sum(in, segment), tcp, segment)) != 0) {
        return "TCP checksum is wrong (MUST-2)";
    }
    size_t offset = (tcp[12] >> 4) * 4u;
    packet->source_port = get16(tcp);
    packet->target_port = get16(tcp + 2);
    packet->seq = get32(tcp + 4);
    packet->ack = get32(tcp + 8);
    packet->reserved = tcp[12] & 0xfu;
    packet->flags = tcp[13];
    packet->window = get16(tcp + 14);
    packet->urgent = get16(tcp + 18);
    packet->data = tcp + offset;
    packet->bytes = (uint32_t)(segment - offset);
    if (packet->reserved != 0) {
        return "reserved bits are set";
    }
    if ((packet->flags & ACK) == 0 && packet->ack != 0) {
        return "an acknowledgment number without ACK";
    }
    return get_options(tcp + TCP_HEADER, offset - TCP_HEADER, packet);
}

size_t packet_build_icmp(const struct packet_icmp *icmp, uint8_t *out)
{
    struct packet ip = {.source = icmp->source, .target = icmp->target};
    size_t message = 8u + icmp->body_bytes;
    size_t header = put_ip(&ip, 1, message, out);
    uint8_t *at = out + header;
    at[0] = icmp->type;
    at[1] = icmp->code;
    put16(at + 2, 0);
    put32(at + 4, icmp->rest);
    if (icmp->body_bytes > 0) {
        memcpy(at + 8, icmp->body, icmp->body_bytes);
    }
    put16(at + 2, packet_sum_finish(packet_sum(0, at, message)));
    return header + message;
}
