/* account-probe: the account of states of the namespace that it runs in, for tests that make the
 * load from outside. A tool of the tests', beside finwait's programs.
 *
 * It opens everything, prints a line, and then prints a JSON object for each line that it reads:
 * the account since the start, the matrix, the owners, the 4-tuples; for the line "light" only what
 * one walk gives: the counters, TIME_WAIT and the 4-tuples. It ends with its input. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "tcpstat/account.h"
#include "tcpstat/tcpstat.h"

#define TOP 10
#define SAMPLES_MAX 4096

struct probe {
    struct account_sources sources;
    struct transitions_snapshot snapshot;
    struct owners_result result;
    struct account_reading begin;
    struct account_reading end;
    struct tuples_ports ports;
    struct tuples_use uses[2];
    unsigned int use_count;
    struct timewait_sample samples[SAMPLES_MAX];
    size_t sample_count;
    uint64_t lifetime_ns;
    struct hist lasted;
};

static void print_matrix(const struct tcp_transitions *begin, const struct tcp_transitions *end)
{
    const char *comma = "";
    printf("\"transitions\": {");
    for (int from = 0; from < TCP_STATE_COUNT; from++) {
        for (int to = 0; to < TCP_STATE_COUNT; to++) {
            const uint64_t times = end->n[from][to] - begin->n[from][to];
            if (times > 0) {
                printf("%s\"%s>%s\": %" PRIu64, comma, tcp_state_key((enum tcp_state)from),
                       tcp_state_key((enum tcp_state)to), times);
                comma = ", ";
            }
        }
    }
    printf("}, ");
}

static void print_account(const struct probe *probe)
{
    struct account account;
    state_account(&probe->begin, &probe->end, &account);
    printf("\"closed\": %s, \"moved\": %" PRIu64 ", \"differences\": [",
           account.closed ? "true" : "false", probe->end.moved);
    char text[ACCOUNT_TEXT_MAX];
    for (uint32_t i = 0; account_difference(&account, i, text); i++) {
        printf("%s\"%s\"", i == 0 ? "" : ", ", text);
    }
    printf("], \"rows\": {");
    for (int state = 1; state < TCP_STATE_COUNT; state++) {
        const struct account_row *row = &account.rows[state];
        printf("%s\"%s\": [%" PRIu64 ", %" PRIu64 ", %" PRIu64 ", %" PRIu64 "]",
               state == 1 ? "" : ", ", tcp_state_key((enum tcp_state)state), row->before,
               row->entered, row->left, row->present);
    }
    printf("}, ");
}

static void print_counters(const struct probe *probe)
{
    printf("\"counters\": {");
    for (int i = 0; i < TRANSITIONS_COUNTER_COUNT; i++) {
        printf("\"%s\": %" PRIu64 ", ", transitions_counter_infos[i].name,
               probe->end.counters[i] - probe->begin.counters[i]);
    }
    printf("\"time_wait_made\": %" PRIu64 ", \"time_wait_live\": %" PRIu64
           ", \"time_wait_recycled\": %" PRIu64 ", \"time_wait_overflows\": %" PRIu64
           ", \"active_opens\": %" PRIu64 ", \"passive_opens\": %" PRIu64 ", \"requests\": %" PRIu64
           "}, ",
           probe->end.time_wait_made - probe->begin.time_wait_made, probe->end.time_wait_records,
           probe->end.time_wait_recycled - probe->begin.time_wait_recycled,
           probe->end.time_wait_overflows - probe->begin.time_wait_overflows,
           probe->end.active_opens - probe->begin.active_opens,
           probe->end.passive_opens - probe->begin.passive_opens, probe->end.requests);
}

static void print_lasted(struct probe *probe)
{
    printf("\"lasted\": {");
    const char *comma = "";
    for (int state = 1; state < TCP_STATE_COUNT; state++) {
        hist_init(&probe->lasted);
        if (transitions_read_lasted(probe->sources.transitions, (enum tcp_state)state,
                                    &probe->lasted) < 0 ||
            probe->lasted.count == 0) {
            continue;
        }
        printf("%s\"%s\": {\"count\": %" PRIu64 ", \"p50\": %" PRIu64 ", \"p99\": %" PRIu64 "}",
               comma, tcp_state_key((enum tcp_state)state), probe->lasted.count,
               hist_percentile(&probe->lasted, 50), hist_percentile(&probe->lasted, 99));
        comma = ", ";
    }
    printf("}, ");
}

static void print_owners(struct probe *probe, enum owners_key key, const char *name,
                         struct tuples_use *use)
{
    const struct owners_request request = {
        .key = key, .top = TOP, .sort_by = TCP_STATE_TIME_WAIT, .tuples = use};
    struct owners_result *result = &probe->result;
    printf("\"%s\": [", name);
    if (owners_run(probe->sources.owners, &request, result) == 0) {
        for (uint32_t i = 0; i < result->row_count; i++) {
            const struct owners_row *row = &result->rows[i];
            printf("%s{\"name\": \"%s\", \"total\": %" PRIu64 ", \"time_wait\": %" PRIu64
                   ", \"time_wait_made\": %" PRIu64 ", \"oldest_time_wait_ns\": %" PRIu64 "}",
                   i == 0 ? "" : ", ", row->name, row->total, row->counts.n[TCP_STATE_TIME_WAIT],
                   row->time_wait_made, row->oldest_ns[TCP_STATE_TIME_WAIT]);
        }
    }
    printf("], \"%s_cpu_ns\": %" PRIu64 ", ", name, result->cpu_ns);
}

/* The TIME_WAIT model from a sample a reading. */
static void print_time_wait(struct probe *probe)
{
    if (probe->sample_count < SAMPLES_MAX) {
        probe->samples[probe->sample_count++] = (struct timewait_sample){
            .at_ns = probe->end.taken_ns,
            .made = probe->end.time_wait_made,
            .live = probe->end.time_wait_records,
            .recycled = probe->end.time_wait_recycled,
            .overflows = probe->end.time_wait_overflows,
        };
    }
    const struct timewait_config config = {.buckets_max = probe->ports.time_wait_max};
    struct timewait_estimate estimate;
    timewait_estimate(probe->samples, probe->sample_count, &config, &estimate);
    probe->lifetime_ns = estimate.lifetime_ns;
    printf("\"time_wait\": {\"lifetime_ns\": %" PRIu64 ", \"lifetime_is_measured\": %s, "
           "\"made_per_sec\": %.3f, \"ended_per_sec\": %.3f, \"plateau\": %" PRIu64 "}, ",
           estimate.lifetime_ns, estimate.lifetime_is_measured ? "true" : "false",
           estimate.made_per_sec, estimate.ended_per_sec, estimate.plateau);
}

