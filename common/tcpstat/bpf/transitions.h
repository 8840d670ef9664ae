/* What the transitions program and its reader in user space share: sizes, and the rows of a walk.
 *
 * Layer: tcpstat (L1). Plain data of fixed layout, for both compilers, in the kernel's types: the
 * C library's are not there for BPF. */
#ifndef FINWAIT_TCPSTAT_BPF_TRANSITIONS_H
#define FINWAIT_TCPSTAT_BPF_TRANSITIONS_H

#include <linux/types.h>

#define TRANSITIONS_STATES 16 /* over TCP_STATE_COUNT, and a power of 2 to mask with */
#define TRANSITIONS_COUNTERS_MAX 32

/* base/hist.h's bins; the reader asserts that they are the same. */
#define TRANSITIONS_SUB_BITS 7
#define TRANSITIONS_VALUE_BITS 44
#define TRANSITIONS_BINS                                                                           \
    ((1u << TRANSITIONS_SUB_BITS) * (TRANSITIONS_VALUE_BITS - TRANSITIONS_SUB_BITS + 1u))
#define TRANSITIONS_LASTED_STATES 12
#define TRANSITIONS_LASTED_BINS (TRANSITIONS_LASTED_STATES * TRANSITIONS_BINS)

/* Histograms are 0.5 MB, of which so many exist at most; CPUs share them by their number. */
#define TRANSITIONS_SLOTS_MAX 16

enum transitions_grouping {
    GROUP_NOT,
    GROUP_LOCAL,
    GROUP_REMOTE,
    GROUP_NAMED, /* by the port of either end that the filter names; the local one of two */
};

/* A group's histograms have one bin for so many (2^n) of the whole's: each octave has 16, which
 * keeps a group at 60 kB. */
#define TRANSITIONS_GROUP_SHIFT 3
#define TRANSITIONS_GROUP_BINS (TRANSITIONS_BINS >> TRANSITIONS_GROUP_SHIFT)
#define TRANSITIONS_GROUP_LASTED_BINS (TRANSITIONS_LASTED_STATES * TRANSITIONS_GROUP_BINS)

/* Group 0 is that of the sockets that have none; the others are numbered as they are made. */
#define TRANSITIONS_GROUP_REST 0

struct transitions_matrix {
    __u64 n[TRANSITIONS_STATES][TRANSITIONS_STATES];
};

/* What is counted of one port, by the CPUs that share a slot. */
#define TRANSITIONS_GROUP_MADE 0x10000u
struct transitions_group_counts {
    __u32 port; /* in slot 0: the port | TRANSITIONS_GROUP_MADE once it is known */
    __u32 padding;
    struct transitions_matrix matrix;
    __u64 bins[TRANSITIONS_GROUP_LASTED_BINS]; /* state by state */
};

struct transitions_lasted {
    __u64 bins[TRANSITIONS_LASTED_BINS]; /* state by state */
};

/* Who made a TIME_WAIT record. */
struct transitions_owner {
    __u64 cgroup_id;
    __u32 pid;
    __u32 padding; /* keys compare whole */
};

struct transitions_record {
    struct transitions_owner owner;
    __u64 since_ns;
};

struct transitions_comm {
    char text[16];
};

/* One socket of a walk. Addresses in network order, ports in the host's. */
struct transitions_row {
    __u64 cgroup_id;
    __u64 since_ns; /* in its state; 0: not known */
    __u64 rest_ns;  /* of a record, until it ends */
    __u32 pid;
    __u16 family;
    __u16 local_port;
    __u16 remote_port;
    __u8 state; /* the kernel's number */
    __u8 is_record;
    __u8 is_request;
    __u8 padding[3];
    __u32 local[4];
    __u32 remote[4];
};

#endif
