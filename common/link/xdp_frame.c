/* See xdp_frame.h. Layer: link. */
#include "link/xdp_frame.h"

#define IP_AT 14u
#define IP_BYTES_MIN 20u
#define FRAGMENT_MASK 0x3fffu /* RFC 791: "more fragments" or an offset */
#define PROTOCOL_TCP 6u
#define TCP_BYTES_MIN 20u
#define TCP_CHECKSUM_AT 16u

static uint32_t read16(const uint8_t *at)
{
    return (uint32_t)at[0] << 8 | at[1];
}

bool xdp_frame_is_unfinished(const uint8_t *frame, uint32_t bytes)
{
    const uint8_t *ip = frame + IP_AT;
    if (bytes < IP_AT + IP_BYTES_MIN || ip[0] >> 4 != 4 || ip[9] != PROTOCOL_TCP ||
        (read16(ip + 6) & FRAGMENT_MASK) != 0) {
        return false;
    }
    const uint32_t header = (ip[0] & 0x0fu) * 4;
    const uint32_t total = read16(ip + 2);
    if (header < IP_BYTES_MIN || total < header + TCP_BYTES_MIN || bytes < IP_AT + total) {
        return false;
    }
    uint32_t sum = PROTOCOL_TCP + total - header;
    for (uint32_t at = 12; at < IP_BYTES_MIN; at += 2) { /* both addresses */
        sum += read16(ip + at);
    }
    sum = (sum & 0xffffu) + (sum >> 16);
    sum = (sum & 0xffffu) + (sum >> 16);
    return read16(ip + header + TCP_CHECKSUM_AT) == sum;
}
