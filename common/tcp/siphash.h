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

/* The algorithm's parts, here so that the index's hash is inlined. */
struct siphash_state {
    uint64_t v0;
    uint64_t v1;
    uint64_t v2;
    uint64_t v3;
};

static inline uint64_t siphash_rotate(uint64_t word, unsigned bits)
{
    return word << bits | word >> (64u - bits);
}

static inline struct siphash_state siphash_begin(const struct siphash_key *key)
{
    /* The ASCII constant "somepseudorandomlygeneratedbytes". */
    struct siphash_state state;
    state.v0 = key->k0 ^ UINT64_C(0x736f6d6570736575);
    state.v1 = key->k1 ^ UINT64_C(0x646f72616e646f6d);
    state.v2 = key->k0 ^ UINT64_C(0x6c7967656e657261);
    state.v3 = key->k1 ^ UINT64_C(0x7465646279746573);
    return state;
}

static inline void siphash_rounds(struct siphash_state *state, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        state->v0 += state->v1;
        state->v2 += state->v3;
        state->v1 = siphash_rotate(state->v1, 13) ^ state->v0;
        state->v3 = siphash_rotate(state->v3, 16) ^ state->v2;
        state->v0 = siphash_rotate(state->v0, 32);
        state->v2 += state->v1;
        state->v0 += state->v3;
        state->v1 = siphash_rotate(state->v1, 17) ^ state->v2;
        state->v3 = siphash_rotate(state->v3, 21) ^ state->v0;
        state->v2 = siphash_rotate(state->v2, 32);
    }
}

static inline void siphash_absorb(struct siphash_state *state, uint64_t word, unsigned rounds)
{
    state->v3 ^= word;
    siphash_rounds(state, rounds);
    state->v0 ^= word;
}

static inline uint64_t siphash_finish(struct siphash_state *state, unsigned rounds)
{
    state->v2 ^= 0xff;
    siphash_rounds(state, rounds);
    return state->v0 ^ state->v1 ^ state->v2 ^ state->v3;
}

/* SipHash-1-3 of two words, for the index. */
static inline uint64_t siphash13_2u64(const struct siphash_key *key, uint64_t a, uint64_t b)
{
    struct siphash_state state = siphash_begin(key);
    siphash_absorb(&state, a, 1);
    siphash_absorb(&state, b, 1);
    siphash_absorb(&state, UINT64_C(16) << 56, 1); /* the count of bytes */
    return siphash_finish(&state, 3);
}

#endif
