/* Transitions told apart by port, for transitions.bpf.c alone.
 *
 * Layer: tcpstat (L1), in the kernel. A group is a number, found once in a socket's life and kept
 * with it, so that a transition finds its counts by one look at an array. Groups are only ever
 * made. */
#ifndef FINWAIT_TCPSTAT_BPF_GROUPS_BPF_H
#define FINWAIT_TCPSTAT_BPF_GROUPS_BPF_H

#include "kernel.h"

#include "transitions.h"

/* Set before the load. */
const volatile __u32 grouping;
const volatile __u32 groups_max;
const volatile __u32 groups_of_services;
const volatile __u32 slots = 1;

/* Groups that were made; with those for which there was no place, at most one a CPU more. */
__u32 groups_made;

/* In place of a number: the port found no place. */
#define GROUP_REFUSED 0xffff

/* The number of each port's group; 0: it has none. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u32);
} group_numbers SEC(".maps");

/* What the groups count: group by group, each slot by slot. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct transitions_group_counts);
} groups SEC(".maps");

static __always_inline void add(struct transitions_matrix *matrix, __u8 from, __u8 to)
{
    __sync_fetch_and_add(&matrix->n[from % TRANSITIONS_STATES][to % TRANSITIONS_STATES], 1);
}

/* Finds what a group counts on this CPU. */
static __always_inline struct transitions_group_counts *counts_of(__u32 group)
{
    const __u32 index = group * slots + bpf_get_smp_processor_id() % slots;
    return bpf_map_lookup_elem(&groups, &index);
}

static __always_inline void record_in_group(__u32 group, __u8 state, __u32 bin)
{
    struct transitions_group_counts *counts =
        counts_of(group == GROUP_REFUSED ? TRANSITIONS_GROUP_REST : group);
    __u32 index = state * TRANSITIONS_GROUP_BINS + (bin >> TRANSITIONS_GROUP_SHIFT);
    barrier_var(index);
    if (counts != NULL && index < TRANSITIONS_GROUP_LASTED_BINS) {
        __sync_fetch_and_add(&counts->bins[index], 1);
    }
}

/* Makes a port's group, unless another CPU does so first. Returns its number. */
static __always_inline __u32 make_group(__u32 port, __u32 *number)
{
    if (groups_made >= groups_max) {
        return GROUP_REFUSED;
    }
    const __u32 made = __sync_fetch_and_add(&groups_made, 1) + 1;
    if (made > groups_max) {
        return GROUP_REFUSED;
    }
    const __u32 other = __sync_val_compare_and_swap(number, 0, made);
    if (other != 0) {
        /* This number is in nobody's hands: it goes back if it is still the last. */
        __sync_val_compare_and_swap(&groups_made, made, made - 1);
        return other;
    }
    const __u32 index = made * slots;
    struct transitions_group_counts *counts = bpf_map_lookup_elem(&groups, &index);
    if (counts != NULL) {
        counts->port = port | TRANSITIONS_GROUP_MADE;
    }
    return made;
}

/* Finds the number of a port's group; `makes` lets it be made. */
static __always_inline __u16 number_of(__u32 port, bool makes)
{
    __u32 *number = bpf_map_lookup_elem(&group_numbers, &port);
    if (number == NULL) {
        return TRANSITIONS_GROUP_REST;
    }
    const __u32 found = *(volatile __u32 *)number;
    return (__u16)(found == 0 && makes ? make_group(port, number) : found);
}

#endif
