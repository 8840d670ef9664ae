/* CSV: a row per sample. The columns are fixed; later versions only add some at the end, but before
 * the ports', where transitions are told apart by port, and the owners', of which there are as many
 * as --top says. Counts of states are empty until the first census, transitions and times in states
 * where they cannot be counted; totals count from the first row. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "stat/csv.h"
#include "stat/sink.h"

struct csv_sink {
    struct sink sink; /* first: a pointer to it is a pointer to this */
    const char *path;
    FILE *out;
    bool has_first;
    struct csv_format format;
};

/* What is told of how long a state lasted, and of an owner. */
#define LASTED_COLUMNS 4
#define LASTED_STATES_COLUMNS (LASTED_COLUMNS * (TCP_STATE_COUNT - 1))
#define STEPS_COLUMNS (SAMPLE_STEP_COUNT + 1)
#define OWNER_COLUMNS 6

/* Names the steps' columns. */
static void name_steps(const char *prefix, FILE *out)
{
    for (int i = 0; i < SAMPLE_STEP_COUNT; i++) {
        fprintf(out, ",%sstep_%s_to_%s", prefix, tcp_state_key(sample_steps[i].from),
                tcp_state_key(sample_steps[i].to));
    }
    fprintf(out, ",%sstep_other", prefix);
}

static void name_lasted(const char *prefix, FILE *out)
{
    static const char *const names[LASTED_COLUMNS] = {"count", "p50_sec", "p99_sec", "max_sec"};
    for (int state = TCP_STATE_ESTABLISHED; state < TCP_STATE_COUNT; state++) {
        for (int i = 0; i < LASTED_COLUMNS; i++) {
            fprintf(out, ",%slasted_%s_%s", prefix, tcp_state_key((enum tcp_state)state), names[i]);
        }
    }
}

/* Of the rest there are no times, since those of ports without a place cannot be added to them. */
static void name_ports(uint32_t ports, FILE *out)
{
    for (uint32_t i = 1; i <= ports; i++) {
        char prefix[24];
        fprintf(out, ",port_%u", i);
        snprintf(prefix, sizeof(prefix), "port_%u_", i);
        name_steps(prefix, out);
        name_lasted(prefix, out);
    }
    if (ports > 0) {
        name_steps("port_rest_", out);
    }
}

void csv_print_header(const struct csv_format *format, FILE *out)
{
    fputs("elapsed_sec,unix_sec,late_sec,census_number,census_age_sec,census_cpu_sec", out);
    for (int state = TCP_STATE_ESTABLISHED; state < TCP_STATE_COUNT; state++) {
        fprintf(out, ",state_%s", tcp_state_key((enum tcp_state)state));
    }
    for (int i = 0; i < WATCH_FIELD_COUNT; i++) {
        fprintf(out, ",%s", watch_field_infos[i].name);
    }
    fputs(",time_wait_lifetime_sec,time_wait_plateau", out);
    for (int state = TCP_STATE_ESTABLISHED; state < TCP_STATE_COUNT; state++) {
        fprintf(out, ",peak_%s", tcp_state_key((enum tcp_state)state));
    }
    name_steps("", out);
    name_lasted("", out);
    for (int state = TCP_STATE_ESTABLISHED; state < TCP_STATE_COUNT; state++) {
        fprintf(out, ",oldest_%s_sec", tcp_state_key((enum tcp_state)state));
    }
    fputs(",notes", out);
    name_ports(format->ports, out);
    for (uint32_t i = 1; i <= format->owners; i++) {
        fprintf(out,
                ",owner_%u,owner_%u_sockets,owner_%u_established,owner_%u_time_wait,"
                "owner_%u_close_wait,owner_%u_time_wait_made",
                i, i, i, i, i, i);
    }
    fputc('\n', out);
}

static void print_seconds(FILE *out, uint64_t ns)
{
    fprintf(out, "%" PRIu64 ".%06" PRIu64, ns / NS_PER_SEC, ns % NS_PER_SEC / NS_PER_US);
}

