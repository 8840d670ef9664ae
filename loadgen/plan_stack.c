/* What --engine stack adds to a plan, and what it cannot have. */
#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "loadgen/options.h"

#define REST_MARGIN_NS (5 * NS_PER_SEC)

static const struct transport_stack_command *command_of(struct transport_stack_command *command,
                                                        const struct cli_given *given)
{
    *command = (struct transport_stack_command){
        .program = &loadgen_program,
        .given = given,
        .offset = offsetof(struct loadgen_options, stack),
    };
    return command;
}

static int check_targets(const struct plan *plan, struct failure *failure)
{
    int rc = 0;
    for (uint32_t i = 0; i < plan->target_count && rc == 0; i++) {
        char what[ENDPOINT_TEXT_MAX + 16];
        snprintf(what, sizeof(what), "--target %s", plan->options.targets.values[i]);
        rc = transport_stack_check_target(&plan->stack, &plan->targets[i].ip, what, failure);
    }
    return rc;
}

/* The answers to a worker's connections come back to it by their port, so each needs some. */
static int check_ports(const struct plan *plan, struct failure *failure)
{
    if (plan->ports_by_kernel) {
        return failure_set(failure, EINVAL,
                           "--ports kernel: with --engine stack no kernel chooses ports; give a "
                           "range");
    }
    if (plan->ports.last - plan->ports.first + 1u < plan->cpus.count) {
        return failure_set(failure, EINVAL,
                           "--ports %s: fewer than the %u workers that share them; give more",
                           plan->options.ports, plan->cpus.count);
    }
    return 0;
}

static int take_sources(struct plan *plan, struct failure *failure)
{
    const struct ip_range *own = &plan->stack.config.addresses;
    if (!plan->sources_given) {
        return sources_add(&plan->sources, own, failure);
    }
    for (uint32_t i = 0; i < plan->sources.range_count; i++) {
        const struct ip_range *range = &plan->sources.ranges[i];
        if (!ip_range_has(own, &range->first) || !ip_range_has(own, &range->last)) {
            return failure_set(failure, EINVAL,
                               "--sources %s: with --engine stack they have to be of --address %s",
                               plan->options.sources.values[i], plan->options.stack.address);
        }
    }
    return 0;
}

/* Where the stack keeps TIME_WAIT, its 2MSL says when a 4-tuple is free again; the margin is that
 * of the kernel's default. Where the peer keeps it, that default stays. */
static void choose_rest(struct plan *plan, const struct cli_given *given)
{
    uint64_t rest_ns = plan->stack.config.time_wait_ns + REST_MARGIN_NS;
    bool shorter_will_do = plan->closer == CLOSER_CLIENT;
    if (!cli_was_given(&loadgen_program, given, "reuse-after") &&
        (shorter_will_do || rest_ns > plan->options.reuse_after_ns)) {
        plan->options.reuse_after_ns = rest_ns;
    }
}

int plan_stack(struct plan *plan, const struct cli_given *given, struct failure *failure)
{
    struct transport_stack_command room;
    const struct transport_stack_command *command = command_of(&room, given);
    if (plan->engine != TRANSPORT_STACK) {
        return transport_stack_options_refuse(command, failure);
    }
    if (!cli_was_given(&loadgen_program, given, "quickack")) {
        plan->options.quickack = false;
    }
    int rc = transport_stack_refuse_kernels(command, failure);
    if (rc == 0) {
        rc = transport_stack_options_make(&plan->stack, &plan->options.stack, plan->cpus.count,
                                          failure);
    }
    plan->stack.config.acks_apart = plan->options.quickack;
    choose_rest(plan, given);
    rc = rc != 0 ? rc : check_targets(plan, failure);
    rc = rc != 0 ? rc : check_ports(plan, failure);
    return rc != 0 ? rc : take_sources(plan, failure);
}
