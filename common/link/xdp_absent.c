/* AF_XDP in a build without libxdp: it says so. Layer: link. */
#include <errno.h>

#include "link/link_ops.h"

int xdp_open(struct link **opened, const struct link_config *config,
             const struct link_interface *facts, struct failure *failure)
{
    (void)opened;
    (void)facts;
    return failure_set(failure, ENOTSUP,
                       "link xdp:%s: this build has no AF_XDP; use packet:%s, or install "
                       "libxdp-dev, libbpf-dev, clang and bpftool and build again",
                       config->interface, config->interface);
}
