/* Ranges: sorted blocks of sequence space; see ranges.h. */
#include "tcp/ranges.h"

#include <stddef.h>
#include <string.h>

#include "base/assert.h"
#include "tcp/seq.h"

static uint32_t range_bytes(struct range range)
{
    return seq_diff(range.start, range.end);
}

enum ranges_result ranges_add(struct ranges *ranges, struct range range)
{
    ASSERT(seq_lt(range.start, range.end));
    uint32_t first = 0;
    while (first < ranges->count && seq_lt(ranges->items[first].end, range.start)) {
        first++;
    }
    uint32_t end = first; /* of the blocks that it touches */
    struct range merged = range;
    uint32_t known = 0;
    while (end < ranges->count && seq_le(ranges->items[end].start, range.end)) {
        merged.start = seq_min(merged.start, ranges->items[end].start);
        merged.end = seq_max(merged.end, ranges->items[end].end);
        known += range_bytes(ranges->items[end++]);
    }
    if (known == range_bytes(merged)) {
        return RANGES_KNOWN;
    }
    if (end == first && ranges->count == RANGES_MAX) {
        return RANGES_REFUSED;
    }
    memmove(&ranges->items[first + 1u], &ranges->items[end],
            (ranges->count - end) * sizeof ranges->items[0]);
    ranges->items[first] = merged;
    ranges->count = ranges->count - (end - first) + 1u;
    ranges->total += range_bytes(merged) - known;
    return RANGES_ADDED;
}

void ranges_trim(struct ranges *ranges, uint32_t seq)
{
    uint32_t gone = 0;
    while (gone < ranges->count && seq_le(ranges->items[gone].end, seq)) {
        ranges->total -= range_bytes(ranges->items[gone++]);
    }
    ranges->count -= gone;
    memmove(ranges->items, &ranges->items[gone], ranges->count * sizeof ranges->items[0]);
    if (ranges->count > 0 && seq_lt(ranges->items[0].start, seq)) {
        ranges->total -= seq_diff(ranges->items[0].start, seq);
        ranges->items[0].start = seq;
    }
}

const struct range *ranges_find(const struct ranges *ranges, uint32_t seq)
{
    for (uint32_t i = 0; i < ranges->count && seq_le(ranges->items[i].start, seq); i++) {
        if (seq_lt(seq, ranges->items[i].end)) {
            return &ranges->items[i];
        }
    }
    return NULL;
}

bool ranges_cover(const struct ranges *ranges, struct range range)
{
    const struct range *block = ranges_find(ranges, range.start);
    return block != NULL && seq_le(range.end, block->end);
}

uint32_t ranges_above(const struct ranges *ranges, uint32_t seq)
{
    uint32_t bytes = 0;
    for (uint32_t i = ranges->count; i-- > 0 && seq_lt(seq, ranges->items[i].end);) {
        bytes += seq_diff(seq_max(seq, ranges->items[i].start), ranges->items[i].end);
    }
    return bytes;
}

bool ranges_gap(const struct ranges *ranges, uint32_t from, uint32_t limit, struct range *gap)
{
    uint32_t start = from;
    uint32_t end = limit;
    for (uint32_t i = 0; i < ranges->count; i++) {
        if (seq_gt(ranges->items[i].start, start)) {
            end = seq_min(limit, ranges->items[i].start);
            break;
        }
        start = seq_max(start, ranges->items[i].end);
    }
    if (seq_ge(start, end)) {
        return false;
    }
    *gap = (struct range){.start = start, .end = end};
    return true;
}
