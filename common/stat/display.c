#include "stat/display.h"

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#define COLUMN_WIDTH_MIN 7
#define DURATION_TEXT_MAX 32

const char *display_format_duration(uint64_t ns, char *text, size_t size)
{
    static const struct {
        uint64_t ns;
        const char *name;
    } units[] = {{NS_PER_SEC, "s"}, {NS_PER_MS, "ms"}, {NS_PER_US, "us"}, {1, "ns"}};
    size_t i = 0;
    while (i + 1 < sizeof(units) / sizeof(units[0]) && ns < units[i].ns) {
        i++;
    }
    const double value = (double)ns / (double)units[i].ns;
    const int decimals = units[i].ns == 1 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
    snprintf(text, size, "%.*f %s", decimals, value, units[i].name);
    return text;
}

static int column_width(const char *name)
{
    const int length = (int)strlen(name);
    return length < COLUMN_WIDTH_MIN ? COLUMN_WIDTH_MIN : length;
}

static bool is_always_shown(enum tcp_state state)
{
    return state == TCP_STATE_LISTEN || state == TCP_STATE_ESTABLISHED ||
           state == TCP_STATE_TIME_WAIT;
}

/* Shows the columns that a line needs; true when one was added. */
static bool add_columns(struct display *display, const struct display_line *line)
{
    bool added = false;
    for (int i = 0; i < SAMPLE_STATE_COUNT; i++) {
        const enum tcp_state state = sample_state_order[i];
        const bool is_needed =
            is_always_shown(state) || (line->has_census && line->counts.n[state] != 0);
        if (is_needed && !display->shown[state]) {
            display->shown[state] = true;
            added = true;
        }
    }
    return added;
}

static void print_header(const struct display *display, FILE *out)
{
    fprintf(out, "%8s", "time");
    for (int i = 0; i < SAMPLE_STATE_COUNT; i++) {
        if (display->shown[sample_state_order[i]]) {
            const char *name = tcp_state_name(sample_state_order[i]);
            fprintf(out, " %*s", column_width(name), name);
        }
    }
    fprintf(out, " | %8s %8s %8s | %8s %8s %8s\n", "tw_live", "tw_in/s", "drops/s", "age", "every",
            "cost");
}

void display_print_line(struct display *display, const struct display_line *line, FILE *out)
{
    const bool added = add_columns(display, line);
    if (added || !display->has_header || display->lines == DISPLAY_HEADER_EVERY) {
        print_header(display, out);
        display->has_header = true;
        display->lines = 0;
    }
    display->lines++;
    fprintf(out, "%7.1fs", (double)line->elapsed_ns / (double)NS_PER_SEC);
    for (int i = 0; i < SAMPLE_STATE_COUNT; i++) {
        const enum tcp_state state = sample_state_order[i];
        if (!display->shown[state]) {
            continue;
        }
        const int width = column_width(tcp_state_name(state));
        if (line->has_census) {
            fprintf(out, " %*" PRIu64, width, line->counts.n[state]);
        } else {
            fprintf(out, " %*s", width, "-");
        }
    }
    fprintf(out, " | %8" PRIu64 " %8.0f %8.0f", line->time_wait_live, line->time_wait_made_per_sec,
            line->listen_drops_per_sec);
    char age[DURATION_TEXT_MAX] = "-";
    char every[DURATION_TEXT_MAX] = "-";
    char cost[DURATION_TEXT_MAX] = "-";
    if (line->has_census) {
        display_format_duration(line->age_ns, age, sizeof(age));
        display_format_duration(line->cost_ns, cost, sizeof(cost));
    }
    if (line->every_ns != 0) {
        display_format_duration(line->every_ns, every, sizeof(every));
    }
    fprintf(out, " | %8s %8s %8s\n", age, every, cost);
}

const char *display_stability_name(enum census_stability stability)
{
    switch (stability) {
    case CENSUS_STABILITY_UNKNOWN:
        return "unknown";
    case CENSUS_STABLE:
        return "stable";
    case CENSUS_CHANGED:
        return "changed";
    }
    return "unknown";
}

static const char *describe_stability(enum census_stability stability)
{
    switch (stability) {
    case CENSUS_STABILITY_UNKNOWN:
        return "segments flowed meanwhile, so states may have moved";
    case CENSUS_STABLE:
        return "nothing moved meanwhile";
    case CENSUS_CHANGED:
        return "sockets came or went meanwhile, so the count mixes moments";
    }
    return "";
}

/* Says what must not be passed over: the count may be wrong, and how. */
static void print_doubts(const struct census_stamp *stamp, FILE *out)
{
    if (stamp->lines_malformed > 0 || stamp->lines_truncated > 0) {
        fprintf(out,
                "not counted: %" PRIu64 " lines that could not be read, %" PRIu64
                " cut off at a table's end\n",
                stamp->lines_malformed, stamp->lines_truncated);
    }
    if (stamp->rows_repeated > 0) {
        fprintf(out, "dropped: %" PRIu64 " sockets that the kernel gave twice\n",
                stamp->rows_repeated);
    }
    if (stamp->repeats_remain) {
        fprintf(out,
                "too high: the kernel repeated the table's end in each of %" PRIu32 " passes\n",
                stamp->passes);
    }
}

void display_print_states(const struct census_result *result, FILE *out)
{
    fprintf(out, "%-14s %10s %10s %10s\n", "state", "IPv4", "IPv6", "total");
    for (int i = 0; i < SAMPLE_STATE_COUNT; i++) {
        const enum tcp_state state = sample_state_order[i];
        if (state == TCP_STATE_CLOSED && result->total.n[state] == 0) {
            continue; /* Linux lists no such sockets */
        }
        fprintf(out, "%-14s %10" PRIu64 " %10" PRIu64 " %10" PRIu64 "\n", tcp_state_name(state),
                result->v4.n[state], result->v6.n[state], result->total.n[state]);
    }
    fprintf(out, "%-14s %10" PRIu64 " %10" PRIu64 " %10" PRIu64 "\n", "all",
            tcp_state_total(&result->v4), tcp_state_total(&result->v6),
            tcp_state_total(&result->total));
}

