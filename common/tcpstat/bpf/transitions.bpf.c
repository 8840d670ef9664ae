/* Counts every change of a TCP socket's state as it happens, and remembers since when each socket
 * is in its state and whose it is, for transitions_bpf.c and owners_bpf.c.
 *
 * Layer: tcpstat (L1), in the kernel. Three kinds of programs share the maps:
 *
 *  - first, second: on the tracepoint inet_sock_set_state, one behind the other, the same code. The
 *    kernel passes over a program that it would enter again on the same CPU, which happens when an
 *    interrupt's network work comes amid a program run for a system call. The second run finds in
 *    the socket's storage whether the first was made, and otherwise counts in its place: so nothing
 *    is missed. Of two programs on one CPU at most one can be amid its run for another socket.
 *  - list_sockets: an iterator that writes a row for each socket.
 *  - find_holders: an iterator over all descriptors, which gives sockets to who holds them.
 *
 * Each socket followed has a storage in the kernel, which goes when the socket does. A listener's
 * is copied to its children (BPF_F_CLONE), so that these know their owner. Additions are atomic,
 * since an interrupt may come between read and write. */
#include "passes.bpf.h"

#include <bpf/bpf_core_read.h>

#include "groups.bpf.h"

#define NS_PER_SEC 1000000000ULL

/* Where the kernel does not show its configuration: Debian's. */
#define HZ_ASSUMED 250

extern unsigned int CONFIG_HZ __kconfig __weak;

enum counter {
#define COUNTER(name, help) COUNTER_##name,
#include "../transitions.def"
#undef COUNTER
    COUNTER_COUNT
};

/* Set before the load. */
const volatile __u32 netns_inode;
const volatile __u32 filter_pid;          /* 0: all */
const volatile __u64 filter_cgroup;       /* it and what is below it; 0: all */
const volatile __u32 filter_cgroup_level; /* how deep it lies; the root is 0 */

enum decision { DECISION_OPEN, DECISION_IN, DECISION_OUT };

/* What is known of a socket. */
struct follow {
    __u64 since_ns; /* in `state`; 0: since before it was followed */
    __u32 pid;      /* 0: not known */
    __u16 group;    /* its number, for a socket that passed the filters */
    __u8 state;     /* the kernel's number */
    __u8 decision;
    __u8 open_from; /* a transition not yet counted, for want of the ports: to `state` */
    __u8 has_open;
    __u8 serves;   /* it listens, or was accepted */
    __u8 connects; /* it began with connect(); neither is known of one that was there before */
};

struct {
    __uint(type, BPF_MAP_TYPE_SK_STORAGE);
    __uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
    __type(key, int);
    __type(value, struct follow);
} follows SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct transitions_matrix);
} matrices SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, TRANSITIONS_COUNTERS_MAX);
    __type(key, __u32);
    __type(value, __u64);
} counters SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct transitions_lasted);
} lasted SEC(".maps");

/* TIME_WAIT records, which have no storage, by a hash of their 4-tuple and family. */
struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 1);
    __type(key, __u64);
    __type(value, struct transitions_record);
} records SEC(".maps");

/* How many records each owner made. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 8192);
    __type(key, struct transitions_owner);
    __type(value, __u64);
} made SEC(".maps");

/* The commands of owners that may have ended since. */
struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 8192);
    __type(key, __u32);
    __type(value, struct transitions_comm);
} comms SEC(".maps");

static const __u32 index_all = 0;

static __always_inline void count(enum counter counter)
{
    __u32 index = counter;
    __u64 *value = bpf_map_lookup_elem(&counters, &index);
    if (value != NULL) {
        __sync_fetch_and_add(value, 1);
    }
}

static __always_inline __u16 local_port(const struct tcp_sock *tcp)
{
    return bpf_ntohs(tcp->inet_conn.icsk_inet.inet_sport);
}

static __always_inline __u16 remote_port(const struct sock *sk)
{
    return bpf_ntohs(sk->__sk_common.skc_dport);
}

static __always_inline __u64 mix(__u64 hash, __u64 word)
{
    hash = (hash ^ word) * 0x9e3779b97f4a7c15ULL;
    return hash ^ hash >> 29;
}

