#include "stat/live_view.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "stat/canvas.h"
#include "stat/display.h"
#include "stat/screen.h"
#include "stat/view.h"

/* Frames without a terminal have the size of the oldest one. */
#define FRAME_ROWS 24
#define FRAME_COLUMNS 80

struct live_view {
    struct sink sink; /* first: a pointer to it is a pointer to this */
    const struct sample_head *head;
    struct screen *screen; /* NULL: frames of text */
    struct canvas canvas;
    struct view_options options;
    bool keys_ended;
    bool has_sample;
    struct sample shown; /* what is on the screen, and the one before it */
    struct sample before;
};

static void draw(struct live_view *view)
{
    if (!view->has_sample) {
        return;
    }
    view_draw(&view->canvas, view->head, &view->shown, &view->before, &view->options);
    if (view->screen != NULL) {
        screen_show(view->screen, &view->canvas);
        return;
    }
    canvas_write_text(&view->canvas, stdout);
    fputc('\n', stdout);
    fflush(stdout); /* main tells whether it went well */
}

static int view_take(struct sink *base, const struct sample *now, const struct sample *before,
                     struct failure *failure)
{
    struct live_view *view = (struct live_view *)base;
    (void)failure;
    if (view->options.is_paused) {
        return 0;
    }
    sample_copy(&view->shown, now);
    view->before = *before;
    view->has_sample = true;
    draw(view);
    return 0;
}

static void close_screen(struct live_view *view)
{
    screen_close(view->screen);
    view->screen = NULL;
}

/* Leaves the last word on TIME_WAIT where the shell's prompt comes back. */
static int view_end(struct sink *base, const struct sample_end *end, struct failure *failure)
{
    struct live_view *view = (struct live_view *)base;
    (void)end;
    (void)failure;
    close_screen(view);
    if (view->has_sample) {
        display_print_time_wait(&view->shown.time_wait, stdout);
        display_print_ports(view->head, &view->shown, stdout);
        fflush(stdout);
    }
    return 0;
}

static void view_close(struct sink *base)
{
    struct live_view *view = (struct live_view *)base;
    close_screen(view);
    canvas_free(&view->canvas);
    free(view);
}

static const struct sink_ops view_ops = {
    .take = view_take,
    .end = view_end,
    .close = view_close,
};

struct sink *live_view_sink(struct live_view *view)
{
    return &view->sink;
}

int live_view_key_fd(const struct live_view *view)
{
    return view->screen == NULL || view->keys_ended ? -1 : screen_key_fd(view->screen);
}

void live_view_resize(struct live_view *view)
{
    if (view->screen == NULL) {
        return;
    }
    int rows;
    int columns;
    screen_size(view->screen, &rows, &columns);
    if (canvas_resize(&view->canvas, rows, columns) == 0) {
        draw(view);
    }
}

static void take_key(struct live_view *view, char key, struct live_view_keys *keys)
{
    switch (key) {
    case 'q':
    case 'Q':
        keys->quit = true;
        break;
    case 'p':
    case ' ':
        view->options.is_paused = !view->options.is_paused;
        keys->pause_changed = true;
        break;
    case 's':
        view->options.sort = (enum view_sort)(((int)view->options.sort + 1) % VIEW_SORT_COUNT);
        break;
    case 'h':
    case '?':
        view->options.shows_help = !view->options.shows_help;
        break;
    default:
        break; /* no key of ours */
    }
}

struct live_view_keys live_view_take_keys(struct live_view *view)
{
    struct live_view_keys keys = {0};
    char bytes[64];
    const ssize_t count = read(live_view_key_fd(view), bytes, sizeof(bytes));
    if (count <= 0) {
        /* The terminal hung up: its signal comes too, and ends the session. */
        view->keys_ended = true;
        return keys;
    }
    for (ssize_t i = 0; i < count; i++) {
        take_key(view, bytes[i], &keys);
    }
    keys.paused = view->options.is_paused;
    draw(view);
    return keys;
}

static int open_screen(struct live_view *view, struct failure *failure)
{
    int rows = FRAME_ROWS;
    int columns = FRAME_COLUMNS;
    if (isatty(STDOUT_FILENO)) {
        const int error = screen_open(&view->screen, failure);
        if (error < 0) {
            return error;
        }
        screen_size(view->screen, &rows, &columns);
        view->options.takes_keys = screen_key_fd(view->screen) >= 0;
    }
    if (canvas_resize(&view->canvas, rows, columns) < 0) {
        return failure_set(failure, ENOMEM, "no memory for the screen");
    }
    return 0;
}

int live_view_open(struct live_view **view, const struct stat_settings *settings,
                   const struct sample_head *head, struct failure *failure)
{
    struct live_view *made = calloc(1, sizeof(*made));
    if (made == NULL) {
        return failure_set(failure, ENOMEM, "no memory for the screen");
    }
    made->sink.ops = &view_ops;
    made->head = head;
    made->options.is_replay = settings->options->replay != NULL;
    const int error = open_screen(made, failure);
    if (error < 0) {
        view_close(&made->sink);
        return error;
    }
    *view = made;
    return 0;
}