static void print_tuples(const struct probe *probe, const struct tuples_use *earlier,
                         const struct tuples_use *later)
{
    const char *comma = "";
    printf("\"tuples\": [");
    for (uint32_t i = 0; i < later->pair_count; i++) {
        struct tuples_forecast forecast;
        char text[TUPLES_TEXT_MAX];
        char endpoint[ENDPOINT_TEXT_MAX];
        if (!tuples_forecast(earlier, later, i, probe->lifetime_ns, &forecast)) {
            continue;
        }
        tuples_warning(&forecast, &probe->ports, text);
        printf("%s{\"destination\": \"%s\", \"taken\": %" PRIu64 ", \"capacity\": %" PRIu64
               ", \"opens_per_sec\": %.3f, \"plateau\": %.1f, \"seconds_left\": %.2f, "
               "\"crawls_sec\": %.2f, \"kernel_chooses\": %d, \"first_taken\": %" PRIu64
               ", \"verdict\": %d, \"warning\": \"%s\"}",
               comma, endpoint_format(&forecast.destination, endpoint), forecast.taken,
               forecast.capacity, forecast.opens_per_sec, forecast.plateau,
               isinf(forecast.seconds_left) ? -1 : forecast.seconds_left,
               isinf(forecast.crawls_sec) ? -1 : forecast.crawls_sec, forecast.kernel_chooses,
               forecast.first_taken, (int)forecast.verdict, text);
        comma = ", ";
    }
    printf("]");
}

