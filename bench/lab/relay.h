/* Relay: what a child writes to a pipe goes on to stderr, and is searched for one phrase.
 *
 * Layer: bench/lab. One thread. While nobody passes it on, a child that says much waits. */
#ifndef FINWAIT_BENCH_LAB_RELAY_H
#define FINWAIT_BENCH_LAB_RELAY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/failure.h"

struct relay {
    int read_fd;
    int write_fd;       /* for the child; -1 once closed here */
    const char *phrase; /* borrowed */
    size_t matched;     /* characters of it at the end of what came last */
    bool found;
};

/* Opens the pipe. Returns 0, or -errno with the text set. */
int relay_open(struct relay *relay, const char *phrase, struct failure *failure);

/* Closes our copy of the child's end. NULL is allowed. */
void relay_close_writer(struct relay *relay);
void relay_close(struct relay *relay);

/* Passes on what there is, without waiting. Tells whether the phrase has come by now; false for
 * NULL. */
bool relay_pass_on(struct relay *relay);

#endif
