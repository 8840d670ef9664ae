/* Checks of a run on the stack: the generator's counts against the stack's own.
 *
 * Layer: loadgen (L5); the main thread, after the run. The kernel of the namespace saw none of the
 * run's connections, so what it counts is left out. The stack's counters are another account than
 * the generator's: TCP makes them, segment by segment. */
#ifndef FINWAIT_LOADGEN_CHECKS_STACK_H
#define FINWAIT_LOADGEN_CHECKS_STACK_H

#include "loadgen/run.h"
#include "report/result.h"

/* Adds the checks, the segments per connection, and what TIME_WAIT is and should be. Returns 0 or
 * -ENOMEM. Requires a run with a board. */
int checks_stack_add(struct result *result, const struct run *run);

#endif
