/* The observer: exact transitions and owners, read in a thread of its own, since a walk over all
 * sockets and processes may take seconds.
 *
 * Layer: program finwait-stat (L5). It is opened by the main thread, in the namespace to watch, and
 * keeps its walks to half of the budget; what it costs counts as the process's. What this machine
 * cannot tell is said in words once. */
#ifndef FINWAIT_STAT_OBSERVER_H
#define FINWAIT_STAT_OBSERVER_H

#include "base/failure.h"
#include "stat/options.h"
#include "stat/sample.h"

struct observer;

/* Opens and starts it; `head` gets what it groups by, and what is missing. Settings are borrowed.
 * Returns 0 or -errno with the text set. */
int observer_open(struct observer **observer, const struct stat_settings *settings,
                  struct sample_head *head, struct failure *failure);

/* Adds what it knows to a sample, whose time counts from `origin_ns` of clock_now_ns. */
void observer_add(struct observer *observer, uint64_t origin_ns, struct sample *sample);

/* Ends the thread; waits for a walk under way. NULL is allowed. */
void observer_close(struct observer *observer);

#endif
