/* Whether an address is free to listen on.
 *
 * Layer: server. A plain call without state. */
#ifndef FINWAIT_SERVER_ADDRESS_H
#define FINWAIT_SERVER_ADDRESS_H

#include "base/addr.h"
#include "base/failure.h"

/* Looks whether another program listens on an address, by binding without SO_REUSEPORT, and lets go
 * of it at once. Needed since a SO_REUSEPORT group lets any program of the same user join: two
 * servers on one port would share its connections in silence. Port 0 is always free. Returns 0, or
 * -errno with the text set. */
int address_check_free(const struct endpoint *address, struct failure *failure);

#endif
