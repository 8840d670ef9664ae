/* Stack watch: a stack's counts under the names that a watch gives the kernel's.
 *
 * Layer: L4; part of the transport's public face. Pure functions of plain data, so that what shows
 * the kernel's counters shows the stack's alike: in the program that has the stack (from its board)
 * and in one that asks it (from a message). */
#ifndef FINWAIT_TRANSPORT_STACK_WATCH_H
#define FINWAIT_TRANSPORT_STACK_WATCH_H

#include <stdint.h>

#include "base/tcp_state.h"
#include "tcpstat/watch.h"
#include "transport/stack_board.h"

/* Where the counts come from; all is borrowed during the call. */
struct stack_watch_source {
    const struct tcp_state_counts *counts;
    const struct tcp_transitions *transitions;
    uint64_t (*counted)(const void *from, const char *name); /* of the host's counters */
    const void *from;
};

/* Puts the stack's counts where the kernel's of the same meaning stand. What has none is 0. */
void stack_watch_values(const struct stack_watch_source *source,
                        uint64_t values[WATCH_FIELD_COUNT]);

/* Does so from a board that was read. */
void stack_totals_watch(const struct stack_totals *totals, uint64_t values[WATCH_FIELD_COUNT]);

#endif
