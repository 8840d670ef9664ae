/* A sample as metrics: a pure function into a buffer.
 *
 * Layer: program finwait-stat (L5). */
#ifndef FINWAIT_STAT_METRICS_H
#define FINWAIT_STAT_METRICS_H

#include "report/openmetrics.h"
#include "stat/sample.h"

/* Adds everything that a sample knows. */
void metrics_fill(struct openmetrics *out, const struct sample_head *head,
                  const struct sample *sample);

#endif
