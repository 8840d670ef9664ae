/* Reassembly: puts IPv4 fragments together within bounds (RFC 791 section 3.2, RFC 1122 section
 * 3.3.2).
 *
 * Layer: stack (L3). Owner: the struct's holder, one thread; fragments are copied into memory from
 * the allocator given, whose amount is bounded. Time comes in as an argument.
 *
 * A datagram whose fragments overlap is dropped, with the fragments of it that are still to come:
 * no stack sends such, and what an overlap means differs from reader to reader (RFC 5722, written
 * for IPv6, serves IPv4 as well). An exact repetition is what networks do, and harmless. */
#ifndef FINWAIT_STACK_REASSEMBLY_H
#define FINWAIT_STACK_REASSEMBLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/counter.h"
#include "tcp/memory.h"
#include "wire/wire.h"

#define REASSEMBLY_DATAGRAMS_MAX 64u /* under way; the oldest is displaced */
#define REASSEMBLY_FRAGMENTS_MAX                                                                   \
    128u /* of a datagram: the longest one over an MTU of 576 takes 119 */
#define REASSEMBLY_BYTES_MAX (512u << 10) /* held for fragments, records included */

/* DEVIATION: RFC 1122 section 3.3.2 recommends 60 to 120 s; as Linux has it. At today's rates an
 * identification comes round again much sooner than that. */
#define REASSEMBLY_TIMEOUT_NS (30u * NS_PER_SEC)

enum reassembly_counter {
#define COUNTER(name, help) REASSEMBLY_COUNTER_##name,
#include "stack/reassembly.def"
#undef COUNTER
    REASSEMBLY_COUNTER_COUNT
};

extern const struct counter_info reassembly_counter_infos[REASSEMBLY_COUNTER_COUNT];

struct reassembly_datagram;

struct reassembly {
    struct memory *memory; /* borrowed */
    struct reassembly_datagram *oldest;
    struct reassembly_datagram **newest_link; /* where the next one is put */
    uint32_t datagram_count;
    size_t bytes;   /* held for fragments */
    uint8_t *whole; /* the datagram handed out last */
    size_t whole_bytes;
    uint64_t counters[REASSEMBLY_COUNTER_COUNT];
};

/* Prepares an empty one. `memory` is kept. The struct must not move afterwards. */
void reassembly_init(struct reassembly *reassembly, struct memory *memory);

/* Gives all memory back. */
void reassembly_release(struct reassembly *reassembly);

/* Takes one fragment. When it completes its datagram, returns true and describes the datagram,
 * which is a valid packet with the first fragment's header, in `whole`; that lives until the next
 * call. Otherwise the fragment is held, or dropped and counted. Requires that `fragment` is one:
 * more_fragments, or an offset. */
bool reassembly_add(struct reassembly *reassembly, const struct wire_ipv4 *fragment,
                    uint64_t now_ns, struct wire_ipv4 *whole);

/* What an ICMP error quotes of a datagram that was dropped. */
struct reassembly_head {
    uint32_t quoted_bytes; /* 0: there is to be none */
    uint8_t quote[WIRE_ICMP_QUOTE_MAX];
};

/* Drops the oldest datagram if its time is up; returns whether it was. `head` says what to tell its
 * source: nothing when its first fragment did not come, when it was dropped before, or when it is
 * an ICMP error itself (RFC 1122 sections 3.3.2 and 3.2.2). */
bool reassembly_expire_one(struct reassembly *reassembly, uint64_t now_ns,
                           struct reassembly_head *head);

/* Drops all whose time is up, and tells nobody. */
void reassembly_expire(struct reassembly *reassembly, uint64_t now_ns);

/* Tells when reassembly_expire has something to drop; CLOCK_NEVER: nothing is under way. */
uint64_t reassembly_deadline_ns(const struct reassembly *reassembly);

#endif
