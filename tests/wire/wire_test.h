/* What the wire layer's tests share: packets that end at a guard page, and random headers.
 *
 * Layer: tests. */
#ifndef FINWAIT_TESTS_WIRE_WIRE_TEST_H
#define FINWAIT_TESTS_WIRE_WIRE_TEST_H

#include "base/test.h"

#include "base/rng.h"
#include "tcpstat/guard_page.h"
#include "wire/mend.h"
#include "wire/wire.h"

#define PACKET_MAX 65536u

/* Copies a packet so that the byte behind it cannot be read. Valid until the next copy. */
static inline const uint8_t *at_guard(struct guard_page *guard, const void *packet, size_t bytes)
{
    return (const uint8_t *)guard_page_copy(guard, packet, bytes);
}

/* Room for `bytes` behind which nothing can be written. */
static inline uint8_t *room_at_guard(struct guard_page *guard, size_t bytes)
{
    return (uint8_t *)guard->end - bytes;
}

/* Fill in every field that an emitter uses, with what a parser accepts. */
void random_ipv4(struct wire_ipv4 *ip, struct rng *rng);
void random_options(struct wire_tcp_options *options, struct rng *rng);
void random_tcp(struct wire_tcp *tcp, struct rng *rng);

/* Compare what a packet says, but not where it lies; a difference fails the test. */
void assert_same_ipv4(const struct wire_ipv4 *a, const struct wire_ipv4 *b);
void assert_same_options(const struct wire_tcp_options *a, const struct wire_tcp_options *b);
void assert_same_tcp(const struct wire_tcp *a, const struct wire_tcp *b);

#endif
