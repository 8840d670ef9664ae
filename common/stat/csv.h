/* CSV rows of samples: pure functions of the numbers.
 *
 * Layer: program finwait-stat (L5). Text goes to a FILE of the caller's. */
#ifndef FINWAIT_STAT_CSV_H
#define FINWAIT_STAT_CSV_H

#include <stdio.h>

#include "stat/sample.h"

/* What rows are printed by. */
struct csv_format {
    uint32_t owners; /* so many have columns */
    uint32_t ports;  /* likewise, and the rest; 0: transitions are not told apart by port */
    uint64_t first[WATCH_FIELD_COUNT]; /* totals are given as their rise since */
};

/* Prints the names of the columns, with a newline. */
void csv_print_header(const struct csv_format *format, FILE *out);

/* Prints a sample as a row. */
void csv_print_row(const struct sample *sample, const struct csv_format *format, FILE *out);

#endif
