/* The census of a filter by owner: what a walk over owners counts.
 *
 * Layer: tcpstat (L1). A process or a cgroup is in no source's rows but the walk's. The walk is its
 * owner's to make, who keeps the result and its rows. */
#ifndef FINWAIT_TCPSTAT_CENSUS_OWNERS_H
#define FINWAIT_TCPSTAT_CENSUS_OWNERS_H

#include "tcpstat/census.h"
#include "tcpstat/owners.h"

struct census_owners_config {
    const struct owners *owners; /* which way: its name is the method's */
    /* Walks by a filter and gives what was found, valid until the next walk. Returns 0 or -errno.
     */
    int (*walk)(void *context, const struct census_request *filter,
                const struct owners_result **found);
    void *context;
};

/* Opens it in the calling thread's namespace. It groups by nothing. Returns 0 or -errno with the
 * failure's text set. */
int census_open_owners(struct census **census, const struct census_owners_config *config,
                       struct failure *failure);

#endif
