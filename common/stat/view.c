/* From the top: title, census, states, TIME_WAIT, drops; from the bottom: keys, warnings; listeners
 * and owners share what lies between, side by side where the terminal is wide. */
#include "stat/view.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "stat/display.h"
#include "stat/view_parts.h"

#define WIDE_COLUMNS 120
#define NAME_WIDTH 12
#define NUMBER_WIDTH 9
#define BAR_COLUMN (NAME_WIDTH + 4 * (NUMBER_WIDTH + 1) + 2)
#define NOTE_ROWS_MAX 6
#define MISSING_TWO_ROWS_FROM 30 /* rows of a terminal in which what is missing may take two */

/* A stack has no kernel, and does not tell of its listeners one by one. */
static bool has_kernel(const struct drawing *drawing)
{
    return drawing->head->kernel[0] != '\0';
}

static void draw_title(const struct drawing *drawing)
{
    const struct sample *now = drawing->now;
    char interval[DURATION_MAX];
    struct canvas *canvas = drawing->canvas;
    canvas_print(canvas, place(0, 0, 0, CANVAS_TITLE), " finwait-stat   %.1f s, every %s%s%s",
                 (double)now->elapsed_ns / (double)NS_PER_SEC,
                 display_format_duration(drawing->head->interval_ns, interval, sizeof(interval)),
                 drawing->options->is_replay ? "   [replay]" : "",
                 drawing->options->is_paused ? "   [paused]" : "");
    const char *kernel = drawing->head->kernel;
    const char *what = has_kernel(drawing) ? "Linux " : "finwait's stack";
    const int length = (int)(strlen(what) + strlen(kernel)) + 1;
    if (canvas->columns >= WIDE_COLUMNS / 2 + length) {
        canvas_print(canvas, place(0, canvas->columns - length, 0, CANVAS_TITLE), "%s%s", what,
                     kernel);
    }
    canvas_style_row(canvas, 0, CANVAS_TITLE);
}

static void draw_census(const struct drawing *drawing)
{
    const struct sample *now = drawing->now;
    const struct canvas_at at = place(1, 0, 0, CANVAS_DIM);
    if (now->census_count == 0) {
        canvas_print(drawing->canvas, at, "census: %s, none yet", drawing->head->method);
        return;
    }
    char age[DURATION_MAX];
    char cost[DURATION_MAX];
    char spacing[DURATION_MAX] = "-";
    char wall[DURATION_MAX];
    char took[DURATION_MAX + NUMBER_MAX] = "";
    const bool is_wide = drawing->canvas->columns >= WIDE_COLUMNS;
    display_format_duration(now->census_age_ns, age, sizeof(age));
    display_format_duration(now->census.stamp.cpu_ns, cost, sizeof(cost));
    if (now->census_every_ns > 0) {
        display_format_duration(now->census_every_ns, spacing, sizeof(spacing));
    }
    if (is_wide) {
        snprintf(took, sizeof(took), " in %s",
                 display_format_duration(now->census.stamp.wall_ns, wall, sizeof(wall)));
    }
    canvas_print(drawing->canvas, at, "census: %s, %s old, %s of CPU%s, every %s, budget %u.%u%%%s",
                 drawing->head->method, age, cost, took, spacing,
                 drawing->head->budget_permille / 10, drawing->head->budget_permille % 10,
                 now->census.stamp.stability != CENSUS_CHANGED ? ""
                 : is_wide                                     ? "; sockets moved meanwhile"
                                                               : "; it moved");
}

static uint64_t state_count(const struct sample *now, enum tcp_state state)
{
    return now->has_present ? now->present.n[state] : now->census.total.n[state];
}

/* Tells whether the counts are those of the moment, or as old as the census. */
static bool counts_are_new(const struct drawing *drawing)
{
    return drawing->now->has_present || drawing->now->census_age_ns <= drawing->head->interval_ns;
}

static uint64_t most_sockets(const struct sample *now)
{
    uint64_t most = 1;
    for (int i = 0; i < SAMPLE_STATE_COUNT; i++) {
        const uint64_t count = state_count(now, sample_state_order[i]);
        most = count > most ? count : most;
    }
    return most;
}

