/* What the simulator prints: one line of totals, and what was never exercised.
 *
 * Layer: tests. Pure functions over totals. */
#ifndef FINWAIT_TESTS_SIM_SUMMARY_H
#define FINWAIT_TESTS_SIM_SUMMARY_H

#include <stdio.h>

#include "sim/sim.h"

/* Prints the totals as one line of key=value. */
void summary_print(const struct totals *totals, FILE *out);

/* Prints how often each state followed each, one a line. */
void summary_matrix(const struct totals *totals, FILE *out);

/* Prints each transition of figure 5, each fault and each event that must be seen and was not, one
 * a line, and returns how many. */
uint32_t summary_gaps(const struct totals *totals, FILE *out);

#endif
