/* Transitions: loads the program, and reads what it counted. The program's maps are per CPU and
 * added up here. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tcpstat/kernel_filter.h" /* first: the skeleton holds its struct */

#include "base/assert.h"
#include "base/clock.h"
#include "bpf/transitions.skel.h"
#include "tcpstat/netns.h"
#include "tcpstat/source.h"
#include "tcpstat/transitions_kernel.h"

#define BTF_PATH "/sys/kernel/btf/vmlinux"

enum { KERNEL_SUB_BITS = TRANSITIONS_SUB_BITS, KERNEL_VALUE_BITS = TRANSITIONS_VALUE_BITS };

_Static_assert(KERNEL_SUB_BITS == HIST_SUB_BITS, "the kernel's bins are the histogram's");
_Static_assert(KERNEL_VALUE_BITS == HIST_VALUE_BITS, "the kernel's bins are the histogram's");
_Static_assert(sizeof(struct transitions_lasted) ==
                   TCP_STATE_COUNT * sizeof(((const struct hist *)0)->bins),
               "a histogram for each state");
_Static_assert((int)TRANSITIONS_COUNTER_COUNT <= TRANSITIONS_COUNTERS_MAX, "each has a place");

_Static_assert((int)TRANSITIONS_GROUP_OTHER == TRANSITIONS_GROUP_REST, "one number for the rest");

bool transitions_built_in(void)
{
    return true;
}

static size_t lasted_bytes(const struct transitions *transitions)
{
    return transitions->slots * sizeof(struct transitions_lasted);
}

/* Counts what the map of groups has: the rest and every group, for each slot. */
static uint32_t groups_entries(const struct transitions *transitions)
{
    return (transitions->groups_max + 1) * transitions->slots;
}

static size_t groups_bytes(const struct transitions *transitions)
{
    return groups_entries(transitions) * sizeof(struct transitions_group_counts);
}

void transitions_close(struct transitions *transitions)
{
    if (transitions == NULL) {
        return;
    }
    if (transitions->lasted != NULL) {
        munmap((void *)(uintptr_t)transitions->lasted, lasted_bytes(transitions));
    }
    if (transitions->groups != NULL) {
        munmap((void *)(uintptr_t)transitions->groups, groups_bytes(transitions));
    }
    bpf_link__destroy(transitions->second);
    bpf_link__destroy(transitions->first);
    bpf_link__destroy(transitions->sockets);
    bpf_link__destroy(transitions->holders);
    transitions_bpf__destroy(transitions->skeleton);
    source_close(transitions->netns_fd);
    free(transitions->per_cpu);
    free(transitions);
}

static uint32_t grouping_of(enum transitions_grouping_by grouping)
{
    switch (grouping) {
    case TRANSITIONS_WHOLE:
        return GROUP_NOT;
    case TRANSITIONS_BY_LOCAL_PORT:
        return GROUP_LOCAL;
    case TRANSITIONS_BY_REMOTE_PORT:
        return GROUP_REMOTE;
    case TRANSITIONS_BY_NAMED_PORT:
        return GROUP_NAMED;
    }
    return GROUP_NOT;
}

/* Makes room for the groups, where there are any. */
static int configure_groups(const struct transitions *transitions,
                            const struct transitions_config *config)
{
    struct transitions_bpf *skeleton = transitions->skeleton;
    if (transitions->grouping == TRANSITIONS_WHOLE) {
        return 0;
    }
    skeleton->rodata->grouping = grouping_of(transitions->grouping);
    skeleton->rodata->groups_max = transitions->groups_max;
    skeleton->rodata->groups_of_services = config->groups_services;
    const int error = bpf_map__set_max_entries(skeleton->maps.group_numbers, CENSUS_PORTS);
    return error < 0 ? error
                     : bpf_map__set_max_entries(skeleton->maps.groups, groups_entries(transitions));
}

