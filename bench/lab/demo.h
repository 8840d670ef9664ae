/* The demo: every engine and three ways of closing, each in fresh namespaces, as one table.
 *
 * Layer: bench/lab. */
#ifndef FINWAIT_BENCH_LAB_DEMO_H
#define FINWAIT_BENCH_LAB_DEMO_H

#include "keeper.h"
#include "options.h"

/* Runs and prints all; returns the exit code. */
int demo_run(struct keeper *keeper, const struct demo_options *options);

#endif
