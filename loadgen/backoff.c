#include "loadgen/backoff.h"

#include "base/assert.h"

uint64_t backoff_look(struct backoff *backoff, uint64_t completed, uint64_t failed,
                      uint32_t in_flight)
{
    ASSERT(in_flight > 0);
    if (completed != backoff->completed) {
        *backoff = (struct backoff){.completed = completed, .failed = failed};
        return 0;
    }
    if (failed - backoff->failed < in_flight) {
        return 0;
    }
    backoff->failed = failed;
    backoff->pause_ns = backoff->pause_ns == 0 ? BACKOFF_FIRST_NS : 2 * backoff->pause_ns;
    if (backoff->pause_ns > BACKOFF_LAST_NS) {
        backoff->pause_ns = BACKOFF_LAST_NS;
    }
    return backoff->pause_ns;
}
