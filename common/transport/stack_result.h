/* Stack result: what a run's report says of the stack, in every program that has one.
 *
 * Layer: L4; part of the transport's public face. Pure functions of plain data, after the run. */
#ifndef FINWAIT_TRANSPORT_STACK_RESULT_H
#define FINWAIT_TRANSPORT_STACK_RESULT_H

#include <stdint.h>

#include "report/result.h"
#include "transport/stack_board.h"
#include "transport/stack_options.h"

struct stack_result_facts {
    const struct transport_stack_settings *settings;
    const struct stack_totals *totals;
    uint64_t lingering_ns;                /* how long it answered once its connections were done */
    struct transport_lingering abandoned; /* what went with it */
    bool is_taken;                        /* the kernel had an address of the stack's ... */
    struct ip_addr taken;                 /* ... this one */
};

/* Adds the counters of the stack and of what is below it, its transitions, 2MSL, and what was
 * abandoned and what troubled the link, with notes about them. Returns 0 or -ENOMEM. */
int stack_result_add(struct result *result, const struct stack_result_facts *facts);

#endif
