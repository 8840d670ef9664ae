#include "loadgen/guard.h"

#include <errno.h>

int guard_check(const struct endpoint *target, const struct ip_range *allowed, uint32_t allowed_count,
                struct failure *failure)
{
    if (ip_is_local_use(&target->ip)) {
        return 0;
    }
    for (uint32_t i = 0; i < allowed_count; i++) {
        if (ip_range_has(&allowed[i], &target->ip)) {
            return 0;
        }
    }
    char text[ENDPOINT_TEXT_MAX];
    char ip[IP_TEXT_MAX];
    return failure_set(failure, EPERM,
                       "--target %s: refused, it is no loopback, private or link-local address; if you "
                       "may load it, add --allow-target %s",
                       endpoint_format(target, text), ip_format(&target->ip, ip));
}
