/* Whether a socket passes the filters, for *.bpf.c alone.
 *
 * Layer: tcpstat (L1), in the kernel. One filter a program, all of it 0 until user space fills it
 * in. */
#ifndef FINWAIT_TCPSTAT_BPF_PASSES_BPF_H
#define FINWAIT_TCPSTAT_BPF_PASSES_BPF_H

#include "kernel.h"

#include "filter.h"

struct filter filter;

static __always_inline bool has_port(enum filter_end end, __u16 port)
{
    return (filter.ports[end][port / 64 % FILTER_PORT_WORDS] >> (port % 64) & 1) != 0;
}

static __always_inline bool filters_port(enum filter_end end)
{
    return filter.has_ports >> end & 1;
}

static __always_inline bool passes_ports(__u16 local, __u16 remote)
{
    if (filters_port(FILTER_LOCAL) && !has_port(FILTER_LOCAL, local)) {
        return false;
    }
    if (filters_port(FILTER_REMOTE) && !has_port(FILTER_REMOTE, remote)) {
        return false;
    }
    return !filters_port(FILTER_EITHER) || has_port(FILTER_EITHER, local) ||
           has_port(FILTER_EITHER, remote);
}

static __always_inline bool is_before(const struct filter_address *a,
                                      const struct filter_address *b)
{
    return a->high < b->high || (a->high == b->high && a->low < b->low);
}

/* Global, since the verifier walks such a function once and for itself: as a part of each path that
 * calls it, its loop would cost a second of CPU at every load. */
bool has_address(__u32 end, __u32 family, __u64 high, __u64 low);

__noinline bool has_address(__u32 end, __u32 family, __u64 high, __u64 low)
{
    const struct filter_address address = {.high = high, .low = low};
    if (end >= FILTER_ENDS) {
        return false;
    }
    for (__u32 i = 0; i < FILTER_RANGES_MAX; i++) {
        if (i >= filter.addresses[end].count) {
            return false;
        }
        const struct filter_range *range = &filter.addresses[end].ranges[i];
        if (range->family == family && !is_before(&address, &range->first) &&
            !is_before(&range->last, &address)) {
            return true;
        }
    }
    return false;
}

static __always_inline __u64 words(const __be32 *two)
{
    return (__u64)bpf_ntohl(two[0]) << 32 | bpf_ntohl(two[1]);
}

/* An IPv4-mapped address passes as the IPv4 address that it holds, too. */
static __always_inline bool passes_address_6(enum filter_end end, const __be32 address[4])
{
    const __u64 high = words(address);
    const __u64 low = words(address + 2);
    return has_address(end, AF_INET6, high, low) ||
           (high == 0 && low >> 32 == 0xffff && has_address(end, AF_INET, 0, (__u32)low));
}

static __always_inline bool has_local(enum filter_end end, const struct sock_common *sk)
{
    if (sk->skc_family != AF_INET6) {
        return has_address(end, AF_INET, 0, bpf_ntohl(sk->skc_rcv_saddr));
    }
    const __be32 address[4] = {
        sk->skc_v6_rcv_saddr.in6_u.u6_addr32[0], sk->skc_v6_rcv_saddr.in6_u.u6_addr32[1],
        sk->skc_v6_rcv_saddr.in6_u.u6_addr32[2], sk->skc_v6_rcv_saddr.in6_u.u6_addr32[3]};
    return passes_address_6(end, address);
}

static __always_inline bool has_remote(enum filter_end end, const struct sock_common *sk)
{
    if (sk->skc_family != AF_INET6) {
        return has_address(end, AF_INET, 0, bpf_ntohl(sk->skc_daddr));
    }
    const __be32 address[4] = {
        sk->skc_v6_daddr.in6_u.u6_addr32[0], sk->skc_v6_daddr.in6_u.u6_addr32[1],
        sk->skc_v6_daddr.in6_u.u6_addr32[2], sk->skc_v6_daddr.in6_u.u6_addr32[3]};
    return passes_address_6(end, address);
}

static __always_inline bool filters_addresses(void)
{
    return filter.addresses[FILTER_LOCAL].count > 0 || filter.addresses[FILTER_REMOTE].count > 0 ||
           filter.addresses[FILTER_EITHER].count > 0;
}

static __always_inline bool passes_addresses(const struct sock_common *sk)
{
    if (filter.addresses[FILTER_LOCAL].count > 0 && !has_local(FILTER_LOCAL, sk)) {
        return false;
    }
    if (filter.addresses[FILTER_REMOTE].count > 0 && !has_remote(FILTER_REMOTE, sk)) {
        return false;
    }
    return filter.addresses[FILTER_EITHER].count == 0 || has_local(FILTER_EITHER, sk) ||
           has_remote(FILTER_EITHER, sk);
}

#endif
