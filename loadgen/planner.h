/* Planner: which 4-tuple the next connection takes, so that none is used again too early.
 *
 * Layer: loadgen (L5). Owner: the worker that holds the struct; one thread; no sockets, no clock of
 * its own. The kernel's own choice of ports slows to a crawl, without an error, once TIME_WAIT
 * holds most of them; planned 4-tuples cost the same until they are used up, and then the failure
 * has a name.
 *
 * The space is every source address x every port x every target, numbered so that ports run fastest
 * (the kernel keeps a chain of sockets per local port: short chains bind fast) and targets take
 * turns: a row is all ports of one source. Share s of n takes the rows s (mod n), and of the rows
 * that are left over the numbers s (mod n), so that workers, and later machines, never meet. With
 * rows of their own they use the same ports at about the same time, and the kernel makes its record
 * of a port once for all of them, not for each. With `by_port` share s of n instead takes the ports
 * s (mod n) of every row, as where the port decides which worker gets the answers.
 * Left out are tuples of two address families, and those whose source is itself a target: a socket
 * that is bound to the address and port that it connects to reaches itself, and one bound where a
 * server listens fails.
 *
 * Tuples that were never used come first, in order; then the one that was released longest ago, if
 * that is reuse_after ago. Released tuples wait in a queue of 16-byte records, whose chunks are
 * used again: memory grows to rate x reuse_after and stays there. */
#ifndef FINWAIT_LOADGEN_PLANNER_H
#define FINWAIT_LOADGEN_PLANNER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "loadgen/sources.h"

struct planner_config {
    const struct sources *sources; /* borrowed, as are the targets: they outlive the planner */
    const struct endpoint *targets;
    uint32_t target_count; /* > 0 */
    struct port_range ports;
    uint64_t reuse_after_ns;
    uint32_t share;
    uint32_t shares;
    bool by_port; /* share s takes the ports p with p mod shares = s */
};

struct planner_chunk;

struct planner {
    struct planner_config config;
    uint64_t space;       /* tuples of all shares, those that are left out included */
    uint64_t next_tuple;  /* of our share, not yet taken */
    uint64_t spelt_tuple; /* the unused tuple that was looked at last; UINT64_MAX: none yet */
    struct flow spelt;    /* spelt out: each is asked for several times, and costs divisions */
    struct planner_chunk *oldest;
    struct planner_chunk *newest;
    struct planner_chunk *spare;
    uint32_t oldest_at; /* next record to take, in `oldest` */
    uint32_t newest_at; /* next record to fill, in `newest` */
    uint64_t last_released_ns;
    uint64_t waiting_count;
    uint64_t used_count;  /* tuples handed out for the first time */
    uint64_t reuse_count; /* tuples handed out again */
    uint64_t lost_count;  /* released tuples that could not be kept: no memory */
};

/* Prepares a planner; allocates nothing yet. */
void planner_init(struct planner *planner, const struct planner_config *config);

/* Frees the queue. Safe on a zeroed struct. */
void planner_destroy(struct planner *planner);

/* Takes a tuple: stores its number. Returns false when none is free at `now_ns`. */
bool planner_take(struct planner *planner, uint64_t now_ns, uint64_t *tuple);

/* Tells which tuple planner_take gives next, be it free already or not. Returns false when every
 * tuple is in use. */
bool planner_peek(struct planner *planner, uint64_t *tuple);

/* Gives a tuple back, whose connection ended at `now_ns`, or which turned out to be someone else's:
 * it is not taken again for reuse_after. Times must not go back; an earlier one counts as the last.
 */
void planner_release(struct planner *planner, uint64_t tuple, uint64_t now_ns);

/* Tells when planner_take will give a tuple: 0 for now, CLOCK_NEVER when every tuple is in use. */
uint64_t planner_next_ns(struct planner *planner);

/* Spells a tuple out. Requires a number that planner_take gave. */
struct flow planner_flow(const struct planner *planner, uint64_t tuple);

#endif
