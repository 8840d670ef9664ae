/* Sequence numbers: comparison and arithmetic modulo 2^32 (RFC 9293 section 3.4).
 *
 * Layer: tcp (L2). Nothing else compares sequence numbers. A comparison means something while the
 * two lie within 2^31 of each other, which windows of at most 2^30 ensure. */
#ifndef FINWAIT_TCP_SEQ_H
#define FINWAIT_TCP_SEQ_H

#include <stdbool.h>
#include <stdint.h>

static inline bool seq_lt(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b) < 0;
}

static inline bool seq_le(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b) <= 0;
}

static inline bool seq_gt(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b) > 0;
}

static inline bool seq_ge(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b) >= 0;
}

static inline uint32_t seq_max(uint32_t a, uint32_t b)
{
    return seq_gt(a, b) ? a : b;
}

static inline uint32_t seq_min(uint32_t a, uint32_t b)
{
    return seq_lt(a, b) ? a : b;
}

/* Counts from `from` up to `to`. Requires from <= to. */
static inline uint32_t seq_diff(uint32_t from, uint32_t to)
{
    return to - from;
}

#endif
