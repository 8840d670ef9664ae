/* Guard: where a flood may go, which is nowhere but through a private namespace's own cable.
 *
 * Layer: bench/flood. What it asks of the kernel is of the calling thread's network namespace. */
#ifndef FINWAIT_BENCH_FLOOD_GUARD_H
#define FINWAIT_BENCH_FLOOD_GUARD_H

#include "base/addr.h"
#include "base/failure.h"

/* Refuses a target, or sources, which the replies go to, outside of the private addresses of RFC
 * 1918. Returns 0 or -EPERM with the text set. */
int guard_check_addresses(const struct endpoint *target, const struct ip_range *sources,
                          struct failure *failure);

/* Refuses the machine's own network namespace, one that has a default route, and an interface that
 * is no veth. What cannot be found out is refused too. Returns 0, -ENODEV or -EPERM with the text
 * set. */
int guard_check_place(const char *interface, struct failure *failure);

#endif
