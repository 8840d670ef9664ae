/* The generator's report: what workers, kernel and machine counted, as the result that all programs share.
 *
 * Layer: loadgen (L5); the main thread, after the run. */
#ifndef FINWAIT_LOADGEN_REPORT_H
#define FINWAIT_LOADGEN_REPORT_H

#include "base/failure.h"
#include "loadgen/run.h"
#include "report/report.h"

/* Fills an initialised result with all that a run has to say, its verdict included. The result borrows the
 * run's histograms. Returns 0 or -ENOMEM. */
int report_fill(struct result *result, const struct run *run);

#endif
