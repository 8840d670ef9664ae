/* From option values to a plan: addresses, ranges and features parsed, contradictions refused. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "loadgen/guard.h"
#include "loadgen/options.h"

/* What the default of --drain allows beyond the hold and one time-out. */
#define DRAIN_SPARE_NS NS_PER_SEC

static bool was_given(const struct cli_given *given, const char *name)
{
    return cli_was_given(&loadgen_program, given, name);
}

/* Puts the option's name before what a parser of single values said. Passes `rc` on. */
static int name_option(int rc, const char *option, struct failure *failure)
{
    char text[FAILURE_TEXT_MAX];
    if (rc == 0) {
        return 0;
    }
    memcpy(text, failure->text, sizeof(text));
    return failure_set(failure, -rc, "%s %s", option, text);
}

static int plan_targets(struct plan *plan, struct failure *failure)
{
    const struct loadgen_options *options = &plan->options;
    struct ip_range allowed[CLI_LIST_MAX];
    if (options->targets.count == 0) {
        return failure_set(failure, EINVAL,
                           "--target is missing; give one, such as --target "
                           "127.0.0.1:7000");
    }
    for (uint32_t i = 0; i < options->allow_targets.count; i++) {
        int rc = ip_range_parse(&allowed[i], options->allow_targets.values[i], failure);
        rc = name_option(rc, "--allow-target", failure);
        if (rc != 0) {
            return rc;
        }
    }
    for (uint32_t i = 0; i < options->targets.count; i++) {
        struct endpoint *target = &plan->targets[i];
        int rc = endpoint_parse(target, options->targets.values[i], failure);
        rc = name_option(rc, "--target", failure);
        if (rc == 0 && target->port == 0) {
            rc = failure_set(failure, EINVAL, "--target %s: port 0; use 1 to 65535",
                             options->targets.values[i]);
        }
        if (rc == 0) {
            rc = guard_check(target, allowed, options->allow_targets.count, failure);
        }
        if (rc != 0) {
            return rc;
        }
    }
    plan->target_count = options->targets.count;
    return 0;
}

static int plan_load(struct plan *plan, const struct cli_given *given, struct failure *failure)
{
    const struct loadgen_options *options = &plan->options;
    plan->open_loop = options->rate.events != 0;
    plan->duration_ns = options->duration_ns;
    plan->arrivals_max = options->count != 0 ? options->count : UINT64_MAX;
    plan->drain_ns = options->drain_ns;
    if (!was_given(given, "drain")) {
        /* Long enough for the last one to be held and then to time out, and so to be classified. */
        plan->drain_ns = options->hold_ns + options->timeout_ns + DRAIN_SPARE_NS;
    }
    if (options->count != 0 && !was_given(given, "duration")) {
        plan->duration_ns = 0;
    }
    if (plan->duration_ns == 0 && options->count == 0) {
        return failure_set(failure, EINVAL, "--duration 0 never ends; add --count");
    }
    uint64_t in_flight = options->in_flight != 0
                             ? options->in_flight
                             : (uint64_t)plan->cpus.count * LOADGEN_IN_FLIGHT_PER_WORKER;
    if (!plan->open_loop && in_flight > options->conns_max) {
        return failure_set(failure, EINVAL,
                           "--in-flight %llu: over --conns-max %llu; raise one or lower the other",
                           (unsigned long long)in_flight, (unsigned long long)options->conns_max);
    }
    plan->in_flight = (uint32_t)in_flight;
    /* A worker without a part in the load would never be done. */
    uint64_t parts = plan->open_loop ? options->conns_max : in_flight;
    if (parts < plan->cpus.count) {
        plan->cpus.count = (uint32_t)parts;
    }
    return 0;
}

static int plan_expect(struct plan *plan, struct failure *failure)
{
    const struct loadgen_options *options = &plan->options;
    if ((options->send_file == NULL) != (options->expect == NULL)) {
        return failure_set(failure, EINVAL,
                           "--send and --expect go together; give both or neither");
    }
    if (options->expect == NULL) {
        plan->expect = EXPECT_ECHO;
        plan->expect_bytes = options->payload_bytes;
        return 0;
    }
    if (strcmp(options->expect, "until-close") == 0) {
        plan->expect = EXPECT_UNTIL_CLOSE;
        return 0;
    }
    char what[64];
    plan->expect = EXPECT_BYTES;
    snprintf(what, sizeof(what), "--expect %s", options->expect);
    int rc = cli_parse_bytes(&plan->expect_bytes, options->expect, what, failure);
    if (rc == 0 && plan->expect_bytes == 0) {
        rc = failure_set(failure, EINVAL, "--expect 0: expect at least one byte, or until-close");
    }
    return rc;
}

/* --expect until-close leaves the closing to the server: its FIN is what ends the answer. */
static int plan_until_close(struct plan *plan, const struct cli_given *given,
                            struct failure *failure)
{
    if (plan->expect != EXPECT_UNTIL_CLOSE) {
        return 0;
    }
    if (was_given(given, "closer") && plan->closer != CLOSER_SERVER) {
        return failure_set(failure, EINVAL, "--expect until-close needs --closer server");
    }
    if (plan->options.echoes != 1) {
        return failure_set(failure, EINVAL,
                           "--expect until-close allows one request a connection; "
                           "leave --echoes out");
    }
    if (plan->close_how == CLOSE_RST) {
        return failure_set(failure, EINVAL,
                           "--expect until-close needs a FIN; leave --close rst out");
    }
    plan->closer = CLOSER_SERVER;
    return 0;
}

