/* Addresses: version-neutral IP addresses, endpoints, ranges and prefixes, parsed and printed.
 *
 * Layer: base. Plain data in value semantics: addresses are kept in network byte order, ports in
 * host order. IPv4-mapped IPv6 addresses stay IPv6. */
#ifndef FINWAIT_BASE_ADDR_H
#define FINWAIT_BASE_ADDR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/failure.h"

#define IP_TEXT_MAX 64       /* "ffff:...:ffff%4294967295" and its NUL */
#define ENDPOINT_TEXT_MAX 80 /* "[" IP "]:65535" */

struct ip_addr {
    uint8_t family;    /* AF_INET, AF_INET6; AF_UNSPEC: not given */
    uint8_t bytes[16]; /* network order; an IPv4 address takes the first four, the rest is 0 */
    uint32_t scope_id; /* IPv6 link-local: interface index, else 0 */
};

struct endpoint {
    struct ip_addr ip;
    uint16_t port; /* host order; 0: not given */
};

/* A connection's names as a planner gives them: a source that is AF_UNSPEC, or whose port is 0, is
 * left to the engine. */
struct flow {
    struct endpoint source;
    struct endpoint target;
};

struct ip_range {
    struct ip_addr first;
    struct ip_addr last; /* same family, first <= last */
};

struct port_range {
    uint16_t first; /* 1..65535 */
    uint16_t last;  /* first <= last */
};

/* Reads "127.0.0.1", "::1" or "fe80::1%veth0". Returns 0 or -EINVAL with the text set. */
int ip_parse(struct ip_addr *ip, const char *text, struct failure *failure);

/* Reads "127.0.0.1:7000" or "[::1]:7000"; names are not resolved. Returns 0 or -EINVAL with the
 * text set, which tells a missing port from one out of range. */
int endpoint_parse(struct endpoint *endpoint, const char *text, struct failure *failure);

/* Reads "10.0.0.1", "10.0.0.1-10.0.0.9" or "10.0.0.0/24" (every address of the prefix). Returns 0
 * or -EINVAL with the text set; a range the wrong way round or of two families is refused. */
int ip_range_parse(struct ip_range *range, const char *text, struct failure *failure);

/* Reads "7000" or "10000-65000". Returns 0 or -EINVAL with the text set. */
int port_range_parse(struct port_range *range, const char *text, struct failure *failure);

/* Print into `text` and return it. */
const char *ip_format(const struct ip_addr *ip, char text[IP_TEXT_MAX]);
const char *endpoint_format(const struct endpoint *endpoint, char text[ENDPOINT_TEXT_MAX]);

/* Orders two addresses: family first, then as unsigned numbers; < 0, 0 or > 0. */
int ip_compare(const struct ip_addr *a, const struct ip_addr *b);
bool ip_equal(const struct ip_addr *a, const struct ip_addr *b);
bool endpoint_equal(const struct endpoint *a, const struct endpoint *b);

/* Tells whether an address lies in a range. */
bool ip_range_has(const struct ip_range *range, const struct ip_addr *ip);

/* Counts a range's addresses; UINT64_MAX for 2^64 and more. */
uint64_t ip_range_count(const struct ip_range *range);

/* Gives the range's address number `index`. Requires index < ip_range_count. */
struct ip_addr ip_range_at(const struct ip_range *range, uint64_t index);

/* Tells whether an address is loopback, private (RFC 1918, RFC 4193) or link-local (RFC 3927, RFC
 * 4291): where load may go without being named. IPv4-mapped addresses count as the IPv4 address
 * they hold. */
bool ip_is_local_use(const struct ip_addr *ip);
bool ip_is_loopback(const struct ip_addr *ip);

/* Convert to and from the socket calls' form; the first returns the length used. The second returns
 * 0 or -EAFNOSUPPORT. */
socklen_t endpoint_to_sockaddr(const struct endpoint *endpoint, struct sockaddr_storage *address);
int endpoint_from_sockaddr(struct endpoint *endpoint, const struct sockaddr *address);

#endif
