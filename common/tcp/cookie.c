/* Cookies and the other keyed values; see cookie.h.
 *
 * A cookie is 28 bits of a keyed hash, then a bit of the period's count and three that name the
 * MSS. The hash covers the whole count, so that the one bit is enough to tell which of two periods
 * it was made in, and more bits are left for what must not be guessed. */
#include "tcp/cookie.h"

#include <stddef.h>

#define MSS_COUNT 8u
#define MSS_BITS 3u
#define LOW_BITS (MSS_BITS + 1u) /* and the period's lowest bit */
#define MSS_DEFAULT 536u         /* RFC 9293 section 3.7.1 */
#define NS_PER_TICK 4000u        /* RFC 6528: an ISN's clock ticks every 4 us */

#define WSCALE_MASK 0x0fu
#define WSCALE_NONE 0x0fu /* 15 is no shift count: at most 14 (RFC 7323 section 2.3) */
#define SACK_BIT 0x10u
#define ECN_BIT 0x20u
#define OPTION_MASK ((UINT32_C(1) << COOKIE_TIMESTAMP_BITS) - 1u)

/* What paths really have: nothing, X.25, the default, IPv6's least, tunnels, PPPoE, Ethernet,
 * jumbo frames. */
static const uint16_t mss_table[MSS_COUNT] = {64, 512, 536, 1220, 1360, 1440, 1460, 8960};

/* One key serves all: what is hashed for one purpose never equals what is hashed for another. */
enum purpose { PURPOSE_COOKIE = 1, PURPOSE_ISN, PURPOSE_TIMESTAMP, PURPOSE_PORT };

static uint64_t ports_for(const struct tuple *tuple, enum purpose purpose)
{
    return (uint64_t)purpose << 32 | tuple_ports(tuple);
}

static uint32_t cookie_of(const struct siphash_key *key, const struct tuple *tuple, uint32_t irs,
                          uint64_t period, uint32_t mss_index)
{
    uint32_t low = (uint32_t)(period & 1u) << MSS_BITS | mss_index;
    uint64_t what = (uint64_t)irs << 32 | (uint32_t)(period << MSS_BITS) | mss_index;
    uint64_t hash = siphash_3u64(key, tuple_ips(tuple), ports_for(tuple, PURPOSE_COOKIE), what);
    return (uint32_t)hash << LOW_BITS | low;
}

uint32_t cookie_make(const struct siphash_key *key, const struct tuple *tuple,
                     const struct cookie_syn *syn, uint64_t now_ns)
{
    uint32_t mss = syn->mss == 0 ? MSS_DEFAULT : syn->mss;
    uint32_t index = MSS_COUNT - 1u;
    while (index > 0 && mss_table[index] > mss) {
        index--;
    }
    return cookie_of(key, tuple, syn->irs, now_ns / COOKIE_PERIOD_NS, index);
}

bool cookie_check(const struct siphash_key *key, const struct tuple *tuple, uint32_t iss,
                  struct cookie_syn *syn, uint64_t now_ns)
{
    uint32_t index = iss & (MSS_COUNT - 1u);
    uint64_t period = now_ns / COOKIE_PERIOD_NS;
    if ((period & 1u) != (iss >> MSS_BITS & 1u)) {
        if (period == 0) {
            return false;
        }
        period--;
    }
    if (cookie_of(key, tuple, syn->irs, period, index) != iss) {
        return false;
    }
    syn->mss = mss_table[index];
    return true;
}

uint32_t cookie_timestamp_make(uint32_t ts, const struct cookie_syn *syn)
{
    uint32_t bits = syn->has_wscale ? syn->wscale & WSCALE_MASK : WSCALE_NONE;
    bits |= syn->sack_permitted ? SACK_BIT : 0;
    bits |= syn->ecn ? ECN_BIT : 0;
    uint32_t base = ts & ~OPTION_MASK;
    return bits > (ts & OPTION_MASK) ? base - (OPTION_MASK + 1u) + bits : base + bits;
}

bool cookie_timestamp_read(uint32_t ts_ecr, struct cookie_syn *syn)
{
    if (ts_ecr == 0) {
        return false;
    }
    uint32_t wscale = ts_ecr & WSCALE_MASK;
    syn->has_timestamp = true;
    syn->has_wscale = wscale != WSCALE_NONE;
    syn->wscale = syn->has_wscale ? (uint8_t)wscale : 0;
    syn->sack_permitted = (ts_ecr & SACK_BIT) != 0;
    syn->ecn = (ts_ecr & ECN_BIT) != 0;
    return true;
}

uint32_t keyed_isn(const struct siphash_key *key, const struct tuple *tuple, uint64_t now_ns)
{
    uint64_t hash = siphash_2u64(key, tuple_ips(tuple), ports_for(tuple, PURPOSE_ISN));
    return (uint32_t)(now_ns / NS_PER_TICK + hash);
}

uint32_t keyed_timestamp_offset(const struct siphash_key *key, const struct tuple *tuple)
{
    /* Once a segment, so the quick variant: the offset hides a clock, and guards nothing else. */
    return (uint32_t)siphash13_2u64(key, tuple_ips(tuple), ports_for(tuple, PURPOSE_TIMESTAMP));
}

uint32_t keyed_port_offset(const struct siphash_key *key, const struct tuple *tuple)
{
    struct tuple target = *tuple;
    target.local_port = 0; /* it is what is looked for */
    return (uint32_t)siphash_2u64(key, tuple_ips(&target), ports_for(&target, PURPOSE_PORT));
}
