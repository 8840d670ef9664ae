/* The commands `run` and `pair`: programs of the user's choice in namespaces of their own.
 *
 * Layer: bench/lab. Both return the exit code to end with, having printed why when something
 * failed. */
#ifndef FINWAIT_BENCH_LAB_RUN_H
#define FINWAIT_BENCH_LAB_RUN_H

#include "keeper.h"
#include "observer.h"
#include "options.h"

int run_in_namespace(struct keeper *keeper, const struct run_options *options);

int run_in_pair(struct keeper *keeper, const struct pair_options *options);

/* Waits until a socket listens in the observed namespace. Returns as keeper_await does. */
int run_await_listener(struct keeper *keeper, struct child *server, struct observer *observer,
                       uint64_t deadline_ns);

#endif
