/* finwait-census-cost: takes censuses when told, and says what each gave and cost.
 *
 * Layer: bench. A line of stdin is "METHOD GROUPING" (procfs, sock_diag or bpf; whole, local or
 * remote); the answer is one line of JSON. Each method is opened once, when it is first asked for,
 * and kept, as a watch does. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/rng.h"
#include "tcpstat/census.h"

#define LINE_BYTES 64

struct session {
    struct census *censuses[CENSUS_BPF + 1];
    uint64_t open_cpu_ns[CENSUS_BPF + 1];
    struct census_result result;
};

static enum census_method find_method(const char *name)
{
    for (int i = CENSUS_PROCFS; i <= CENSUS_BPF; i++) {
        if (strcmp(census_method_choices[i], name) == 0) {
            return (enum census_method)i;
        }
    }
    return CENSUS_AUTO;
}

/* A number that is the same for the same groups, in whatever order. */
static uint64_t digest(const struct census_groups *groups)
{
    uint64_t sum = groups->count;
    for (uint32_t i = 0; i < groups->count; i++) {
        for (uint64_t state = 0; state < TCP_STATE_COUNT; state++) {
            const uint64_t key = groups->groups[i].port * UINT64_C(16) + state;
            sum += rng_mix(key << 40 | groups->groups[i].counts.n[state]);
        }
    }
    return sum;
}

static void print_counts(const char *name, const struct tcp_state_counts *counts)
{
    printf(", \"%s\": {", name);
    for (int state = TCP_STATE_ESTABLISHED; state < TCP_STATE_COUNT; state++) {
        printf("%s\"%s\": %" PRIu64, state == TCP_STATE_ESTABLISHED ? "" : ", ",
               tcp_state_key((enum tcp_state)state), counts->n[state]);
    }
    printf("}");
}

static int open_once(struct session *session, enum census_method method, struct failure *failure)
{
    if (session->censuses[method] != NULL) {
        return 0;
    }
    const uint64_t cpu_ns = clock_thread_cpu_ns();
    const int error = census_open(&session->censuses[method], method, NULL, failure);
    session->open_cpu_ns[method] = clock_thread_cpu_ns() - cpu_ns;
    return error;
}

static int count(struct session *session, enum census_method method, enum census_grouping grouping,
                 struct failure *failure)
{
    int error = open_once(session, method, failure);
    if (error < 0) {
        return error;
    }
    const struct census_request request = {.grouping = grouping};
    error = census_run(session->censuses[method], &request, &session->result);
    return error < 0 ? failure_set(failure, -error, "%s", strerror(-error)) : 0;
}

static void answer(struct session *session, const char *name, const char *grouping)
{
    const enum census_method method = find_method(name);
    const enum census_grouping by = strcmp(grouping, "local") == 0    ? CENSUS_BY_LOCAL_PORT
                                    : strcmp(grouping, "remote") == 0 ? CENSUS_BY_REMOTE_PORT
                                                                      : CENSUS_WHOLE;
    struct failure failure = {.text = "unknown method"};
    if (method == CENSUS_AUTO || count(session, method, by, &failure) < 0) {
        printf("{\"error\": \"%s\"}\n", failure.text);
        return;
    }
    const struct census_stamp *stamp = &session->result.stamp;
    static const char *const stabilities[] = {"unknown", "stable", "changed"};
    printf("{\"method\": \"%s\", \"wall_ns\": %" PRIu64 ", \"cpu_ns\": %" PRIu64
           ", \"open_cpu_ns\": %" PRIu64
           ", \"table\": \"%s\", \"groups\": %u, \"digest\": \"%" PRIx64 "\"",
           name, stamp->wall_ns, stamp->cpu_ns, session->open_cpu_ns[method],
           stabilities[stamp->stability], session->result.groups.count,
           digest(&session->result.groups));
    print_counts("ipv4", &session->result.v4);
    print_counts("ipv6", &session->result.v6);
    printf("}\n");
}

int main(void)
{
    struct session session = {0};
    char line[LINE_BYTES];
    while (fgets(line, sizeof(line), stdin) != NULL) {
        char name[LINE_BYTES];
        char grouping[LINE_BYTES];
        if (sscanf(line, "%63s %63s", name, grouping) == 2) {
            answer(&session, name, grouping);
            fflush(stdout);
        }
    }
    for (int i = 0; i <= CENSUS_BPF; i++) {
        census_close(session.censuses[i]);
    }
    census_result_free(&session.result);
    return 0;
}
