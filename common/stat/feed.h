/* Feeds: where samples come from: the kernel, a running stack, or a recording.
 *
 * Layer: program finwait-stat (L5). Owner: the session. `fd` becomes readable when it is worth
 * calling `next`, which never blocks. */
#ifndef FINWAIT_STAT_FEED_H
#define FINWAIT_STAT_FEED_H

#include <stdbool.h>

#include "base/failure.h"
#include "stat/options.h"
#include "stat/sample.h"

enum feed_step {
    FEED_WAIT,   /* nothing yet */
    FEED_SAMPLE, /* there is one */
    FEED_DONE,   /* there will be none */
};

struct feed;

struct feed_ops {
    /* Gives the next sample if there is one. Returns an enum feed_step, or -errno with the text
     * set. */
    int (*next)(struct feed *feed, struct sample *sample, struct failure *failure);
    /* Holds the samples back, or goes on; NULL where time cannot be held. */
    void (*pause)(struct feed *feed, bool paused);
    /* Ends it: true when there is a last sample. The end's deltas stay valid until close. */
    bool (*finish)(struct feed *feed, struct sample *last, struct sample_end *end);
    void (*close)(struct feed *feed);
};

/* The head of every implementation's struct. */
struct feed {
    const struct feed_ops *ops;
    int fd;
    struct sample_head head;
};

/* Watches the kernel. The settings are borrowed until close. Returns 0 or -errno with the text set.
 */
int feed_open_kernel(struct feed **feed, const struct stat_settings *settings,
                     struct failure *failure);

/* Replays a recording at the settings' speed. Returns as above; -EINVAL when it is none. */
int feed_open_replay(struct feed **feed, const struct stat_settings *settings,
                     struct failure *failure);

/* Asks a running stack by its program's local socket. The settings are borrowed until close.
 * Returns as above; -EINVAL when there is no stack at the path. */
int feed_open_stack(struct feed **feed, const struct stat_settings *settings,
                    struct failure *failure);

#endif
