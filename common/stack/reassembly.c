/* Reassembly: see the header for the rules.
 *
 * Layer: stack (L3).
 *
 * Datagrams stand in the order in which they began, which is the order in which they expire. Since
 * fragments never overlap, a datagram is complete when it holds as many bytes as its last fragment
 * says; no list of holes is needed. */
#include "stack/reassembly.h"

#include <assert.h>
#include <endian.h>
#include <string.h>

#include "base/assert.h"

#define PACKET_BYTES_MAX 65535u
#define HEADER_BYTES_MAX 60u
#define FRAGMENT_UNIT_BYTES 8u
#define QUOTED_BYTES 8u /* RFC 792; no fragment but the last is shorter */

struct reassembly_fragment {
    struct reassembly_fragment *next; /* by start */
    uint32_t start;
    uint32_t bytes;
    uint8_t payload[];
};

struct reassembly_datagram {
    struct reassembly_datagram *next;
    uint64_t deadline_ns;
    uint32_t source;
    uint32_t target;
    uint16_t id;
    uint8_t protocol;
    uint8_t ecn_seen; /* a bit each enum wire_ecn */
    bool spoilt;      /* dropped; kept to drop the fragments that are still to come */
    uint8_t header_bytes;
    uint8_t header[HEADER_BYTES_MAX]; /* of the fragment that begins it */
    uint32_t fragment_count;
    uint32_t received_bytes;
    uint32_t total_bytes; /* 0: the last fragment has not come */
    struct reassembly_fragment *fragments;
};

const struct counter_info reassembly_counter_infos[REASSEMBLY_COUNTER_COUNT] = {
#define COUNTER(name, help) {#name, help},
#include "stack/reassembly.def"
#undef COUNTER
};

static void count(struct reassembly *reassembly, enum reassembly_counter counter)
{
    reassembly->counters[counter]++;
}

static void *hold(struct reassembly *reassembly, size_t bytes)
{
    void *block = memory_alloc(reassembly->memory, bytes);
    reassembly->bytes += block == NULL ? 0 : bytes;
    return block;
}

static void let_go(struct reassembly *reassembly, void *block, size_t bytes)
{
    reassembly->bytes -= bytes;
    memory_release(reassembly->memory, block, bytes);
}

static void release_fragments(struct reassembly *reassembly, struct reassembly_datagram *datagram)
{
    while (datagram->fragments != NULL) {
        struct reassembly_fragment *fragment = datagram->fragments;
        datagram->fragments = fragment->next;
        let_go(reassembly, fragment, sizeof(*fragment) + fragment->bytes);
    }
}

/* Takes the datagram that `link` points at out of the list and gives its memory back. */
static void remove_datagram(struct reassembly *reassembly, struct reassembly_datagram **link)
{
    struct reassembly_datagram *datagram = *link;
    ASSERT(datagram != NULL);
    *link = datagram->next;
    if (datagram->next == NULL) {
        reassembly->newest_link = link;
    }
    release_fragments(reassembly, datagram);
    let_go(reassembly, datagram, sizeof(*datagram));
    reassembly->datagram_count--;
}

static void release_whole(struct reassembly *reassembly)
{
    memory_release(reassembly->memory, reassembly->whole, reassembly->whole_bytes);
    reassembly->whole = NULL;
}

void reassembly_init(struct reassembly *reassembly, struct memory *memory)
{
    *reassembly = (struct reassembly){.memory = memory};
    reassembly->newest_link = &reassembly->oldest;
}

void reassembly_release(struct reassembly *reassembly)
{
    while (reassembly->oldest != NULL) {
        remove_datagram(reassembly, &reassembly->oldest);
    }
    release_whole(reassembly);
}

/* RFC 791 section 3.2: a datagram is known by these four. */
static struct reassembly_datagram **find(struct reassembly *reassembly, const struct wire_ipv4 *ip)
{
    struct reassembly_datagram **link = &reassembly->oldest;
    while (*link != NULL && ((*link)->id != ip->id || (*link)->source != ip->source ||
                             (*link)->target != ip->target || (*link)->protocol != ip->protocol)) {
        link = &(*link)->next;
    }
    return link;
}

