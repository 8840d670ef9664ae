/* Sources: the addresses that connections are opened from, as one list by index.
 *
 * Layer: loadgen (L5). Plain data; the ranges are kept as they were given and never unrolled. */
#ifndef FINWAIT_LOADGEN_SOURCES_H
#define FINWAIT_LOADGEN_SOURCES_H

#include <stdint.h>

#include "base/addr.h"
#include "base/failure.h"

#define SOURCES_RANGES_MAX 64
#define SOURCES_ADDRESSES_MAX (UINT64_C(1) << 24)

struct sources {
    uint32_t range_count;
    uint64_t address_count;
    struct ip_range ranges[SOURCES_RANGES_MAX];
};

/* Adds a range. Returns 0 or -E2BIG with the text set. */
int sources_add(struct sources *sources, const struct ip_range *range, struct failure *failure);

/* Gives source number `index` of an address family. Requires index < sources_of_family. */
struct ip_addr sources_at(const struct sources *sources, uint8_t family, uint64_t index);

/* Counts the sources of an address family. */
uint64_t sources_of_family(const struct sources *sources, uint8_t family);

/* Adds what a target is reached from when the user names no sources: a block of 127/8 for IPv4
 * loopback, large enough that 65 s of churn need no 4-tuple twice; else the address that the host's
 * route gives. Adds nothing when a source of that kind is there. Returns 0 or -errno with the text
 * set. */
int sources_add_default(struct sources *sources, const struct endpoint *target,
                        struct failure *failure);

#endif
