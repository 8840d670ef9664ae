/* Quota: how many connections several transports may have open together.
 *
 * Layer: transport. Owner: who opens the transports; it outlives them. Any thread: the counts are
 * atomic, on a cache line that nothing else is on, and are written once for each connection that is
 * accepted and once for each that ends. A transport that finds no place looks again when one of its
 * own connections ends, else every 20 ms (the engines' retry), and only while a connection waits.
 *
 * So that a transport whose places come back all the time does not keep them from the others, one
 * that has not waited leaves a place for each that waits. */
#ifndef FINWAIT_TRANSPORT_QUOTA_H
#define FINWAIT_TRANSPORT_QUOTA_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct transport_quota {
    alignas(64) _Atomic uint32_t open; /* never above `places` */
    _Atomic uint32_t waiting;          /* transports that found no place and still want one */
    uint32_t places;
};

/* Prepares a quota with nothing open. */
void transport_quota_init(struct transport_quota *quota, uint32_t places);

/* Takes a place for a transport that keeps `waits` for the quota (at first false). Returns false,
 * and counts the transport as waiting, when there is none for it. */
bool quota_take(struct transport_quota *quota, bool *waits);

/* Takes a place for a caller that does not wait: who gets none gives its connection up. */
bool quota_try(struct transport_quota *quota);

/* Gives places back. */
void quota_give(struct transport_quota *quota, uint32_t places);

/* Takes a transport off those that wait. */
void quota_wait_end(struct transport_quota *quota, bool *waits);

/* Counts the places that are left, a little late. */
uint32_t quota_room(struct transport_quota *quota);

#endif
