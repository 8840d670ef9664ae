/* The rows of transitions by port. */
#include "base/clock.h"
#include "stat/display.h"
#include "stat/view_parts.h"

/* A count that fell was put together by hand, in a recording. */
static double rate(uint64_t now, uint64_t before, uint64_t span_ns)
{
    return span_ns == 0 || now < before
               ? 0
               : (double)(now - before) * (double)NS_PER_SEC / (double)span_ns;
}

/* Draws what the sockets of a port did since `before`, and how long they were ESTABLISHED so far;
 * NULL: it was not known then, since nothing had happened there. */
static void draw_port(const struct drawing *drawing, struct area area, const char *name,
                      const struct sample_port *now, const struct sample_port *before)
{
    const struct sample_lasted *open = &now->lasted[TCP_STATE_ESTABLISHED];
    const uint64_t times_ns[3] = {open->p50_ns, open->p99_ns, open->max_ns};
    const uint64_t span_ns = drawing->now->transitions_ns - drawing->before->transitions_ns;
    const uint64_t opened = before == NULL ? 0 : sample_port_opened(before);
    const uint64_t ended = before == NULL ? 0 : sample_port_ended(before);
    char in[NUMBER_MAX];
    char out[NUMBER_MAX];
    char times[3][DURATION_MAX] = {"-", "-", "-"};
    for (int i = 0; open->count > 0 && i < 3; i++) {
        display_format_duration(times_ns[i], times[i], sizeof(times[i]));
    }
    canvas_print(drawing->canvas, place(area.row, area.column, area.columns, CANVAS_PLAIN),
                 "%-24s %9s %9s %9s %9s %9s", name,
                 format_rate(true, rate(sample_port_opened(now), opened, span_ns), in),
                 format_rate(true, rate(sample_port_ended(now), ended, span_ns), out), times[0],
                 times[1], times[2]);
}

/* Says beside the title how many ports of all have a row. */
static void draw_title(const struct drawing *drawing, struct area area, uint32_t shown)
{
    char title[SAMPLE_METHOD_MAX + 2 * NUMBER_MAX];
    const uint32_t all = drawing->now->port_count;
    int length = snprintf(title, sizeof(title), "by %s", drawing->head->ports_by);
    if (shown < all) {
        snprintf(title + length, sizeof(title) - (size_t)length, ", %u of %u", shown, all);
    }
    canvas_print(drawing->canvas, place(area.row, area.column, area.columns, CANVAS_HEAD),
                 "%-24s %9s %9s %9s %9s %9s%*s", title, "opened/s", "ended/s", "ESTAB p50", "p99",
                 "max", area.columns, "");
}

int view_wanted_ports(const struct sample *now)
{
    const bool has_rest = now->has_ports && sample_step_sum(&now->port_rest.transitions) > 0;
    return now->has_ports ? 1 + (int)now->port_count + has_rest : 0;
}

void view_draw_ports(const struct drawing *drawing, struct area area)
{
    const struct sample *now = drawing->now;
    const struct sample *before = drawing->before;
    const struct sample_port *order[SAMPLE_PORTS_MAX];
    if (area.rows < 2 || !now->has_ports) {
        return;
    }
    struct area row = {area.row + 1, area.column, 1, area.columns};
    const uint32_t room = (uint32_t)area.rows - 1;
    const uint32_t most = drawing->options->sort == VIEW_SORT_NAME ? SAMPLE_PORTS_MAX : room;
    const uint32_t ranked = sample_rank_ports(now, most, order);
    const uint32_t count = ranked < room ? ranked : room;
    draw_title(drawing, area, count);
    for (uint32_t i = 0; i < count; i++) {
        char name[8];
        snprintf(name, sizeof(name), "%u", order[i]->port);
        draw_port(drawing, row, name, order[i], sample_find_port(before, order[i]->port));
        row.row++;
    }
    if (row.row < area.row + area.rows && view_wanted_ports(now) > (int)count + 1) {
        draw_port(drawing, row, "other ports", &now->port_rest,
                  before->has_ports ? &before->port_rest : NULL);
    }
}
