/* The two ways in which finwait-stat runs.
 *
 * Layer: program finwait-stat (L5). Both return the exit code, or -errno with the failure's text
 * set, which main prints. */
#ifndef FINWAIT_STAT_RUN_H
#define FINWAIT_STAT_RUN_H

#include "base/failure.h"
#include "stat/options.h"

/* Counts once. */
int run_once(const struct stat_settings *settings, struct failure *failure);

/* Shows a line per interval until the count is reached or SIGINT or SIGTERM comes, then a last one.
 * Must be called by a process with one thread, since it blocks these signals for all to come. */
int run_live(const struct stat_settings *settings, struct failure *failure);

#endif
