/* Measure: a cell's reports and readings as numbers with names.
 *
 * Layer: bench/lab. Pure. What is not known is NaN. */
#ifndef FINWAIT_BENCH_LAB_MEASURE_H
#define FINWAIT_BENCH_LAB_MEASURE_H

#include "cell.h"

enum measure {
#define MEASURE(name, key, help) MEASURE_##name,
#include "measures.def"
#undef MEASURE
    MEASURE_COUNT
};

struct measures {
    double values[MEASURE_COUNT];
};

/* The measure's key in reports. */
const char *measure_key(enum measure measure);

/* Sums the connections that a load generator's series says were completed in a stretch of a run, in
 * seconds; NaN when the series covers less than half of it. */
double measure_completed(const json_t *report, double from_sec, double until_sec);

/* Computes what one trial measured. Requires both reports. */
void measure_trial(struct measures *measures, const struct cell_spec *spec,
                   const struct cell_result *result);

/* Computes the memory of one connection from a cell that held some; NaN when it is not known. */
double measure_held_bytes(const struct cell_spec *spec, const struct cell_result *result);

#endif
