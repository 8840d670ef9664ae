/* The kernel's structs as our BPF programs see them: only the fields that they read.
 *
 * Layer: tcpstat (L1), for *.bpf.c alone. The fields' places are not what stands here: libbpf moves
 * each access to where the running kernel's BTF says (CO-RE), so no kernel's headers are needed to
 * build, and one build serves all kernels. Members of the kernel's anonymous unions and structs are
 * found by name and may stand here plainly. */
#ifndef FINWAIT_TCPSTAT_BPF_KERNEL_H
#define FINWAIT_TCPSTAT_BPF_KERNEL_H

#include <linux/bpf.h> /* first: libbpf's own headers need its integer types */

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <stdbool.h>
#include <stddef.h>

/* The kernel's numbers of include/linux/socket.h and include/net/tcp_states.h. */
#define AF_INET 2
#define AF_INET6 10
#define TCP_ESTABLISHED 1
#define TCP_SYN_SENT 2
#define TCP_SYN_RECV 3
#define TCP_FIN_WAIT1 4
#define TCP_FIN_WAIT2 5
#define TCP_TIME_WAIT 6
#define TCP_CLOSE 7
#define TCP_LAST_ACK 9
#define TCP_LISTEN 10
#define TCP_CLOSING 11
#define TCP_NEW_SYN_RECV 12

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct in6_addr {
    union {
        __u32 u6_addr32[4];
    } in6_u;
};

struct ns_common {
    unsigned int inum; /* the namespace's inode, as /proc/PID/ns shows it */
};

struct net {
    struct ns_common ns;
};

struct net_of_socket {
    struct net *net;
};

struct sock_common {
    __be32 skc_daddr;
    __be32 skc_rcv_saddr;
    __be16 skc_dport;
    __u16 skc_num; /* the local port, in the host's order */
    unsigned short skc_family;
    volatile unsigned char skc_state;
    struct net_of_socket skc_net;
    struct in6_addr skc_v6_daddr;
    struct in6_addr skc_v6_rcv_saddr;
    unsigned long skc_flags; /* bits of enum sock_flags */
};

struct kernfs_node {
    __u64 id;
};

struct cgroup {
    struct kernfs_node *kn;
    int level;                  /* how deep it lies; the root's is 0 */
    struct cgroup *ancestors[]; /* by level, up to its own; since 6.1 */
};

struct sock_cgroup_data {
    struct cgroup *cgroup;
};

struct sock {
    struct sock_common __sk_common;
    int sk_err;
    struct sock_cgroup_data sk_cgrp_data; /* of who made the socket, or its listener */
};

struct inet_sock {
    struct sock sk;
    __be16 inet_sport; /* stays when the port is given back, which skc_num does not */
};

struct inet_connection_sock {
    struct inet_sock icsk_inet;
};

struct tcp_sock {
    struct inet_connection_sock inet_conn;
    __u32 segs_out;
    int linger2; /* below 0: no FIN_WAIT_2 without a process, TCP_LINGER2 */
};

struct timer_list {
    unsigned long expires; /* jiffies */
};

struct inet_timewait_sock {
    struct sock_common __tw_common;
    unsigned char tw_substate; /* TIME_WAIT or FIN_WAIT_2 */
    struct timer_list tw_timer;
};

struct tcp_timewait_sock {
    struct inet_timewait_sock tw_sk;
};

struct socket {
    struct sock *sk;
};

struct file;

struct task_struct {
    unsigned int flags;
    int tgid;
    char comm[16];
};

struct seq_file;

struct bpf_iter_meta {
    struct seq_file *seq;
};

/* The context of SEC("iter/tcp"). */
struct bpf_iter__tcp {
    struct bpf_iter_meta *meta;
    struct sock_common *sk_common; /* NULL: the walk has ended */
};

/* The context of SEC("iter/task_file"). */
struct bpf_iter__task_file {
    struct bpf_iter_meta *meta;
    struct task_struct *task;
    __u32 fd;
    struct file *file; /* NULL: the walk has ended */
};

enum sock_flags {
    SOCK_DEAD,
    SOCK_DONE,
};

#pragma clang attribute pop

/* A kernel thread acts for nobody: task_struct's flag. */
#define PF_KTHREAD 0x00200000

#endif
