/* The observer: exact transitions, and owners by walks over all sockets.
 *
 * Layer: program finwait-stat (L5). It is opened by the main thread, in the namespace to watch, and
 * has no thread of its own: a walk is made in the watch's census thread and from its budget, the
 * matrix is read by whoever makes samples. What this machine cannot tell is said in words once. */
#ifndef FINWAIT_STAT_OBSERVER_H
#define FINWAIT_STAT_OBSERVER_H

#include "base/failure.h"
#include "stat/options.h"
#include "stat/sample.h"

struct observer;

/* Opens it; `head` gets what it groups by, and what is missing. Settings are borrowed. Returns 0 or
 * -errno with the text set. */
int observer_open(struct observer **observer, const struct stat_settings *settings,
                  struct sample_head *head, struct failure *failure);

/* Opens the census of a filter by owner, which is a walk; it is to be closed before the observer.
 * NULL: the filter has none, and walks are made apart. Returns 0 or -errno with the text set. */
int observer_open_census(struct observer *observer, struct census **census,
                         struct failure *failure);

/* Tells whether owners are wanted by walks apart from the census. */
bool observer_walks(const struct observer *observer);

/* Walks over all sockets once; any thread, one at a time. */
void observer_walk(struct observer *observer);

/* To be called around each census, as watch.h says: keeps what a census is carried on from. */
void observer_note_census(struct observer *observer, const struct tcp_state_counts *counted);

/* Reads the matrix, and adds it and what the last walk found to a sample, whose time counts from
 * `origin_ns` of clock_now_ns and whose counters are there; carries the last census on to it. */
void observer_add(struct observer *observer, uint64_t origin_ns, struct sample *sample);

/* NULL is allowed. */
void observer_close(struct observer *observer);

#endif