/* Hashes a 4-tuple to the 64 bits that name its record. */
static __always_inline __u64 hash_tuple(const struct sock_common *sk, __u16 port)
{
    __u64 hash = mix((__u64)sk->skc_family << 32 | (__u32)port << 16 | sk->skc_dport, port);
    if (sk->skc_family != AF_INET6) {
        return mix(hash, (__u64)sk->skc_rcv_saddr << 32 | sk->skc_daddr);
    }
    for (int i = 0; i < 4; i++) {
        hash = mix(hash, (__u64)sk->skc_v6_rcv_saddr.in6_u.u6_addr32[i] << 32 |
                             sk->skc_v6_daddr.in6_u.u6_addr32[i]);
    }
    return hash;
}

static __always_inline __u64 cgroup_of(const struct sock *sk)
{
    const struct cgroup *cgroup = sk->sk_cgrp_data.cgroup;
    return cgroup == NULL ? 0 : cgroup->kn->id;
}

/* Tells whether a socket's cgroup is the filter's, or lies below it. Kernels before 6.1 keep no
 * pointers to what is above: there only the cgroup itself passes. */
static __always_inline bool passes_cgroup(const struct sock *sk)
{
    const struct cgroup *cgroup = sk->sk_cgrp_data.cgroup;
    if (cgroup == NULL) {
        return false;
    }
    if (cgroup->kn->id == filter_cgroup) {
        return true;
    }
    if (!bpf_core_field_exists(cgroup->ancestors) || cgroup->level < (int)filter_cgroup_level) {
        return false;
    }
    const void *ancestors = (const char *)cgroup + bpf_core_field_offset(cgroup->ancestors);
    const struct cgroup *above = NULL;
    bpf_probe_read_kernel(&above, sizeof(above),
                          (const char *)ancestors + filter_cgroup_level * sizeof(above));
    return above != NULL && BPF_CORE_READ(above, kn, id) == filter_cgroup;
}

/* Finds the bin of a time, as base/hist.h does. */
static __always_inline __u32 bin_of(__u64 value)
{
    if (value < 2u << TRANSITIONS_SUB_BITS) {
        return (__u32)value;
    }
    if (value >> TRANSITIONS_VALUE_BITS) {
        return TRANSITIONS_BINS - 1u;
    }
    __u32 top = 0; /* the highest bit's number */
    for (__u32 step = 32; step > 0; step /= 2) {
        if (value >> (top + step)) {
            top += step;
        }
    }
    const __u32 shift = top - TRANSITIONS_SUB_BITS;
    return (shift << TRANSITIONS_SUB_BITS) + (__u32)(value >> shift);
}

static __always_inline void record_lasted(const struct follow *follow, __u8 state, __u64 lasted_ns)
{
    __u32 slot = bpf_get_smp_processor_id() % slots;
    struct transitions_lasted *hists = bpf_map_lookup_elem(&lasted, &slot);
    const __u32 bin = bin_of(lasted_ns);
    __u32 index = state * TRANSITIONS_BINS + bin;
    barrier_var(index); /* checked is what is used: the compiler may not go back to `state` */
    if (hists != NULL && index < TRANSITIONS_LASTED_BINS) {
        __sync_fetch_and_add(&hists->bins[index], 1);
    }
    if (grouping != GROUP_NOT) {
        record_in_group(follow->group, state, bin);
    }
}

static __always_inline void add_to_group(__u32 group, __u8 from, __u8 to)
{
    if (group == GROUP_REFUSED) {
        count(COUNTER_groups_full);
        group = TRANSITIONS_GROUP_REST;
    }
    struct transitions_group_counts *counts = counts_of(group);
    if (counts != NULL) {
        add(&counts->matrix, from, to);
    }
}

/* Tells whether a socket may make its port's group. Where groups are for services, a port that the
 * kernel chose for one connection must not take a place: the end that connects makes no group of
 * its local port, the end that was connected to none of its remote one. */
static __always_inline bool may_make_group(const struct follow *follow)
{
    return !groups_of_services || (grouping == GROUP_REMOTE ? follow->connects : follow->serves);
}

/* Finds the group that a socket belongs to for the rest of its life. */
static __always_inline __u16 find_group(const struct follow *follow, __u16 local, __u16 remote)
{
    const bool is_remote =
        grouping == GROUP_REMOTE || (grouping == GROUP_NAMED && !has_port(FILTER_EITHER, local));
    const __u32 port = is_remote ? remote : local;
    return number_of(port, may_make_group(follow));
}

