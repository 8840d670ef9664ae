/* How many sockets are in each state now: the last census, carried on by what happened since.
 *
 * Layer: program finwait-stat (L5). Pure functions. A census takes a while, so the readings from
 * just before and just after it both belong to it, half each. TIME_WAIT records end unseen by the
 * tracepoint: they are carried on by the kernel's own count of them, which knows no filters; an
 * orphaned FIN_WAIT_2 made since the census is in that count until the next one tells it apart. */
#ifndef FINWAIT_STAT_PRESENT_H
#define FINWAIT_STAT_PRESENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/tcp_state.h"

/* One reading of what moves. */
struct present_reading {
    struct tcp_transitions matrix;
    uint64_t time_wait_live; /* sockstat's */
};

struct present_base {
    struct tcp_state_counts counted;
    uint32_t states;        /* as a census request has them: bit n is state n; 0: all */
    bool follows_time_wait; /* the census had no filter that sockstat's count lacks */
    struct present_reading begin;
    struct present_reading end;
};

/* Gives the counts as of `now`, a later reading than the base's. A count that would fall below 0,
 * since the census is no snapshot, is 0. */
void present_follow(const struct present_base *base, const struct present_reading *now,
                    struct tcp_state_counts *counts);

#endif
