/* The stack engine's configuration, checked before anything is opened. */
#include <errno.h>
#include <string.h>

#include "transport/stack.h"
#include "transport/stack_engine.h"

uint32_t stack_ip_of(const struct ip_addr *ip)
{
    return (uint32_t)ip->bytes[0] << 24 | (uint32_t)ip->bytes[1] << 16 |
           (uint32_t)ip->bytes[2] << 8 | ip->bytes[3];
}

struct ip_addr stack_ip_from(uint32_t number)
{
    return (struct ip_addr){.family = AF_INET,
                            .bytes = {(uint8_t)(number >> 24), (uint8_t)(number >> 16),
                                      (uint8_t)(number >> 8), (uint8_t)number}};
}

/* Refuses what no host of the stack's kind can have. */
static int check_address(const char *what, const struct ip_addr *ip, struct failure *failure)
{
    char text[IP_TEXT_MAX];
    if (ip->family == AF_INET6) {
        return failure_set(failure, EAFNOSUPPORT,
                           "%s %s: the stack speaks IPv4 only, for now; give an IPv4 address, or "
                           "use a kernel engine",
                           what, ip_format(ip, text));
    }
    if (ip->family != AF_INET) {
        return failure_set(failure, EINVAL, "the stack needs %s of its own, as in 10.9.0.2/24",
                           what);
    }
    uint32_t number = stack_ip_of(ip);
    if (number >> 24 == 0 || number >> 24 == 127 || number >> 28 >= 14) {
        return failure_set(failure, EINVAL,
                           "%s %s: no host on a link can have it; give a unicast address", what,
                           ip_format(ip, text));
    }
    return 0;
}

static uint32_t mask_of(uint8_t prefix_bits)
{
    return prefix_bits >= 32 ? UINT32_MAX : ~(UINT32_MAX >> prefix_bits);
}

/* Refuses an address that is not on the link, or is its broadcast address (RFC 3021: a prefix of
 * 31 bits or more has none). */
static int check_on_link(const char *what, const struct ip_addr *ip,
                         const struct transport_stack_config *config, const struct ip_addr *own,
                         struct failure *failure)
{
    char text[IP_TEXT_MAX];
    char own_text[IP_TEXT_MAX];
    uint32_t mask = mask_of(config->prefix_bits);
    uint32_t number = stack_ip_of(ip);
    if (((number ^ stack_ip_of(own)) & mask) != 0) {
        return failure_set(failure, EINVAL, "%s %s is not on the link of %s/%u; give one that is",
                           what, ip_format(ip, text), ip_format(own, own_text),
                           config->prefix_bits);
    }
    if (config->prefix_bits < 31 && ((number & ~mask) == 0 || (number & ~mask) == ~mask)) {
        return failure_set(failure, EINVAL,
                           "%s %s is the network's or the broadcast address of its /%u; give one "
                           "between them",
                           what, ip_format(ip, text), config->prefix_bits);
    }
    return 0;
}

static int check_gateway(const struct transport_stack_config *config, const struct ip_addr *own,
                         struct failure *failure)
{
    char text[IP_TEXT_MAX];
    if (config->gateway.family == AF_UNSPEC) {
        return 0;
    }
    int rc = check_address("gateway", &config->gateway, failure);
    if (rc == 0) {
        rc = check_on_link("gateway", &config->gateway, config, own, failure);
    }
    if (rc == 0 &&
        (ip_range_has(&config->addresses, &config->gateway) || ip_equal(own, &config->gateway))) {
        rc = failure_set(failure, EINVAL, "gateway %s is the stack's own address; give another's",
                         ip_format(&config->gateway, text));
    }
    return rc;
}

static int check_mac(const struct transport_stack_config *config, struct failure *failure)
{
    static const uint8_t nobody[6] = {0};
    const uint8_t *mac = config->mac;
    if (config->mac_given && ((mac[0] & 1u) != 0 || memcmp(mac, nobody, sizeof(nobody)) == 0)) {
        return failure_set(failure, EINVAL,
                           "MAC %02x:%02x:%02x:%02x:%02x:%02x: no station can have it; give a "
                           "unicast one, as in 02:00:00:00:00:01",
                           mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
    }
    return 0;
}

static int check_addresses(const struct transport_stack_config *config, struct failure *failure)
{
    int rc = check_address("address", &config->addresses.first, failure);
    if (rc == 0) {
        rc = check_address("address", &config->addresses.last, failure);
    }
    const bool has_link_address = config->link_address.family != AF_UNSPEC;
    if (rc == 0 && has_link_address) {
        rc = check_address("link address", &config->link_address, failure);
    }
    if (rc != 0) {
        return rc;
    }
    if (config->prefix_bits < 1 || config->prefix_bits > 32) {
        return failure_set(failure, EINVAL, "prefix /%u: give 1 to 32, as in 10.9.0.2/24",
                           config->prefix_bits);
    }
    if (has_link_address) {
        return check_on_link("link address", &config->link_address, config, &config->link_address,
                             failure);
    }
    const struct ip_addr *first = &config->addresses.first;
    rc = check_on_link("address", first, config, first, failure);
    return rc != 0 ? rc : check_on_link("address", &config->addresses.last, config, first, failure);
}

const struct ip_addr *stack_link_address(const struct transport_stack_config *config)
{
    return config->link_address.family != AF_UNSPEC ? &config->link_address
                                                    : &config->addresses.first;
}

static int check_workers(const struct transport_stack_config *config, struct failure *failure)
{
    uint32_t workers = config->workers != 0 ? config->workers : 1;
    if (workers > LINK_WORKERS_MAX || config->worker >= workers) {
        return failure_set(failure, EINVAL,
                           "stack worker %u of %u: there can be 1 to %u workers on one link",
                           config->worker, workers, LINK_WORKERS_MAX);
    }
    if (config->ports.first != 0 &&
        (uint32_t)(config->ports.last - config->ports.first) + 1 < workers) {
        return failure_set(failure, EINVAL,
                           "ports %u-%u are fewer than the %u workers that share them; give more",
                           config->ports.first, config->ports.last, workers);
    }
    return 0;
}

int transport_stack_check(const struct transport_stack_config *config, struct failure *failure)
{
    int rc = check_addresses(config, failure);
    if (rc == 0) {
        rc = check_gateway(config, stack_link_address(config), failure);
    }
    if (rc == 0) {
        rc = check_mac(config, failure);
    }
    if (rc == 0) {
        rc = check_workers(config, failure);
    }
    return rc;
}
