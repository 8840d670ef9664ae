/* The census by a BPF program that counts inside the kernel: no row leaves it, only the sums do.
 *
 * Layer: tcpstat (L1). The program (bpf/census.bpf.c) is loaded once, when the census is opened,
 * and kept; each run makes a walk of its own. An iterator counts the namespace of the thread that
 * makes it, so a run from another namespace goes to the census's own for as long as that takes. The
 * census owns the program, its maps (4 MB for the groups) and the namespace's descriptor. */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tcpstat/kernel_filter.h" /* first: the skeleton holds its struct */

#include "bpf/census.skel.h"
#include "tcpstat/kernel_census.h"
#include "tcpstat/netns.h"

#define BTF_PATH "/sys/kernel/btf/vmlinux"

/* What bpf/census.bpf.c calls so. */
enum { FAMILY_V4, FAMILY_V6 };
enum { GROUP_NOT, GROUP_LOCAL, GROUP_REMOTE };

#define KERNEL_STATES 16

struct kernel_group {
    uint32_t n[KERNEL_STATES];
};

#define GROUPS_BYTES (CENSUS_PORTS * sizeof(struct kernel_group))

struct bpf_census {
    struct kernel_census kernel; /* first: a pointer to it is a pointer to this */
    struct census_bpf *skeleton;
    struct bpf_link *link;
    struct kernel_group *groups; /* the kernel's, mapped; by port */
};

/* Forgets the groups of the last walk: only the ports that were seen are written to. */
static void empty_groups(struct bpf_census *census)
{
    struct census_bpf__bss *shared = census->skeleton->bss;
    for (uint32_t word = 0; word < CENSUS_PORTS / 64; word++) {
        for (uint64_t left = shared->ports_seen[word]; left != 0; left &= left - 1) {
            const uint32_t port = word * 64 + (uint32_t)__builtin_ctzll(left);
            census->groups[port] = (struct kernel_group){0};
        }
        shared->ports_seen[word] = 0;
    }
}

static void prepare(struct bpf_census *census, const struct census_request *request)
{
    struct census_bpf__bss *shared = census->skeleton->bss;
    kernel_filter_fill(&shared->filter, request);
    switch (request->grouping) {
    case CENSUS_WHOLE:
        shared->grouping = GROUP_NOT;
        break;
    case CENSUS_BY_LOCAL_PORT:
        shared->grouping = GROUP_LOCAL;
        break;
    case CENSUS_BY_REMOTE_PORT:
        shared->grouping = GROUP_REMOTE;
        break;
    }
    empty_groups(census);
    shared->rows = 0;
    memset(shared->counts, 0, sizeof(shared->counts));
}

/* Walks the table. The program ends a read now and then by a byte, for the look at `cancel`; EAGAIN
 * comes from a kernel that met a million sockets without one. */
static int walk(int iterator, const struct census_request *request)
{
    for (;;) {
        if (kernel_census_is_cancelled(request)) {
            return -ECANCELED;
        }
        char byte;
        const ssize_t bytes = read(iterator, &byte, sizeof(byte));
        if (bytes == 0) {
            return 0;
        }
        if (bytes < 0 && errno != EAGAIN && errno != EINTR) {
            return -errno;
        }
    }
}

/* Gives a state as we know it, or TCP_STATE_NONE for one that is not a connection's. */
static enum tcp_state state_of(uint32_t kernel_state)
{
    if (kernel_state == KERNEL_NEW_SYN_RECV) {
        return TCP_STATE_SYN_RECEIVED;
    }
    return kernel_state < TCP_STATE_COUNT ? (enum tcp_state)kernel_state : TCP_STATE_NONE;
}

static int take_group(struct census_groups *groups, uint16_t port, const struct kernel_group *group)
{
    for (uint32_t i = 0; i < KERNEL_STATES; i++) {
        const enum tcp_state state = state_of(i);
        if (state == TCP_STATE_NONE || group->n[i] == 0) {
            continue;
        }
        const int error = census_groups_add(groups, port, state, group->n[i]);
        if (error < 0) {
            return error;
        }
    }
    return 0;
}

static int take_groups(const struct bpf_census *census, struct census_groups *groups)
{
    const struct census_bpf__bss *shared = census->skeleton->bss;
    for (uint32_t word = 0; word < CENSUS_PORTS / 64; word++) {
        for (uint64_t left = shared->ports_seen[word]; left != 0; left &= left - 1) {
            const uint16_t port = (uint16_t)(word * 64 + (uint32_t)__builtin_ctzll(left));
            const int error = take_group(groups, port, &census->groups[port]);
            if (error < 0) {
                return error;
            }
        }
    }
    return 0;
}

