#include "stat/filters.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

static int add_ports(struct port_set *set, const struct cli_list *list, const char *option,
                     struct failure *failure)
{
    for (uint32_t i = 0; i < list->count; i++) {
        struct port_range range;
        struct failure cause;
        if (port_range_parse(&range, list->values[i], &cause) < 0) {
            return failure_set(failure, EINVAL, "%s %s", option, cause.text);
        }
        port_set_add_range(set, range);
    }
    return 0;
}

static int add_addresses(struct addr_set *set, const struct cli_list *list, const char *option,
                         struct failure *failure)
{
    if (list->count > ADDR_SET_MAX) {
        return failure_set(failure, EINVAL,
                           "%s: given %" PRIu32 " times; use at most %d, as "
                           "prefixes or ranges",
                           option, list->count, ADDR_SET_MAX);
    }
    for (uint32_t i = 0; i < list->count; i++) {
        struct failure cause;
        if (ip_range_parse(&set->ranges[set->count], list->values[i], &cause) < 0) {
            return failure_set(failure, EINVAL, "%s %s", option, cause.text);
        }
        set->count++;
    }
    return 0;
}

static int add_states(uint32_t *states, const struct cli_list *list, struct failure *failure)
{
    for (uint32_t i = 0; i < list->count; i++) {
        int state = TCP_STATE_ESTABLISHED;
        while (state < TCP_STATE_COUNT &&
               strcasecmp(list->values[i], tcp_state_key((enum tcp_state)state)) != 0) {
            state++;
        }
        if (state == TCP_STATE_COUNT) {
            return failure_set(failure, EINVAL,
                               "--state \"%.40s\": not a TCP state; use established, syn_sent, "
                               "syn_received, fin_wait_1, fin_wait_2, time_wait, close_wait, "
                               "last_ack, listen or closing",
                               list->values[i]);
        }
        *states |= UINT32_C(1) << state;
    }
    return 0;
}

static bool ports_meet(const struct port_set *a, const struct port_set *b)
{
    for (size_t i = 0; i < sizeof(a->words) / sizeof(a->words[0]); i++) {
        if ((a->words[i] & b->words[i]) != 0) {
            return true;
        }
    }
    return false;
}

static bool ranges_meet(const struct ip_range *a, const struct ip_range *b)
{
    return ip_range_has(a, &b->first) || ip_range_has(b, &a->first);
}

static bool addresses_meet(const struct addr_set *a, const struct addr_set *b)
{
    for (uint32_t i = 0; i < a->count; i++) {
        for (uint32_t j = 0; j < b->count; j++) {
            if (ranges_meet(&a->ranges[i], &b->ranges[j])) {
                return true;
            }
        }
    }
    return false;
}

/* Tells which families an end's addresses leave open: bit 0 IPv4, bit 1 IPv6. A socket of IPv6 may
 * carry IPv4-mapped addresses, at both ends. */
static unsigned int families(const struct addr_set *set)
{
    unsigned int found = set->count == 0 ? 3 : 0;
    for (uint32_t i = 0; i < set->count; i++) {
        const struct ip_range *range = &set->ranges[i];
        found |= range->first.family == AF_INET ? 1u : 2u;
        const struct ip_addr mapped = {.family = AF_INET6, .bytes = {[10] = 0xff, [11] = 0xff}};
        found |= ip_range_has(range, &mapped) ? 1u : 0u;
    }
    return found;
}

/* Refuses filters of which each could pass something and all together nothing. */
static int check_ends(const struct stat_settings *settings, struct failure *failure)
{
    const struct stat_options *options = settings->options;
    const bool all_ports = options->ports.count > 0 && options->local_ports.count > 0 &&
                           options->remote_ports.count > 0;
    if (all_ports && !ports_meet(&settings->either_ports, &settings->local_ports) &&
        !ports_meet(&settings->either_ports, &settings->remote_ports)) {
        return failure_set(failure, EINVAL,
                           "--port %s: neither a --local-port nor a --remote-port, so that no "
                           "socket can pass; leave one of the three out",
                           options->ports.values[0]);
    }
    const bool all_addresses = settings->either_addrs.count > 0 &&
                               settings->local_addrs.count > 0 && settings->remote_addrs.count > 0;
    if (all_addresses && !addresses_meet(&settings->either_addrs, &settings->local_addrs) &&
        !addresses_meet(&settings->either_addrs, &settings->remote_addrs)) {
        return failure_set(failure, EINVAL,
                           "--address %s: neither a --local-address nor a --remote-address, so "
                           "that no socket can pass; leave one of the three out",
                           options->addresses.values[0]);
    }
    const unsigned int local = families(&settings->local_addrs);
    const unsigned int remote = families(&settings->remote_addrs);
    if ((local & remote) == 0) {
        return failure_set(failure, EINVAL,
                           "--remote-address %s: of another family than --local-address %s, so "
                           "that no socket can pass; use addresses of one family",
                           options->remote_addresses.values[0], options->local_addresses.values[0]);
    }
    if ((families(&settings->either_addrs) & local & remote) == 0) {
        return failure_set(failure, EINVAL,
                           "--address %s: of another family than the local or remote address, so "
                           "that no socket can pass; use addresses of one family",
                           options->addresses.values[0]);
    }
    return 0;
}

