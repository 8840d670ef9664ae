/* Table: the demo's rows as a person reads them. Layer: bench/lab; pure but for the stream. */
#ifndef FINWAIT_BENCH_LAB_TABLE_H
#define FINWAIT_BENCH_LAB_TABLE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "cell.h"

/* How many TIME_WAIT the closing table expects on each side, from completed connections; NaN where
 * it cannot tell the side. */
struct table_expected {
    double client;
    double server;
    double both_min; /* of the two sides together */
    double both_max;
};

/* Computes the expectation for `completed` connections by who closed and how: the closer has them
 * all for "fin", "close" and "half", nobody has any for "rst" and "fin-no-timewait". Where both
 * close, each connection leaves one at the end whose FIN was first, or two when the FINs crossed.
 * Canned segments leave none. */
struct table_expected table_expect(const struct cell_spec *spec, uint64_t completed);

/* Gives the TIME_WAIT at one end of a cell: the kernel's as they were counted in its namespace, a
 * stack's as its program's report tells them; NaN when it is not known. */
double table_time_wait(const struct cell_spec *spec, const struct cell_result *result,
                       bool at_client);

/* Tells whether a cell's TIME_WAIT are where they were expected, to the unit. */
bool table_as_expected(const struct cell_spec *spec, const struct cell_result *result);

/* Finds a number by its path of keys ("latency/connect/from_start/p50"); NaN when it is null or not
 * there. */
double table_number(const json_t *root, const char *path);

void table_print_head(FILE *out);
void table_print_row(FILE *out, const struct cell_spec *spec, const struct cell_result *result);

/* Prints, a line each, what a row cannot show: why it failed, its limits, states that differ. */
void table_print_notes(FILE *out, const struct cell_spec *spec, const struct cell_result *result);

/* Prints what the columns mean. */
void table_print_legend(FILE *out);

#endif
