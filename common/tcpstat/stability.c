#include "tcpstat/stability.h"

#include <errno.h>
#include <stdlib.h>

#include "tcpstat/counters.h"

/* Counters that tell whether sockets came or went. */
static const char *const population_names[] = {
    "Tcp.ActiveOpens", "Tcp.PassiveOpens",     "Tcp.AttemptFails",  "Tcp.CurrEstab",
    "TcpExt.TW",       "TcpExt.TWKilled",      "TcpExt.TWRecycled", "sockstat.TCP.inuse",
    "sockstat.TCP.tw", "sockstat6.TCP6.inuse",
};

/* Counters that tell whether a segment came or went. */
static const char *const traffic_names[] = {"Tcp.InSegs", "Tcp.OutSegs", "Tcp.RetransSegs",
                                            "Tcp.OutRsts"};

#define POPULATION_COUNT (sizeof(population_names) / sizeof(population_names[0]))
#define TRAFFIC_COUNT (sizeof(traffic_names) / sizeof(traffic_names[0]))

struct stability {
    struct tcpstat_counters *counters;
    int population[POPULATION_COUNT];
    int traffic[TRAFFIC_COUNT];
    bool has_before;
    struct tcpstat_counters_snapshot before;
    struct tcpstat_counters_snapshot after;
};

int stability_open(struct stability **stability, struct failure *failure)
{
    struct stability *opened = calloc(1, sizeof(*opened));
    if (opened == NULL) {
        return failure_set(failure, ENOMEM, "no memory for a census");
    }
    const int error = tcpstat_counters_open(&opened->counters, failure);
    if (error < 0) {
        free(opened);
        return error;
    }
    for (size_t i = 0; i < POPULATION_COUNT; i++) {
        opened->population[i] = tcpstat_counters_find(opened->counters, population_names[i]);
    }
    for (size_t i = 0; i < TRAFFIC_COUNT; i++) {
        opened->traffic[i] = tcpstat_counters_find(opened->counters, traffic_names[i]);
    }
    *stability = opened;
    return 0;
}

void stability_close(struct stability *stability)
{
    if (stability != NULL) {
        tcpstat_counters_close(stability->counters);
        free(stability);
    }
}

void stability_begin(struct stability *stability)
{
    stability->has_before = tcpstat_counters_read(stability->counters, &stability->before) == 0;
}

static bool differs(const struct stability *stability, const int *indexes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (tcpstat_counters_delta(&stability->before, &stability->after, indexes[i]) != 0) {
            return true;
        }
    }
    return false;
}

enum census_stability stability_end(struct stability *stability)
{
    const bool has_after = tcpstat_counters_read(stability->counters, &stability->after) == 0;
    if (!stability->has_before || !has_after) {
        return CENSUS_STABILITY_UNKNOWN;
    }
    if (differs(stability, stability->population, POPULATION_COUNT)) {
        return CENSUS_CHANGED;
    }
    return differs(stability, stability->traffic, TRAFFIC_COUNT) ? CENSUS_STABILITY_UNKNOWN
                                                                 : CENSUS_STABLE;
}
