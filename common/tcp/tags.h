/* Tags: twelve bytes of a bucket compared with one at once.
 *
 * Layer: tcp (L2). Pure; a part of index.c. Two ways that give the same, so that one can be tested
 * against the other: by SSE2 where that is the machine's base, and within words everywhere. */
#ifndef FINWAIT_TCP_TAGS_H
#define FINWAIT_TCP_TAGS_H

#include <stdint.h>
#include <string.h>

#define TAGS_COUNT 12u
#define TAGS_MASK ((UINT32_C(1) << TAGS_COUNT) - 1u)

/* Gives a bit for each of a word's bytes that is zero. */
static inline uint32_t tags_zero_bytes(uint64_t word)
{
    const uint64_t low = UINT64_C(0x7f7f7f7f7f7f7f7f);
    uint64_t tops = ~(((word & low) + low) | word | low); /* exact: no carry leaves its byte */
    return (uint32_t)((tops >> 7) * UINT64_C(0x0102040810204080) >> 56);
}

/* Gives a bit for each of the twelve bytes that equals `tag`; `line` is readable for 16 bytes. */
static inline uint32_t tags_match_words(const uint8_t *line, uint8_t tag)
{
    uint64_t first;
    uint32_t second;
    memcpy(&first, line, sizeof first);
    memcpy(&second, line + sizeof first, sizeof second);
    uint64_t pattern = tag * UINT64_C(0x0101010101010101);
    return (tags_zero_bytes(first ^ pattern) | tags_zero_bytes(second ^ pattern) << 8) & TAGS_MASK;
}

#if defined(__SSE2__)
#include <emmintrin.h>

static inline uint32_t tags_match(const uint8_t *line, uint8_t tag)
{
    __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)line);
    __m128i equal = _mm_cmpeq_epi8(bytes, _mm_set1_epi8((char)tag));
    return (uint32_t)_mm_movemask_epi8(equal) & TAGS_MASK;
}
#else
static inline uint32_t tags_match(const uint8_t *line, uint8_t tag)
{
    return tags_match_words(line, tag);
}
#endif

#endif
