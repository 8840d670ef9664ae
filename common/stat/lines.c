/* The plain output: a line per sample, for logs and pipes. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "stat/display.h"
#include "stat/notes.h"
#include "stat/sink.h"

struct lines_sink {
    struct sink sink; /* first: a pointer to it is a pointer to this */
    const struct sample_head *head;
    struct display display;
    struct sample last;
    struct notes notes;
    uint64_t taken;
};

/* Says each warning once, when it comes. To the standard error, so that columns stay columns. */
static void print_notes(struct lines_sink *lines, const struct sample *now)
{
    const uint32_t new_ones = notes_add(&lines->notes, now);
    for (uint32_t i = 0; i < now->note_count; i++) {
        if ((new_ones >> i & 1) != 0) {
            fprintf(stderr, "%7.1fs %s\n", (double)now->elapsed_ns / (double)NS_PER_SEC,
                    now->notes[i]);
        }
    }
}

static int lines_take(struct sink *base, const struct sample *now, const struct sample *before,
                      struct failure *failure)
{
    struct lines_sink *lines = (struct lines_sink *)base;
    (void)failure;
    sample_copy(&lines->last, now);
    if (lines->taken++ == 0) {
        return 0; /* the others' rates are from here on */
    }
    const struct display_line line = {
        .elapsed_ns = now->elapsed_ns,
        .has_census = now->census_count > 0,
        .counts = now->census.total,
        .age_ns = now->census_age_ns,
        .cost_ns = now->census.stamp.cpu_ns,
        .every_ns = now->census_every_ns,
        .time_wait_live = now->values[WATCH_time_wait],
        .time_wait_made_per_sec = sample_state_flow(now, before, TCP_STATE_TIME_WAIT).in_per_sec,
        .listen_drops_per_sec = sample_rise_per_sec(now, before, WATCH_listen_drops),
    };
    display_print_line(&lines->display, &line, stdout);
    print_notes(lines, now);
    fflush(stdout); /* main tells whether it went well */
    return 0;
}

static int lines_end(struct sink *base, const struct sample_end *end, struct failure *failure)
{
    const struct lines_sink *lines = (struct lines_sink *)base;
    (void)end;
    (void)failure;
    if (lines->taken > 0) {
        display_print_time_wait(&lines->last.time_wait, stdout);
        display_print_ports(lines->head, &lines->last, stdout);
        fflush(stdout);
    }
    return 0;
}

static void lines_close(struct sink *base)
{
    free(base);
}

static const struct sink_ops lines_ops = {
    .take = lines_take,
    .end = lines_end,
    .close = lines_close,
};

int sink_open_lines(struct sink **sink, const struct sample_head *head, struct failure *failure)
{
    struct lines_sink *made = calloc(1, sizeof(*made));
    if (made == NULL) {
        return failure_set(failure, ENOMEM, "no memory for the lines");
    }
    made->sink.ops = &lines_ops;
    made->head = head;
    if (head->missing[0] != '\0') {
        display_print_method(head->method, head->missing, stderr);
    }
    *sink = &made->sink;
    return 0;
}
