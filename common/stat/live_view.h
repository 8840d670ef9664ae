/* The live view: a sink that shows the newest sample on a screen and takes keys; without a terminal
 * it prints each as a frame of text.
 *
 * Layer: program finwait-stat (L5). Owner: the session. */
#ifndef FINWAIT_STAT_LIVE_VIEW_H
#define FINWAIT_STAT_LIVE_VIEW_H

#include <stdbool.h>

#include "base/failure.h"
#include "stat/options.h"
#include "stat/sample.h"
#include "stat/sink.h"

struct live_view;

/* What the keys that came meant. */
struct live_view_keys {
    bool quit;
    bool pause_changed;
    bool paused;
};

/* Opens it. Settings and head are borrowed until it is closed. Returns 0, -ENOTTY when stdout is a
 * terminal that cannot be driven, or -errno, with the text set. */
int live_view_open(struct live_view **view, const struct stat_settings *settings,
                   const struct sample_head *head, struct failure *failure);

/* The view as the session's sink, which closes it. */
struct sink *live_view_sink(struct live_view *view);

/* The descriptor that keys come from, or -1. */
int live_view_key_fd(const struct live_view *view);

/* Reads the keys that are there, and draws what they change. */
struct live_view_keys live_view_take_keys(struct live_view *view);

/* Fits the terminal's new size. */
void live_view_resize(struct live_view *view);

#endif
