/* SYN cookies: a handshake whose state travels in our initial sequence number (RFC 4987
 * section 3.6), with the options that have no room there in the timestamp.
 *
 * Layer: tcp (L2). Pure, keyed. A cookie is good for one to two minutes: the count of 64 s periods
 * goes in. Also the other keyed values: ISN (RFC 6528), timestamp offset (RFC 7323 section 5.4:
 * must be monotonic per 4-tuple), port offsets (RFC 6056). */
#ifndef FINWAIT_TCP_COOKIE_H
#define FINWAIT_TCP_COOKIE_H

#include <stdbool.h>
#include <stdint.h>

#include "tcp/tuple.h"

#define COOKIE_PERIOD_NS (UINT64_C(64) * 1000000000)
#define COOKIE_TIMESTAMP_BITS 6u /* low bits of our timestamp that hold options */

/* What a cookie keeps of a SYN. */
struct cookie_syn {
    uint32_t irs;
    uint16_t mss;    /* the peer's; kept as the largest of a table of eight that is not above it */
    uint8_t wscale;  /* 0..14 */
    bool has_wscale; /* this and the rest only survive when the peer has timestamps */
    bool sack_permitted;
    bool ecn;
    bool has_timestamp;
};

/* Makes the ISS of our SYN-ACK. */
uint32_t cookie_make(const struct siphash_key *key, const struct tuple *tuple,
                     const struct cookie_syn *syn, uint64_t now_ns);

/* Checks the ACK that completes a handshake: `iss` is its SEG.ACK - 1, syn->irs its SEG.SEQ - 1.
 * True when the cookie is ours and not too old; stores the MSS. Options stay untouched. */
bool cookie_check(const struct siphash_key *key, const struct tuple *tuple, uint32_t iss,
                  struct cookie_syn *syn, uint64_t now_ns);

/* Puts the options into a timestamp's low bits, never raising it above `ts` (a value that a later
 * segment of ours will pass). */
uint32_t cookie_timestamp_make(uint32_t ts, const struct cookie_syn *syn);

/* Reads them back from the peer's echo, and sets has_timestamp. False, with nothing stored, when
 * the echo is 0: a peer that does not echo. The bits are not authenticated: the peer chose them
 * itself. */
bool cookie_timestamp_read(uint32_t ts_ecr, struct cookie_syn *syn);

/* RFC 6528: ISN = M + F(4-tuple, key), M ticking every 4 us. */
uint32_t keyed_isn(const struct siphash_key *key, const struct tuple *tuple, uint64_t now_ns);

/* The offset that is added to the millisecond clock for timestamps of a 4-tuple. */
uint32_t keyed_timestamp_offset(const struct siphash_key *key, const struct tuple *tuple);

/* RFC 6056 algorithm 3: offset of the port search for (local, remote, remote port). */
uint32_t keyed_port_offset(const struct siphash_key *key, const struct tuple *tuple);

#endif
