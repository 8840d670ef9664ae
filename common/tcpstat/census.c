/* What all censuses share: filters, sums and groups. */
#include "tcpstat/census.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/assert.h"
#include "base/clock.h"

#define GROUPS_FIRST 64 /* room for the ports of a server and a few clients */

void port_set_add_range(struct port_set *set, struct port_range range)
{
    for (uint32_t port = range.first; port <= range.last; port++) {
        port_set_add(set, (uint16_t)port);
    }
}

int census_run(struct census *census, const struct census_request *request,
               struct census_result *result)
{
    const uint64_t started_ns = clock_now_ns();
    const uint64_t cpu_started_ns = clock_thread_cpu_ns();
    const int error = census->ops->run(census, request, result);
    result->stamp.started_ns = started_ns;
    result->stamp.wall_ns = clock_now_ns() - started_ns;
    result->stamp.cpu_ns = clock_thread_cpu_ns() - cpu_started_ns;
    return error;
}

const char *census_method(const struct census *census)
{
    return census->ops->method;
}

void census_close(struct census *census)
{
    if (census != NULL) {
        census->ops->close(census);
    }
}

void census_result_free(struct census_result *result)
{
    free(result->groups.groups);
    free(result->groups.slot_of_port);
    *result = (struct census_result){0};
}

const struct tcp_state_counts *census_groups_find(const struct census_groups *groups, uint16_t port)
{
    if (groups->count == 0) {
        return NULL;
    }
    const uint32_t slot = groups->slot_of_port[port];
    return slot == 0 ? NULL : &groups->groups[slot - 1].counts;
}

/* Forgets the ports that were seen, which is cheaper than clearing the whole index. */
static void groups_empty(struct census_groups *groups)
{
    for (uint32_t i = 0; i < groups->count; i++) {
        groups->slot_of_port[groups->groups[i].port] = 0;
    }
    groups->count = 0;
}

int census_result_reset(struct census_result *result, const struct census_request *request)
{
    groups_empty(&result->groups);
    const struct census_groups kept = result->groups;
    *result = (struct census_result){.groups = kept};
    if (request->grouping == CENSUS_WHOLE || kept.slot_of_port != NULL) {
        return 0;
    }
    result->groups.slot_of_port = calloc(CENSUS_PORTS, sizeof(*result->groups.slot_of_port));
    return result->groups.slot_of_port == NULL ? -ENOMEM : 0;
}

static bool groups_grow(struct census_groups *groups)
{
    const uint32_t capacity = groups->capacity == 0 ? GROUPS_FIRST : groups->capacity * 2;
    struct census_group *grown = realloc(groups->groups, capacity * sizeof(*grown));
    if (grown == NULL) {
        return false;
    }
    groups->groups = grown;
    groups->capacity = capacity;
    return true;
}

int census_groups_add(struct census_groups *groups, uint16_t port, enum tcp_state state,
                      uint64_t times)
{
    uint32_t slot = groups->slot_of_port[port];
    if (slot == 0) {
        if (groups->count == groups->capacity && !groups_grow(groups)) {
            return -ENOMEM;
        }
        groups->groups[groups->count] = (struct census_group){.port = port};
        slot = ++groups->count;
        groups->slot_of_port[port] = slot;
    }
    groups->groups[slot - 1].counts.n[state] += times;
    return 0;
}

static bool ranges_have(const struct addr_set *set, const struct ip_addr *ip)
{
    for (uint32_t i = 0; i < set->count; i++) {
        if (ip_range_has(&set->ranges[i], ip)) {
            return true;
        }
    }
    return false;
}

bool addr_set_has(const struct addr_set *set, const struct ip_addr *ip)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    if (ranges_have(set, ip)) {
        return true;
    }
    if (ip->family != AF_INET6 || memcmp(ip->bytes, mapped, sizeof(mapped)) != 0) {
        return false;
    }
    struct ip_addr held = {.family = AF_INET};
    memcpy(held.bytes, ip->bytes + sizeof(mapped), 4);
    return ranges_have(set, &held);
}

static bool passes_ports(const struct census_request *request, const struct census_socket *socket)
{
    if (request->local_ports != NULL && !port_set_has(request->local_ports, socket->local_port)) {
        return false;
    }
    if (request->remote_ports != NULL &&
        !port_set_has(request->remote_ports, socket->remote_port)) {
        return false;
    }
    return request->either_ports == NULL ||
           port_set_has(request->either_ports, socket->local_port) ||
           port_set_has(request->either_ports, socket->remote_port);
}

static bool passes_addresses(const struct census_request *request,
                             const struct census_socket *socket)
{
    if (request->local_addrs != NULL && !addr_set_has(request->local_addrs, socket->local)) {
        return false;
    }
    if (request->remote_addrs != NULL && !addr_set_has(request->remote_addrs, socket->remote)) {
        return false;
    }
    return request->either_addrs == NULL || addr_set_has(request->either_addrs, socket->local) ||
           addr_set_has(request->either_addrs, socket->remote);
}

bool census_request_names_addresses(const struct census_request *request)
{
    return request->local_addrs != NULL || request->remote_addrs != NULL ||
           request->either_addrs != NULL;
}

bool census_request_passes(const struct census_request *request, const struct census_socket *socket)
{
    const bool passes_states = request->states == 0 || (request->states >> socket->state & 1) != 0;
    return passes_states && passes_ports(request, socket) && passes_addresses(request, socket);
}

int census_result_add(struct census_result *result, const struct census_request *request,
                      const struct census_socket *socket)
{
    ASSERT(socket->state > TCP_STATE_NONE && socket->state < TCP_STATE_COUNT);
    if (!census_request_passes(request, socket)) {
        return 0;
    }
    struct tcp_state_counts *family = socket->family == AF_INET6 ? &result->v6 : &result->v4;
    family->n[socket->state] += socket->times;
    result->total.n[socket->state] += socket->times;
    switch (request->grouping) {
    case CENSUS_WHOLE:
        return 0;
    case CENSUS_BY_LOCAL_PORT:
        return census_groups_add(&result->groups, socket->local_port, socket->state, socket->times);
    case CENSUS_BY_REMOTE_PORT:
        return census_groups_add(&result->groups, socket->remote_port, socket->state,
                                 socket->times);
    }
    return 0;
}
