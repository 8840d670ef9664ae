/* Addresses: values, ranges, and the socket calls' form.
 *
 * Layer: base. Pure functions. Arithmetic on ranges is on 128 bits, kept as two words. */
#include "base/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"

/* An address as a number; an IPv4 address has hi 0. */
struct ip_number {
    uint64_t hi;
    uint64_t lo;
};

static uint64_t word_read(const uint8_t *bytes, size_t count)
{
    uint64_t word = 0;
    for (size_t i = 0; i < count; i++) {
        word = word << 8 | bytes[i];
    }
    return word;
}

static void word_write(uint8_t *bytes, size_t count, uint64_t word)
{
    for (size_t i = count; i > 0; i--) {
        bytes[i - 1u] = (uint8_t)(word & 0xffu);
        word >>= 8;
    }
}

static struct ip_number number_of(const struct ip_addr *ip)
{
    if (ip->family == AF_INET) {
        return (struct ip_number){.hi = 0, .lo = word_read(ip->bytes, 4)};
    }
    return (struct ip_number){.hi = word_read(ip->bytes, 8), .lo = word_read(ip->bytes + 8, 8)};
}

static int number_compare(struct ip_number a, struct ip_number b)
{
    if (a.hi != b.hi) {
        return a.hi < b.hi ? -1 : 1;
    }
    return a.lo == b.lo ? 0 : a.lo < b.lo ? -1 : 1;
}

const char *ip_format(const struct ip_addr *ip, char text[IP_TEXT_MAX])
{
    if (ip->family != AF_INET && ip->family != AF_INET6) {
        memcpy(text, "*", sizeof "*");
        return text;
    }
    (void)inet_ntop(ip->family, ip->bytes, text,
                    INET6_ADDRSTRLEN); /* fits and is known: cannot fail */
    if (ip->scope_id != 0) {
        size_t length = strlen(text);
        snprintf(text + length, IP_TEXT_MAX - length, "%%%u", ip->scope_id);
    }
    return text;
}

const char *endpoint_format(const struct endpoint *endpoint, char text[ENDPOINT_TEXT_MAX])
{
    char ip[IP_TEXT_MAX];
    ip_format(&endpoint->ip, ip);
    bool brackets = endpoint->ip.family == AF_INET6;
    snprintf(text, ENDPOINT_TEXT_MAX, "%s%s%s:%u", brackets ? "[" : "", ip, brackets ? "]" : "",
             endpoint->port);
    return text;
}

int ip_compare(const struct ip_addr *a, const struct ip_addr *b)
{
    if (a->family != b->family) {
        return a->family < b->family ? -1 : 1;
    }
    int order = number_compare(number_of(a), number_of(b));
    if (order != 0 || a->scope_id == b->scope_id) {
        return order;
    }
    return a->scope_id < b->scope_id ? -1 : 1;
}

bool ip_equal(const struct ip_addr *a, const struct ip_addr *b)
{
    return ip_compare(a, b) == 0;
}

bool endpoint_equal(const struct endpoint *a, const struct endpoint *b)
{
    return a->port == b->port && ip_equal(&a->ip, &b->ip);
}

bool ip_range_has(const struct ip_range *range, const struct ip_addr *ip)
{
    if (ip->family != range->first.family) {
        return false;
    }
    /* A range that names no interface holds its addresses on all of them. */
    if (range->first.scope_id != 0 && range->first.scope_id != ip->scope_id) {
        return false;
    }
    struct ip_number number = number_of(ip);
    return number_compare(number_of(&range->first), number) <= 0 &&
           number_compare(number, number_of(&range->last)) <= 0;
}

uint64_t ip_range_count(const struct ip_range *range)
{
    struct ip_number first = number_of(&range->first);
    struct ip_number last = number_of(&range->last);
    uint64_t lo = last.lo - first.lo;
    uint64_t hi = last.hi - first.hi - (last.lo < first.lo);
    return hi != 0 || lo == UINT64_MAX ? UINT64_MAX : lo + 1u;
}