static void print_census(const struct sample *sample, FILE *out)
{
    if (sample->census_count == 0) {
        fputs(",0,,", out);
        for (int state = TCP_STATE_ESTABLISHED; state < TCP_STATE_COUNT; state++) {
            fputc(',', out);
        }
        return;
    }
    fprintf(out, ",%" PRIu64 ",", sample->census_count);
    print_seconds(out, sample->census_age_ns);
    fputc(',', out);
    print_seconds(out, sample->census.stamp.cpu_ns);
    for (int state = TCP_STATE_ESTABLISHED; state < TCP_STATE_COUNT; state++) {
        fprintf(out, ",%" PRIu64, sample->census.total.n[state]);
    }
}

static void print_commas(uint32_t count, FILE *out)
{
    for (uint32_t i = 0; i < count; i++) {
        fputc(',', out);
    }
}

static void print_peak(const struct sample *sample, FILE *out)
{
    for (int state = TCP_STATE_ESTABLISHED; state < TCP_STATE_COUNT; state++) {
        if (sample->census_count == 0) {
            fputc(',', out);
        } else {
            fprintf(out, ",%" PRIu64, sample->peak.n[state]);
        }
    }
}

static void print_steps(const struct tcp_transitions *transitions, FILE *out)
{
    for (int i = 0; i < SAMPLE_STEP_COUNT; i++) {
        const struct sample_step step = sample_steps[i];
        fprintf(out, ",%" PRIu64, transitions->n[step.from][step.to]);
    }
    fprintf(out, ",%" PRIu64, sample_other_steps(transitions));
}

static void print_lasted(const struct sample_lasted *states, FILE *out)
{
    for (int state = TCP_STATE_ESTABLISHED; state < TCP_STATE_COUNT; state++) {
        const struct sample_lasted *lasted = &states[state];
        const uint64_t times_ns[] = {lasted->p50_ns, lasted->p99_ns, lasted->max_ns};
        fprintf(out, ",%" PRIu64, lasted->count);
        for (size_t i = 0; i < sizeof(times_ns) / sizeof(times_ns[0]); i++) {
            fputc(',', out);
            if (lasted->count > 0) {
                print_seconds(out, times_ns[i]);
            }
        }
    }
}

static void print_transitions(const struct sample *sample, FILE *out)
{
    if (!sample->has_transitions) {
        print_commas(STEPS_COLUMNS + LASTED_STATES_COLUMNS, out);
        return;
    }
    print_steps(&sample->transitions, out);
    print_lasted(sample->lasted, out);
}

static void add_steps(struct tcp_transitions *into, const struct tcp_transitions *from)
{
    for (int step = 0; step < TCP_STATE_COUNT * TCP_STATE_COUNT; step++) {
        into->n[step / TCP_STATE_COUNT][step % TCP_STATE_COUNT] +=
            from->n[step / TCP_STATE_COUNT][step % TCP_STATE_COUNT];
    }
}

/* Prints those with the most transitions where there are more than columns, and what the columns of
 * the others lack as the rest. */
static void print_ports(const struct sample *sample, uint32_t ports, FILE *out)
{
    const struct sample_port *order[SAMPLE_PORTS_MAX];
    const bool has_ports = sample->has_transitions && sample->has_ports;
    const uint32_t count = has_ports ? sample_rank_ports(sample, ports, order) : 0;
    struct tcp_transitions rest =
        has_ports ? sample->port_rest.transitions : (struct tcp_transitions){0};
    for (uint32_t i = count; has_ports && i < sample->port_count; i++) {
        add_steps(&rest, &order[i]->transitions);
    }
    for (uint32_t i = 0; i < count; i++) {
        fprintf(out, ",%u", order[i]->port);
        print_steps(&order[i]->transitions, out);
        print_lasted(order[i]->lasted, out);
    }
    print_commas((ports - count) * (1 + STEPS_COLUMNS + LASTED_STATES_COLUMNS), out);
    if (has_ports && ports > 0) {
        print_steps(&rest, out);
    } else if (ports > 0) {
        print_commas(STEPS_COLUMNS, out);
    }
}

static void print_oldest(const struct sample *sample, FILE *out)
{
    for (int state = TCP_STATE_ESTABLISHED; state < TCP_STATE_COUNT; state++) {
        fputc(',', out);
        if (sample->oldest_ns[state] > 0) {
            print_seconds(out, sample->oldest_ns[state]);
        }
    }
}

