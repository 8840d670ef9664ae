/* Gives IPv4 frames for our addresses to the AF_XDP socket, and leaves all others, ARP among them,
 * to the kernel.
 *
 * Layer: link (L1), in the kernel: an XDP program, which xdp_program.c attaches. The range is set
 * before it is loaded. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

const volatile __u32 address_first; /* host order */
const volatile __u32 address_last;

struct {
    __uint(type, BPF_MAP_TYPE_XSKMAP);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u32);
} sockets SEC(".maps");

SEC("xdp")
int redirect(struct xdp_md *context)
{
    const void *end = (const void *)(long)context->data_end;
    const struct ethhdr *ether = (const void *)(long)context->data;
    const struct iphdr *ip = (const void *)(ether + 1);
    if ((const void *)(ip + 1) > end || ether->h_proto != bpf_htons(ETH_P_IP)) {
        return XDP_PASS;
    }
    const __u32 target = bpf_ntohl(ip->daddr);
    if (target < address_first || target > address_last) {
        return XDP_PASS;
    }
    /* Without a socket in the map, as while one is set up, the kernel gets the frame. */
    return (int)bpf_redirect_map(&sockets, 0, XDP_PASS);
}

const char program_license[] SEC("license") = "Dual MIT/GPL";
