/* Transitions: what needs no BPF. */
#include "tcpstat/transitions.h"

#include <stdlib.h>

#include "base/assert.h"

const struct counter_info transitions_counter_infos[TRANSITIONS_COUNTER_COUNT] = {
#define COUNTER(name, help) {#name, help},
#include "tcpstat/transitions.def"
#undef COUNTER
};

uint64_t tcp_transitions_entered(const struct tcp_transitions *matrix, enum tcp_state state)
{
    ASSERT((unsigned int)state < TCP_STATE_COUNT);
    uint64_t sum = 0;
    for (int from = 0; from < TCP_STATE_COUNT; from++) {
        sum += matrix->n[from][state];
    }
    return sum;
}

uint64_t tcp_transitions_left(const struct tcp_transitions *matrix, enum tcp_state state)
{
    ASSERT((unsigned int)state < TCP_STATE_COUNT);
    uint64_t sum = 0;
    for (int to = 0; to < TCP_STATE_COUNT; to++) {
        sum += matrix->n[state][to];
    }
    return sum;
}

void tcp_transitions_subtract(struct tcp_transitions *matrix, const struct tcp_transitions *earlier)
{
    for (int from = 0; from < TCP_STATE_COUNT; from++) {
        for (int to = 0; to < TCP_STATE_COUNT; to++) {
            matrix->n[from][to] -= earlier->n[from][to];
        }
    }
}

void transitions_snapshot_free(struct transitions_snapshot *snapshot)
{
    free(snapshot->groups);
    *snapshot = (struct transitions_snapshot){0};
}
