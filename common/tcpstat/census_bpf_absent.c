/* Stands for census_bpf.c in a build without BPF, and says so.
 *
 * Layer: tcpstat (L1). */
#include <errno.h>

#include "tcpstat/census.h"

int census_open_bpf(struct census **census, struct failure *failure)
{
    (void)census;
    return failure_set(failure, ENOSYS,
                       "this finwait was built without BPF; install what \"tests/packages bpf\" "
                       "names and build again, or use another method");
}
