/* Addresses: from text.
 *
 * Layer: base. Pure functions but for interface names, which the kernel turns into an index. Names
 * of hosts are never resolved: a run must not depend on a resolver, nor wait for one. */
#include "base/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <string.h>

#define PORT_MAX 65535u

/* Copies text[0..length) with a NUL; false when it does not fit, and so cannot be an address. */
static bool copy_part(char *part, size_t size, const char *text, size_t length)
{
    if (length >= size) {
        return false;
    }
    memcpy(part, text, length);
    part[length] = '\0';
    return true;
}

/* Reads nothing but digits; values above `limit` saturate at limit + 1. Sets *value even where it
 * fails. */
static bool digits_parse(uint32_t *value, const char *text, uint32_t limit)
{
    uint64_t sum = 0;
    const char *digit = text;
    for (; *digit >= '0' && *digit <= '9'; digit++) {
        sum = sum * 10u + (uint64_t)(*digit - '0');
        sum = sum <= limit ? sum : (uint64_t)limit + 1u;
    }
    *value = (uint32_t)sum;
    return digit != text && *digit == '\0';
}

/* Reads an address without a scope. */
static bool ip_parse_bare(struct ip_addr *ip, const char *text)
{
    *ip = (struct ip_addr){.family = AF_INET};
    if (inet_pton(AF_INET, text, ip->bytes) == 1) {
        return true;
    }
    *ip = (struct ip_addr){.family = AF_INET6};
    return inet_pton(AF_INET6, text, ip->bytes) == 1;
}

static bool is_link_local_6(const struct ip_addr *ip)
{
    return ip->family == AF_INET6 && ip->bytes[0] == 0xfe && (ip->bytes[1] & 0xc0) == 0x80;
}

/* Reads an interface's name or index; 0 when it is neither. */
static uint32_t scope_parse(const char *text)
{
    uint32_t index = if_nametoindex(text);
    if (index == 0 && (!digits_parse(&index, text, UINT32_MAX - 1u) || index == UINT32_MAX)) {
        return 0;
    }
    return index;
}

int ip_parse(struct ip_addr *ip, const char *text, struct failure *failure)
{
    char bare[INET6_ADDRSTRLEN];
    const char *percent = strchr(text, '%');
    size_t length = percent != NULL ? (size_t)(percent - text) : strlen(text);
    struct ip_addr parsed;
    if (!copy_part(bare, sizeof bare, text, length) || !ip_parse_bare(&parsed, bare)) {
        return failure_set(failure, EINVAL,
                           "\"%.100s\": not an IP address (names are not resolved); "
                           "use 127.0.0.1, ::1 or fe80::1%%veth0",
                           text);
    }
    if (percent != NULL) {
        if (!is_link_local_6(&parsed)) {
            return failure_set(
                failure, EINVAL,
                "\"%.100s\": only a link-local IPv6 address takes an interface; use %s", text,
                bare);
        }
        parsed.scope_id = scope_parse(percent + 1);
        if (parsed.scope_id == 0) {
            return failure_set(failure, EINVAL,
                               "\"%.100s\": no interface \"%.100s\"; `ip link` lists them", text,
                               percent + 1);
        }
    }
    *ip = parsed;
    return 0;
}

/* Reads a port that is part of `whole`. */
static int port_parse(uint16_t *port, const char *text, const char *whole, struct failure *failure)
{
    uint32_t value;
    if (!digits_parse(&value, text, PORT_MAX)) {
        return failure_set(failure, EINVAL,
                           "\"%.100s\": port \"%.100s\" is not a number; use 1 to 65535", whole,
                           text);
    }
    if (value == 0 || value > PORT_MAX) {
        return failure_set(failure, EINVAL,
                           "\"%.100s\": port %.100s is out of range; use 1 to 65535", whole, text);
    }
    *port = (uint16_t)value;
    return 0;
}

/* Splits "[ADDRESS]:PORT" or "ADDRESS:PORT"; *port is "" when there is none. */
static int endpoint_split(const char *text, char *address, size_t size, const char **port,
                          struct failure *failure)
{
    const char *first = text;
    const char *end = strrchr(text, ':');
    if (text[0] == '[') {
        first = text + 1;
        end = strchr(text, ']');
        if (end == NULL || (end[1] != ':' && end[1] != '\0')) {
            return failure_set(
                failure, EINVAL,
                "\"%.100s\": the brackets must hold the address alone; use [::1]:7000", text);
        }
        *port = end[1] == ':' ? end + 2 : end + 1;
    } else if (end != NULL && strchr(text, ':') != end) {
        return failure_set(failure, EINVAL,
                           "\"%.100s\": an IPv6 address with a port needs brackets; use [::1]:7000",
                           text);
    } else {
        end = end != NULL ? end : text + strlen(text);
        *port = *end == ':' ? end + 1 : end;
    }
    if (!copy_part(address, size, first, (size_t)(end - first))) {
        return failure_set(
            failure, EINVAL,
            "\"%.100s\": not an address and a port; use 127.0.0.1:7000 or [::1]:7000", text);
    }
    return 0;
}