static void displace(struct reassembly *reassembly, struct reassembly_datagram **link)
{
    ASSERT(*link != NULL);
    if (!(*link)->spoilt) { /* else it was counted when it was dropped */
        count(reassembly, REASSEMBLY_COUNTER_datagrams_displaced);
    }
    remove_datagram(reassembly, link);
}

/* One datagram alone always fits, so that displacing the others makes room enough. */
static_assert(REASSEMBLY_BYTES_MAX >
                  sizeof(struct reassembly_datagram) + 2u * PACKET_BYTES_MAX +
                      (REASSEMBLY_FRAGMENTS_MAX + 1u) * sizeof(struct reassembly_fragment),
              "room for the longest datagram");

/* Displaces the oldest datagrams, `keep` excepted, until `bytes` more may be held. */
static void make_room(struct reassembly *reassembly, size_t bytes,
                      const struct reassembly_datagram *keep)
{
    struct reassembly_datagram **link = &reassembly->oldest;
    while (reassembly->bytes + bytes > REASSEMBLY_BYTES_MAX) {
        if (keep != NULL && *link == keep) {
            link = &(*link)->next;
        }
        displace(reassembly, link);
    }
}

static struct reassembly_datagram **begin(struct reassembly *reassembly, const struct wire_ipv4 *ip,
                                          uint64_t now_ns)
{
    if (reassembly->datagram_count == REASSEMBLY_DATAGRAMS_MAX) {
        displace(reassembly, &reassembly->oldest);
    }
    struct reassembly_datagram *datagram;
    make_room(reassembly, sizeof(*datagram), NULL);
    datagram = hold(reassembly, sizeof(*datagram));
    if (datagram == NULL) {
        return NULL;
    }
    datagram->deadline_ns = now_ns + REASSEMBLY_TIMEOUT_NS;
    datagram->source = ip->source;
    datagram->target = ip->target;
    datagram->id = ip->id;
    datagram->protocol = ip->protocol;
    struct reassembly_datagram **link = reassembly->newest_link;
    ASSERT(link != NULL);
    *link = datagram;
    reassembly->newest_link = &datagram->next;
    reassembly->datagram_count++;
    return link;
}

/* Drops a datagram, but keeps its record until its time is up (RFC 5722 section 4: with those
 * fragments that were not yet received). */
static void spoil(struct reassembly *reassembly, struct reassembly_datagram *datagram,
                  enum reassembly_counter reason)
{
    release_fragments(reassembly, datagram);
    datagram->spoilt = true;
    count(reassembly, reason);
}

enum placement { PLACE_FREE, PLACE_REPEATED, PLACE_OVERLAPPING };

/* Finds where a fragment belongs: `*link` becomes the place in the list. */
static enum placement place(struct reassembly_datagram *datagram, const struct wire_ipv4 *ip,
                            struct reassembly_fragment ***link)
{
    const uint32_t start = ip->fragment_offset;
    const uint32_t end = start + ip->payload_bytes;
    *link = &datagram->fragments;
    while (**link != NULL && (**link)->start + (**link)->bytes <= start) {
        *link = &(**link)->next;
    }
    const struct reassembly_fragment *next = **link;
    if (next != NULL && next->start == start && next->bytes == ip->payload_bytes &&
        ip->more_fragments == (end != datagram->total_bytes) &&
        memcmp(next->payload, ip->payload, next->bytes) == 0) {
        return PLACE_REPEATED;
    }
    if (next != NULL && next->start < end) {
        return PLACE_OVERLAPPING;
    }
    if (datagram->total_bytes !=
        0) { /* the end is known: nothing lies behind it, nor another end */
        return ip->more_fragments && end < datagram->total_bytes ? PLACE_FREE : PLACE_OVERLAPPING;
    }
    return ip->more_fragments || next == NULL ? PLACE_FREE : PLACE_OVERLAPPING;
}

