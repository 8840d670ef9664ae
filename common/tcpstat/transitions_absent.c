/* Transitions in a build without BPF: they say so. */
#include <errno.h>

#include "base/assert.h"
#include "tcpstat/transitions.h"

bool transitions_built_in(void)
{
    return false;
}

int transitions_open(struct transitions **transitions, const struct transitions_config *config,
                     struct failure *failure)
{
    (void)config;
    *transitions = NULL;
    return failure_set(failure, ENOTSUP,
                       "transitions: this build has no BPF; install clang, bpftool and libbpf-dev, "
                       "and build again");
}

void transitions_close(struct transitions *transitions)
{
    ASSERT(transitions == NULL);
}

int transitions_read(struct transitions *transitions, struct transitions_snapshot *snapshot)
{
    (void)transitions;
    (void)snapshot;
    return -ENOTSUP;
}

int transitions_read_lasted(struct transitions *transitions, enum tcp_state state,
                            struct hist *lasted)
{
    (void)transitions;
    (void)state;
    (void)lasted;
    return -ENOTSUP;
}

int transitions_read_group_lasted(struct transitions *transitions, uint32_t number,
                                  enum tcp_state state, struct hist *lasted)
{
    (void)transitions;
    (void)number;
    (void)state;
    (void)lasted;
    return -ENOTSUP;
}
