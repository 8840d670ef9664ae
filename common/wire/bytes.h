/* Bytes: loads and stores in network order, and headers written as 32-bit words that are summed on
 * their way out.
 *
 * Layer: wire (L1), private to it. Pure. */
#ifndef FINWAIT_WIRE_BYTES_H
#define FINWAIT_WIRE_BYTES_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

static inline uint16_t load_u16(const uint8_t *at)
{
    uint16_t word;
    memcpy(&word, at, sizeof(word));
    return be16toh(word);
}

static inline uint32_t load_u32(const uint8_t *at)
{
    uint32_t word;
    memcpy(&word, at, sizeof(word));
    return be32toh(word);
}

static inline void store_u16(uint8_t *at, uint16_t value)
{
    const uint16_t word = htobe16(value);
    memcpy(at, &word, sizeof(word));
}

static inline void store_u32(uint8_t *at, uint32_t value)
{
    const uint32_t word = htobe32(value);
    memcpy(at, &word, sizeof(word));
}

/* Puts a finished checksum, which is in network order already. */
static inline void store_checksum(uint8_t *at, uint16_t checksum)
{
    memcpy(at, &checksum, sizeof(checksum));
}

static inline uint32_t high_low(uint16_t high, uint16_t low)
{
    return (uint32_t)high << 16 | low;
}

/* A header under way. Its sum is taken from the words as they are stored: reading freshly written
 * small fields back as large ones would stall on the store buffer. Plain additions of 32-bit words
 * cannot overflow 64 bits in any header. */
struct word_writer {
    uint8_t *at;
    uint64_t sum;
};

static inline void word_put(struct word_writer *writer, uint32_t value)
{
    const uint32_t word = htobe32(value);
    memcpy(writer->at, &word, sizeof(word));
    writer->at += sizeof(word);
    writer->sum += word;
}

#endif
