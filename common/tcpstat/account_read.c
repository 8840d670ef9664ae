/* A reading for the account: the walk stands between two looks at the matrix, so that what moved
 * meanwhile is known. */
#include "tcpstat/account.h"

/* While something moves, a further try may find a pause. */
#define TRIES_MAX 4

static uint64_t sum_of(const struct tcp_transitions *matrix)
{
    uint64_t sum = 0;
    for (int state = 0; state < TCP_STATE_COUNT; state++) {
        sum += tcp_transitions_left(matrix, (enum tcp_state)state);
    }
    return sum;
}

static uint64_t value_of(const struct tcpstat_counters *counters,
                         const struct tcpstat_counters_snapshot *values, const char *name)
{
    return tcpstat_counters_value(values, tcpstat_counters_find(counters, name));
}

int account_read_counters(struct tcpstat_counters *counters, struct account_reading *reading)
{
    struct tcpstat_counters_snapshot values;
    const int error = tcpstat_counters_read(counters, &values);
    if (error < 0) {
        return error;
    }
    reading->taken_ns = values.taken_ns;
    reading->time_wait_records = value_of(counters, &values, "sockstat.TCP.tw");
    reading->time_wait_made =
        value_of(counters, &values, "TcpExt.TW") + value_of(counters, &values, "TcpExt.TWKilled");
    reading->time_wait_recycled = value_of(counters, &values, "TcpExt.TWRecycled");
    reading->time_wait_overflows = value_of(counters, &values, "TcpExt.TCPTimeWaitOverflow");
    reading->active_opens = value_of(counters, &values, "Tcp.ActiveOpens");
    reading->passive_opens = value_of(counters, &values, "Tcp.PassiveOpens");
    return 0;
}

static void take_walk(const struct owners_result *result, struct account_reading *reading)
{
    reading->sockets = result->full;
    reading->requests = result->requests;
    reading->fin_wait_2_records = result->records.n[TCP_STATE_FIN_WAIT_2];
}

static int read_once(const struct account_sources *sources, struct transitions_snapshot *snapshot,
                     struct owners_result *result, struct account_reading *reading)
{
    const struct owners_request request = {.key = OWNERS_BY_PID};
    int error = transitions_read(sources->transitions, snapshot);
    if (error < 0) {
        return error;
    }
    const uint64_t before = sum_of(&snapshot->matrix);
    error = account_read_counters(sources->counters, reading);
    if (error == 0) {
        error = owners_run(sources->owners, &request, result);
    }
    if (error == 0) {
        error = transitions_read(sources->transitions, snapshot);
    }
    if (error < 0) {
        return error;
    }
    take_walk(result, reading);
    reading->taken_ns = snapshot->taken_ns;
    reading->matrix = snapshot->matrix;
    for (int i = 0; i < TRANSITIONS_COUNTER_COUNT; i++) {
        reading->counters[i] = snapshot->counters[i];
    }
    reading->moved = sum_of(&snapshot->matrix) - before;
    return 0;
}

int account_read(const struct account_sources *sources, struct transitions_snapshot *snapshot,
                 struct owners_result *result, struct account_reading *reading)
{
    int error = 0;
    for (int attempt = 0; attempt < TRIES_MAX && error == 0; attempt++) {
        error = read_once(sources, snapshot, result, reading);
        if (reading->moved == 0) {
            break;
        }
    }
    return error;
}