/* Sizes the maps and sets what the program may take as constant. */
static int configure(struct transitions *transitions, const struct transitions_config *config)
{
    struct transitions_bpf *skeleton = transitions->skeleton;
    struct stat netns;
    if (fstat(transitions->netns_fd, &netns) < 0) {
        return -errno;
    }
    const uint32_t records_max = config->time_wait_owners_max != 0 ? config->time_wait_owners_max
                                                                   : TRANSITIONS_OWNERS_DEFAULT;
    skeleton->rodata->netns_inode = (uint32_t)netns.st_ino;
    skeleton->rodata->filter_pid = config->pid;
    skeleton->rodata->filter_cgroup = config->cgroup_id;
    skeleton->rodata->filter_cgroup_level = config->cgroup_level;
    skeleton->rodata->slots = transitions->slots;
    int error = bpf_map__set_max_entries(skeleton->maps.lasted, transitions->slots);
    if (error == 0) {
        error = bpf_map__set_max_entries(skeleton->maps.records, records_max);
    }
    return error == 0 ? configure_groups(transitions, config) : error;
}

static int attach(struct transitions *transitions)
{
    const struct transitions_bpf *skeleton = transitions->skeleton;
    /* The order of attaching is that of running. */
    transitions->first = bpf_program__attach(skeleton->progs.first);
    if (transitions->first == NULL) {
        return -errno;
    }
    transitions->second = bpf_program__attach(skeleton->progs.second);
    if (transitions->second == NULL) {
        return -errno;
    }
    transitions->sockets = bpf_program__attach_iter(skeleton->progs.list_sockets, NULL);
    if (transitions->sockets == NULL) {
        return -errno;
    }
    transitions->holders = bpf_program__attach_iter(skeleton->progs.find_holders, NULL);
    return transitions->holders == NULL ? -errno : 0;
}

static int map_counts(struct transitions *transitions)
{
    const struct transitions_bpf *skeleton = transitions->skeleton;
    void *lasted = mmap(NULL, lasted_bytes(transitions), PROT_READ, MAP_SHARED,
                        bpf_map__fd(skeleton->maps.lasted), 0);
    if (lasted == MAP_FAILED) {
        return -errno;
    }
    transitions->lasted = lasted;
    if (transitions->grouping == TRANSITIONS_WHOLE) {
        return 0;
    }
    void *groups = mmap(NULL, groups_bytes(transitions), PROT_READ, MAP_SHARED,
                        bpf_map__fd(skeleton->maps.groups), 0);
    if (groups == MAP_FAILED) {
        return -errno;
    }
    transitions->groups = groups;
    return 0;
}

static int load(struct transitions *transitions, const struct transitions_config *config)
{
    libbpf_set_print(NULL); /* libraries never print */
    transitions->skeleton = transitions_bpf__open();
    if (transitions->skeleton == NULL) {
        return -errno;
    }
    int error = configure(transitions, config);
    if (error == 0) {
        error = transitions_bpf__load(transitions->skeleton);
    }
    if (error < 0) {
        return error;
    }
    if (config->filter != NULL) {
        kernel_filter_fill(&transitions->skeleton->bss->filter, config->filter);
    }
    error = map_counts(transitions);
    if (error == 0) {
        error = attach(transitions);
    }
    return error < 0 || config->finds_holders_later ? error : transitions_find_holders(transitions);
}

/* Says why the kernel did not take the program, as far as can be known. */
static int fail_to_load(struct failure *failure, int error)
{
    if (access(BTF_PATH, R_OK) < 0) {
        return failure_set(failure, ENOTSUP,
                           "transitions: the kernel has no BTF (%s), which BPF programs are "
                           "fitted by; states are counted, but not their changes",
                           BTF_PATH);
    }
    if (error == -EPERM || error == -EACCES) {
        return failure_set(failure, EPERM,
                           "transitions: BPF needs CAP_BPF and CAP_PERFMON outside of user "
                           "namespaces; run as root to count the changes of states");
    }
    if (error == -ENOMEM) {
        return failure_set(failure, ENOMEM, "transitions: no memory for the BPF program's maps");
    }
    return failure_set(failure, error == -ENOENT || error == -EINVAL ? ENOTSUP : -error,
                       "transitions: this kernel does not take the BPF program (%s); 5.18 and "
                       "newer should",
                       strerror(-error));
}

