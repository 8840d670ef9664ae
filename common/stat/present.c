#include "stat/present.h"

#include "tcpstat/transitions.h"

static int64_t net_entered(const struct tcp_transitions *matrix, enum tcp_state state)
{
    return (int64_t)(tcp_transitions_entered(matrix, state) - tcp_transitions_left(matrix, state));
}

/* Gives how a number rose since the census: since the middle of its two readings. */
static int64_t rise_since(int64_t begin, int64_t end, int64_t now)
{
    return now - begin - (end - begin) / 2;
}

static int64_t rise_of(const struct present_base *base, const struct present_reading *now,
                       enum tcp_state state)
{
    if (state == TCP_STATE_TIME_WAIT) {
        return base->follows_time_wait
                   ? rise_since((int64_t)base->begin.time_wait_live,
                                (int64_t)base->end.time_wait_live, (int64_t)now->time_wait_live)
                   : 0;
    }
    return rise_since(net_entered(&base->begin.matrix, state),
                      net_entered(&base->end.matrix, state), net_entered(&now->matrix, state));
}

void present_follow(const struct present_base *base, const struct present_reading *now,
                    struct tcp_state_counts *counts)
{
    *counts = base->counted;
    for (int i = TCP_STATE_ESTABLISHED; i < TCP_STATE_COUNT; i++) {
        const enum tcp_state state = (enum tcp_state)i;
        const bool passes = base->states == 0 || (base->states >> state & 1) != 0;
        if (!passes || state == TCP_STATE_CLOSED) {
            continue; /* sockets that ended are in no census */
        }
        const int64_t count = (int64_t)base->counted.n[state] + rise_of(base, now, state);
        counts->n[state] = count < 0 ? 0 : (uint64_t)count;
    }
}
