/* What the main thread waits for: signals, the end of a worker, the next tick.
 *
 * Layer: server. Owner: the main thread. SIGTERM and SIGINT are blocked and read from a descriptor,
 * so that no handler runs and no state is global; threads that are started later inherit the mask.
 */
#ifndef FINWAIT_SERVER_CONTROL_H
#define FINWAIT_SERVER_CONTROL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/failure.h"

struct control {
    int signal_fd;
    int ended_fd; /* eventfd: workers add 1 as they end */
};

/* What came; several may have come at once. */
struct control_events {
    uint32_t signals; /* SIGTERM and SIGINT */
    uint32_t ended;   /* workers that have ended since the last wait */
};

/* Blocks the signals and opens the descriptors. Returns 0 or -errno with the text set. */
int control_open(struct control *control, struct failure *failure);

/* Closes the descriptors and lets the signals act as they do by default: from here on one ends the
 * program on the spot. */
void control_close(struct control *control);

/* Waits for an event, `until_ns` at the latest (then both counts are 0). Returns 0 or -errno. */
int control_wait(struct control *control, uint64_t until_ns, struct control_events *events);

#endif
