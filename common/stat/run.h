/* --once.
 *
 * Layer: program finwait-stat (L5). */
#ifndef FINWAIT_STAT_RUN_H
#define FINWAIT_STAT_RUN_H

#include "base/failure.h"
#include "stat/options.h"

/* Counts once and prints a table. Returns 0 or -errno with the failure's text set. */
int run_once(const struct stat_settings *settings, struct failure *failure);

#endif