static void draw_state(const struct drawing *drawing, int row, enum tcp_state state, uint64_t most)
{
    struct canvas *canvas = drawing->canvas;
    const struct sample *now = drawing->now;
    const struct sample_flow flow = sample_state_flow(now, drawing->before, state);
    char count[NUMBER_MAX] = "-";
    char in[NUMBER_MAX];
    char out[NUMBER_MAX];
    char oldest[DURATION_MAX] = "-";
    if (now->census_count > 0) {
        format_count(state_count(now, state), count);
    }
    if (now->oldest_ns[state] > 0) {
        display_format_duration(now->oldest_ns[state], oldest, sizeof(oldest));
    }
    canvas_print(canvas, place(row, 0, BAR_COLUMN, CANVAS_PLAIN), "%-*s %*s %*s %*s %*s",
                 NAME_WIDTH, tcp_state_name(state), NUMBER_WIDTH, count, NUMBER_WIDTH,
                 format_rate(flow.has_in, flow.in_per_sec, in), NUMBER_WIDTH,
                 format_rate(flow.has_out, flow.out_per_sec, out), NUMBER_WIDTH, oldest);
    canvas_bar(canvas, place(row, BAR_COLUMN, canvas->columns - BAR_COLUMN - 1, CANVAS_BAR),
               (double)state_count(now, state) / (double)most);
}

/* Draws the states from a row on; returns the row behind them. */
static int draw_states(const struct drawing *drawing, int row)
{
    canvas_print(drawing->canvas, place(row, 0, 0, CANVAS_HEAD), "%-*s %*s %*s %*s %*s", NAME_WIDTH,
                 "state", NUMBER_WIDTH, counts_are_new(drawing) ? "now" : "counted", NUMBER_WIDTH,
                 "in/s", NUMBER_WIDTH, "out/s", NUMBER_WIDTH, "oldest");
    canvas_style_row(drawing->canvas, row, CANVAS_HEAD);
    const uint64_t most = most_sockets(drawing->now);
    int at = row + 1;
    for (int i = 0; i < SAMPLE_STATE_COUNT; i++) {
        const enum tcp_state state = sample_state_order[i];
        if (state == TCP_STATE_CLOSED && state_count(drawing->now, state) == 0) {
            continue; /* Linux lists no such sockets */
        }
        draw_state(drawing, at++, state, most);
    }
    return at;
}

static int draw_time_wait(const struct drawing *drawing, int row)
{
    const struct timewait_estimate *estimate = &drawing->now->time_wait;
    const uint64_t time_wait_max = drawing->head->time_wait_max;
    char live[NUMBER_MAX];
    char max[NUMBER_MAX];
    char reused[NUMBER_MAX];
    char overflow[NUMBER_MAX];
    canvas_print(
        drawing->canvas, place(row, 0, 0, CANVAS_PLAIN),
        "TIME_WAIT %s%s%s, reused %s/s, overflow %s/s",
        format_count(drawing->now->values[WATCH_time_wait], live),
        time_wait_max > 0 ? " of at most " : "",
        time_wait_max > 0 ? format_count(time_wait_max, max) : "",
        format_rate(true,
                    sample_rise_per_sec(drawing->now, drawing->before, WATCH_time_wait_recycled),
                    reused),
        format_rate(true,
                    sample_rise_per_sec(drawing->now, drawing->before, WATCH_time_wait_overflows),
                    overflow));
    char plateau[NUMBER_MAX];
    char came[NUMBER_MAX * 2] = "";
    if (estimate->at_plateau) {
        snprintf(came, sizeof(came), "; came %.0f (%+.2f%%)", estimate->plateau_measured,
                 estimate->plateau_error * 100);
    }
    canvas_print(
        drawing->canvas, place(row + 1, 0, 0, CANVAS_PLAIN),
        "forecast  %s at %.0f/s for %.2f s (%s)%s%s", format_count(estimate->plateau, plateau),
        estimate->made_per_sec, (double)estimate->lifetime_ns / (double)NS_PER_SEC,
        display_lifetime_basis(estimate), estimate->plateau_is_capped ? ", capped" : "", came);
    return row + 2;
}

#define DROPS_SHOWN 6

/* Two columns apart, or one where the line would else be too long. */
static int draw_drops(const struct drawing *drawing, int row)
{
    static const struct {
        const char *name;
        enum watch_field field;
        bool is_drop;
    } shown[DROPS_SHOWN] = {
        {"per s: drops", WATCH_listen_drops, true}, {"overflows", WATCH_listen_overflows, true},
        {"SYN queue", WATCH_syn_queue_drops, true}, {"cookies", WATCH_syn_queue_cookies, true},
        {"retrans", WATCH_retrans_segs, false},     {"resets", WATCH_out_rsts, false},
    };
    char texts[DROPS_SHOWN][NUMBER_MAX * 2];
    bool warns[DROPS_SHOWN];
    int length = 2 * (DROPS_SHOWN - 1);
    for (int i = 0; i < DROPS_SHOWN; i++) {
        char rate[NUMBER_MAX];
        const double per_sec = sample_rise_per_sec(drawing->now, drawing->before, shown[i].field);
        warns[i] = per_sec > 0 && shown[i].is_drop;
        length += snprintf(texts[i], sizeof(texts[i]), "%s %s", shown[i].name,
                           format_rate(true, per_sec, rate));
    }
    const int gap = length <= drawing->canvas->columns ? 2 : 1;
    int column = 0;
    for (int i = 0; i < DROPS_SHOWN; i++) {
        const int width = (int)strlen(texts[i]);
        if (column + width > drawing->canvas->columns) {
            break; /* a number that is cut off would be another one */
        }
        canvas_print(drawing->canvas, place(row, column, 0, warns[i] ? CANVAS_WARN : CANVAS_PLAIN),
                     "%s", texts[i]);
        column += width + gap;
    }
    return row + 1;
}

