/* Flood: SYNs from random sources, at a rate, for a time.
 *
 * Layer: bench/flood. One thread. The link is the caller's. Nothing is received: replies go to
 * addresses that nobody has. */
#ifndef FINWAIT_BENCH_FLOOD_FLOOD_H
#define FINWAIT_BENCH_FLOOD_FLOOD_H

#include <signal.h>
#include <stdint.h>

#include "base/addr.h"
#include "link/link.h"
#include "wire/wire.h"

struct flood_config {
    struct endpoint target;  /* IPv4 */
    struct ip_range sources; /* IPv4 */
    struct wire_mac target_mac;
    uint64_t events; /* the rate: so many ... */
    uint64_t per_ns; /* ... in this time */
    uint64_t duration_ns;
    uint64_t count_max; /* 0: no bound but the duration */
    uint64_t seed;
};

struct flood_result {
    uint64_t sent;    /* the kernel took them */
    uint64_t refused; /* it did not take them, or dropped them at once */
    uint64_t unsent;  /* queued, and at the end perhaps still there: the link was down or full */
    uint64_t skipped; /* due while the ring was full, or too long ago: never made */
    uint64_t elapsed_ns;
};

/* Floods until the duration or the count is over, or `*stop` is set. */
struct flood_result flood_run(const struct flood_config *config, struct link *link,
                              const volatile sig_atomic_t *stop);

#endif
