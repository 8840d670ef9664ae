/* Counts TCP sockets by state inside the kernel, one call a socket, for census_bpf.c.
 *
 * Layer: tcpstat (L1), in the kernel: a TCP iterator (SEC("iter/tcp")). All variables are mapped
 * into the program that reads, which sets the filters before a walk, reads the counts after it, and
 * sees to it that one walk at a time is made. A walk runs in the reading thread, one socket after
 * the other: plain additions suffice. */
#include "kernel.h"

#define PORTS 65536
#define PORT_WORDS (PORTS / 64)
#define STATES 16 /* over the highest of Linux, which is 13, and a power of 2 to mask with */

/* A walk writes one byte after this many sockets, which ends the read: the reader looks whether it
 * was told to stop. 30 ms and less, and far below the million after which the kernel gives EAGAIN.
 */
#define SOCKETS_PER_READ 65536

enum family { FAMILY_V4, FAMILY_V6, FAMILY_COUNT };

enum grouping { GROUP_NOT, GROUP_LOCAL, GROUP_REMOTE };

/* What to count: set by the reader before a walk. */
bool filter_local;
bool filter_remote;
bool filter_either;
__u32 grouping;
__u64 local_ports[PORT_WORDS]; /* bit n % 64 of word n / 64: port n passes */
__u64 remote_ports[PORT_WORDS];
__u64 either_ports[PORT_WORDS];

/* What was counted: emptied by the reader before a walk. */
__u64 rows; /* before the filters */
__u64 counts[FAMILY_COUNT][STATES];
__u64 ports_seen[PORT_WORDS]; /* the entries of `groups` that were written */

struct group {
    __u32 n[STATES];
};

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, PORTS);
    __type(key, __u32);
    __type(value, struct group);
} groups SEC(".maps");

static __always_inline bool has_port(const __u64 *set, __u16 port)
{
    return (set[port / 64 % PORT_WORDS] >> (port % 64) & 1) != 0;
}

static __always_inline bool passes(__u16 local, __u16 remote)
{
    if (filter_local && !has_port(local_ports, local)) {
        return false;
    }
    if (filter_remote && !has_port(remote_ports, remote)) {
        return false;
    }
    return !filter_either || has_port(either_ports, local) || has_port(either_ports, remote);
}

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

static __always_inline void add_to_group(__u32 port, __u8 state)
{
    struct group *group = bpf_map_lookup_elem(&groups, &port);
    if (group != NULL) {
        group->n[state % STATES]++;
        ports_seen[port / 64 % PORT_WORDS] |= 1ULL << (port % 64);
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
    if (!passes(local, remote)) {
        return 0;
    }
    const __u8 state = state_of(sk);
    counts[sk->skc_family == AF_INET6 ? FAMILY_V6 : FAMILY_V4][state % STATES]++;
    if (grouping != GROUP_NOT) {
        add_to_group(grouping == GROUP_LOCAL ? local : remote, state);
    }
    return 0;
}

/* bpf_seq_write is for programs under a licence that goes with the GPL; all of finwait may be used
 * under MIT. */
const char program_license[] SEC("license") = "Dual MIT/GPL";
