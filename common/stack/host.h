/* Host: an IPv4 host over finwait's TCP; the struct behind the embedding ABI.
 *
 * Layer: stack (L3). Raw IP packets in and out, in batches; virtual time; no sockets. Owner: who
 * called fws_host_create; one thread at a time; all memory from the allocator that it gave. The
 * transport's stack engine uses the ABI (finwait-stack.h) as any other program does. */
#ifndef FINWAIT_STACK_HOST_H
#define FINWAIT_STACK_HOST_H

#include <stddef.h>
#include <stdint.h>

#include "stack/finwait-stack.h"
#include "stack/reassembly.h"
#include "tcp/memory.h"
#include "tcp/tcp.h"

/* What the host itself drops or does (stack/host.def). */
enum host_counter {
#define COUNTER(name, help) HOST_COUNTER_##name,
#include "stack/host.def"
#undef COUNTER
    HOST_COUNTER_COUNT
};

extern const struct counter_info host_counter_infos[HOST_COUNTER_COUNT];

#define HOST_ECHOES_MAX 64u /* ICMP messages that wait to go out */

/* A ping's answer, or an error about fragments; kept whole. */
struct host_echo {
    uint32_t bytes;
    uint8_t *packet;
};

struct fws_host {
    struct memory memory;
    struct fws_allocator allocator;
    uint32_t own_ip; /* where connections start from by default */
    uint32_t first_ip;
    uint32_t last_ip;
    uint32_t mtu_bytes;
    bool reassembles;
    uint16_t echo_id;
    struct tcp *tcp;
    struct reassembly reassembly;
    uint32_t echo_first;
    uint32_t echo_count;
    struct host_echo echoes[HOST_ECHOES_MAX];
    uint64_t verdicts[WIRE_VERDICT_COUNT];
    uint64_t counters[HOST_COUNTER_COUNT];
};

/* host_config.c. */
uint32_t host_ip_of(const struct fws_addr *addr);

/* Fills defaults in and checks. Returns 0, -EINVAL or -EAFNOSUPPORT. */
int host_config_read(struct tcp_config *tcp, struct fws_config *config);

/* Reads at most what both sides know of a struct that begins with its size; the rest is 0. */
void host_struct_in(void *own, size_t own_bytes, const void *theirs, size_t their_bytes);

/* Fills what both sides know, and leaves `size` as the caller set it. */
void host_struct_out(void *theirs, const void *own, size_t own_bytes);

#endif