static int compare_number(uint64_t a, uint64_t b)
{
    return a > b ? -1 : a < b ? 1 : 0;
}

static int compare_drops(const void *a, const void *b)
{
    return compare_number(((const struct tcpstat_listener *)a)->drops,
                          ((const struct tcpstat_listener *)b)->drops);
}

static int compare_port(const void *a, const void *b)
{
    const struct tcpstat_listener *left = a;
    const struct tcpstat_listener *right = b;
    return left->local.port != right->local.port ? left->local.port - right->local.port
                                                 : ip_compare(&left->local.ip, &right->local.ip);
}

static void sort_listeners(struct tcpstat_listener *listeners, uint32_t count, enum view_sort sort)
{
    switch (sort) {
    case VIEW_SORT_MOST:
        return; /* as the feed gives them */
    case VIEW_SORT_TIME_WAIT:
        qsort(listeners, count, sizeof(*listeners), compare_drops);
        return;
    case VIEW_SORT_NAME:
        qsort(listeners, count, sizeof(*listeners), compare_port);
        return;
    }
}

/* Finds what a listener had dropped before; of two with one address, the first is taken. */
static uint64_t drops_before(const struct sample *before, const struct tcpstat_listener *listener)
{
    for (uint32_t i = 0; i < before->listener_count; i++) {
        if (endpoint_equal(&before->listeners[i].local, &listener->local)) {
            return before->listeners[i].drops;
        }
    }
    return listener->drops;
}

static void draw_listener(const struct drawing *drawing, struct area area, int row,
                          const struct tcpstat_listener *listener)
{
    char address[ENDPOINT_TEXT_MAX];
    char backlog[NUMBER_MAX] = "-";
    char drops[NUMBER_MAX] = "-";
    char rate[NUMBER_MAX];
    if (listener->has_backlog) {
        snprintf(backlog, sizeof(backlog), "%u", listener->backlog);
    }
    if (listener->has_drops) {
        snprintf(drops, sizeof(drops), "%" PRIu64, listener->drops);
    }
    const uint64_t before = drops_before(drawing->before, listener);
    const double seconds =
        (double)(drawing->now->elapsed_ns - drawing->before->elapsed_ns) / (double)NS_PER_SEC;
    const double per_sec =
        seconds > 0 && listener->drops > before ? (double)(listener->drops - before) / seconds : 0;
    const bool is_full = listener->has_backlog && listener->queued > listener->backlog;
    canvas_print(drawing->canvas,
                 place(area.row + row, area.column, area.columns,
                       is_full || per_sec > 0 ? CANVAS_WARN : CANVAS_PLAIN),
                 "%-24s %7u %7s %8s %7s", endpoint_format(&listener->local, address),
                 listener->queued, backlog, drops, format_rate(listener->has_drops, per_sec, rate));
}

static void draw_listeners(const struct drawing *drawing, struct area area)
{
    const struct sample *now = drawing->now;
    if (area.rows < 2 || (!has_kernel(drawing) && now->listener_count == 0)) {
        return;
    }
    canvas_print(drawing->canvas, place(area.row, area.column, area.columns, CANVAS_HEAD),
                 "%-24s %7s %7s %8s %7s%*s", "listen queues", "queued", "backlog", "drops",
                 "drops/s", area.columns, "");
    struct tcpstat_listener sorted[SAMPLE_LISTENERS_MAX];
    memcpy(sorted, now->listeners, now->listener_count * sizeof(sorted[0]));
    sort_listeners(sorted, now->listener_count, drawing->options->sort);
    const uint32_t room = (uint32_t)area.rows - 1;
    const uint32_t all = now->listener_count + now->listeners_left_out;
    const uint32_t shown = all <= room
                               ? now->listener_count
                               : (room - 1 < now->listener_count ? room - 1 : now->listener_count);
    for (uint32_t i = 0; i < shown; i++) {
        draw_listener(drawing, area, (int)i + 1, &sorted[i]);
    }
    if (shown < all) {
        canvas_print(drawing->canvas,
                     place(area.row + 1 + (int)shown, area.column, area.columns, CANVAS_DIM),
                     "and %u more", all - shown);
    }
}

