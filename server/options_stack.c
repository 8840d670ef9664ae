/* What --engine stack adds to the server's options, and what it cannot have. */
#include <errno.h>
#include <stdio.h>

#include "server/options.h"

#define DEFAULT_PORT 7000

static bool is_any(const struct ip_addr *ip)
{
    static const struct ip_addr any = {.family = AF_INET};
    return ip_equal(ip, &any);
}

static int check_address(const struct server_options *options, const struct ip_addr *ip,
                         const char *text, struct failure *failure)
{
    const struct ip_range *own = &options->stack_settings.config.addresses;
    if (ip->family == AF_INET6) {
        return failure_set(failure, EAFNOSUPPORT,
                           "--listen %s: the stack speaks IPv4 only, for now; give an IPv4 "
                           "address, or use a kernel engine",
                           text);
    }
    if (!is_any(ip) && !ip_range_has(own, ip)) {
        return failure_set(failure, EADDRNOTAVAIL,
                           "--listen %s: with --engine stack it has to be of --address %s, or "
                           "0.0.0.0",
                           text, options->stack.address);
    }
    return 0;
}

static int take_addresses(struct server_options *options, const struct cli_given *given,
                          struct failure *failure)
{
    if (!cli_was_given(&server_program, given, "listen")) {
        options->addresses[0] = (struct endpoint){
            .ip = options->stack_settings.config.addresses.first, .port = DEFAULT_PORT};
        options->address_count = 1;
        options->listen.count = 0; /* the report tells where it listened */
        return 0;
    }
    int rc = 0;
    for (uint32_t i = 0; i < options->address_count && rc == 0; i++) {
        rc = check_address(options, &options->addresses[i].ip, options->listen.values[i], failure);
    }
    return rc;
}

int options_parse_stack(struct server_options *options, const struct cli_given *given,
                        struct failure *failure)
{
    const struct transport_stack_command command = {
        .program = &server_program,
        .given = given,
        .offset = offsetof(struct server_options, stack),
    };
    if (options->engine != TRANSPORT_STACK) {
        return transport_stack_options_refuse(&command, failure);
    }
    if (!cli_was_given(&server_program, given, "quickack")) {
        options->quickack = false;
    }
    struct transport_stack_settings *settings = &options->stack_settings;
    int rc = transport_stack_refuse_kernels(&command, failure);
    if (rc == 0) {
        rc = transport_stack_options_make(settings, &options->stack, options->cpu_list.count,
                                          failure);
    }
    settings->config.acks_apart = options->quickack;
    return rc != 0 ? rc : take_addresses(options, given, failure);
}
