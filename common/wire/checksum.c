/* Checksum: the Internet's ones' complement sum (RFC 1071), eight bytes at a time.
 *
 * Layer: wire (L1). Pure.
 *
 * A ones' complement sum over 64-bit words folds to the sum over 16-bit words, and does not care
 * for byte order as long as the result is stored the way the words were loaded (RFC 1071 sections
 * 2A to 2C). So words are added as they lie in memory, with the carry brought back in. */
#include "wire/checksum.h"

#include <string.h>

/* Fewer than eight bytes, zeros behind them. */
static uint64_t load_rest(const uint8_t *bytes, size_t count)
{
    uint64_t word = 0;
    memcpy(&word, bytes, count);
    return word;
}

uint64_t wire_sum_add(uint64_t sum, const void *bytes, size_t count)
{
    const uint8_t *at = bytes;
    for (; count >= sizeof(uint64_t); count -= sizeof(uint64_t), at += sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, at, sizeof(word));
        sum = sum_join(sum, word);
    }
    return count == 0 ? sum : sum_join(sum, load_rest(at, count));
}

uint64_t wire_sum_copy(uint64_t sum, void *target, const void *source, size_t count)
{
    const uint8_t *from = source;
    uint8_t *to = target;
    for (; count >= sizeof(uint64_t); count -= sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, from, sizeof(word));
        memcpy(to, &word, sizeof(word));
        sum = sum_join(sum, word);
        from += sizeof(word);
        to += sizeof(word);
    }
    if (count == 0) {
        return sum;
    }
    const uint64_t rest = load_rest(from, count);
    memcpy(to, &rest, count);
    return sum_join(sum, rest);
}

uint16_t wire_sum_finish(uint64_t sum)
{
    sum = (sum & 0xffffffffu) + (sum >> 32); /* at most 33 bits, then 32, 17 and 16 */
    sum = (sum & 0xffffffffu) + (sum >> 32);
    sum = (sum & 0xffffu) + (sum >> 16);
    sum = (sum & 0xffffu) + (sum >> 16);
    return (uint16_t)~sum;
}
