#include "wire/mend.h"

#include <stddef.h>

#include "wire/wire.h"

/* A checksum as RFC 1071 section 4.1 writes it down, byte by byte: slow, and not ours. */
static uint16_t plain_sum(const uint8_t *bytes, size_t count, uint32_t start)
{
    uint32_t sum = start;
    for (size_t i = 0; i < count; i++) {
        sum += i % 2 == 0 ? (uint32_t)bytes[i] << 8 : bytes[i];
        sum = (sum & 0xffffu) + (sum >> 16);
    }
    return (uint16_t)~sum;
}

static void put_u16(uint8_t *at, uint16_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

void mend_ipv4(uint8_t *packet)
{
    put_u16(packet + 10, 0);
    put_u16(packet + 10, plain_sum(packet, (packet[0] & 0x0fu) * 4u, 0));
}

void mend_payload(uint8_t *packet)
{
    const size_t header = (packet[0] & 0x0fu) * 4u;
    const size_t count = (size_t)(packet[2] << 8 | packet[3]) - header;
    uint8_t *payload = packet + header;
    if (packet[9] == WIRE_PROTO_ICMP) {
        put_u16(payload + 2, 0);
        put_u16(payload + 2, plain_sum(payload, count, 0));
        return;
    }
    const uint16_t pseudo = (uint16_t)~plain_sum(packet + 12, 8, WIRE_PROTO_TCP + (uint32_t)count);
    put_u16(payload + 16, 0);
    put_u16(payload + 16, plain_sum(payload, count, pseudo));
}
