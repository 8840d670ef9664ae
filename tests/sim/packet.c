/* Packets as the judge reads them: see packet.h.
 *
 * Layer: tests. */
#include "sim/packet.h"

#include <string.h>

uint64_t packet_sum(const uint8_t *bytes, size_t count, uint64_t sum)
{
    while (count >= 8) {
        uint64_t word = ((uint64_t)packet_get32(bytes) << 32) | packet_get32(bytes + 4);
        sum += (word >> 32) + (word & 0xffffffffu);
        bytes += 8;
        count -= 8;
    }
    while (count >= 2) {
        sum += packet_get16(bytes);
        bytes += 2;
        count -= 2;
    }
    return count ? sum + ((uint64_t)bytes[0] << 8) : sum;
}

uint16_t packet_fold(uint64_t sum)
{
    while (sum >> 16) {
        sum = (sum >> 16) + (sum & 0xffffu);
    }
    return (uint16_t)~sum;
}

static uint64_t pseudo_header_sum(const uint8_t *ip, uint32_t tcp_bytes)
{
    return packet_sum(ip + 12, 8, 6u + tcp_bytes);
}

/* Reads one option of a known kind. Returns false when its length is not that kind's, or when it
 * came before. */
static bool option_store(struct packet *packet, const uint8_t *at, uint8_t length)
{
    uint8_t bit = 0;
    switch (at[0]) {
    case PACKET_OPTION_MSS:
        bit = length == 4 ? PACKET_HAS_MSS : 0;
        packet->mss = bit ? packet_get16(at + 2) : 0;
        break;
    case PACKET_OPTION_WSCALE:
        bit = length == 3 ? PACKET_HAS_WSCALE : 0;
        packet->wscale = bit ? at[2] : 0;
        break;
    case PACKET_OPTION_SACK_PERMITTED:
        bit = length == 2 ? PACKET_HAS_SACK_PERMITTED : 0;
        break;
    case PACKET_OPTION_TIMESTAMPS:
        bit = length == 10 ? PACKET_HAS_TIMESTAMPS : 0;
        packet->tsval = bit ? packet_get32(at + 2) : 0;
        packet->tsecr = bit ? packet_get32(at + 6) : 0;
        break;
    case PACKET_OPTION_SACK:
        if (length < 10 || length > 34 || (length - 2) % 8) {
            return false;
        }
        bit = PACKET_HAS_SACK;
        packet->sack_count = (uint8_t)((length - 2) / 8);
        for (uint32_t i = 0; i < packet->sack_count; i++) {
            packet->sack[i][0] = packet_get32(at + 2 + 8 * i);
            packet->sack[i][1] = packet_get32(at + 6 + 8 * i);
        }
        break;
    default:
        return false;
    }
    if (!bit || (packet->options & bit)) {
        return false;
    }
    packet->options |= bit;
    return true;
}

static bool options_parse(struct packet *packet, const uint8_t *at, const uint8_t *end)
{
    while (at < end) {
        if (packet->order_count < PACKET_ORDER_MAX) {
            packet->order[packet->order_count++] = at[0];
        }
        if (at[0] == PACKET_OPTION_END) {
            for (; at < end; at++) {
                if (*at) {
                    return false;
                }
            }
            return true;
        }
        if (at[0] == PACKET_OPTION_NOP) {
            at++;
            continue;
        }
        if (end - at < 2 || at[1] < 2 || at[1] > end - at || !option_store(packet, at, at[1])) {
            return false;
        }
        at += at[1];
    }
    return true;
}

static enum packet_verdict tcp_parse(struct packet *packet, const uint8_t *ip, uint32_t ip_header)
{
    const uint8_t *tcp = ip + ip_header;
    uint32_t tcp_bytes = packet->ip_bytes - ip_header;
    if (tcp_bytes < PACKET_TCP_BYTES) {
        return PACKET_BAD_TCP;
    }
    packet->source_port = packet_get16(tcp);
    packet->target_port = packet_get16(tcp + 2);
    packet->seq = packet_get32(tcp + 4);
    packet->ack = packet_get32(tcp + 8);
    packet->tcp_header_bytes = (uint16_t)((tcp[12] >> 4) * 4);
    packet->reserved = tcp[12] & 0x0f;
    packet->flags = tcp[13];
    packet->window = packet_get16(tcp + 14);
    packet->urgent = packet_get16(tcp + 18);
    if (packet->tcp_header_bytes < PACKET_TCP_BYTES || packet->tcp_header_bytes > tcp_bytes) {
        return PACKET_BAD_TCP;
    }
    packet->payload = tcp + packet->tcp_header_bytes;
    packet->payload_bytes = tcp_bytes - packet->tcp_header_bytes;
    if (packet_fold(packet_sum(tcp, tcp_bytes, pseudo_header_sum(ip, tcp_bytes)))) {
        return PACKET_BAD_CHECKSUM;
    }
    return options_parse(packet, tcp + PACKET_TCP_BYTES, packet->payload) ? PACKET_OK
                                                                          : PACKET_BAD_OPTIONS;
}