static int compare_owner_time_wait(const void *a, const void *b)
{
    return compare_number(((const struct sample_owner *)a)->counts.n[TCP_STATE_TIME_WAIT],
                          ((const struct sample_owner *)b)->counts.n[TCP_STATE_TIME_WAIT]);
}

static int compare_owner_name(const void *a, const void *b)
{
    return strcmp(((const struct sample_owner *)a)->name, ((const struct sample_owner *)b)->name);
}

static void sort_owners(struct sample_owner *owners, uint32_t count, enum view_sort sort)
{
    switch (sort) {
    case VIEW_SORT_MOST:
        return; /* as the feed gives them */
    case VIEW_SORT_TIME_WAIT:
        qsort(owners, count, sizeof(*owners), compare_owner_time_wait);
        return;
    case VIEW_SORT_NAME:
        qsort(owners, count, sizeof(*owners), compare_owner_name);
        return;
    }
}

static void draw_owner(const struct drawing *drawing, struct area area, int row,
                       const struct sample_owner *owner)
{
    char total[NUMBER_MAX];
    char open[NUMBER_MAX];
    char time_wait[NUMBER_MAX];
    char close_wait[NUMBER_MAX];
    const uint64_t *n = owner->counts.n;
    canvas_print(drawing->canvas, place(area.row + row, area.column, area.columns, CANVAS_PLAIN),
                 "%-24.24s %9s %9s %9s %10s", owner->name,
                 format_count(tcp_state_total(&owner->counts), total),
                 format_count(n[TCP_STATE_ESTABLISHED], open),
                 format_count(n[TCP_STATE_TIME_WAIT], time_wait),
                 format_count(n[TCP_STATE_CLOSE_WAIT], close_wait));
}

/* Says when owners will be there, or that they never are. */
static void draw_owners_wait(const struct drawing *drawing, struct area area)
{
    const struct sample *now = drawing->now;
    char wait[DURATION_MAX];
    char text[DURATION_MAX + NUMBER_MAX] = "none yet";
    if (now->owners_in_ns > 0) {
        snprintf(text, sizeof(text), "none yet: --budget allows a walk in %s",
                 display_format_duration(now->owners_in_ns, wait, sizeof(wait)));
    } else if (drawing->head->budget_permille == 0) {
        snprintf(text, sizeof(text), "none: --budget 0%% allows no walk");
    }
    canvas_print(drawing->canvas, place(area.row + 1, area.column, area.columns, CANVAS_DIM), "%s",
                 text);
}

static void draw_owners(const struct drawing *drawing, struct area area)
{
    const struct sample *now = drawing->now;
    if (area.rows < 2 || drawing->head->by[0] == '\0') {
        return;
    }
    char title[NUMBER_MAX + SAMPLE_METHOD_MAX];
    snprintf(title, sizeof(title), "most sockets by %s", drawing->head->by);
    canvas_print(drawing->canvas, place(area.row, area.column, area.columns, CANVAS_HEAD),
                 "%-24s %9s %9s %9s %10s%*s", title, "sockets", "ESTAB", "TIME_WAIT", "CLOSE_WAIT",
                 area.columns, "");
    if (now->owners_cpu_ns == 0) {
        draw_owners_wait(drawing, area);
    }
    struct sample_owner sorted[SAMPLE_OWNERS_MAX];
    memcpy(sorted, now->owners, now->owner_count * sizeof(sorted[0]));
    sort_owners(sorted, now->owner_count, drawing->options->sort);
    const uint32_t room = (uint32_t)area.rows - 1;
    for (uint32_t i = 0; i < now->owner_count && i < room; i++) {
        draw_owner(drawing, area, (int)i + 1, &sorted[i]);
    }
}

/* Counts the rows that a text takes at a width. */
static int rows_of(const char *text, int columns)
{
    struct canvas counted = {.rows = 0, .columns = columns};
    return canvas_print_words(&counted, place(0, 0, columns, CANVAS_PLAIN), NOTE_ROWS_MAX, text);
}

