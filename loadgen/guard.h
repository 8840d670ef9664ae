/* Guard: which targets load may be sent to without being named for it.
 *
 * Layer: loadgen (L5). A pure function. Loopback, private and link-local addresses are free; anything else
 * has to lie in a range of --allow-target. */
#ifndef FINWAIT_LOADGEN_GUARD_H
#define FINWAIT_LOADGEN_GUARD_H

#include <stdint.h>

#include "base/addr.h"
#include "base/failure.h"

/* Returns 0, or -EPERM with the text set. */
int guard_check(const struct endpoint *target, const struct ip_range *allowed, uint32_t allowed_count,
                struct failure *failure);

#endif
