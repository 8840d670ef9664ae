/* Sinks: what takes samples. One interface for the lines, the screen, CSV, JSON, the recording and
 * the metrics.
 *
 * Layer: program finwait-stat (L5). Owner: the session, which calls them from the main thread. */
#ifndef FINWAIT_STAT_SINK_H
#define FINWAIT_STAT_SINK_H

#include "base/failure.h"
#include "exporter/exporter.h"
#include "stat/options.h"
#include "stat/sample.h"

struct sink;

struct sink_ops {
    /* Takes a sample; `before` is the one before it, or the same for the first. Both are borrowed
     * for the call. Returns 0 or -errno with the text set. */
    int (*take)(struct sink *sink, const struct sample *now, const struct sample *before,
                struct failure *failure);
    /* Takes the end, after the last sample. Returns as `take`. NULL: nothing to do. */
    int (*end)(struct sink *sink, const struct sample_end *end, struct failure *failure);
    /* Frees it, whether it came to an end or not. */
    void (*close)(struct sink *sink);
};

/* The head of every sink's struct. */
struct sink {
    const struct sink_ops *ops;
};

/* The constructors. Each borrows settings and head until it is closed, and returns 0 or -errno with
 * the text set. */
int sink_open_lines(struct sink **sink, const struct sample_head *head, struct failure *failure);
int sink_open_csv(struct sink **sink, const struct stat_settings *settings,
                  const struct sample_head *head, struct failure *failure);
int sink_open_json(struct sink **sink, const struct stat_settings *settings,
                   const struct sample_head *head, struct failure *failure);
int sink_open_record(struct sink **sink, const struct stat_settings *settings,
                     const struct sample_head *head, struct failure *failure);

/* Gives the newest sample to whoever scrapes it; owns the exporter once it was opened. */
int sink_open_metrics(struct sink **sink, const struct sample_head *head, struct exporter *exporter,
                      struct failure *failure);

#endif