int transitions_open(struct transitions **transitions, const struct transitions_config *config,
                     struct failure *failure)
{
    *transitions = NULL;
    ASSERT(config->groups_max <= TRANSITIONS_GROUPS_MAX);
    ASSERT(config->grouping != TRANSITIONS_BY_NAMED_PORT ||
           (config->filter != NULL && config->filter->either_ports != NULL));
    struct transitions *opened = calloc(1, sizeof(*opened));
    if (opened == NULL) {
        return failure_set(failure, ENOMEM, "no memory for transitions");
    }
    const int cpus = libbpf_num_possible_cpus();
    opened->cpus = cpus < 1 ? 1 : (uint32_t)cpus;
    opened->slots = opened->cpus < TRANSITIONS_SLOTS_MAX ? opened->cpus : TRANSITIONS_SLOTS_MAX;
    opened->groups_max = config->groups_max != 0 ? config->groups_max : TRANSITIONS_GROUPS_DEFAULT;
    opened->grouping = config->grouping;
    opened->per_cpu = calloc(opened->cpus, sizeof(*opened->per_cpu));
    opened->netns_fd = netns_open(failure);
    int error = opened->netns_fd;
    if (error < 0) {
        goto err_close;
    }
    error = opened->per_cpu == NULL ? -ENOMEM : load(opened, config);
    if (error < 0) {
        error = fail_to_load(failure, error);
        goto err_close;
    }
    *transitions = opened;
    return 0;

err_close:
    transitions_close(opened);
    return error;
}

int transitions_find_holders(struct transitions *transitions)
{
    const int iterator = bpf_iter_create(bpf_link__fd(transitions->holders));
    if (iterator < 0) {
        return iterator;
    }
    char byte;
    ssize_t bytes;
    do { /* It writes nothing; after a million descriptors the kernel asks to be called again. */
        bytes = read(iterator, &byte, sizeof(byte));
    } while (bytes < 0 && (errno == EAGAIN || errno == EINTR));
    const int error = bytes < 0 ? -errno : 0;
    close(iterator);
    return error;
}

/* The kernel's numbers are ours but for one more name of SYN_RECEIVED, which no tracepoint shows.
 */
static void add_matrices(const struct transitions *transitions, struct tcp_transitions *matrix)
{
    for (uint32_t cpu = 0; cpu < transitions->cpus; cpu++) {
        for (int from = 0; from < TCP_STATE_COUNT; from++) {
            for (int to = 0; to < TCP_STATE_COUNT; to++) {
                matrix->n[from][to] += transitions->per_cpu[cpu].n[from][to];
            }
        }
    }
}

static int read_matrix(struct transitions *transitions, struct tcp_transitions *matrix)
{
    const uint32_t index = 0;
    *matrix = (struct tcp_transitions){0};
    const int fd = bpf_map__fd(transitions->skeleton->maps.matrices);
    const int error = bpf_map_lookup_elem(fd, &index, transitions->per_cpu);
    if (error == 0) {
        add_matrices(transitions, matrix);
    }
    return error;
}

static int read_counters(struct transitions *transitions, uint64_t *counters)
{
    uint64_t *values = (uint64_t *)(void *)transitions->per_cpu;
    const int fd = bpf_map__fd(transitions->skeleton->maps.counters);
    for (uint32_t index = 0; index < TRANSITIONS_COUNTER_COUNT; index++) {
        const int error = bpf_map_lookup_elem(fd, &index, values);
        if (error < 0) {
            return error;
        }
        counters[index] = 0;
        for (uint32_t cpu = 0; cpu < transitions->cpus; cpu++) {
            counters[index] += values[cpu];
        }
    }
    struct bpf_prog_info info = {0};
    uint32_t size = sizeof(info);
    const int first = bpf_program__fd(transitions->skeleton->progs.first);
    if (bpf_obj_get_info_by_fd(first, &info, &size) == 0) {
        counters[TRANSITIONS_COUNTER_reentered] = info.recursion_misses;
    }
    return 0;
}

static int compare_groups(const void *a, const void *b)
{
    const struct transitions_group *left = a;
    const struct transitions_group *right = b;
    return (int)left->port - (int)right->port;
}

/* What a group's CPUs of one slot count. */
static const struct transitions_group_counts *counts_of(const struct transitions *transitions,
                                                        uint32_t number, uint32_t slot)
{
    return &transitions->groups[number * transitions->slots + slot];
}

