/* Checks: the generator's counts against the kernel's, over the same run.
 *
 * Layer: loadgen (L5); the main thread, after the run. The kernel counts for the whole network namespace:
 * the numbers agree when it is ours, and a mismatch in a shared one may be others' traffic. */
#ifndef FINWAIT_LOADGEN_CHECKS_H
#define FINWAIT_LOADGEN_CHECKS_H

#include "loadgen/run.h"
#include "report/result.h"

/* Adds the checks, the segments per connection, and what TIME_WAIT is and should be. Returns 0 or
 * -ENOMEM. */
int checks_add(struct result *result, const struct run *run);

#endif