static int plan_closing(struct plan *plan, const struct cli_given *given, struct failure *failure)
{
    const struct loadgen_options *options = &plan->options;
    plan->closer = (enum closer)options->closer;
    plan->close_how = (enum close_how)options->close_how;
    int rc = plan_until_close(plan, given, failure);
    if (rc != 0) {
        return rc;
    }
    if (options->hold_ns != 0 && plan->closer != CLOSER_CLIENT) {
        return failure_set(failure, EINVAL,
                           "--hold needs --closer client: otherwise the server "
                           "decides when to close");
    }
    if (options->hold_ns != 0 && plan->close_how == CLOSE_HALF) {
        return failure_set(failure, EINVAL,
                           "--hold and --close half exclude each other: half sends "
                           "its FIN with the last request");
    }
    plan->rule = close_rule_of(plan->closer, plan->close_how);
    return 0;
}

/* A receive that is armed when close() is called delays its effect, so a connection that ends by
 * close() receives only while bytes are due. One that is held must notice a peer that leaves. */
static void plan_conn_options(struct plan *plan)
{
    plan->conn_options = (struct transport_conn_options){
        .close_how = plan->rule.how,
        .pull = plan->rule.opening == CLOSE_OPENS_WITH_CLOSE && plan->options.hold_ns == 0,
        .quickack_off = !plan->options.quickack,
        .fastopen = plan->options.fastopen,
    };
}

static int plan_ports(struct plan *plan, struct failure *failure)
{
    const char *text = plan->options.ports;
    if (strcmp(text, "kernel") == 0) {
        plan->ports_by_kernel = true;
        return 0;
    }
    return name_option(port_range_parse(&plan->ports, text, failure), "--ports", failure);
}

/* Every target needs a source of its own family. Without a planner sources just take turns, so that
 * all must fit. */
static int check_families(const struct plan *plan, struct failure *failure)
{
    for (uint32_t i = 0; i < plan->target_count; i++) {
        uint64_t fitting = sources_of_family(&plan->sources, plan->targets[i].ip.family);
        if (fitting == 0) {
            return failure_set(failure, EINVAL,
                               "--target %s: no address of --sources is of its family; add one",
                               plan->options.targets.values[i]);
        }
        if (plan->ports_by_kernel && fitting != plan->sources.address_count) {
            return failure_set(failure, EINVAL,
                               "--target %s: --ports kernel needs all --sources of its family",
                               plan->options.targets.values[i]);
        }
    }
    return 0;
}

static int plan_sources_given(struct plan *plan, struct failure *failure)
{
    const struct cli_list *list = &plan->options.sources;
    plan->sources_given = list->count != 0;
    for (uint32_t i = 0; i < list->count; i++) {
        struct ip_range range;
        int rc =
            name_option(ip_range_parse(&range, list->values[i], failure), "--sources", failure);
        if (rc == 0) {
            rc = sources_add(&plan->sources, &range, failure);
        }
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

/* Where nothing was named: what the kernel's routes give. */
static int plan_sources_default(struct plan *plan, struct failure *failure)
{
    if (plan->sources.range_count == 0 && plan->ports_by_kernel) {
        return 0;
    }
    bool by_route = plan->sources.range_count == 0;
    for (uint32_t i = 0; i < plan->target_count && by_route; i++) {
        int rc = sources_add_default(&plan->sources, &plan->targets[i], failure);
        if (rc != 0) {
            return rc;
        }
    }
    return check_families(plan, failure);
}

int plan_features_off(const struct loadgen_options *options, uint64_t *features_off,
                      struct failure *failure)
{
    const struct cli_list *list = &options->without_features;
    *features_off = 0;
    for (uint32_t i = 0; i < list->count; i++) {
        uint64_t bit = transport_feature_find(list->values[i]);
        if (bit == 0) {
            return failure_set(failure, EINVAL,
                               "--without-feature %s: there is no such feature; see "
                               "--print-features",
                               list->values[i]);
        }
        *features_off |= bit;
    }
    return 0;
}

static int plan_payload(struct plan *plan, struct failure *failure)
{
    const struct loadgen_options *options = &plan->options;
    if (options->send_file != NULL) {
        return payload_load(&plan->payload, options->send_file, failure);
    }
    int rc = payload_make(&plan->payload, options->payload_bytes, options->seed);
    if (rc != 0) {
        return failure_set(failure, -rc, "no memory for the payload");
    }
    return 0;
}

int plan_make(struct plan *plan, const struct loadgen_options *options,
              const struct cli_given *given, struct failure *failure)
{
    memset(plan, 0, sizeof(*plan));
    plan->options = *options;
    plan->engine = (enum transport_engine)options->engine;
    int rc = plan_features_off(options, &plan->features_off, failure);
    if (rc == 0) {
        rc = plan_targets(plan, failure);
    }
    if (rc == 0) {
        rc = cpu_list_choose(&plan->cpus, options->cpus, failure);
    }
    if (rc == 0) {
        rc = plan_load(plan, given, failure);
    }
    if (rc == 0) {
        rc = plan_expect(plan, failure);
    }
    if (rc == 0) {
        rc = plan_closing(plan, given, failure);
    }
    if (rc == 0) {
        rc = plan_ports(plan, failure);
    }
    if (rc == 0) {
        rc = plan_sources_given(plan, failure);
    }
    if (rc == 0) {
        rc = plan_stack(plan, given, failure);
    }
    if (rc == 0) {
        rc = plan_sources_default(plan, failure);
    }
    if (rc == 0) {
        plan_conn_options(plan);
        rc = plan_payload(plan, failure);
    }
    return rc;
}

void plan_destroy(struct plan *plan)
{
    payload_destroy(&plan->payload);
}
