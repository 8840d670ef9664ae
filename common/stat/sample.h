/* A sample: everything that finwait-stat knows at one tick, as plain data of fixed size.
 *
 * Layer: program finwait-stat (L5). Sources make samples (the kernel through the watch, or a
 * recording), sinks take them (screen, lines, CSV, JSON, recording, metrics), so that a replay
 * drives the same outputs as the run that was recorded. */
#ifndef FINWAIT_STAT_SAMPLE_H
#define FINWAIT_STAT_SAMPLE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/tcp_state.h"
#include "tcpstat/listeners.h"
#include "tcpstat/tcpstat.h"

#define SAMPLE_LISTENERS_MAX 64 /* those with the fullest queues; the rest is counted */
#define SAMPLE_METHOD_MAX 32
#define SAMPLE_DELTA_NAME_MAX 64
#define SAMPLE_KERNEL_MAX 72
#define SAMPLE_OWNERS_MAX 64
#define SAMPLE_PORTS_MAX 32 /* told apart; the rest is added up */
#define SAMPLE_OWNER_NAME_MAX 160
#define SAMPLE_CUT_TEXT_MAX 448
#define SAMPLE_MISSING_TEXT_MAX CENSUS_PASSED_OVER_MAX
#define SAMPLE_NOTES_MAX 8
#define SAMPLE_NOTE_TEXT_MAX 384

/* Sockets of one owner, address or port. */
struct sample_owner {
    char name[SAMPLE_OWNER_NAME_MAX]; /* "nginx (123)"; printable ASCII */
    struct tcp_state_counts counts;
    uint64_t time_wait_made;             /* since the start; 0 where it is not known */
    uint64_t oldest_ns[TCP_STATE_COUNT]; /* age of the oldest in each state; 0: not known */
};

/* How long a state lasted for those that left it. Entry n of `powers` counts the times below 2^n
 * ns and not below 2^(n - 1). */
#define SAMPLE_POWERS 45
struct sample_lasted {
    uint64_t count;
    uint64_t sum_ns;
    uint64_t p50_ns;
    uint64_t p90_ns;
    uint64_t p99_ns;
    uint64_t max_ns;
    uint64_t powers[SAMPLE_POWERS];
};

/* What the sockets of one port did, since the start. */
struct sample_port {
    uint16_t port; /* 0 for the rest */
    struct tcp_transitions transitions;
    struct sample_lasted lasted[TCP_STATE_COUNT];
};

/* What does not change during a run. */
struct sample_head {
    char kernel[SAMPLE_KERNEL_MAX];   /* its release; "" when not known */
    char method[SAMPLE_METHOD_MAX];   /* of the census: "procfs" */
    char by[SAMPLE_METHOD_MAX];       /* what owners are: "pid"; "": there are none */
    char ports_by[SAMPLE_METHOD_MAX]; /* which port transitions are told apart by: "local-port";
                                         "": none */
    uint32_t ports_shown;             /* of them, where each has a place of its own */
    char missing[SAMPLE_MISSING_TEXT_MAX]; /* what cannot be told here, and why; "": nothing */
    uint64_t started_wall_ns;              /* since 1970 */
    uint64_t interval_ns;
    uint32_t budget_permille;
    uint64_t time_wait_max; /* tcp_max_tw_buckets; 0: not known */
};

struct sample {
    uint64_t number;     /* from 0 */
    uint64_t elapsed_ns; /* since sample 0 */
    uint64_t wall_ns;    /* since 1970 */
    uint64_t late_ns;    /* behind its schedule */
    bool is_last;        /* taken when the run was ended */
    uint64_t values[WATCH_FIELD_COUNT];

    uint64_t census_count; /* so far; 0: the next two are not set */
    struct watch_census census;
    struct tcp_state_counts peak; /* most in each state over the censuses since the sample before */
    uint64_t census_age_ns;       /* since the census began */
    uint64_t census_every_ns;     /* from one to the next, by the budget; 0: not known, or never */
    bool has_present;
    struct tcp_state_counts present; /* of the moment: a census carried on by exact transitions */

    struct timewait_estimate time_wait;

    bool has_transitions;
    bool matrix_has_time_wait;          /* a stack's own; the kernel's records pass no tracepoint */
    uint64_t transitions_ns;            /* when they were read, since sample 0 */
    struct tcp_transitions transitions; /* since the start */
    struct sample_lasted lasted[TCP_STATE_COUNT]; /* likewise, by state */

