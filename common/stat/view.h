/* The view: a sample drawn on a canvas, at any size from 80x24 on (and clipped below).
 *
 * Layer: program finwait-stat (L5). Pure functions; what keys chose comes in as options. */
#ifndef FINWAIT_STAT_VIEW_H
#define FINWAIT_STAT_VIEW_H

#include <stdbool.h>

#include "stat/canvas.h"
#include "stat/sample.h"

/* The order of listeners and owners. */
enum view_sort {
    VIEW_SORT_MOST,      /* fullest queues; most sockets */
    VIEW_SORT_TIME_WAIT, /* most drops; most TIME_WAIT */
    VIEW_SORT_NAME,      /* by port; by name */
};

#define VIEW_SORT_COUNT 3

struct view_options {
    enum view_sort sort;
    bool is_paused;
    bool is_replay;
    bool shows_help;
    bool takes_keys;
};

/* Draws over the whole canvas. `before` is an earlier sample for the rates, or the same. */
void view_draw(struct canvas *canvas, const struct sample_head *head, const struct sample *now,
               const struct sample *before, const struct view_options *options);

#endif
