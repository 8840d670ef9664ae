#include "tcpstat/kernel_filter.h"

#include <endian.h>
#include <sys/socket.h>

_Static_assert(FILTER_PORTS == CENSUS_PORTS && FILTER_RANGES_MAX == ADDR_SET_MAX,
               "a request's sets fit");

static struct filter_address address_of(const struct ip_addr *ip)
{
    uint64_t words[2];
    memcpy(words, ip->bytes, sizeof(words));
    if (ip->family == AF_INET) {
        return (struct filter_address){.low = be64toh(words[0]) >> 32};
    }
    return (struct filter_address){.high = be64toh(words[0]), .low = be64toh(words[1])};
}

static void fill_end(struct filter *filter, enum filter_end end, const struct port_set *ports,
                     const struct addr_set *addrs)
{
    if (ports != NULL) {
        filter->has_ports |= UINT32_C(1) << end;
        memcpy(filter->ports[end], ports->words, sizeof(filter->ports[end]));
    }
    struct filter_ranges *ranges = &filter->addresses[end];
    ranges->count = 0;
    for (uint32_t i = 0; addrs != NULL && i < addrs->count; i++) {
        ranges->ranges[ranges->count++] = (struct filter_range){
            .first = address_of(&addrs->ranges[i].first),
            .last = address_of(&addrs->ranges[i].last),
            .family = addrs->ranges[i].first.family,
        };
    }
    if (addrs != NULL && ranges->count == 0) {
        /* An empty set passes nothing: as a range of no family does. */
        ranges->ranges[ranges->count++] = (struct filter_range){0};
    }
}

void kernel_filter_fill(struct filter *filter, const struct census_request *request)
{
    filter->states = request->states;
    filter->has_ports = 0;
    fill_end(filter, FILTER_LOCAL, request->local_ports, request->local_addrs);
    fill_end(filter, FILTER_REMOTE, request->remote_ports, request->remote_addrs);
    fill_end(filter, FILTER_EITHER, request->either_ports, request->either_addrs);
}