static __always_inline void count_transition(const struct follow *follow, __u8 from, __u8 to)
{
    struct transitions_matrix *matrix = bpf_map_lookup_elem(&matrices, &index_all);
    if (matrix != NULL) {
        add(matrix, from, to);
    }
    if (grouping != GROUP_NOT) {
        add_to_group(follow->group, from, to);
    }
}

/* Decides once whether a socket passes the filters, as soon as what these ask for is there:
 * connect() gets its port after SYN_SENT, a listener's child its peer and its own address after
 * SYN_RECV. */
static __always_inline void decide(struct follow *follow, const struct sock *sk, __u16 local,
                                   __u8 state)
{
    const __u16 remote = remote_port(sk);
    const bool needs_local =
        filters_port(FILTER_LOCAL) || filters_port(FILTER_EITHER) || grouping == GROUP_LOCAL;
    const bool needs_remote = filters_port(FILTER_REMOTE) || filters_port(FILTER_EITHER) ||
                              grouping == GROUP_REMOTE || filters_addresses();
    if ((needs_local && local == 0) || (needs_remote && remote == 0 && state != TCP_LISTEN)) {
        return;
    }
    const bool passes = passes_ports(local, remote) && passes_addresses(&sk->__sk_common) &&
                        (filter_pid == 0 || filter_pid == follow->pid) &&
                        (filter_cgroup == 0 || passes_cgroup(sk));
    follow->decision = passes ? DECISION_IN : DECISION_OUT;
    if (passes && grouping != GROUP_NOT) {
        follow->group = find_group(follow, local, remote);
    }
}

/* Remembers who acts on the socket, where the kernel does so within that process's call. */
static __always_inline void note_owner(struct follow *follow)
{
    const struct task_struct *task = bpf_get_current_task_btf();
    if (task->flags & PF_KTHREAD) {
        return; /* the work of a process that ended; its sockets know it already */
    }
    __u32 pid = (__u32)task->tgid;
    follow->pid = pid;
    if (bpf_map_lookup_elem(&comms, &pid) == NULL) {
        struct transitions_comm comm = {};
        bpf_get_current_comm(comm.text, sizeof(comm.text));
        bpf_map_update_elem(&comms, &pid, &comm, BPF_ANY);
    }
}

/* Tells the changes that only a system call makes: connect, listen, shutdown and close. */
static __always_inline bool is_by_call(__u8 to)
{
    return to == TCP_SYN_SENT || to == TCP_LISTEN || to == TCP_FIN_WAIT1 || to == TCP_LAST_ACK;
}

/* Names what an end leads to. The peer's FIN has come when SOCK_DONE is set; an error is there
 * after a reset or a time-out. Without a FIN, an orphan becomes a record of FIN_WAIT_2; TCP_LINGER2
 * below 0, unread data and linger 0 abort. */
static __always_inline __u8 end_of(const struct tcp_sock *tcp, const struct sock *sk, __u8 from)
{
    const unsigned long flags = sk->__sk_common.skc_flags;
    if (sk->sk_err != 0 || (from != TCP_FIN_WAIT2 && from != TCP_CLOSING)) {
        return TCP_CLOSE;
    }
    if (flags & 1UL << bpf_core_enum_value(enum sock_flags, SOCK_DONE)) {
        return TCP_TIME_WAIT;
    }
    const bool is_orphan = flags & 1UL << bpf_core_enum_value(enum sock_flags, SOCK_DEAD);
    return is_orphan && tcp->linger2 >= 0 ? 0 : TCP_CLOSE;
}

static __always_inline void note_record(const struct sock *sk, const struct follow *follow,
                                        __u16 local, __u64 now_ns)
{
    struct transitions_record record = {
        .owner = {.cgroup_id = cgroup_of(sk), .pid = follow->pid},
        .since_ns = now_ns,
    };
    const __u64 hash = hash_tuple(&sk->__sk_common, local);
    bpf_map_update_elem(&records, &hash, &record, BPF_ANY);
    if (follow->pid == 0) {
        count(COUNTER_owners_unknown);
    }
    __u64 *times = bpf_map_lookup_elem(&made, &record.owner);
    if (times == NULL) {
        const __u64 none = 0;
        bpf_map_update_elem(&made, &record.owner, &none, BPF_NOEXIST);
        times = bpf_map_lookup_elem(&made, &record.owner);
    }
    if (times != NULL) {
        __sync_fetch_and_add(times, 1);
    } else {
        count(COUNTER_owners_full);
    }
}