struct ip_addr ip_range_at(const struct ip_range *range, uint64_t index)
{
    ASSERT(index < ip_range_count(range));
    struct ip_addr ip = range->first;
    struct ip_number first = number_of(&ip);
    uint64_t lo = first.lo + index;
    if (ip.family == AF_INET) {
        word_write(ip.bytes, 4, lo);
    } else {
        word_write(ip.bytes, 8, first.hi + (lo < index));
        word_write(ip.bytes + 8, 8, lo);
    }
    return ip;
}

/* Gives the IPv4 address that an address is or, mapped, holds (RFC 4291, 2.5.5.2). */
static bool ipv4_of(const struct ip_addr *ip, uint8_t bytes[4])
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    if (ip->family == AF_INET) {
        memcpy(bytes, ip->bytes, 4);
        return true;
    }
    if (ip->family == AF_INET6 && memcmp(ip->bytes, mapped, sizeof mapped) == 0) {
        memcpy(bytes, ip->bytes + sizeof mapped, 4);
        return true;
    }
    return false;
}

bool ip_is_loopback(const struct ip_addr *ip)
{
    static const uint8_t one[16] = {[15] = 1};
    uint8_t v4[4];
    if (ipv4_of(ip, v4)) {
        return v4[0] == 127;
    }
    return ip->family == AF_INET6 && memcmp(ip->bytes, one, sizeof one) == 0;
}

bool ip_is_local_use(const struct ip_addr *ip)
{
    uint8_t v4[4];
    if (ip_is_loopback(ip)) {
        return true;
    }
    if (ipv4_of(ip, v4)) {
        return v4[0] == 10 ||                            /* 10/8 */
               (v4[0] == 172 && (v4[1] & 0xf0) == 16) || /* 172.16/12 */
               (v4[0] == 192 && v4[1] == 168) ||         /* 192.168/16 */
               (v4[0] == 169 && v4[1] == 254);           /* link-local */
    }
    return ip->family == AF_INET6 &&
           ((ip->bytes[0] & 0xfe) == 0xfc ||                          /* fc00::/7 */
            (ip->bytes[0] == 0xfe && (ip->bytes[1] & 0xc0) == 0x80)); /* fe80::/10 */
}

socklen_t endpoint_to_sockaddr(const struct endpoint *endpoint, struct sockaddr_storage *address)
{
    ASSERT(endpoint->ip.family == AF_INET || endpoint->ip.family == AF_INET6);
    memset(address, 0, sizeof *address);
    if (endpoint->ip.family == AF_INET) {
        struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(endpoint->port)};
        memcpy(&in.sin_addr, endpoint->ip.bytes, sizeof in.sin_addr);
        memcpy(address, &in, sizeof in);
        return sizeof in;
    }
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6,
                               .sin6_port = htons(endpoint->port),
                               .sin6_scope_id = endpoint->ip.scope_id};
    memcpy(&in6.sin6_addr, endpoint->ip.bytes, sizeof in6.sin6_addr);
    memcpy(address, &in6, sizeof in6);
    return sizeof in6;
}

int endpoint_from_sockaddr(struct endpoint *endpoint, const struct sockaddr *address)
{
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    *endpoint = (struct endpoint){0};
    switch (address->sa_family) {
    case AF_INET:
        memcpy(&in, address, sizeof in);
        endpoint->ip.family = AF_INET;
        endpoint->port = ntohs(in.sin_port);
        memcpy(endpoint->ip.bytes, &in.sin_addr, sizeof in.sin_addr);
        return 0;
    case AF_INET6:
        memcpy(&in6, address, sizeof in6);
        endpoint->ip.family = AF_INET6;
        endpoint->port = ntohs(in6.sin6_port);
        endpoint->ip.scope_id = in6.sin6_scope_id;
        memcpy(endpoint->ip.bytes, &in6.sin6_addr, sizeof in6.sin6_addr);
        return 0;
    default:
        return -EAFNOSUPPORT;
    }
}
