/* Checksum: the parts of RFC 1071 that only the wire layer needs.
 *
 * Layer: wire (L1), private to it. Pure. */
#ifndef FINWAIT_WIRE_CHECKSUM_H
#define FINWAIT_WIRE_CHECKSUM_H

#include <endian.h>
#include <stdint.h>

#include "wire/wire.h"

/* Adds two sums: the carry out of the top comes back in at the bottom (RFC 1071 section 2). */
static inline uint64_t sum_join(uint64_t a, uint64_t b)
{
    uint64_t sum = a + b;
    return sum + (sum < b);
}

/* The sum of bytes that start at an odd place of the whole: as if every byte had changed sides in
 * its 16-bit word (RFC 1071 section 2B), which in a 64-bit sum is a turn by one byte. */
static inline uint64_t sum_at_odd(uint64_t sum)
{
    return sum << 8 | sum >> 56;
}

/* The sum of the pseudo-header (RFC 9293 figure 2) for a segment of `bytes`. */
static inline uint64_t sum_pseudo_header(const struct wire_ipv4 *ip, uint8_t protocol,
                                         uint32_t bytes)
{
    return (uint64_t)htobe32(ip->source) + htobe32(ip->target) + htobe16(protocol) +
           htobe16((uint16_t)bytes);
}

#endif