int endpoint_parse(struct endpoint *endpoint, const char *text, struct failure *failure)
{
    char address[IP_TEXT_MAX];
    const char *port = "";
    int error = endpoint_split(text, address, sizeof address, &port, failure);
    if (error != 0) {
        return error;
    }
    struct endpoint parsed = {0};
    struct failure part;
    if (ip_parse(&parsed.ip, address, &part) != 0) {
        if (strchr(address, '%') != NULL) {
            return failure_set(failure, EINVAL, "\"%.100s\": %s", text, part.text);
        }
        return failure_set(failure, EINVAL,
                           "\"%.100s\": \"%s\" is not an IP address (names are not resolved); "
                           "use 127.0.0.1:7000 or [::1]:7000",
                           text, address);
    }
    if ((parsed.ip.family == AF_INET6) != (text[0] == '[')) {
        return failure_set(failure, EINVAL,
                           "\"%.100s\": only an IPv6 address takes brackets; use %s:%.5s", text,
                           address, *port != '\0' ? port : "7000");
    }
    if (*port == '\0') {
        return failure_set(failure, EINVAL, "\"%.100s\": the port is missing; use %s%s%s:7000",
                           text, text[0] == '[' ? "[" : "", address, text[0] == '[' ? "]" : "");
    }
    error = port_parse(&parsed.port, port, text, failure);
    if (error == 0) {
        *endpoint = parsed;
    }
    return error;
}

static int prefix_parse(struct ip_range *range, const char *text, const char *slash,
                        struct failure *failure)
{
    char address[IP_TEXT_MAX];
    struct failure part;
    if (!copy_part(address, sizeof address, text, (size_t)(slash - text))) {
        return failure_set(failure, EINVAL, "\"%.100s\": not a prefix; use 10.0.0.0/24", text);
    }
    struct ip_addr ip = {0};
    if (ip_parse(&ip, address, &part) != 0) {
        return failure_set(failure, EINVAL, "\"%.100s\": %s", text, part.text);
    }
    uint32_t bits_max = ip.family == AF_INET ? 32u : 128u;
    uint32_t bits;
    if (!digits_parse(&bits, slash + 1, bits_max) || bits > bits_max) {
        return failure_set(failure, EINVAL,
                           "\"%.100s\": prefix length \"%.100s\" is out of range; use 0 to %u",
                           text, slash + 1, bits_max);
    }
    range->first = ip;
    range->last = ip;
    for (uint32_t bit = bits; bit < bits_max; bit++) {
        uint8_t mask = (uint8_t)(0x80u >> bit % 8u);
        range->first.bytes[bit / 8u] &= (uint8_t)~mask;
        range->last.bytes[bit / 8u] |= mask;
    }
    return 0;
}

static int span_parse(struct ip_range *range, const char *text, const char *dash,
                      struct failure *failure)
{
    char address[IP_TEXT_MAX];
    struct failure part;
    if (!copy_part(address, sizeof address, text, (size_t)(dash - text))) {
        return failure_set(failure, EINVAL, "\"%.100s\": not a range; use 10.0.0.1-10.0.0.9", text);
    }
    struct ip_range parsed = {0};
    if (ip_parse(&parsed.first, address, &part) != 0 ||
        ip_parse(&parsed.last, dash + 1, &part) != 0) {
        return failure_set(failure, EINVAL, "\"%.100s\": %s", text, part.text);
    }
    if (parsed.first.family != parsed.last.family) {
        return failure_set(failure, EINVAL,
                           "\"%.100s\": one end is IPv4 and the other IPv6; use two of one family",
                           text);
    }
    if (parsed.first.scope_id != parsed.last.scope_id) {
        return failure_set(failure, EINVAL,
                           "\"%.100s\": the ends are on different interfaces; name one on both",
                           text);
    }
    if (ip_compare(&parsed.first, &parsed.last) > 0) {
        return failure_set(failure, EINVAL,
                           "\"%.100s\": the range is the wrong way round; use %.100s-%s", text,
                           dash + 1, address);
    }
    *range = parsed;
    return 0;
}

int ip_range_parse(struct ip_range *range, const char *text, struct failure *failure)
{
    const char *slash = strchr(text, '/');
    if (slash != NULL) {
        return prefix_parse(range, text, slash, failure);
    }
    /* An interface's name may hold a dash, so what is an address as a whole is not split. */
    struct ip_addr only;
    int error = ip_parse(&only, text, NULL);
    const char *dash = strrchr(text, '-');
    if (error != 0 && dash != NULL) {
        return span_parse(range, text, dash, failure);
    }
    if (error != 0) {
        return failure_set(failure, EINVAL,
                           "\"%.100s\": not an address, a range or a prefix; "
                           "use 10.0.0.1, 10.0.0.1-10.0.0.9 or 10.0.0.0/24",
                           text);
    }
    *range = (struct ip_range){.first = only, .last = only};
    return 0;
}

int port_range_parse(struct port_range *range, const char *text, struct failure *failure)
{
    const char *dash = strchr(text, '-');
    char first[16];
    struct port_range parsed = {0};
    size_t length = dash != NULL ? (size_t)(dash - text) : strlen(text);
    if (!copy_part(first, sizeof first, text, length) || length == 0 ||
        (dash != NULL && dash[1] == '\0')) {
        return failure_set(failure, EINVAL,
                           "\"%.100s\": not a range of ports; use 7000 or 10000-65000", text);
    }
    int error = port_parse(&parsed.first, first, text, failure);
    if (error != 0) {
        return error;
    }
    parsed.last = parsed.first;
    if (dash != NULL) {
        error = port_parse(&parsed.last, dash + 1, text, failure);
        if (error != 0) {
            return error;
        }
    }
    if (parsed.first > parsed.last) {
        return failure_set(failure, EINVAL,
                           "\"%.100s\": the range is the wrong way round; use %u-%u", text,
                           parsed.last, parsed.first);
    }
    *range = parsed;
    return 0;
}
