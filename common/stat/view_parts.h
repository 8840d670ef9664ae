/* The view's parts: what the files that draw it share.
 *
 * Layer: program finwait-stat (L5), private to view*.c. */
#ifndef FINWAIT_STAT_VIEW_PARTS_H
#define FINWAIT_STAT_VIEW_PARTS_H

#include <stdio.h>

#include "report/format.h"
#include "stat/view.h"

#define DURATION_MAX 32
#define NUMBER_MAX FORMAT_TEXT_MAX

/* What all parts need. */
struct drawing {
    struct canvas *canvas;
    const struct sample_head *head;
    const struct sample *now;
    const struct sample *before;
    const struct view_options *options;
};

/* A rectangle of the canvas. */
struct area {
    int row;
    int column;
    int rows;
    int columns;
};

static inline struct canvas_at place(int row, int column, int width, enum canvas_style style)
{
    return (struct canvas_at){.row = row, .column = column, .width = width, .style = style};
}

/* Writes a rate: one decimal below 10, none above; "-" where there is none. Returns `text`. */
static inline const char *format_rate(bool is_known, double per_sec, char text[NUMBER_MAX])
{
    if (!is_known) {
        return "-";
    }
    snprintf(text, NUMBER_MAX, "%.*f", per_sec > 0 && per_sec < 9.95 ? 1 : 0, per_sec);
    return text;
}

/* Counts the rows that the ports would take, with their title; 0: there are none. */
int view_wanted_ports(const struct sample *now);

/* Draws what the sockets of each port do, where there is room for a row at least. */
void view_draw_ports(const struct drawing *drawing, struct area area);

#endif