void display_print_table(const struct census_result *result, uint64_t time_wait_live, FILE *out)
{
    const struct census_stamp *stamp = &result->stamp;
    display_print_states(result, out);
    char wall[DURATION_TEXT_MAX];
    char cpu[DURATION_TEXT_MAX];
    fprintf(out,
            "counted in %s, %s of CPU; sockets read: %" PRIu64 "; %s\n"
            "tw_live by sockstat: %" PRIu64 "\n",
            display_format_duration(stamp->wall_ns, wall, sizeof(wall)),
            display_format_duration(stamp->cpu_ns, cpu, sizeof(cpu)), stamp->rows,
            describe_stability(stamp->stability), time_wait_live);
    print_doubts(stamp, out);
}

/* Gives the oldest age of any state but LISTEN, whose age says nothing. */
static uint64_t oldest_of(const struct sample_owner *owner)
{
    uint64_t oldest_ns = 0;
    for (int state = TCP_STATE_ESTABLISHED; state < TCP_STATE_COUNT; state++) {
        const uint64_t age_ns = state == TCP_STATE_LISTEN ? 0 : owner->oldest_ns[state];
        oldest_ns = age_ns > oldest_ns ? age_ns : oldest_ns;
    }
    return oldest_ns;
}

void display_print_owners(const struct sample_head *head, const struct sample *sample, FILE *out)
{
    if (head->by[0] == '\0' || sample->owners_cpu_ns == 0) {
        return;
    }
    fprintf(out, "by %-29s %10s %10s %10s %10s %10s\n", head->by, "sockets", "ESTAB", "TIME_WAIT",
            "CLOSE_WAIT", "oldest");
    for (uint32_t i = 0; i < sample->owner_count; i++) {
        const struct sample_owner *owner = &sample->owners[i];
        const uint64_t oldest_ns = oldest_of(owner);
        char oldest[DURATION_TEXT_MAX] = "-";
        if (oldest_ns > 0) {
            display_format_duration(oldest_ns, oldest, sizeof(oldest));
        }
        fprintf(out, "%-32s %10" PRIu64 " %10" PRIu64 " %10" PRIu64 " %10" PRIu64 " %10s\n",
                owner->name, tcp_state_total(&owner->counts),
                owner->counts.n[TCP_STATE_ESTABLISHED], owner->counts.n[TCP_STATE_TIME_WAIT],
                owner->counts.n[TCP_STATE_CLOSE_WAIT], oldest);
    }
    if (sample->owners_left_out > 0) {
        fprintf(out, "and %" PRIu32 " more\n", sample->owners_left_out);
    }
}

/* Prints how many connections began and ended, and how long they were ESTABLISHED. */
static void print_port(const char *name, const struct sample_port *port, FILE *out)
{
    const struct sample_lasted *open = &port->lasted[TCP_STATE_ESTABLISHED];
    const uint64_t times_ns[] = {open->p50_ns, open->p99_ns, open->max_ns};
    fprintf(out, "%-32s %10" PRIu64 " %10" PRIu64, name, sample_port_opened(port),
            sample_port_ended(port));
    for (size_t i = 0; i < sizeof(times_ns) / sizeof(times_ns[0]); i++) {
        char text[DURATION_TEXT_MAX] = "-";
        if (open->count > 0) {
            display_format_duration(times_ns[i], text, sizeof(text));
        }
        fprintf(out, " %10s", text);
    }
    fputs("\n", out);
}

void display_print_ports(const struct sample_head *head, const struct sample *sample, FILE *out)
{
    if (!sample->has_transitions || !sample->has_ports) {
        return;
    }
    fprintf(out, "by %-29s %10s %10s %10s %10s %10s\n", head->ports_by, "opened", "ended",
            "ESTAB p50", "p99", "max");
    for (uint32_t i = 0; i < sample->port_count; i++) {
        char name[8];
        snprintf(name, sizeof(name), "%u", sample->ports[i].port);
        print_port(name, &sample->ports[i], out);
    }
    if (sample_step_sum(&sample->port_rest.transitions) > 0) {
        print_port("other ports", &sample->port_rest, out);
    }
}

void display_print_method(const char *method, const char *passed_over, FILE *out)
{
    fprintf(out, "counted by %s\n", method);
    if (passed_over[0] != '\0') {
        fprintf(out, "missing: %s\n", passed_over);
    }
}

const char *display_lifetime_basis(const struct timewait_estimate *estimate)
{
    return estimate->lifetime_is_measured ? "measured"
           : estimate->lifetime_is_told   ? "2MSL"
                                          : "assumed";
}

void display_print_time_wait(const struct timewait_estimate *estimate, FILE *out)
{
    fprintf(out,
            "TIME_WAIT: %" PRIu64 " live, %.0f/s made, lifetime %.2f s (%s); plateau at this rate: "
            "%" PRIu64 "%s",
            estimate->live, estimate->made_per_sec,
            (double)estimate->lifetime_ns / (double)NS_PER_SEC, display_lifetime_basis(estimate),
            estimate->plateau, estimate->plateau_is_capped ? " (tcp_max_tw_buckets)" : "");
    if (estimate->at_plateau) {
        fprintf(out, "; measured %.0f, %+.2f%%", estimate->plateau_measured,
                estimate->plateau_error * 100);
    }
    fputs("\n", out);
}
