/* tcpstat: what the kernel says about its TCP sockets. The folder's public face.
 *
 * Layer: tcpstat (L1). census.h counts all sockets by state, counters.h reads the cheap counters by
 * name, timewait.h models TIME_WAIT from samples, watch.h observes a run in threads of its own.
 * transitions.h counts every change of a state, account.h ties the two together, owners.h tells
 * whose the sockets are, tuples.h when a client's 4-tuples run out. */
#ifndef FINWAIT_TCPSTAT_TCPSTAT_H
#define FINWAIT_TCPSTAT_TCPSTAT_H

#include "tcpstat/account.h"
#include "tcpstat/census.h"
#include "tcpstat/counters.h"
#include "tcpstat/owners.h"
#include "tcpstat/timewait.h"
#include "tcpstat/transitions.h"
#include "tcpstat/tuples.h"
#include "tcpstat/watch.h"

#endif