/* Draws the warnings so that they end above `bottom`; returns the first row that they take. */
static int draw_notes(const struct drawing *drawing, int bottom)
{
    const struct sample *now = drawing->now;
    const int columns = drawing->canvas->columns;
    int rows = 0;
    uint32_t count = 0;
    while (count < now->note_count) {
        const int more = rows_of(now->notes[count], columns);
        if (rows + more > NOTE_ROWS_MAX) {
            break;
        }
        rows += more;
        count++;
    }
    int row = bottom - rows;
    for (uint32_t i = 0; i < count; i++) {
        row += canvas_print_words(drawing->canvas, place(row, 0, columns, CANVAS_WARN),
                                  NOTE_ROWS_MAX, now->notes[i]);
    }
    return bottom - rows;
}

static int draw_bottom(const struct drawing *drawing)
{
    static const char *const orders[VIEW_SORT_COUNT] = {"most", "drops, TIME_WAIT", "name"};
    const int last = drawing->canvas->rows - 1;
    int bottom = drawing->canvas->rows;
    if (drawing->options->takes_keys) {
        canvas_print(drawing->canvas, place(last, 0, 0, CANVAS_HEAD),
                     "q quit   p pause   s sort by: %s   h help", orders[drawing->options->sort]);
        canvas_style_row(drawing->canvas, last, CANVAS_HEAD);
        bottom = last;
    }
    return draw_notes(drawing, bottom);
}

/* Tells ports, listeners and owners what they may have of the rows in between. */
static void draw_middle(const struct drawing *drawing, int top, int bottom)
{
    const int wanted_rows = view_wanted_ports(drawing->now);
    const int half_rows = (bottom - top) / 2;
    const int port_rows = wanted_rows < half_rows ? wanted_rows : half_rows;
    if (port_rows >= 2) {
        view_draw_ports(drawing, (struct area){top, 0, port_rows, drawing->canvas->columns});
        top += port_rows;
    }
    const int rows = bottom - top;
    const int columns = drawing->canvas->columns;
    if (drawing->head->by[0] == '\0') {
        draw_listeners(drawing, (struct area){top, 0, rows, columns});
    } else if (columns >= WIDE_COLUMNS) {
        const int half = columns / 2;
        draw_listeners(drawing, (struct area){top, 0, rows, half - 2});
        draw_owners(drawing, (struct area){top, half, rows, columns - half});
    } else {
        const int wanted = (int)drawing->now->listener_count + 1;
        const int half = wanted < rows / 2 ? wanted : rows / 2;
        draw_listeners(drawing, (struct area){top, 0, half, columns});
        draw_owners(drawing, (struct area){top + half, 0, rows - half, columns});
    }
}

static void draw_help(const struct drawing *drawing)
{
    static const char *const lines[] = {
        "q, Ctrl-C   quit",
        "p, space    pause the screen (a replay stops; recording and files go on)",
        "s           sort listeners and owners: most; drops and TIME_WAIT; name",
        "h, ?        this help",
        "",
        "now         sockets in the state: the census, and what exact transitions",
        "            added since; \"counted\": as of the census",
        "in/s out/s  entries and exits a second; - where the kernel does not tell",
        "oldest      the oldest socket's time in the state, by the last walk",
        "census      a full count of all sockets, as often as --budget allows;",
        "            it moved: sockets came or went while it was taken",
        "TIME_WAIT   the kernel's own count of the moment",
        "forecast    rate times lifetime, as measured from what was made and ended",
        "by port     ESTAB p50, p99, max: how long connections of the port that have",
        "            left ESTABLISHED were in it, since the start",
        "queued      connections that wait to be accepted; above the backlog the",
        "            kernel drops what comes",
    };
    for (int i = 0; i < (int)(sizeof(lines) / sizeof(lines[0])); i++) {
        canvas_print(drawing->canvas, place(i + 2, 2, 0, CANVAS_PLAIN), "%s", lines[i]);
    }
}

void view_draw(struct canvas *canvas, const struct sample_head *head, const struct sample *now,
               const struct sample *before, const struct view_options *options)
{
    const struct drawing drawing = {canvas, head, now, before, options};
    canvas_clear(canvas);
    draw_title(&drawing);
    const int bottom = draw_bottom(&drawing);
    if (options->shows_help) {
        draw_help(&drawing);
        return;
    }
    draw_census(&drawing);
    int row = draw_states(&drawing, 2);
    row = draw_time_wait(&drawing, row);
    row = draw_drops(&drawing, row);
    if (head->missing[0] != '\0') {
        const int most = canvas->rows >= MISSING_TWO_ROWS_FROM ? 2 : 1;
        row += canvas_print_words(canvas, place(row, 0, 0, CANVAS_DIM), most, head->missing);
    }
    draw_middle(&drawing, row, bottom);
}
