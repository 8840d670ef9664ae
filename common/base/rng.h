/* Random numbers: xoshiro256** seeded by splitmix64, for schedules, payloads and tests; not for
 * secrets.
 *
 * Layer: base. Plain data, one thread. The same seed gives the same numbers on every machine.
 * Source: Blackman and Vigna, "Scrambled linear pseudorandom number generators", 2021. */
#ifndef FINWAIT_BASE_RNG_H
#define FINWAIT_BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

struct rng {
    uint64_t s[4];
};

/* Starts the sequence that belongs to a seed; any seed will do. */
void rng_seed(struct rng *rng, uint64_t seed);

/* Draws 64 random bits. */
uint64_t rng_next(struct rng *rng);

/* Draws a number from 0 to bound - 1 without bias. Requires bound > 0. */
uint64_t rng_below(struct rng *rng, uint64_t bound);

/* Fills memory with random bytes. */
void rng_fill(struct rng *rng, void *bytes, size_t count);

/* Mixes a 64-bit word (splitmix64's finaliser): a cheap hash for spreading. */
uint64_t rng_mix(uint64_t word);

#endif
