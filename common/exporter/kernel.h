/* What a watch knows, as metrics: states, the kernel's counters, TIME_WAIT; for every program that
 * watches.
 *
 * Layer: exporter (L2). Pure functions of plain data. */
#ifndef FINWAIT_EXPORTER_KERNEL_H
#define FINWAIT_EXPORTER_KERNEL_H

#include "report/openmetrics.h"
#include "tcpstat/watch.h"

/* Adds finwait_build_info with the version. */
void exporter_add_build(struct openmetrics *out);

/* Adds the states and what their count cost; `age_ns` is the census's. Nothing before the first
 * census. */
void exporter_add_census(struct openmetrics *out, const struct watch_census *census,
                         uint64_t censuses, uint64_t age_ns);

/* Adds every counter and gauge of a tick. */
void exporter_add_kernel(struct openmetrics *out, const uint64_t values[WATCH_FIELD_COUNT]);

#endif
