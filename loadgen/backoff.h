/* Back-off: when a closed loop has to wait because nothing but failures comes back.
 *
 * Layer: loadgen (L5). Plain data, a worker's own. A connection that fails frees its place for the
 * next one at once, so that a port that refuses would be tried hundreds of thousands of times a
 * second: a flood that tells nothing. An open loop keeps to its schedule and needs none of this. */
#ifndef FINWAIT_LOADGEN_BACKOFF_H
#define FINWAIT_LOADGEN_BACKOFF_H

#include <stdint.h>

#include "base/clock.h"

/* The first pause, and the longest: they double. */
#define BACKOFF_FIRST_NS (10 * NS_PER_MS)
#define BACKOFF_LAST_NS (100 * NS_PER_MS)

/* Zeroed: nothing has come back yet. */
struct backoff {
    uint64_t completed; /* at the last look */
    uint64_t failed;    /* at the last completion or pause */
    uint64_t pause_ns;  /* the last one; 0: there was none since the last completion */
};

/* Looks at how many connections have completed and failed so far. Returns how long to start nothing
 * for: 0 unless as many in a row have failed as are kept in flight, which is > 0. */
uint64_t backoff_look(struct backoff *backoff, uint64_t completed, uint64_t failed,
                      uint32_t in_flight);

#endif
