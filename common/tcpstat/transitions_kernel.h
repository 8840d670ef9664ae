/* The loaded transitions program, for those who read its maps.
 *
 * Layer: tcpstat (L1), private to builds with BPF: transitions_bpf.c makes it, owners_bpf.c reads
 * its sockets. */
#ifndef FINWAIT_TCPSTAT_TRANSITIONS_KERNEL_H
#define FINWAIT_TCPSTAT_TRANSITIONS_KERNEL_H

#include <stdint.h>

#include "tcpstat/bpf/transitions.h"
#include "tcpstat/transitions.h"

struct bpf_link;
struct transitions_bpf;

/* Owns all that its pointers reach. */
struct transitions {
    struct transitions_bpf *skeleton;
    struct bpf_link *first; /* on the tracepoint, in this order */
    struct bpf_link *second;
    struct bpf_link *sockets; /* iterators */
    struct bpf_link *holders;
    int netns_fd;
    uint32_t cpus;  /* possible ones: what a read of a per-CPU map gives values for */
    uint32_t slots; /* of histograms */
    uint32_t groups_max;
    enum transitions_grouping_by grouping;
    const struct transitions_lasted *lasted;       /* mapped */
    const struct transitions_group_counts *groups; /* mapped; NULL: no grouping */
    struct transitions_matrix *per_cpu;            /* a read's values, one a CPU */
};

/* Gives every socket that has a descriptor to who holds it. Returns 0 or -errno. */
int transitions_find_holders(struct transitions *transitions);

#endif
