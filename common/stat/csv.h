/* CSV rows of samples: pure functions of the numbers.
 *
 * Layer: program finwait-stat (L5). Text goes to a FILE of the caller's. */
#ifndef FINWAIT_STAT_CSV_H
#define FINWAIT_STAT_CSV_H

#include <stdio.h>

#include "stat/sample.h"

/* Prints the names of the columns, with a newline. */
void csv_print_header(FILE *out);

/* Prints a sample as a row, its totals as their rise since `first`. */
void csv_print_row(const struct sample *sample, const uint64_t first[WATCH_FIELD_COUNT], FILE *out);

#endif
