#include "loadgen/sources.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"

/* Not 127.0.0.1: servers listen there, and a planner that shares their address meets their ports.
 */
#define LOOPBACK_FIRST "127.0.0.2"
#define LOOPBACK_LAST "127.0.0.250"

int sources_add(struct sources *sources, const struct ip_range *range, struct failure *failure)
{
    uint64_t count = ip_range_count(range);
    if (sources->range_count == SOURCES_RANGES_MAX) {
        return failure_set(failure, E2BIG, "--sources: more than %d ranges; join some of them",
                           SOURCES_RANGES_MAX);
    }
    if (count > SOURCES_ADDRESSES_MAX - sources->address_count) {
        return failure_set(failure, E2BIG, "--sources: more than %llu addresses; name fewer",
                           (unsigned long long)SOURCES_ADDRESSES_MAX);
    }
    sources->ranges[sources->range_count++] = *range;
    sources->address_count += count;
    return 0;
}

struct ip_addr sources_at(const struct sources *sources, uint8_t family, uint64_t index)
{
    ASSERT(index < sources_of_family(sources, family));
    const struct ip_range *range = sources->ranges;
    while (range->first.family != family || index >= ip_range_count(range)) {
        index -= range->first.family == family ? ip_range_count(range) : 0;
        range++;
    }
    return ip_range_at(range, index);
}

uint64_t sources_of_family(const struct sources *sources, uint8_t family)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < sources->range_count; i++) {
        if (sources->ranges[i].first.family == family) {
            count += ip_range_count(&sources->ranges[i]);
        }
    }
    return count;
}

/* Asks the routing table which address a target would see: connecting a datagram socket sends
 * nothing. */
static int source_by_route(const struct endpoint *target, struct ip_addr *source,
                           struct failure *failure)
{
    struct sockaddr_storage address;
    socklen_t length = endpoint_to_sockaddr(target, &address);
    char text[ENDPOINT_TEXT_MAX];
    struct endpoint local;
    int fd = socket(target->ip.family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return failure_set(failure, errno, "cannot open a socket to look up the source address: %s",
                           strerror(errno));
    }
    int rc = 0;
    if (connect(fd, (struct sockaddr *)&address, length) != 0) {
        rc = failure_set(failure, errno, "--target %s: no route to it (%s); is the interface up?",
                         endpoint_format(target, text), strerror(errno));
        goto err_close;
    }
    length = sizeof(address);
    if (getsockname(fd, (struct sockaddr *)&address, &length) != 0) {
        rc = failure_set(failure, errno, "cannot read the source address: %s", strerror(errno));
        goto err_close;
    }
    rc = endpoint_from_sockaddr(&local, (struct sockaddr *)&address);
    *source = local.ip;
err_close:
    close(fd);
    return rc;
}

static int default_range(const struct endpoint *target, struct ip_range *range,
                         struct failure *failure)
{
    if (target->ip.family == AF_INET && ip_is_loopback(&target->ip)) {
        return ip_range_parse(range, LOOPBACK_FIRST "-" LOOPBACK_LAST, failure);
    }
    int rc = source_by_route(target, &range->first, failure);
    range->last = range->first;
    return rc;
}

int sources_add_default(struct sources *sources, const struct endpoint *target,
                        struct failure *failure)
{
    struct ip_range range;
    int rc = default_range(target, &range, failure);
    if (rc != 0) {
        return rc;
    }
    for (uint32_t i = 0; i < sources->range_count; i++) {
        if (ip_equal(&sources->ranges[i].first, &range.first) &&
            ip_equal(&sources->ranges[i].last, &range.last)) {
            return 0;
        }
    }
    return sources_add(sources, &range, failure);
}
