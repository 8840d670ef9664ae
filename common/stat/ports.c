#include "stat/ports.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "stat/lasted.h"

/* A place goes lost when two CPUs make one group in the same moment, and a third one another: named
 * ports have some in store. */
#define PLACES_SPARE 8

struct ports {
    struct ports_plan plan;
    struct lasted *lasted; /* by the group's number */
};

static uint32_t count_ports(const struct port_set *set)
{
    uint32_t count = 0;
    for (size_t i = 0; i < sizeof(set->words) / sizeof(set->words[0]); i++) {
        count += (uint32_t)__builtin_popcountll(set->words[i]);
    }
    return count;
}

/* Tells the ports of a set apart, unless there is only one, or too many. */
static bool plan_named(struct ports_plan *plan, const struct port_set *set,
                       enum transitions_grouping_by by, const char *name)
{
    const uint32_t count = count_ports(set);
    if (count < 2 || count > SAMPLE_PORTS_MAX) {
        return false;
    }
    *plan = (struct ports_plan){
        .by = by, .name = name, .named = set, .places = count + PLACES_SPARE, .shown = count};
    return true;
}

struct ports_plan ports_plan_make(const struct stat_settings *settings)
{
    struct ports_plan plan = {.by = TRANSITIONS_WHOLE, .name = ""};
    if (plan_named(&plan, &settings->either_ports, TRANSITIONS_BY_NAMED_PORT, "port") ||
        plan_named(&plan, &settings->local_ports, TRANSITIONS_BY_LOCAL_PORT, "local-port")) {
        return plan;
    }
    if (settings->has_by && settings->by == OWNERS_BY_LOCAL_PORT) {
        const uint64_t top = settings->options->top;
        plan.by = TRANSITIONS_BY_LOCAL_PORT;
        plan.name = settings->by_name;
        plan.places = SAMPLE_PORTS_MAX;
        plan.shown = top < SAMPLE_PORTS_MAX ? (uint32_t)top : SAMPLE_PORTS_MAX;
        return plan;
    }
    (void)plan_named(&plan, &settings->remote_ports, TRANSITIONS_BY_REMOTE_PORT, "remote-port");
    return plan;
}

struct ports *ports_new(const struct ports_plan *plan)
{
    struct ports *made = calloc(1, sizeof(*made));
    if (made == NULL) {
        return NULL;
    }
    made->plan = *plan;
    made->lasted = calloc(plan->places + 1, sizeof(*made->lasted));
    if (made->lasted == NULL) {
        free(made);
        return NULL;
    }
    return made;
}

void ports_free(struct ports *ports)
{
    if (ports != NULL) {
        free(ports->lasted);
        free(ports);
    }
}

/* Fills a row from a group's counts. */
static void fill_row(const struct ports *ports, struct transitions *transitions,
                     const struct transitions_group *group, struct sample_port *row)
{
    struct lasted *lasted = &ports->lasted[group->number];
    lasted_read(lasted, transitions, group->number, &group->matrix);
    row->port = group->port;
    row->transitions = group->matrix;
    memcpy(row->lasted, lasted->states, sizeof(row->lasted));
}

/* A row for each named port, whether anything happened there or not. */
static void add_named(const struct ports *ports, struct transitions *transitions,
                      const struct transitions_snapshot *snapshot, struct sample *sample)
{
    uint32_t next = 0;
    for (uint32_t port = 0; port < CENSUS_PORTS && sample->port_count < SAMPLE_PORTS_MAX; port++) {
        if (!port_set_has(ports->plan.named, (uint16_t)port)) {
            continue;
        }
        struct sample_port *row = &sample->ports[sample->port_count++];
        if (next < snapshot->group_count && snapshot->groups[next].port == port) {
            fill_row(ports, transitions, &snapshot->groups[next++], row);
        } else {
            *row = (struct sample_port){.port = (uint16_t)port};
        }
    }
}

void ports_add(struct ports *ports, struct transitions *transitions,
               const struct transitions_snapshot *snapshot, struct sample *sample)
{
    const struct transitions_group rest = {.number = TRANSITIONS_GROUP_OTHER,
                                           .matrix = snapshot->other};
    sample->has_ports = true;
    sample->port_count = 0;
    sample->ports_full = snapshot->counters[TRANSITIONS_COUNTER_groups_full];
    fill_row(ports, transitions, &rest, &sample->port_rest);
    if (sample->ports_full > 0) {
        sample_add_note(sample,
                        "%" PRIu64 " transitions are of ports that found no place among %d, and "
                        "are counted with the other ports; name those that matter by --port",
                        sample->ports_full, SAMPLE_PORTS_MAX);
    }
    if (ports->plan.named != NULL) {
        add_named(ports, transitions, snapshot, sample);
        return;
    }
    for (uint32_t i = 0; i < snapshot->group_count && i < SAMPLE_PORTS_MAX; i++) {
        fill_row(ports, transitions, &snapshot->groups[i], &sample->ports[sample->port_count++]);
    }
}
