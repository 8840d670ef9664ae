/* SipHash-2-4 of bytes and of words; see siphash.h. */
#include "tcp/siphash.h"

/* Reads up to eight bytes in little-endian order, whatever the machine's. */
static uint64_t read_little(const unsigned char *bytes, size_t count)
{
    uint64_t word = 0;
    for (size_t i = 0; i < count; i++) {
        word |= (uint64_t)bytes[i] << (8u * i);
    }
    return word;
}

uint64_t siphash(const struct siphash_key *key, const void *bytes, size_t count)
{
    const unsigned char *from = bytes;
    struct siphash_state state = siphash_begin(key);
    size_t done = 0;
    for (; count - done >= 8u; done += 8u) {
        siphash_absorb(&state, read_little(from + done, 8), 2);
    }
    uint64_t last = (uint64_t)count << 56; /* the paper's: modulo 256 */
    if (count > done) {
        last |= read_little(from + done, count - done);
    }
    siphash_absorb(&state, last, 2);
    return siphash_finish(&state, 4);
}

uint64_t siphash_2u64(const struct siphash_key *key, uint64_t a, uint64_t b)
{
    struct siphash_state state = siphash_begin(key);
    siphash_absorb(&state, a, 2);
    siphash_absorb(&state, b, 2);
    siphash_absorb(&state, UINT64_C(16) << 56, 2);
    return siphash_finish(&state, 4);
}

uint64_t siphash_3u64(const struct siphash_key *key, uint64_t a, uint64_t b, uint64_t c)
{
    struct siphash_state state = siphash_begin(key);
    siphash_absorb(&state, a, 2);
    siphash_absorb(&state, b, 2);
    siphash_absorb(&state, c, 2);
    siphash_absorb(&state, UINT64_C(24) << 56, 2);
    return siphash_finish(&state, 4);
}