static bool insert(struct reassembly *reassembly, struct reassembly_datagram *datagram,
                   struct reassembly_fragment **link, const struct wire_ipv4 *ip)
{
    struct reassembly_fragment *fragment = hold(reassembly, sizeof(*fragment) + ip->payload_bytes);
    if (fragment == NULL) {
        return false;
    }
    fragment->start = ip->fragment_offset;
    fragment->bytes = ip->payload_bytes;
    memcpy(fragment->payload, ip->payload, ip->payload_bytes);
    fragment->next = *link;
    *link = fragment;
    datagram->fragment_count++;
    datagram->received_bytes += ip->payload_bytes;
    datagram->ecn_seen |= (uint8_t)(1u << ip->ecn);
    if (!ip->more_fragments) {
        datagram->total_bytes = ip->fragment_offset + ip->payload_bytes;
    }
    if (ip->fragment_offset == 0) {
        datagram->header_bytes = (uint8_t)ip->header_bytes;
        memcpy(datagram->header, ip->header, ip->header_bytes);
    }
    return true;
}

/* RFC 3168 section 5.3: the mark of one fragment is the datagram's. */
static bool is_mark_contradictory(const struct reassembly_datagram *datagram)
{
    return (datagram->ecn_seen & 1u << WIRE_ECN_CE) != 0 &&
           (datagram->ecn_seen & 1u << WIRE_ECN_NOT) != 0;
}

static void put_u16(uint8_t *at, uint16_t value)
{
    const uint16_t word = htobe16(value);
    memcpy(at, &word, sizeof(word));
}

/* Writes the header of the whole over that of its first fragment. */
static void write_header(uint8_t *packet, const struct reassembly_datagram *datagram,
                         size_t packet_bytes)
{
    memcpy(packet, datagram->header, datagram->header_bytes);
    put_u16(packet + 2, (uint16_t)packet_bytes);
    put_u16(packet + 6, 0);
    put_u16(packet + 10, 0);
    if ((datagram->ecn_seen & 1u << WIRE_ECN_CE) != 0) {
        packet[1] |= WIRE_ECN_CE;
    }
    const uint16_t checksum = wire_sum_finish(wire_sum_add(0, packet, datagram->header_bytes));
    memcpy(packet + 10, &checksum, sizeof(checksum));
}

/* Puts a complete datagram together; false when it is dropped after all. */
static bool complete(struct reassembly *reassembly, const struct reassembly_datagram *datagram,
                     struct wire_ipv4 *whole)
{
    const size_t bytes = (size_t)datagram->header_bytes + datagram->total_bytes;
    if (is_mark_contradictory(datagram)) {
        count(reassembly, REASSEMBLY_COUNTER_datagrams_marked);
        return false;
    }
    if (bytes > PACKET_BYTES_MAX) {
        count(reassembly, REASSEMBLY_COUNTER_datagrams_too_long);
        return false;
    }
    reassembly->whole = memory_alloc(reassembly->memory, bytes);
    if (reassembly->whole == NULL) {
        count(reassembly, REASSEMBLY_COUNTER_no_memory);
        return false;
    }
    reassembly->whole_bytes = bytes;
    write_header(reassembly->whole, datagram, bytes);
    uint8_t *payload = reassembly->whole + datagram->header_bytes;
    for (const struct reassembly_fragment *part = datagram->fragments; part != NULL;
         part = part->next) {
        memcpy(payload + part->start, part->payload, part->bytes);
    }
    const enum wire_verdict verdict = wire_ipv4_parse(whole, reassembly->whole, bytes);
    ASSERT(verdict == WIRE_OK);
    count(reassembly, REASSEMBLY_COUNTER_reassembled);
    return true;
}

/* Refuses what no datagram can have; counts why. */
static bool is_refused(struct reassembly *reassembly, const struct wire_ipv4 *ip)
{
    const uint32_t end = ip->fragment_offset + ip->payload_bytes;
    if (ip->payload_bytes == 0 || end > PACKET_BYTES_MAX - WIRE_IPV4_BYTES ||
        (ip->more_fragments && ip->payload_bytes % FRAGMENT_UNIT_BYTES != 0)) {
        count(reassembly, REASSEMBLY_COUNTER_fragments_malformed);
        return true;
    }
    /* RFC 1858 section 3 and RFC 3128: the fixed TCP header lies in the first fragment, and no
     * other fragment reaches into it. */
    if (ip->protocol == WIRE_PROTO_TCP &&
        (ip->fragment_offset == 0 ? ip->payload_bytes : ip->fragment_offset) < WIRE_TCP_BYTES) {
        count(reassembly, REASSEMBLY_COUNTER_fragments_tiny);
        return true;
    }
    return false;
}

