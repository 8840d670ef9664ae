/* A session: one feed's samples go to all sinks until a signal, a key, the count or the feed ends
 * it.
 *
 * Layer: program finwait-stat (L5). */
#ifndef FINWAIT_STAT_SESSION_H
#define FINWAIT_STAT_SESSION_H

#include "base/failure.h"
#include "stat/options.h"

/* Runs it: lines or a screen, and whatever files and metrics were asked for. Must be called by a
 * process with one thread, since it blocks signals for all to come. Returns 0, or -errno with the
 * failure's text set: -EINVAL when what was asked for cannot be. */
int run_session(const struct stat_settings *settings, struct failure *failure);

#endif
