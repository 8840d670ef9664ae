/* Random numbers: see the header for the generators and their source.
 *
 * Layer: base. */
#include "base/rng.h"

#include <endian.h>
#include <string.h>

#include "base/assert.h"

#define SPLITMIX_STEP UINT64_C(0x9e3779b97f4a7c15) /* 2^64 divided by the golden ratio, made odd   \
                                                    */

static uint64_t rotate_left(uint64_t word, unsigned int bits)
{
    return word << bits | word >> (64u - bits);
}

uint64_t rng_mix(uint64_t word)
{
    word = (word ^ word >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    word = (word ^ word >> 27) * UINT64_C(0x94d049bb133111eb);
    return word ^ word >> 31;
}

void rng_seed(struct rng *rng, uint64_t seed)
{
    /* The mixer is a bijection and the four inputs differ, so the state is never all zero. */
    for (int i = 0; i < 4; i++) {
        seed += SPLITMIX_STEP;
        rng->s[i] = rng_mix(seed);
    }
}

uint64_t rng_next(struct rng *rng)
{
    uint64_t *s = rng->s;
    uint64_t result = rotate_left(s[1] * 5u, 7) * 9u;
    uint64_t shifted = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = rotate_left(s[3], 45);
    return result;
}

uint64_t rng_below(struct rng *rng, uint64_t bound)
{
    ASSERT(bound > 0);
    /* 2^64 modulo bound numbers too many would favour the small remainders: draw again for those.
     */
    uint64_t surplus = (0u - bound) % bound;
    uint64_t draw = rng_next(rng);
    while (draw < surplus) {
        draw = rng_next(rng);
    }
    return draw % bound;
}

void rng_fill(struct rng *rng, void *bytes, size_t count)
{
    unsigned char *out = bytes;
    while (count > 0) {
        uint64_t word = htole64(rng_next(rng)); /* the same bytes on every machine */
        size_t part = count < sizeof word ? count : sizeof word;
        memcpy(out, &word, part);
        out += part;
        count -= part;
    }
}