/* Gives a fragment its place in its datagram. Returns whether it was taken. */
static bool take(struct reassembly *reassembly, struct reassembly_datagram *datagram,
                 const struct wire_ipv4 *ip)
{
    struct reassembly_fragment **link;
    if (datagram->spoilt) {
        count(reassembly, REASSEMBLY_COUNTER_fragments_late);
        return false;
    }
    switch (place(datagram, ip, &link)) {
    case PLACE_REPEATED:
        count(reassembly, REASSEMBLY_COUNTER_fragments_repeated);
        return false;
    case PLACE_OVERLAPPING:
        spoil(reassembly, datagram, REASSEMBLY_COUNTER_datagrams_overlapping);
        return false;
    case PLACE_FREE:
        break;
    }
    if (datagram->fragment_count == REASSEMBLY_FRAGMENTS_MAX) {
        spoil(reassembly, datagram, REASSEMBLY_COUNTER_datagrams_crumbled);
        return false;
    }
    make_room(reassembly, sizeof(struct reassembly_fragment) + ip->payload_bytes, datagram);
    if (!insert(reassembly, datagram, link, ip)) {
        count(reassembly, REASSEMBLY_COUNTER_no_memory);
        return false;
    }
    return true;
}

bool reassembly_add(struct reassembly *reassembly, const struct wire_ipv4 *fragment,
                    uint64_t now_ns, struct wire_ipv4 *whole)
{
    ASSERT(fragment->more_fragments || fragment->fragment_offset != 0);
    release_whole(reassembly);
    reassembly_expire(reassembly, now_ns);
    count(reassembly, REASSEMBLY_COUNTER_fragments);
    if (is_refused(reassembly, fragment)) {
        return false;
    }
    struct reassembly_datagram **link = find(reassembly, fragment);
    if (*link == NULL) {
        link = begin(reassembly, fragment, now_ns);
    }
    if (link == NULL) {
        count(reassembly, REASSEMBLY_COUNTER_no_memory);
        return false;
    }
    struct reassembly_datagram *datagram = *link;
    if (!take(reassembly, datagram, fragment) || datagram->total_bytes == 0 ||
        datagram->received_bytes < datagram->total_bytes) {
        return false;
    }
    const bool is_whole = complete(reassembly, datagram, whole);
    remove_datagram(reassembly, find(reassembly, fragment)); /* `link` may have been displaced */
    return is_whole;
}

/* RFC 1122 section 3.2.2: no ICMP error is told of by another. */
static bool is_icmp_error(const struct reassembly_datagram *datagram)
{
    uint8_t type = datagram->fragments->payload[0];
    return datagram->protocol == WIRE_PROTO_ICMP && type != WIRE_ICMP_ECHO &&
           type != WIRE_ICMP_ECHO_REPLY;
}

static void fill_head(const struct reassembly_datagram *datagram, struct reassembly_head *head)
{
    const struct reassembly_fragment *first = datagram->fragments;
    head->quoted_bytes = 0;
    if (first == NULL || first->start != 0 || is_icmp_error(datagram)) {
        return;
    }
    memcpy(head->quote, datagram->header, datagram->header_bytes);
    memcpy(head->quote + datagram->header_bytes, first->payload, QUOTED_BYTES);
    head->quoted_bytes = datagram->header_bytes + QUOTED_BYTES;
}

bool reassembly_expire_one(struct reassembly *reassembly, uint64_t now_ns,
                           struct reassembly_head *head)
{
    const struct reassembly_datagram *oldest = reassembly->oldest;
    if (oldest == NULL || oldest->deadline_ns > now_ns) {
        return false;
    }
    fill_head(oldest, head);
    if (!oldest->spoilt) { /* else it was counted when it was dropped */
        count(reassembly, REASSEMBLY_COUNTER_datagrams_expired);
    }
    remove_datagram(reassembly, &reassembly->oldest);
    return true;
}

void reassembly_expire(struct reassembly *reassembly, uint64_t now_ns)
{
    struct reassembly_head head;
    while (reassembly_expire_one(reassembly, now_ns, &head)) {
    }
}

uint64_t reassembly_deadline_ns(const struct reassembly *reassembly)
{
    return reassembly->oldest == NULL ? CLOCK_NEVER : reassembly->oldest->deadline_ns;
}
