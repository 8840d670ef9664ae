/* A bounded series: items of one size, thinned by half whenever the limit is reached.
 *
 * Layer: tcpstat (L1). Item number n of those offered is kept when n is a multiple of the
 * stride, which doubles at each thinning. Owner: the caller. Not thread-safe. */
#ifndef FINWAIT_TCPSTAT_WATCH_KEEP_H
#define FINWAIT_TCPSTAT_WATCH_KEEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct watch_keep {
    void *items;
    size_t item_bytes;
    uint32_t count;
    uint32_t capacity;
    uint32_t limit; /* at least 2 */
    uint64_t stride;
    uint64_t offered;
};

void watch_keep_init(struct watch_keep *keep, size_t item_bytes, uint32_t limit);

/* Offers an item; `always` keeps it whatever the stride says. Returns 0 or -ENOMEM, and then the
 * item is counted as offered but not kept. */
int watch_keep_add(struct watch_keep *keep, const void *item, bool always);

/* Counts the items that were offered and are not there. */
uint64_t watch_keep_thinned(const struct watch_keep *keep);

void watch_keep_free(struct watch_keep *keep);

#endif
