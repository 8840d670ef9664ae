/* Tuple: the two sockets that name a connection (RFC 9293 section 3.3.1), 12 bytes.
 *
 * Layer: tcp (L2). Every record of the three populations begins with its tuple, so that the index
 * can compare without knowing which it looks at. Host order. */
#ifndef FINWAIT_TCP_TUPLE_H
#define FINWAIT_TCP_TUPLE_H

#include <stdbool.h>
#include <stdint.h>

#include "tcp/siphash.h"

struct tuple {
    uint32_t local_ip;
    uint32_t remote_ip;
    uint16_t local_port;
    uint16_t remote_port;
};

static inline bool tuple_equal(const struct tuple *a, const struct tuple *b)
{
    return a->local_ip == b->local_ip && a->remote_ip == b->remote_ip &&
           a->local_port == b->local_port && a->remote_port == b->remote_port;
}

static inline uint64_t tuple_ips(const struct tuple *tuple)
{
    return (uint64_t)tuple->local_ip << 32 | tuple->remote_ip;
}

static inline uint64_t tuple_ports(const struct tuple *tuple)
{
    return (uint64_t)tuple->local_port << 16 | tuple->remote_port;
}

/* Hashes for the index. */
static inline uint64_t tuple_hash(const struct siphash_key *key, const struct tuple *tuple)
{
    return siphash13_2u64(key, tuple_ips(tuple), tuple_ports(tuple));
}

#endif