/* Prints what the walk `later` tells, and the TIME_WAIT model. */
static int print_forecasts(struct probe *probe, struct tuples_use *later)
{
    const struct tuples_use *earlier = &probe->uses[probe->use_count % 2];
    print_time_wait(probe);
    print_tuples(probe, probe->use_count == 0 ? later : earlier, later);
    printf("}\n");
    probe->use_count++;
    return fflush(stdout) == 0 ? 0 : -1;
}

static int print_reading(struct probe *probe, struct tuples_use *later)
{
    const int error = account_read(&probe->sources, &probe->snapshot, &probe->result, &probe->end);
    if (error < 0) {
        return error;
    }
    printf("{\"at_ns\": %" PRIu64 ", ", probe->end.taken_ns);
    print_matrix(&probe->begin.matrix, &probe->end.matrix);
    print_account(probe);
    print_counters(probe);
    print_lasted(probe);
    print_owners(probe, OWNERS_BY_PID, "by_pid", later);
    print_owners(probe, OWNERS_BY_CGROUP, "by_cgroup", NULL);
    return print_forecasts(probe, later);
}

static int print_light_reading(struct probe *probe, struct tuples_use *later)
{
    const struct owners_request request = {.key = OWNERS_BY_PID, .tuples = later};
    int error = account_read_counters(probe->sources.counters, &probe->end);
    if (error == 0) {
        error = owners_run(probe->sources.owners, &request, &probe->result);
    }
    if (error < 0) {
        return error;
    }
    printf("{\"at_ns\": %" PRIu64 ", ", probe->end.taken_ns);
    print_counters(probe);
    return print_forecasts(probe, later);
}

static int answer(struct probe *probe, const char *line)
{
    struct tuples_use *later = &probe->uses[(probe->use_count + 1) % 2];
    later->ports = &probe->ports;
    return strcmp(line, "light\n") == 0 ? print_light_reading(probe, later)
                                        : print_reading(probe, later);
}

static int open_probe(struct probe *probe, struct failure *failure)
{
    const struct transitions_config config = {.time_wait_owners_max = 1 << 20};
    int error = transitions_open(&probe->sources.transitions, &config, failure);
    if (error == 0) {
        error = owners_open(&probe->sources.owners, probe->sources.transitions, failure);
    }
    if (error == 0) {
        error = tcpstat_counters_open(&probe->sources.counters, failure);
    }
    if (error == 0) {
        error = tuples_ports_read(&probe->ports, failure);
    }
    if (error == 0) {
        error = account_read(&probe->sources, &probe->snapshot, &probe->result, &probe->begin);
    }
    return error;
}

static void close_probe(struct probe *probe)
{
    transitions_snapshot_free(&probe->snapshot);
    owners_result_free(&probe->result);
    tcpstat_counters_close(probe->sources.counters);
    owners_close(probe->sources.owners);
    transitions_close(probe->sources.transitions);
}

int main(void)
{
    struct probe *probe = calloc(1, sizeof(*probe));
    struct failure failure = {0};
    if (probe == NULL) {
        return 1;
    }
    int error = open_probe(probe, &failure);
    if (error < 0) {
        fprintf(stderr, "account-probe: %s\n", failure.text);
    } else {
        printf("ready\n");
        fflush(stdout);
    }
    char line[16];
    while (error == 0 && fgets(line, sizeof(line), stdin) != NULL) {
        error = answer(probe, line);
    }
    close_probe(probe);
    free(probe);
    return error < 0 ? 77 : 0;
}
