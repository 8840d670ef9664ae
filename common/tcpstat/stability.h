/* Whether the socket table stayed as it was while a census walked it, judged from counters.
 *
 * Layer: tcpstat (L1), private. Sockets come and go only with sockstat's inuse and tw or the opens
 * of snmp, and change their state otherwise only by a segment; request sockets come by a segment
 * too. Two listeners of which one went as the other came, and a FIN that waits for the peer's
 * window, are the changes that this cannot see. Owner: the census. One thread at a time; about
 * 0.1 ms for each of the two readings. */
#ifndef FINWAIT_TCPSTAT_STABILITY_H
#define FINWAIT_TCPSTAT_STABILITY_H

#include "base/failure.h"
#include "tcpstat/census.h"

struct stability;

/* Opens the counters of the calling thread's namespace. Returns 0 or -errno with the failure's text
 * set. */
int stability_open(struct stability **stability, struct failure *failure);

/* Closes and frees. NULL is allowed. */
void stability_close(struct stability *stability);

/* Reads the counters before a walk. */
void stability_begin(struct stability *stability);

/* Reads them after it and judges; counters that could not be read leave it unknown. */
enum census_stability stability_end(struct stability *stability);

#endif
