/* Owners by BPF in a build without BPF: they say so. */
#include <errno.h>

#include "tcpstat/owners_walk.h"

int owners_open_bpf(struct owners **owners, struct transitions *transitions,
                    struct failure *failure)
{
    (void)owners;
    (void)transitions;
    return failure_set(failure, ENOTSUP, "owners: this build has no BPF");
}
