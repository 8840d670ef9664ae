/* Counts TCP sockets by state inside the kernel, one call a socket, for census_bpf.c.
 *
 * Layer: tcpstat (L1), in the kernel: a TCP iterator (SEC("iter/tcp")). All variables are mapped
 * into the program that reads, which sets the filters before a walk, reads the counts after it, and
 * sees to it that one walk at a time is made. A walk runs in the reading thread, one socket after
 * the other: plain additions suffice. */
#include "passes.bpf.h"

#define STATES 16 /* over the highest of Linux, which is 13, and a power of 2 to mask with */

/* A walk writes one byte after this many sockets, which ends the read: the reader looks whether it
 * was told to stop. 30 ms and less, and far below the million after which the kernel gives EAGAIN.
 */
#define SOCKETS_PER_READ 65536

enum family { FAMILY_V4, FAMILY_V6, FAMILY_COUNT };

enum grouping { GROUP_NOT, GROUP_LOCAL, GROUP_REMOTE };

/* Set by the reader before a walk, as the filter is. */
__u32 grouping;

/* What was counted: emptied by the reader before a walk. */
__u64 rows; /* before the filters */
__u64 counts[FAMILY_COUNT][STATES];
__u64 ports_seen[FILTER_PORT_WORDS]; /* the entries of `groups` that were written */

struct group {
    __u32 n[STATES];
};

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, FILTER_PORTS);
    __type(key, __u32);
    __type(value, struct group);
} groups SEC(".maps");

/* A FIN_WAIT_2 without a process is kept as a TIME_WAIT record; what it is stands within. */
static __always_inline __u8 state_of(struct sock_common *sk)
{
    const __u8 state = sk->skc_state;
    if (state != TCP_TIME_WAIT) {
        return state;
    }
    const struct tcp_timewait_sock *record = bpf_skc_to_tcp_timewait_sock(sk);
    return record == NULL ? state : record->tw_sk.tw_substate;
}

/* A request socket is in SYN_RECEIVED. */
static __always_inline bool passes_state(__u8 state)
{
    const __u8 named = state == TCP_NEW_SYN_RECV ? TCP_SYN_RECV : state;
    return filter.states == 0 || filter.states >> (named % STATES) & 1;
}

static __always_inline void add_to_group(__u32 port, __u8 state)
{
    struct group *group = bpf_map_lookup_elem(&groups, &port);
    if (group != NULL) {
        group->n[state % STATES]++;
        ports_seen[port / 64 % FILTER_PORT_WORDS] |= 1ULL << (port % 64);
    }
}

SEC("iter/tcp")
int count_socket(struct bpf_iter__tcp *context)
{
    struct sock_common *sk = context->sk_common;
    if (sk == NULL) {
        return 0;
    }
    rows++;
    if (rows % SOCKETS_PER_READ == 0) {
        const char byte = '\n';
        bpf_seq_write(context->meta->seq, &byte, sizeof(byte));
    }
    const __u16 local = sk->skc_num;
    const __u16 remote = bpf_ntohs(sk->skc_dport);
    if (!passes_ports(local, remote) || !passes_addresses(sk)) {
        return 0;
    }
    const __u8 state = state_of(sk);
    if (!passes_state(state)) {
        return 0;
    }
    counts[sk->skc_family == AF_INET6 ? FAMILY_V6 : FAMILY_V4][state % STATES]++;
    if (grouping != GROUP_NOT) {
        add_to_group(grouping == GROUP_LOCAL ? local : remote, state);
    }
    return 0;
}

/* bpf_seq_write is for programs under a licence that goes with the GPL; all of finwait may be used
 * under MIT. */
const char program_license[] SEC("license") = "Dual MIT/GPL";