static __always_inline void count_end(const struct tcp_sock *tcp, const struct sock *sk, __u8 from,
                                      __u8 to)
{
    if (to == TCP_TIME_WAIT) {
        count(COUNTER_time_wait_closes);
    } else if (to == 0) {
        count(COUNTER_fin_wait_2_records);
    } else if (sk->sk_err != 0) {
        count(COUNTER_resets);
    }
    if (from == TCP_SYN_SENT && tcp->segs_out == 0) {
        count(COUNTER_unsent);
    }
}

/* Counts what has been decided, and what waited for that. */
static __always_inline void settle(struct follow *follow, __u8 from, __u8 to)
{
    if (follow->decision == DECISION_OPEN) {
        follow->open_from = from;
        follow->has_open = true;
        count(COUNTER_port_undecided);
        return;
    }
    if (follow->decision == DECISION_IN) {
        if (follow->has_open) {
            count_transition(follow, follow->open_from, follow->state);
        }
        count_transition(follow, from, to);
    }
    follow->has_open = false;
}

struct change {
    struct sock *sk;
    const struct tcp_sock *tcp;
    __u8 from;
    __u8 to;
};

static __always_inline void follow_change(struct follow *follow, const struct change *change)
{
    const __u64 now_ns = bpf_ktime_get_ns();
    const __u16 local = local_port(change->tcp);
    const bool is_child = change->from == TCP_LISTEN && change->to == TCP_SYN_RECV;
    const __u8 from = is_child || change->from == TCP_CLOSE ? 0 : change->from;
    __u8 to = change->to;
    if (follow->state != change->from) {
        count(COUNTER_gaps);
    }
    if (is_by_call(change->to)) {
        note_owner(follow);
    }
    if (to == TCP_CLOSE) {
        to = end_of(change->tcp, change->sk, change->from);
    }
    if (from == 0) { /* a new life: what it was before, or what its listener is, counts no more */
        follow->decision = DECISION_OPEN;
        follow->has_open = false;
        follow->since_ns = 0;
        follow->connects = change->to == TCP_SYN_SENT;
        follow->serves = !follow->connects;
    }
    if (follow->decision == DECISION_OPEN) {
        decide(follow, change->sk, local, change->to);
    }
    settle(follow, from, to);
    if (follow->decision == DECISION_IN) {
        if (follow->since_ns != 0) {
            record_lasted(follow, from, now_ns - follow->since_ns);
        }
        if (change->to == TCP_CLOSE) {
            count_end(change->tcp, change->sk, from, to);
        }
    }
    if (change->to == TCP_CLOSE && to != TCP_CLOSE) {
        note_record(change->sk, follow, local, now_ns);
    }
    follow->since_ns = now_ns;
    follow->state = change->to;
}

/* The tracepoint's arguments: the socket, its state, and the one to come. */
static __always_inline void handle(__u64 *context, bool is_second)
{
    struct sock *sk = (struct sock *)context[0];
    const int from = (int)context[1];
    const int to = (int)context[2];
    if (from == to || sk->__sk_common.skc_net.net->ns.inum != netns_inode) {
        return;
    }
    const struct tcp_sock *tcp = bpf_skc_to_tcp_sock(sk);
    if (tcp == NULL) {
        return; /* another protocol's: the tracepoint is MPTCP's and SCTP's too */
    }
    const struct change change = {.sk = sk, .tcp = tcp, .from = (__u8)from, .to = (__u8)to};
    struct follow *follow = bpf_sk_storage_get(&follows, sk, NULL, 0);
    if (follow == NULL) {
        struct follow fresh = {.state = change.from};
        follow = bpf_sk_storage_get(&follows, sk, &fresh, BPF_SK_STORAGE_GET_F_CREATE);
        if (follow == NULL) {
            if (is_second) {
                count(COUNTER_unstored);
            }
            return;
        }
        if (change.from != TCP_CLOSE && change.from != TCP_LISTEN) {
            count(COUNTER_found_old);
        }
    } else if (follow->state == change.to) {
        return; /* the first program has counted it */
    }
    follow_change(follow, &change);
}

SEC("tp_btf/inet_sock_set_state")
int first(__u64 *context)
{
    handle(context, false);
    return 0;
}

