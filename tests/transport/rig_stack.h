/* What the rig opens a stack with: on a cable to the kernel, or on a link in memory whose router
 * connects it to itself.
 *
 * Layer: tests. */
#ifndef FINWAIT_TESTS_TRANSPORT_RIG_STACK_H
#define FINWAIT_TESTS_TRANSPORT_RIG_STACK_H

#include "transport/stack.h"

/* The stack's end of the cable (transport/veth.h), and what it owns: 10.9.0.2 to 10.9.0.9. */
struct transport_stack_config rig_stack_on_cable(void);

/* A stack that is connected to itself: 10.10.0.2 to 10.10.0.9 lie behind the router. Stores the
 * router's end of the link. */
struct transport_stack_config rig_stack_looped(struct link **router);

/* Has the router send back what came; NULL is allowed. */
void rig_router_run(struct link *router);

#endif