/* A listener has no peer: neither a remote port nor a remote address. A closed socket is in none of
 * the kernel's tables. */
static int check_states(const struct stat_settings *settings, struct failure *failure)
{
    const struct stat_options *options = settings->options;
    if (settings->states == UINT32_C(1) << TCP_STATE_CLOSED) {
        return failure_set(failure, EINVAL,
                           "--state closed: the kernel lists no such sockets, so that none can "
                           "pass; use another state");
    }
    const bool only_listeners = settings->states == UINT32_C(1) << TCP_STATE_LISTEN;
    if (only_listeners && options->remote_ports.count > 0) {
        return failure_set(failure, EINVAL,
                           "--state listen: a listener has no remote port, so that no socket can "
                           "pass; leave --remote-port %s out",
                           options->remote_ports.values[0]);
    }
    return 0;
}

static int check_owner(struct stat_settings *settings, struct failure *failure)
{
    const struct stat_options *options = settings->options;
    settings->pid = (uint32_t)options->pid;
    if (settings->pid != 0 && kill((pid_t)settings->pid, 0) < 0 && errno == ESRCH) {
        return failure_set(failure, EINVAL, "--pid %" PRIu32 ": there is no process of this id",
                           settings->pid);
    }
    if (options->cgroup != NULL) {
        struct failure cause;
        const int error = cgroup_find(&settings->cgroup, options->cgroup, &cause);
        if (error < 0) {
            return failure_set(failure, -error, "--cgroup %s", cause.text);
        }
        settings->has_cgroup = true;
    }
    if (stat_settings_names_owner(settings) && options->method == CENSUS_SOCK_DIAG) {
        return failure_set(failure, EINVAL,
                           "--method sock_diag: does not tell whose a socket is, as %s asks; use "
                           "auto, bpf or procfs",
                           options->cgroup != NULL ? "--cgroup" : "--pid");
    }
    return 0;
}

bool stat_settings_names_owner(const struct stat_settings *settings)
{
    return settings->pid != 0 || settings->has_cgroup;
}

int stat_filters_make(struct stat_settings *settings, struct failure *failure)
{
    const struct stat_options *options = settings->options;
    const struct {
        struct port_set *ports;
        const struct cli_list *port_list;
        const char *port_option;
        struct addr_set *addrs;
        const struct cli_list *addr_list;
        const char *addr_option;
    } ends[] = {
        {&settings->either_ports, &options->ports, "--port", &settings->either_addrs,
         &options->addresses, "--address"},
        {&settings->local_ports, &options->local_ports, "--local-port", &settings->local_addrs,
         &options->local_addresses, "--local-address"},
        {&settings->remote_ports, &options->remote_ports, "--remote-port", &settings->remote_addrs,
         &options->remote_addresses, "--remote-address"},
    };
    int error = add_states(&settings->states, &options->states, failure);
    for (size_t i = 0; error == 0 && i < sizeof(ends) / sizeof(ends[0]); i++) {
        error = add_ports(ends[i].ports, ends[i].port_list, ends[i].port_option, failure);
        if (error == 0) {
            error = add_addresses(ends[i].addrs, ends[i].addr_list, ends[i].addr_option, failure);
        }
    }
    if (error == 0) {
        error = check_ends(settings, failure);
    }
    if (error == 0) {
        error = check_states(settings, failure);
    }
    return error == 0 ? check_owner(settings, failure) : error;
}

struct census_request stat_settings_request(const struct stat_settings *settings)
{
    const struct stat_options *options = settings->options;
    return (struct census_request){
        .either_ports = options->ports.count > 0 ? &settings->either_ports : NULL,
        .local_ports = options->local_ports.count > 0 ? &settings->local_ports : NULL,
        .remote_ports = options->remote_ports.count > 0 ? &settings->remote_ports : NULL,
        .either_addrs = settings->either_addrs.count > 0 ? &settings->either_addrs : NULL,
        .local_addrs = settings->local_addrs.count > 0 ? &settings->local_addrs : NULL,
        .remote_addrs = settings->remote_addrs.count > 0 ? &settings->remote_addrs : NULL,
        .states = settings->states,
    };
}