SEC("tp_btf/inet_sock_set_state")
int second(__u64 *context)
{
    handle(context, true);
    return 0;
}

static __always_inline void fill_addresses(struct transitions_row *row,
                                           const struct sock_common *sk)
{
    row->family = sk->skc_family;
    row->local_port = sk->skc_num;
    row->remote_port = bpf_ntohs(sk->skc_dport);
    if (row->family != AF_INET6) {
        row->local[0] = sk->skc_rcv_saddr;
        row->remote[0] = sk->skc_daddr;
        return;
    }
    for (int i = 0; i < 4; i++) {
        row->local[i] = sk->skc_v6_rcv_saddr.in6_u.u6_addr32[i];
        row->remote[i] = sk->skc_v6_daddr.in6_u.u6_addr32[i];
    }
}

static __always_inline void fill_record(struct transitions_row *row,
                                        const struct inet_timewait_sock *record)
{
    const __u64 hash = hash_tuple(&record->__tw_common, row->local_port);
    const struct transitions_record *known = bpf_map_lookup_elem(&records, &hash);
    const __u64 now = bpf_jiffies64();
    row->is_record = true;
    row->state = record->tw_substate;
    const __u64 rest = record->tw_timer.expires > now ? record->tw_timer.expires - now : 0;
    row->rest_ns = rest * (NS_PER_SEC / (CONFIG_HZ != 0 ? CONFIG_HZ : HZ_ASSUMED));
    if (known != NULL) {
        row->pid = known->owner.pid;
        row->cgroup_id = known->owner.cgroup_id;
        row->since_ns = known->since_ns;
    }
}

static __always_inline void fill_socket(struct transitions_row *row, struct sock *sk)
{
    const struct follow *follow = bpf_sk_storage_get(&follows, sk, NULL, 0);
    row->cgroup_id = cgroup_of(sk);
    if (follow != NULL) {
        row->pid = follow->pid;
        row->since_ns = follow->since_ns;
    }
}

SEC("iter/tcp")
int list_sockets(struct bpf_iter__tcp *context)
{
    struct sock_common *common = context->sk_common;
    if (common == NULL) {
        return 0;
    }
    struct transitions_row row = {.state = common->skc_state};
    row.is_request = row.state == TCP_NEW_SYN_RECV;
    fill_addresses(&row, common);
    const struct tcp_timewait_sock *record = bpf_skc_to_tcp_timewait_sock(common);
    if (record != NULL) {
        fill_record(&row, &record->tw_sk);
    } else {
        struct tcp_sock *tcp = bpf_skc_to_tcp_sock(common);
        if (tcp != NULL) {
            fill_socket(&row, (struct sock *)tcp);
        }
    }
    bpf_seq_write(context->meta->seq, &row, sizeof(row));
    return 0;
}

/* Gives a socket to who holds a descriptor of it; of several, to the last that the walk meets: the
 * youngest process, as a rule. A socket met for the first time is followed from now on. */
SEC("iter/task_file")
int find_holders(struct bpf_iter__task_file *context)
{
    struct task_struct *task = context->task;
    struct file *file = context->file;
    if (task == NULL || file == NULL) {
        return 0;
    }
    struct socket *socket = bpf_sock_from_file(file);
    if (socket == NULL || socket->sk == NULL) {
        return 0;
    }
    struct tcp_sock *tcp = bpf_skc_to_tcp_sock(socket->sk);
    if (tcp == NULL || socket->sk->__sk_common.skc_net.net->ns.inum != netns_inode) {
        return 0;
    }
    __u32 pid = (__u32)task->tgid;
    struct follow fresh = {.state = socket->sk->__sk_common.skc_state, .pid = pid};
    struct follow *follow = bpf_sk_storage_get(&follows, tcp, &fresh, BPF_SK_STORAGE_GET_F_CREATE);
    if (follow != NULL) {
        follow->pid = pid;
    }
    if (bpf_map_lookup_elem(&comms, &pid) == NULL) {
        struct transitions_comm comm = {};
        bpf_probe_read_kernel_str(comm.text, sizeof(comm.text), task->comm);
        bpf_map_update_elem(&comms, &pid, &comm, BPF_ANY);
    }
    return 0;
}

/* The helpers are for programs under a licence that goes with the GPL; all of finwait may be used
 * under MIT. */
const char program_license[] SEC("license") = "Dual MIT/GPL";
