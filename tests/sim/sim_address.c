/* The simulator's addresses: whose a packet is, where hosts own several or share one by its ports.
 *
 * Layer: tests. See sim.h. */
#include <errno.h>

#include "sim/sim_private.h"

/* The host that an address was given to first. */
static uint32_t first_owner(const struct plan *plan, uint32_t host)
{
    uint64_t shares = plan->hosts[host][HOST_shares];
    return shares ? (uint32_t)((shares - 1) % PLAN_HOSTS_MAX) : host;
}

uint32_t host_address_count(const struct plan *plan, uint32_t host)
{
    uint64_t count = plan->hosts[first_owner(plan, host)][HOST_addresses];
    return count ? (uint32_t)count : 1;
}

uint32_t host_address(const struct plan *plan, uint32_t host)
{
    uint32_t owner = first_owner(plan, host);
    return host_address_count(plan, host) > 1 ? PLAN_RANGE_ADDRESS + (owner << 8)
                                              : PLAN_HOST_ADDRESS + owner;
}

uint32_t conn_address(const struct sim *sim, uint32_t index, uint32_t side)
{
    uint32_t host = conn_host(sim, &sim->conns[index], side);
    return host_address(sim->plan, host) + index % host_address_count(sim->plan, host);
}

static bool is_share(const uint64_t *fields, uint16_t port)
{
    return fields[HOST_port_modulus] == 0 ||
           port % fields[HOST_port_modulus] == fields[HOST_port_residue];
}

uint32_t host_by_address(const struct sim *sim, uint32_t address, uint16_t port)
{
    for (uint32_t host = 0; host < sim->host_count; host++) {
        bool is_owner =
            address - host_address(sim->plan, host) < host_address_count(sim->plan, host);
        if (is_owner && is_share(sim->plan->hosts[host], port)) {
            return host;
        }
    }
    return PLAN_HOSTS_MAX;
}

/* RFC 6056: any port of the range that is the host's and free. It is not free while its 4-tuple
 * lives, so that no more can be taken than there are connections. */
void judge_port(struct sim *sim, uint32_t host, int result, uint16_t port)
{
    const uint64_t *fields = sim->plan->hosts[host];
    uint64_t first = fields[HOST_port_first] ? fields[HOST_port_first] : 32768;
    uint64_t last = fields[HOST_port_last] ? fields[HOST_port_last] : 60999;
    uint64_t modulus = fields[HOST_port_modulus] ? fields[HOST_port_modulus] : 1;
    if (result == 0 && (port < first || port > last || !is_share(fields, port))) {
        violate(&sim->violation, RULE_port_choice,
                "host %u: port %u of %llu to %llu, residue %llu by %llu", host, port,
                (unsigned long long)first, (unsigned long long)last,
                (unsigned long long)fields[HOST_port_residue], (unsigned long long)modulus);
    }
    if (result == -EADDRNOTAVAIL && sim->conn_count < (last - first) / modulus) {
        violate(&sim->violation, RULE_port_choice, "host %u: no port for %u connections", host,
                sim->conn_count);
    }
}
