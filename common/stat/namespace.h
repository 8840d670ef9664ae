/* --netns: the network namespace to watch.
 *
 * Layer: program finwait-stat (L5). */
#ifndef FINWAIT_STAT_NAMESPACE_H
#define FINWAIT_STAT_NAMESPACE_H

#include "base/failure.h"

/* Moves the process, which must have one thread, into a namespace: a path ("/proc/7/ns/net"), a
 * process's by its id ("7"), or one of `ip netns` by its name. For that of a process in a user
 * namespace of the caller's own no right is needed: it is entered too. Returns 0, -EINVAL when
 * there is no such namespace, or -errno, with the text set. */
int namespace_enter_named(const char *name, struct failure *failure);

#endif
