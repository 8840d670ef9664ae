/* A cable for the stack engine's tests, in the network namespace that the test is in: its one end,
 * veth0, is the kernel's, with 10.9.0.1/24; the other, veth1, is the stack's.
 *
 * Layer: tests. It goes with the namespace. Every call returns 0 or -errno. */
#ifndef FINWAIT_TESTS_TRANSPORT_VETH_H
#define FINWAIT_TESTS_TRANSPORT_VETH_H

#include <stdbool.h>

#define VETH_KERNEL "veth0"
#define VETH_STACK "veth1"

int veth_lay(void);
int veth_set_up(const char *name, bool up);
int veth_set_mtu(const char *name, int bytes);

#endif
