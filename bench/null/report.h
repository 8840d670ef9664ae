/* Report: what all workers of a null stack counted, as JSON.
 *
 * Layer: bench/null. Reads workers that have ended. */
#ifndef FINWAIT_BENCH_NULL_REPORT_H
#define FINWAIT_BENCH_NULL_REPORT_H

#include <jansson.h>

#include "bench/null/worker.h"

/* Makes an empty sum of a role's workers over a link, named as on the command line. The caller ends
 * it with json_decref; NULL without memory. */
json_t *null_report_make(const char *role, const char *link);

/* Adds one worker. */
void null_report_add(json_t *report, const struct null_worker *worker);

#endif