static void take_counts(const struct bpf_census *census, struct census_result *result)
{
    const struct census_bpf__bss *shared = census->skeleton->bss;
    for (uint32_t i = 0; i < KERNEL_STATES; i++) {
        const enum tcp_state state = state_of(i);
        if (state != TCP_STATE_NONE) {
            result->v4.n[state] += shared->counts[FAMILY_V4][i];
            result->v6.n[state] += shared->counts[FAMILY_V6][i];
        }
    }
    tcp_state_counts_add(&result->total, &result->v4);
    tcp_state_counts_add(&result->total, &result->v6);
}

/* Makes an iterator, which is of the making thread's namespace. Returns its descriptor or -errno.
 */
static int make_iterator(void *context)
{
    const struct bpf_census *census = context;
    return bpf_iter_create(bpf_link__fd(census->link));
}

static int count(struct kernel_census *base, const struct census_request *request,
                 struct census_result *result)
{
    struct bpf_census *census = (struct bpf_census *)base;
    prepare(census, request);
    const int iterator = netns_call(census->kernel.netns_fd, make_iterator, census);
    if (iterator < 0) {
        return iterator;
    }
    const int error = walk(iterator, request);
    close(iterator);
    if (error < 0) {
        return error;
    }
    take_counts(census, result);
    result->stamp.rows = census->skeleton->bss->rows;
    return request->grouping == CENSUS_WHOLE ? 0 : take_groups(census, &result->groups);
}

static int bpf_run(struct census *base, const struct census_request *request,
                   struct census_result *result)
{
    return kernel_census_run((struct kernel_census *)base, request, result, count);
}

static void bpf_close(struct census *base)
{
    struct bpf_census *census = (struct bpf_census *)base;
    if (census->groups != NULL) {
        munmap(census->groups, GROUPS_BYTES);
    }
    bpf_link__destroy(census->link);
    census_bpf__destroy(census->skeleton);
    kernel_census_close(&census->kernel);
    free(census);
}

static const struct census_ops bpf_ops = {
    .method = "bpf",
    .run = bpf_run,
    .close = bpf_close,
};

/* Says why the kernel did not take the program, as far as can be known. */
static int fail_to_load(struct failure *failure, int error)
{
    if (access(BTF_PATH, R_OK) < 0) {
        return failure_set(failure, ENOENT,
                           "the kernel has no BTF (%s), which BPF programs are fitted by; "
                           "use another method",
                           BTF_PATH);
    }
    if (error == -EPERM || error == -EACCES) {
        return failure_set(failure, EPERM,
                           "BPF needs CAP_BPF and CAP_PERFMON outside of user namespaces; "
                           "run as root, or use another method");
    }
    return failure_set(failure, -error,
                       "the kernel refuses the BPF program: %s; use another method",
                       strerror(-error));
}

static int load(struct bpf_census *census)
{
    libbpf_set_print(NULL); /* libraries never print */
    census->skeleton = census_bpf__open();
    if (census->skeleton == NULL) {
        return -errno;
    }
    const int error = census_bpf__load(census->skeleton);
    if (error < 0) {
        return error;
    }
    census->link = bpf_program__attach_iter(census->skeleton->progs.count_socket, NULL);
    if (census->link == NULL) {
        return -errno;
    }
    void *groups = mmap(NULL, GROUPS_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
                        bpf_map__fd(census->skeleton->maps.groups), 0);
    if (groups == MAP_FAILED) {
        return -errno;
    }
    census->groups = groups;
    return 0;
}

int census_open_bpf(struct census **census, struct failure *failure)
{
    struct bpf_census *opened = calloc(1, sizeof(*opened));
    if (opened == NULL) {
        return failure_set(failure, ENOMEM, "no memory for a census");
    }
    int error = kernel_census_open(&opened->kernel, &bpf_ops, failure);
    if (error < 0) {
        goto err_close;
    }
    error = load(opened);
    if (error < 0) {
        error = fail_to_load(failure, error);
        goto err_close;
    }
    *census = &opened->kernel.census;
    return 0;

err_close:
    bpf_close(&opened->kernel.census);
    return error;
}
