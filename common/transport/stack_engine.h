/* The stack engine's own types and calls.
 *
 * Layer: L4, private to common/transport. Owner: stack.c. One thread. */
#ifndef FINWAIT_TRANSPORT_STACK_ENGINE_H
#define FINWAIT_TRANSPORT_STACK_ENGINE_H

#include <stdint.h>

#include "transport/engine.h"
#include "transport/stack.h"

/* An IPv4 address in host order. */
uint32_t stack_ip_of(const struct ip_addr *ip);

/* The address that answers ARP and asks by it. */
const struct ip_addr *stack_link_address(const struct transport_stack_config *config);

#endif
