/* tcpstat: what the kernel says about its TCP sockets. The folder's public face.
 *
 * Layer: tcpstat (L1). census.h counts all sockets by state, counters.h reads the cheap counters by
 * name, timewait.h models TIME_WAIT from samples, watch.h observes a run in threads of its own. */
#ifndef FINWAIT_TCPSTAT_TCPSTAT_H
#define FINWAIT_TCPSTAT_TCPSTAT_H

#include "tcpstat/census.h"
#include "tcpstat/counters.h"
#include "tcpstat/timewait.h"
#include "tcpstat/watch.h"

#endif
