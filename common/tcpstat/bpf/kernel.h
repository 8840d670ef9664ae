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
#define TCP_TIME_WAIT 6
#define TCP_NEW_SYN_RECV 12

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct sock_common {
    __be16 skc_dport;
    __u16 skc_num; /* the local port, in the host's order */
    unsigned short skc_family;
    volatile unsigned char skc_state;
};

struct inet_timewait_sock {
    struct sock_common __tw_common;
    unsigned char tw_substate; /* TIME_WAIT or FIN_WAIT_2 */
};

struct tcp_timewait_sock {
    struct inet_timewait_sock tw_sk;
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

#pragma clang attribute pop

#endif
