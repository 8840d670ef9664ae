/* The command line's filters: from texts to what a census takes, and whether anything can pass.
 *
 * Layer: program finwait-stat (L5). */
#ifndef FINWAIT_STAT_FILTERS_H
#define FINWAIT_STAT_FILTERS_H

#include "stat/options.h"

/* Works the filters of the settings' options out. Returns 0, or -EINVAL with the text set for one
 * that is none, or that no socket can pass; -ENOTSUP where this machine cannot filter so. */
int stat_filters_make(struct stat_settings *settings, struct failure *failure);

#endif
