#include "tcpstat/watch_keep.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

#define KEEP_FIRST 64

void watch_keep_init(struct watch_keep *keep, size_t item_bytes, uint32_t limit)
{
    ASSERT(limit >= 2);
    *keep = (struct watch_keep){.item_bytes = item_bytes, .limit = limit, .stride = 1};
}

static char *item_at(const struct watch_keep *keep, uint32_t index)
{
    return (char *)keep->items + (size_t)index * keep->item_bytes;
}

/* Keeps the items with an even place: the multiples of the doubled stride. */
static void thin(struct watch_keep *keep)
{
    for (uint32_t i = 2; i < keep->count; i += 2) {
        memcpy(item_at(keep, i / 2), item_at(keep, i), keep->item_bytes);
    }
    keep->count = (keep->count + 1) / 2;
    keep->stride *= 2;
}

static int grow(struct watch_keep *keep)
{
    uint32_t capacity = keep->capacity == 0 ? KEEP_FIRST : keep->capacity * 2;
    capacity = capacity > keep->limit ? keep->limit : capacity;
    void *items = realloc(keep->items, capacity * keep->item_bytes);
    if (items == NULL) {
        return -ENOMEM;
    }
    keep->items = items;
    keep->capacity = capacity;
    return 0;
}

int watch_keep_add(struct watch_keep *keep, const void *item, bool always)
{
    const uint64_t number = keep->offered++;
    if (number % keep->stride != 0 && !always) {
        return 0;
    }
    if (keep->count == keep->limit) {
        thin(keep);
        if (number % keep->stride != 0 && !always) {
            return 0;
        }
    }
    if (keep->count == keep->capacity) {
        const int error = grow(keep);
        if (error < 0) {
            return error;
        }
    }
    memcpy(item_at(keep, keep->count), item, keep->item_bytes);
    keep->count++;
    return 0;
}

uint64_t watch_keep_thinned(const struct watch_keep *keep)
{
    return keep->offered - keep->count;
}

void watch_keep_free(struct watch_keep *keep)
{
    free(keep->items);
    keep->items = NULL;
    keep->count = 0;
    keep->capacity = 0;
}
