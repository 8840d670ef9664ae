/* Stack alarm: somebody else has an address of a running stack's, which breaks its connections.
 *
 * Layer: L4; part of the transport's public face. Owner: whoever ticks while the stack runs, in one
 * thread; nothing is printed here. */
#ifndef FINWAIT_TRANSPORT_STACK_ALARM_H
#define FINWAIT_TRANSPORT_STACK_ALARM_H

#include <stdbool.h>

#include "base/addr.h"
#include "transport/stack.h"
#include "transport/stack_board.h"

#define STACK_ALARM_TEXT_MAX 256

/* Zeroed at first. What was told is not looked for again. */
struct stack_alarm {
    bool is_taken;        /* the kernel had an address of the stack's ... */
    struct ip_addr taken; /* ... this one */
    bool in_conflict;     /* another station said that it has one */
};

/* Looks whether something is new since the last call. Returns true and stores a sentence about it,
 * each once in a run; call it until it returns false. Worth a call a second: it asks the kernel for
 * its addresses, those of the caller's network namespace. */
bool stack_alarm_look(struct stack_alarm *alarm, const struct transport_stack_config *config,
                      const struct stack_totals *totals, char text[STACK_ALARM_TEXT_MAX]);

#endif