enum packet_verdict packet_parse(struct packet *packet, const uint8_t *bytes, size_t count)
{
    memset(packet, 0, sizeof(*packet));
    if (count < PACKET_IP_BYTES || bytes[0] >> 4 != 4) {
        return PACKET_BAD_IP;
    }
    uint32_t header = (bytes[0] & 0x0fu) * 4;
    packet->ip_bytes = packet_get16(bytes + 2);
    if (header < PACKET_IP_BYTES || header > packet->ip_bytes || packet->ip_bytes > count ||
        packet_fold(packet_sum(bytes, header, 0))) {
        return PACKET_BAD_IP;
    }
    packet->source = packet_get32(bytes + 12);
    packet->target = packet_get32(bytes + 16);
    packet->ip_ecn = bytes[1] & 3;
    packet->ip_dscp = bytes[1] >> 2;
    packet->ttl = bytes[8];
    uint16_t fragment = packet_get16(bytes + 6);
    packet->dont_fragment = (fragment & 0x4000) != 0;
    if (fragment & 0x3fff) {
        return PACKET_FRAGMENT;
    }
    return bytes[9] == 6 ? tcp_parse(packet, bytes, header) : PACKET_OTHER_PROTOCOL;
}

static size_t option_build(const struct packet *packet, uint8_t kind, uint8_t *at)
{
    at[0] = kind;
    switch (kind) {
    case PACKET_OPTION_MSS:
        at[1] = 4;
        packet_put16(at + 2, packet->mss);
        return 4;
    case PACKET_OPTION_WSCALE:
        at[1] = 3;
        at[2] = packet->wscale;
        return 3;
    case PACKET_OPTION_SACK_PERMITTED:
        at[1] = 2;
        return 2;
    case PACKET_OPTION_TIMESTAMPS:
        at[1] = 10;
        packet_put32(at + 2, packet->tsval);
        packet_put32(at + 6, packet->tsecr);
        return 10;
    case PACKET_OPTION_SACK:
        at[1] = (uint8_t)(2 + 8 * packet->sack_count);
        for (uint32_t i = 0; i < packet->sack_count; i++) {
            packet_put32(at + 2 + 8 * i, packet->sack[i][0]);
            packet_put32(at + 6 + 8 * i, packet->sack[i][1]);
        }
        return at[1];
    default:
        return 1;
    }
}

void packet_finish(uint8_t *bytes)
{
    uint32_t header = (bytes[0] & 0x0fu) * 4;
    uint32_t tcp_bytes = packet_get16(bytes + 2) - header;
    packet_put16(bytes + 10, 0);
    packet_put16(bytes + 10, packet_fold(packet_sum(bytes, header, 0)));
    if (bytes[9] == 6) {
        packet_put16(bytes + header + 16, 0);
        uint64_t sum = packet_sum(bytes + header, tcp_bytes, pseudo_header_sum(bytes, tcp_bytes));
        packet_put16(bytes + header + 16, packet_fold(sum));
    }
}

size_t packet_build(const struct packet *packet, uint8_t *bytes, size_t capacity)
{
    uint8_t options[PACKET_ORDER_MAX * 34] = {0};
    size_t option_bytes = 0;
    for (uint32_t i = 0; i < packet->order_count; i++) {
        option_bytes += option_build(packet, packet->order[i], options + option_bytes);
    }
    option_bytes = (option_bytes + 3) / 4 * 4;
    size_t total = PACKET_IP_BYTES + PACKET_TCP_BYTES + option_bytes + packet->payload_bytes;
    if (option_bytes > 40 || total > capacity) {
        return 0;
    }
    uint8_t *tcp = bytes + PACKET_IP_BYTES;
    memset(bytes, 0, PACKET_IP_BYTES + PACKET_TCP_BYTES);
    bytes[0] = 0x45;
    bytes[1] = (uint8_t)(packet->ip_dscp << 2 | packet->ip_ecn);
    packet_put16(bytes + 2, (uint32_t)total);
    packet_put16(bytes + 6, packet->dont_fragment ? 0x4000 : 0);
    bytes[8] = packet->ttl ? packet->ttl : 64;
    bytes[9] = 6;
    packet_put32(bytes + 12, packet->source);
    packet_put32(bytes + 16, packet->target);
    packet_put16(tcp, packet->source_port);
    packet_put16(tcp + 2, packet->target_port);
    packet_put32(tcp + 4, packet->seq);
    packet_put32(tcp + 8, packet->ack);
    tcp[12] = (uint8_t)(((PACKET_TCP_BYTES + option_bytes) / 4) << 4 | packet->reserved);
    tcp[13] = packet->flags;
    packet_put16(tcp + 14, packet->window);
    packet_put16(tcp + 18, packet->urgent);
    memcpy(tcp + PACKET_TCP_BYTES, options, option_bytes);
    if (packet->payload_bytes) {
        memcpy(tcp + PACKET_TCP_BYTES + option_bytes, packet->payload, packet->payload_bytes);
    }
    packet_finish(bytes);
    return total;
}