    uint64_t owners_ns;     /* when they were counted, since sample 0 */
    uint64_t owners_cpu_ns; /* what that cost; 0: they were not counted yet */
    uint32_t owner_count;   /* of owners[], those with the most sockets */
    uint32_t owners_left_out;
    struct sample_owner owners[SAMPLE_OWNERS_MAX];
    uint64_t oldest_ns[TCP_STATE_COUNT]; /* of all that passed the filters; 0: not known */
    uint64_t owners_in_ns; /* until the budget lets the next walk begin; 0: not known */

    uint32_t note_count; /* warnings in words */
    char notes[SAMPLE_NOTES_MAX][SAMPLE_NOTE_TEXT_MAX];

    uint32_t listener_count; /* of listeners[], those with the fullest queues */
    uint32_t listeners_left_out;
    struct tcpstat_listener listeners[SAMPLE_LISTENERS_MAX];

    /* Transitions by port; the rows and the rest add up to the whole. Last, since most samples have
     * none, and need not carry their 200 kB: sample_copy. */
    bool has_ports;
    uint32_t port_count;
    uint64_t ports_full; /* transitions among the rest for want of a place */
    struct sample_port port_rest;
    struct sample_port ports[SAMPLE_PORTS_MAX]; /* by port, ascending */
};

/* Empties a sample, and copies one: but for the ports that it does not have. */
void sample_clear(struct sample *sample);
void sample_copy(struct sample *to, const struct sample *from);

/* What one of the kernel's counters rose by over the run. */
struct sample_delta {
    char name[SAMPLE_DELTA_NAME_MAX];
    int64_t rise;
};

/* What is known only when a run has ended. */
struct sample_end {
    bool is_whole;                 /* false: a recording that was cut short; the rest is not set */
    char cut[SAMPLE_CUT_TEXT_MAX]; /* what a recording lacks, in words; "": nothing */
    uint64_t ticks_missed;
    uint64_t tick_errors;
    uint64_t tick_cpu_ns;
    uint64_t census_errors;
    uint64_t census_cpu_ns;
    uint64_t walk_cpu_ns;
    uint64_t budget_cpu_ns; /* all that was charged to the budget */
    int last_error;         /* 0 or -errno */
    uint32_t delta_count;   /* kernel counters that moved over the run */
    struct sample_delta *deltas;
};

/* Gives what a field rose by a second between two samples; 0 when no time lies between them. */
double sample_rise_per_sec(const struct sample *now, const struct sample *before,
                           enum watch_field field);

/* Rates of one state; only what is known exactly has one. */
struct sample_flow {
    bool has_in;
    bool has_out;
    double in_per_sec;
    double out_per_sec;
};

/* Gives how many sockets entered and left a state a second, where the kernel counts them. */
struct sample_flow sample_state_flow(const struct sample *now, const struct sample *before,
                                     enum tcp_state state);

/* Adds what cannot be told here; an empty text adds nothing. */
void sample_head_add_missing(struct sample_head *head, const char *text);

/* Adds a warning, unless there is no room or it is there already. */
void sample_add_note(struct sample *sample, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* How many connections began, by either way, and how many sockets of connections ended: closed, or
 * left to a TIME_WAIT record. */
uint64_t sample_port_opened(const struct sample_port *port);
uint64_t sample_port_ended(const struct sample_port *port);

/* Finds a port's row; NULL when there is none. */
const struct sample_port *sample_find_port(const struct sample *sample, uint16_t port);

/* Ranks the rows: by how many transitions each has, most first; where there are `most` at most, as
 * they are. `order` gets all; returns how many of them are to be shown. */
uint32_t sample_rank_ports(const struct sample *sample, uint32_t most,
                           const struct sample_port *order[SAMPLE_PORTS_MAX]);

/* Adds up a matrix; how often any state changed. */
uint64_t sample_step_sum(const struct tcp_transitions *matrix);

/* The steps that a socket can take, for outputs with a place for each. */
struct sample_step {
    enum tcp_state from;
    enum tcp_state to;
};

#define SAMPLE_STEP_COUNT 26
extern const struct sample_step sample_steps[SAMPLE_STEP_COUNT];

/* Counts the transitions of a matrix that are none of these steps: no TCP of today's makes any. */
uint64_t sample_other_steps(const struct tcp_transitions *matrix);

/* Writes a step's key: "established>close_wait". Returns `text`. */
#define SAMPLE_STEP_TEXT_MAX 40
const char *sample_step_key(struct sample_step step, char text[SAMPLE_STEP_TEXT_MAX]);

/* The states in the order of a connection's life, unlike the numbers'. */
#define SAMPLE_STATE_COUNT 11
extern const enum tcp_state sample_state_order[SAMPLE_STATE_COUNT];

#endif
