/* SipHash: a keyed hash that nobody without the key can predict, for the index, initial sequence
 * numbers, timestamp offsets, cookies and ports.
 *
 * Layer: tcp (L2). Pure. Source: Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012;
 * 2 and 4 rounds (the index uses 1 and 3, as Linux's hash tables do). */
#ifndef FINWAIT_TCP_SIPHASH_H
#define FINWAIT_TCP_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

struct siphash_key {
    uint64_t k0;
    uint64_t k1;
};

/* SipHash-2-4 of any bytes: the published test vectors hold. */
uint64_t siphash(const struct siphash_key *key, const void *bytes, size_t count);

/* SipHash-2-4 of two or three 64-bit words, as of their bytes in little-endian order. */
uint64_t siphash_2u64(const struct siphash_key *key, uint64_t a, uint64_t b);
uint64_t siphash_3u64(const struct siphash_key *key, uint64_t a, uint64_t b, uint64_t c);

/* SipHash-1-3 of two words, for the index. */
uint64_t siphash13_2u64(const struct siphash_key *key, uint64_t a, uint64_t b);

#endif
