/* The rows of transitions by port. */
#include "base/clock.h"
#include "stat/display.h"
#include "stat/view_parts.h"

/* Draws what the sockets of a port did since `before`, and how long they were ESTABLISHED so far.
 */
static void draw_port(const struct drawing *drawing, struct area area, const char *name,
                      const struct sample_port *now, const struct sample_port *before)
{
    const struct sample_lasted *open = &now->lasted[TCP_STATE_ESTABLISHED];
    const uint64_t times_ns[3] = {open->p50_ns, open->p99_ns, open->max_ns};
    const uint64_t span_ns = drawing->now->transitions_ns - drawing->before->transitions_ns;
    const double per = span_ns == 0 ? 0 : (double)NS_PER_SEC / (double)span_ns;
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
                 format_rate(true, (double)(sample_port_opened(now) - opened) * per, in),
                 format_rate(true, (double)(sample_port_ended(now) - ended) * per, out), times[0],
                 times[1], times[2]);
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
    char title[NUMBER_MAX + SAMPLE_METHOD_MAX];
    snprintf(title, sizeof(title), "transitions by %s", drawing->head->ports_by);
    canvas_print(drawing->canvas, place(area.row, area.column, area.columns, CANVAS_HEAD),
                 "%-24s %9s %9s %9s %9s %9s%*s", title, "opened/s", "ended/s", "ESTAB p50", "p99",
                 "max", area.columns, "");
    struct area row = {area.row + 1, area.column, 1, area.columns};
    const uint32_t room = (uint32_t)area.rows - 1;
    const uint32_t most = drawing->options->sort == VIEW_SORT_NAME ? SAMPLE_PORTS_MAX : room;
    const uint32_t count = sample_rank_ports(now, most, order);
    for (uint32_t i = 0; i < count && i < room; i++) {
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
