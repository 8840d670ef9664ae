/* How long states lasted: the kernel's fine histograms, condensed to what a sample carries.
 *
 * Layer: program finwait-stat (L5). Owner: the observer. */
#ifndef FINWAIT_STAT_LASTED_H
#define FINWAIT_STAT_LASTED_H

#include "stat/sample.h"
#include "tcpstat/transitions.h"

/* Zeroed before its first use. */
struct lasted {
    struct sample_lasted states[TCP_STATE_COUNT];
    uint64_t left[TCP_STATE_COUNT]; /* how often each was left when it was read */
};

#define LASTED_OF_ALL UINT32_MAX

/* Brings up to date what has changed by the matrix, of a group by its number or of all; 10 us a
 * state that has. */
void lasted_read(struct lasted *lasted, struct transitions *transitions, uint32_t group,
                 const struct tcp_transitions *matrix);

/* Condenses one histogram. */
void lasted_condense(const struct hist *hist, struct sample_lasted *state);

#endif
