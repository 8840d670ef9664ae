#include "transport/stack_result.h"

#include <inttypes.h>
#include <stdio.h>

#define NAME_MAX_BYTES 64

static int add_transitions(struct result *result, const struct tcp_transitions *transitions)
{
    int rc = 0;
    for (uint32_t i = 0; i < TCP_STATE_COUNT * TCP_STATE_COUNT && rc == 0; i++) {
        enum tcp_state from = (enum tcp_state)(i / TCP_STATE_COUNT);
        enum tcp_state to = (enum tcp_state)(i % TCP_STATE_COUNT);
        char name[NAME_MAX_BYTES];
        snprintf(name, sizeof(name), "%s_to_%s", tcp_state_key(from), tcp_state_key(to));
        if (transitions->n[from][to] != 0) {
            rc = result_add_counter(result, "tcp_transitions", name,
                                    result_count(transitions->n[from][to]));
        }
    }
    return rc;
}

static int add_run(struct result *result, const struct stack_result_facts *facts)
{
    const struct {
        const char *name;
        uint64_t value;
    } own[] = {
        {"workers", facts->totals->workers},
        {"two_msl_ns", facts->settings->config.time_wait_ns},
        {"lingering_ns", facts->lingering_ns},
        {"time_wait_abandoned", facts->abandoned.time_wait},
        {"closing_abandoned", facts->abandoned.closing},
    };
    int rc = 0;
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]) && rc == 0; i++) {
        rc = result_add_counter(result, "stack_run", own[i].name, result_count(own[i].value));
    }
    return rc;
}

static int add_abandoned(struct result *result, const struct transport_lingering *abandoned)
{
    if (abandoned->time_wait == 0 && abandoned->closing == 0) {
        return 0;
    }
    return result_add_limit(result, RESULT_NOTE, "time-wait-abandoned",
                            "The stack ended with %" PRIu64 " connections in TIME_WAIT and %" PRIu64
                            " still closing: nobody answers for them any more. "
                            "--linger-time-wait goes on until TIME_WAIT has drained.",
                            abandoned->time_wait, abandoned->closing);
}

/* What a link got over, or lost, is no fault of the target's, and a run's reader looks at the
 * limits before the counters. */
static int add_link_troubles(struct result *result, const struct stack_totals *totals)
{
    static const struct {
        const char *module;
        const char *counter;
        const char *code;
        const char *what;
    } troubles[] = {
        {"link", "interface_down", "link-down",
         "times the link's interface was found to be down. Its frames waited until it was up "
         "again, "
         "or were lost with it: failures of that time are not the other side's."},
        {"link", "transmit_no_buffers", "link-no-buffers",
         "times the kernel had no room for the stack's frames, which were tried again."},
        {"link", "transmit_refused_bytes", "link-refused",
         "bytes of the stack's frames were never taken by the kernel: its MTU is lower now than "
         "the stack's was made for, or a rule refuses them. Failures of that time are not the "
         "other side's."},
        {"link", "transmit_dropped", "link-transmit-dropped",
         "frames of the stack's were dropped by a full queue behind the link, and TCP sent again "
         "what they carried."},
        {"link", "receive_ring_full", "link-ring-full",
         "frames were dropped because the receive ring was full: the worker was too slow for what "
         "came."},
        {"ether", "arp_conflicts", "address-conflict",
         "times another station said that an address of the stack's is its own: two that have one "
         "break each other's connections."},
    };
    int rc = 0;
    for (size_t i = 0; i < sizeof(troubles) / sizeof(troubles[0]) && rc == 0; i++) {
        uint64_t count = stack_totals_counter(totals, troubles[i].module, troubles[i].counter);
        if (count > 0) {
            rc = result_add_limit(result, RESULT_NOTE, troubles[i].code, "%" PRIu64 " %s", count,
                                  troubles[i].what);
        }
    }
    return rc;
}

static int add_taken(struct result *result, const struct stack_result_facts *facts)
{
    char text[IP_TEXT_MAX];
    if (!facts->is_taken) {
        return 0;
    }
    return result_add_limit(result, RESULT_NOTE, "address-taken",
                            "The kernel was given the stack's address %s, and answered its peers "
                            "too, by resets: failures of that time are not the other side's. Give "
                            "each an address of its own.",
                            ip_format(&facts->taken, text));
}

int stack_result_add(struct result *result, const struct stack_result_facts *facts)
{
    int rc = add_run(result, facts);
    for (uint32_t i = 0; i < facts->totals->view_count && rc == 0; i++) {
        const struct transport_view *view = &facts->totals->views[i];
        rc = result_add_counters(result, view->module, &view->counters);
    }
    rc = rc != 0 ? rc : add_transitions(result, &facts->totals->transitions);
    rc = rc != 0 ? rc : add_link_troubles(result, facts->totals);
    rc = rc != 0 ? rc : add_taken(result, facts);
    return rc != 0 ? rc : add_abandoned(result, &facts->abandoned);
}
