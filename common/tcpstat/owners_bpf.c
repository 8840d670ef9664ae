/* Owners by BPF: the transitions program knows each socket's owner and since when it is in its
 * state; a walk gives a row a socket, which is grouped here. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tcpstat/kernel_filter.h" /* first: the skeleton holds its struct */

#include "base/assert.h"
#include "bpf/transitions.skel.h"
#include "tcpstat/kernel_census.h"
#include "tcpstat/netns.h"
#include "tcpstat/owners_names.h"
#include "tcpstat/owners_walk.h"
#include "tcpstat/transitions_kernel.h"

#define ROWS_PER_READ 1024 /* 80 kB; a read that is a whole number of rows never cuts one */

struct bpf_owners {
    struct owners owners; /* first: a pointer to it is a pointer to this */
    struct transitions *transitions;
    struct transitions_row *rows;
};

static struct ip_addr address_of(const struct transitions_row *row, const uint32_t *words)
{
    struct ip_addr ip = {.family = row->family == AF_INET6 ? AF_INET6 : AF_INET};
    memcpy(ip.bytes, words, ip.family == AF_INET6 ? 16 : 4);
    return ip;
}

/* A socket's age, 0 when that is unknown. One that came to its state during the walk, of whose
 * start `now_ns` is, has the least that there is. */
static uint64_t age_of(uint64_t since_ns, uint64_t now_ns)
{
    if (since_ns == 0) {
        return 0;
    }
    return since_ns < now_ns ? now_ns - since_ns : 1;
}

static struct owners_socket socket_of(const struct transitions_row *row, uint64_t now_ns)
{
    return (struct owners_socket){
        .state =
            row->state == KERNEL_NEW_SYN_RECV ? TCP_STATE_SYN_RECEIVED : (enum tcp_state)row->state,
        .is_record = row->is_record,
        .is_request = row->is_request,
        .local = {.ip = address_of(row, row->local), .port = row->local_port},
        .remote = {.ip = address_of(row, row->remote), .port = row->remote_port},
        .pid = row->pid,
        .cgroup_id = row->cgroup_id,
        .age_ns = age_of(row->since_ns, now_ns),
        .rest_ns = row->rest_ns,
    };
}

static int add_rows(struct bpf_owners *owners, size_t count, const struct owners_request *request,
                    struct owners_result *result)
{
    for (size_t i = 0; i < count; i++) {
        const struct transitions_row *row = &owners->rows[i];
        if (row->state >= TCP_STATE_COUNT && row->state != KERNEL_NEW_SYN_RECV) {
            continue; /* bound only: no state of a connection */
        }
        const struct owners_socket socket = socket_of(row, result->taken_ns);
        const int error = owners_rows_add(result, &owners->owners.index, request, &socket);
        if (error < 0) {
            return error;
        }
    }
    return 0;
}

static int read_sockets(struct bpf_owners *owners, int iterator,
                        const struct owners_request *request, struct owners_result *result)
{
    for (;;) {
        const ssize_t bytes = read(iterator, owners->rows, ROWS_PER_READ * sizeof(*owners->rows));
        if (bytes == 0) {
            return 0;
        }
        if (bytes < 0) {
            if (errno == EAGAIN || errno == EINTR) {
                continue;
            }
            return -errno;
        }
        ASSERT((size_t)bytes % sizeof(*owners->rows) == 0);
        const int error = add_rows(owners, (size_t)bytes / sizeof(*owners->rows), request, result);
        if (error < 0) {
            return error;
        }
    }
}

static int add_made(struct bpf_owners *owners, const struct owners_request *request,
                    struct owners_result *result)
{
    const int fd = bpf_map__fd(owners->transitions->skeleton->maps.made);
    struct transitions_owner owner;
    struct transitions_owner next;
    const struct transitions_owner *last = NULL;
    while (bpf_map_get_next_key(fd, last, &next) == 0) {
        owner = next;
        last = &owner;
        uint64_t made;
        if (bpf_map_lookup_elem(fd, &owner, &made) < 0) {
            continue;
        }
        const struct owners_socket maker = {.pid = owner.pid, .cgroup_id = owner.cgroup_id};
        const int error =
            owners_rows_add_made(result, &owners->owners.index, request, &maker, made);
        if (error < 0) {
            return error;
        }
    }
    return 0;
}

/* Makes an iterator, which lists the making thread's namespace. Returns its descriptor or -errno.
 */
static int make_iterator(void *context)
{
    const struct transitions *transitions = context;
    return bpf_iter_create(bpf_link__fd(transitions->sockets));
}

static int bpf_walk(struct owners *base, const struct owners_request *request,
                    struct owners_result *result)
{
    struct bpf_owners *owners = (struct bpf_owners *)base;
    struct transitions *transitions = owners->transitions;
    const bool needs_holders = request->key == OWNERS_BY_PID || request->pid != 0;
    int error = needs_holders ? transitions_find_holders(transitions) : 0;
    if (error < 0) {
        return error;
    }
    const int iterator = netns_call(transitions->netns_fd, make_iterator, transitions);
    if (iterator < 0) {
        return iterator;
    }
    error = read_sockets(owners, iterator, request, result);
    close(iterator);
    const bool is_by_owner = request->key == OWNERS_BY_PID || request->key == OWNERS_BY_CGROUP;
    return error == 0 && is_by_owner ? add_made(owners, request, result) : error;
}

/* A process that ended is named as it was when it acted on a socket. */
static bool bpf_name_pid(struct owners *base, uint32_t pid, char comm[OWNERS_COMM_MAX])
{
    const struct bpf_owners *owners = (const struct bpf_owners *)base;
    if (owners_read_comm(pid, comm) == 0) {
        return true;
    }
    struct transitions_comm kept;
    const int fd = bpf_map__fd(owners->transitions->skeleton->maps.comms);
    if (bpf_map_lookup_elem(fd, &pid, &kept) < 0) {
        return false;
    }
    kept.text[sizeof(kept.text) - 1] = '\0';
    memcpy(comm, kept.text, OWNERS_COMM_MAX);
    return true;
}

static void bpf_close(struct owners *base)
{
    struct bpf_owners *owners = (struct bpf_owners *)base;
    free(owners->rows);
    free(owners);
}

static const struct owners_ops bpf_ops = {
    .method = "bpf",
    .walk = bpf_walk,
    .name_pid = bpf_name_pid,
    .close = bpf_close,
};

int owners_open_bpf(struct owners **owners, struct transitions *transitions,
                    struct failure *failure)
{
    struct bpf_owners *opened = calloc(1, sizeof(*opened));
    struct transitions_row *rows = calloc(ROWS_PER_READ, sizeof(*rows));
    if (opened == NULL || rows == NULL) {
        free(opened);
        free(rows);
        return failure_set(failure, ENOMEM, "no memory for owners");
    }
    opened->owners.ops = &bpf_ops;
    opened->transitions = transitions;
    opened->rows = rows;
    *owners = &opened->owners;
    return 0;
}
