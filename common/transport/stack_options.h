/* Stack options: the command line's part for --engine stack, which every program that offers the
 * engine shares.
 *
 * Layer: L4; part of the transport's public face. A program's options hold a struct
 * transport_stack_options, and its table includes transport/stack_options.def; what they say
 * becomes a struct transport_stack_settings, constant from then on and shared by all workers. */
#ifndef FINWAIT_TRANSPORT_STACK_OPTIONS_H
#define FINWAIT_TRANSPORT_STACK_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cli.h"
#include "base/failure.h"
#include "transport/stack.h"

/* As given, one field an option. Texts point into argv. */
struct transport_stack_options {
    const char *link;
    bool blocks;
    const char *address;
    const char *link_address;
    const char *gateway;
    const char *mac;
    uint64_t time_wait_ns;
    bool rfc1337;
    bool linger;
    int syn_cookies; /* enum transport_syn_cookies */
    uint64_t spin_ns;
    const char *faults;
    const char *pcap;
    const char *socket; /* path */
};

/* In the order of enum transport_syn_cookies. */
extern const char *const transport_syn_cookies_choices[];

/* What was made of it. */
struct transport_stack_settings {
    struct transport_stack_config config; /* texts point into argv; see transport_stack_config_of */
    bool has_faults;
    struct link_faults faults;
    bool linger;
};

/* A program's command line, for what is refused. */
struct transport_stack_command {
    const struct cli_program *program;
    const struct cli_given *given;
    size_t offset; /* of the struct transport_stack_options in the program's struct */
};

/* Refuses options of the stack's where another engine was chosen. Returns 0 or -EINVAL with the
 * text set. */
int transport_stack_options_refuse(const struct transport_stack_command *command,
                                   struct failure *failure);

/* Refuses options that are a kernel engine's and were given where the stack was chosen. Returns 0
 * or -EINVAL with the text set. */
int transport_stack_refuse_kernels(const struct transport_stack_command *command,
                                   struct failure *failure);

/* Makes the settings for so many workers and checks them as far as can be without opening anything.
 * Returns 0 or -EINVAL or -EAFNOSUPPORT with the text set. */
int transport_stack_options_make(struct transport_stack_settings *settings,
                                 const struct transport_stack_options *options, uint32_t workers,
                                 struct failure *failure);

/* Gives a worker's configuration, whose pointers borrow from the settings. */
struct transport_stack_config transport_stack_config_of(
    const struct transport_stack_settings *settings, uint32_t worker, uint32_t workers,
    enum link_steer steer);

/* Tells whether packets to an address have somewhere to go: on the link, or by the gateway. Returns
 * 0 or -ENETUNREACH (-EAFNOSUPPORT for IPv6) with the text set; `what` begins it. */
int transport_stack_check_target(const struct transport_stack_settings *settings,
                                 const struct ip_addr *target, const char *what,
                                 struct failure *failure);

#endif
