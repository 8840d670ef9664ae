/* account-probe: the account of states of the namespace that it runs in, for tests that make the
 * load from outside. A tool of the tests', beside finwait's programs.
 *
 * It opens everything, prints a line, and then prints a JSON object for each line that it reads:
 * the account since the start, the matrix, the owners, the 4-tuples. It ends with its input. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "tcpstat/account.h"
#include "tcpstat/tcpstat.h"

#define TOP 10

struct probe {
    struct account_sources sources;
    struct transitions_snapshot snapshot;
    struct owners_result result;
    struct account_reading begin;
    struct account_reading end;
    struct tuples_ports ports;
    struct tuples_use uses[2];
    unsigned int use_count;
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

static void print_tuples(const struct probe *probe, const struct tuples_use *earlier,
                         const struct tuples_use *later)
{
    const char *comma = "";
    printf("\"tuples\": [");
    for (uint32_t i = 0; i < later->pair_count; i++) {
        struct tuples_forecast forecast;
        char text[TUPLES_TEXT_MAX];
        char endpoint[ENDPOINT_TEXT_MAX];
        if (!tuples_forecast(earlier, later, i, TIMEWAIT_LIFETIME_ASSUMED_NS, &forecast)) {
            continue;
        }
        tuples_warning(&forecast, &probe->ports, text);
        printf("%s{\"destination\": \"%s\", \"taken\": %" PRIu64 ", \"capacity\": %" PRIu64
               ", \"opens_per_sec\": %.3f, \"plateau\": %.1f, \"seconds_left\": %.2f, "
               "\"verdict\": %d, \"warning\": \"%s\"}",
               comma, endpoint_format(&forecast.destination, endpoint), forecast.taken,
               forecast.capacity, forecast.opens_per_sec, forecast.plateau,
               isinf(forecast.seconds_left) ? -1 : forecast.seconds_left, (int)forecast.verdict,
               text);
        comma = ", ";
    }
    printf("]");
}

static int print_reading(struct probe *probe)
{
    const int error = account_read(&probe->sources, &probe->snapshot, &probe->result, &probe->end);
    if (error < 0) {
        return error;
    }
    struct tuples_use *earlier = &probe->uses[probe->use_count % 2];
    struct tuples_use *later = &probe->uses[(probe->use_count + 1) % 2];
    later->ports = &probe->ports;
    printf("{\"at_ns\": %" PRIu64 ", ", probe->end.taken_ns);
    print_matrix(&probe->begin.matrix, &probe->end.matrix);
    print_account(probe);
    print_counters(probe);
    print_lasted(probe);
    print_owners(probe, OWNERS_BY_PID, "by_pid", later);
    print_owners(probe, OWNERS_BY_CGROUP, "by_cgroup", NULL);
    print_tuples(probe, probe->use_count == 0 ? later : earlier, later);
    printf("}\n");
    probe->use_count++;
    return fflush(stdout) == 0 ? 0 : -1;
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
        error = print_reading(probe);
    }
    close_probe(probe);
    free(probe);
    return error < 0 ? 77 : 0;
}
