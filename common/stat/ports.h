/* Transitions by port: which ports are told apart, and their rows of a sample.
 *
 * Layer: program finwait-stat (L5). Owner: the observer. Where --port, --local-port or
 * --remote-port names from 2 to SAMPLE_PORTS_MAX ports, each of these has a row, from the start;
 * where --by local-port asks for it, each port that serves has one, as it comes up. */
#ifndef FINWAIT_STAT_PORTS_H
#define FINWAIT_STAT_PORTS_H

#include "stat/options.h"
#include "stat/sample.h"
#include "tcpstat/transitions.h"

/* What the settings ask for. */
struct ports_plan {
    enum transitions_grouping_by by;
    const char *name;             /* the option's: "local-port"; "" for TRANSITIONS_WHOLE */
    const struct port_set *named; /* the settings'; NULL: none are */
    uint32_t places;              /* for groups */
    uint32_t shown;               /* rows where each has a place */
};

struct ports_plan ports_plan_make(const struct stat_settings *settings);

struct ports;

/* Makes what keeps the times of each group; NULL: no memory. */
struct ports *ports_new(const struct ports_plan *plan);

/* Adds the rows to a sample, from a reading of the transitions. */
void ports_add(struct ports *ports, struct transitions *transitions,
               const struct transitions_snapshot *snapshot, struct sample *sample);

/* NULL is allowed. */
void ports_free(struct ports *ports);

#endif