/* Prints a text without its quotes: a quote within is doubled (RFC 4180). */
static void print_inner(const char *text, FILE *out)
{
    for (; *text != '\0'; text++) {
        fputs(*text == '"' ? "\"\"" : (char[]){*text, '\0'}, out);
    }
}

static void print_notes(const struct sample *sample, FILE *out)
{
    fputc(',', out);
    for (uint32_t i = 0; i < sample->note_count; i++) {
        fputs(i == 0 ? "\"" : "; ", out);
        print_inner(sample->notes[i], out);
    }
    fputs(sample->note_count > 0 ? "\"" : "", out);
}

static void print_owners(const struct sample *sample, uint32_t owners, FILE *out)
{
    for (uint32_t i = 0; i < owners; i++) {
        if (i >= sample->owner_count) {
            print_commas(OWNER_COLUMNS, out);
            continue;
        }
        const struct sample_owner *owner = &sample->owners[i];
        fputs(",\"", out);
        print_inner(owner->name, out);
        fprintf(out, "\",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64,
                tcp_state_total(&owner->counts), owner->counts.n[TCP_STATE_ESTABLISHED],
                owner->counts.n[TCP_STATE_TIME_WAIT], owner->counts.n[TCP_STATE_CLOSE_WAIT],
                owner->time_wait_made);
    }
}

void csv_print_row(const struct sample *sample, const struct csv_format *format, FILE *out)
{
    print_seconds(out, sample->elapsed_ns);
    fputc(',', out);
    print_seconds(out, sample->wall_ns);
    fputc(',', out);
    print_seconds(out, sample->late_ns);
    print_census(sample, out);
    for (int i = 0; i < WATCH_FIELD_COUNT; i++) {
        const bool is_total = watch_field_infos[i].kind == WATCH_KIND_TOTAL;
        fprintf(out, ",%" PRIu64, sample->values[i] - (is_total ? format->first[i] : 0));
    }
    fputc(',', out);
    print_seconds(out, sample->time_wait.lifetime_ns);
    fprintf(out, ",%" PRIu64, sample->time_wait.plateau);
    print_peak(sample, out);
    print_transitions(sample, out);
    print_oldest(sample, out);
    print_notes(sample, out);
    print_ports(sample, format->ports, out);
    print_owners(sample, format->owners, out);
    fputc('\n', out);
}

static int check_stream(const struct csv_sink *csv, struct failure *failure)
{
    if (fflush(csv->out) == EOF || ferror(csv->out)) {
        return failure_set(failure, errno != 0 ? errno : EIO, "--csv %s: cannot be written: %s",
                           csv->path, strerror(errno != 0 ? errno : EIO));
    }
    return 0;
}

static int csv_take(struct sink *base, const struct sample *now, const struct sample *before,
                    struct failure *failure)
{
    struct csv_sink *csv = (struct csv_sink *)base;
    (void)before;
    if (!csv->has_first) {
        csv->has_first = true;
        memcpy(csv->format.first, now->values, sizeof(csv->format.first));
        csv_print_header(&csv->format, csv->out);
    }
    csv_print_row(now, &csv->format, csv->out);
    return check_stream(csv, failure);
}

static void csv_close(struct sink *base)
{
    struct csv_sink *csv = (struct csv_sink *)base;
    if (csv->out != NULL && csv->out != stdout) {
        fclose(csv->out); /* every row was flushed when it was written */
    }
    free(csv);
}

static const struct sink_ops csv_ops = {.take = csv_take, .close = csv_close};

int sink_open_csv(struct sink **sink, const struct stat_settings *settings,
                  const struct sample_head *head, struct failure *failure)
{
    const char *path = settings->options->csv;
    struct csv_sink *made = calloc(1, sizeof(*made));
    if (made == NULL) {
        return failure_set(failure, ENOMEM, "no memory for --csv");
    }
    made->sink.ops = &csv_ops;
    made->path = path;
    made->format.ports = head->ports_by[0] != '\0' ? head->ports_shown : 0;
    made->format.owners = settings->has_by ? (uint32_t)settings->options->top : 0;
    made->out = strcmp(path, "-") == 0 ? stdout : fopen(path, "we");
    if (made->out == NULL) {
        const int error = errno;
        csv_close(&made->sink);
        return failure_set(failure, error, "--csv %s: cannot be written: %s", path,
                           strerror(error));
    }
    *sink = &made->sink;
    return 0;
}