static void read_group_matrix(const struct transitions *transitions, uint32_t number,
                              struct tcp_transitions *matrix)
{
    *matrix = (struct tcp_transitions){0};
    for (uint32_t slot = 0; slot < transitions->slots; slot++) {
        const struct transitions_matrix *counted = &counts_of(transitions, number, slot)->matrix;
        for (int from = 0; from < TCP_STATE_COUNT; from++) {
            for (int to = 0; to < TCP_STATE_COUNT; to++) {
                matrix->n[from][to] += __atomic_load_n(&counted->n[from][to], __ATOMIC_RELAXED);
            }
        }
    }
}

static int read_groups(const struct transitions *transitions, struct transitions_snapshot *snapshot)
{
    if (snapshot->groups == NULL) {
        snapshot->groups = calloc(transitions->groups_max, sizeof(*snapshot->groups));
        if (snapshot->groups == NULL) {
            return -ENOMEM;
        }
    }
    const uint32_t made =
        __atomic_load_n(&transitions->skeleton->bss->groups_made, __ATOMIC_RELAXED);
    const uint32_t count = made < transitions->groups_max ? made : transitions->groups_max;
    snapshot->group_count = 0;
    for (uint32_t number = TRANSITIONS_GROUP_OTHER + 1; number <= count; number++) {
        const uint32_t port =
            __atomic_load_n(&counts_of(transitions, number, 0)->port, __ATOMIC_RELAXED);
        if (port == 0) {
            continue; /* a number that went lost, or a group that is being made */
        }
        struct transitions_group *group = &snapshot->groups[snapshot->group_count++];
        group->port = (uint16_t)port;
        group->number = number;
        read_group_matrix(transitions, number, &group->matrix);
    }
    if (snapshot->group_count > 1) {
        qsort(snapshot->groups, snapshot->group_count, sizeof(*snapshot->groups), compare_groups);
    }
    read_group_matrix(transitions, TRANSITIONS_GROUP_OTHER, &snapshot->other);
    return 0;
}

int transitions_read(struct transitions *transitions, struct transitions_snapshot *snapshot)
{
    snapshot->taken_ns = clock_now_ns();
    int error = read_matrix(transitions, &snapshot->matrix);
    if (error == 0) {
        error = read_counters(transitions, snapshot->counters);
    }
    if (error == 0 && transitions->grouping != TRANSITIONS_WHOLE) {
        error = read_groups(transitions, snapshot);
    }
    return error;
}

int transitions_read_lasted(struct transitions *transitions, enum tcp_state state,
                            struct hist *lasted)
{
    ASSERT((unsigned int)state < TCP_STATE_COUNT);
    for (uint32_t bin = 0; bin < HIST_BINS; bin++) {
        uint64_t times = 0;
        for (uint32_t slot = 0; slot < transitions->slots; slot++) {
            const __u64 *bins = &transitions->lasted[slot].bins[(uint32_t)state * HIST_BINS];
            times += __atomic_load_n(&bins[bin], __ATOMIC_RELAXED);
        }
        if (times > 0) {
            hist_add_bin(lasted, bin, times);
        }
    }
    return 0;
}

int transitions_read_group_lasted(struct transitions *transitions, uint32_t number,
                                  enum tcp_state state, struct hist *lasted)
{
    ASSERT((unsigned int)state < TCP_STATE_COUNT);
    ASSERT(transitions->groups != NULL && number <= transitions->groups_max);
    const uint32_t fine = UINT32_C(1) << TRANSITIONS_GROUP_SHIFT;
    for (uint32_t bin = 0; bin < TRANSITIONS_GROUP_BINS; bin++) {
        const uint32_t index = (uint32_t)state * TRANSITIONS_GROUP_BINS + bin;
        uint64_t times = 0;
        for (uint32_t slot = 0; slot < transitions->slots; slot++) {
            times += __atomic_load_n(&counts_of(transitions, number, slot)->bins[index],
                                     __ATOMIC_RELAXED);
        }
        if (times > 0) {
            hist_add_bin(lasted, bin * fine + fine / 2, times);
        }
    }
    return 0;
}
