/* CSV rows of samples: pure functions of the numbers.
 *
 * Layer: program finwait-stat (L5). Text goes to a FILE of the caller's. */
#ifndef FINWAIT_STAT_CSV_H
#define FINWAIT_STAT_CSV_H

#include <stdio.h>

#include "stat/sample.h"

/* Prints the names of the columns, with a newline; `owners` is how many owners have columns. */
void csv_print_header(uint32_t owners, FILE *out);

/* What rows are printed by. */
struct csv_format {
    uint32_t owners;
    uint64_t first[WATCH_FIELD_COUNT]; /* totals are given as their rise since */
};

/* Prints a sample as a row. */
void csv_print_row(const struct sample *sample, const struct csv_format *format, FILE *out);

#endif
