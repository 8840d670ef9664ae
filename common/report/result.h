/* Result: everything that one run has to say, as plain data; the renderings read nothing else.
 *
 * Layer: report (L1). Owner: whoever called result_init; one thread. Strings are copied and freed
 * by result_destroy; histograms alone are borrowed (result_add_hist) and must live until the last
 * rendering. A zeroed field is an unknown value: it is printed as null or "unknown", never as 0.
 * Scalars are set directly, tables through the calls below, each of which returns 0, or -ENOMEM
 * with nothing changed. */
#ifndef FINWAIT_REPORT_RESULT_H
#define FINWAIT_REPORT_RESULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cli.h"
#include "base/counter.h"
#include "base/hist.h"
#include "base/tcp_state.h"

#define RESULT_SCHEMA "finwait.result/1"

/* A value that may be unknown. A real that is not finite counts as unknown. */
enum result_number_kind {
    RESULT_UNKNOWN = 0,
    RESULT_COUNT,
    RESULT_REAL,
};

struct result_number {
    enum result_number_kind kind;
    uint64_t count; /* RESULT_COUNT */
    double real;    /* RESULT_REAL */
};

static inline struct result_number result_unknown(void)
{
    return (struct result_number){.kind = RESULT_UNKNOWN};
}

static inline struct result_number result_count(uint64_t count)
{
    return (struct result_number){.kind = RESULT_COUNT, .count = count};
}

static inline struct result_number result_real(double real)
{
    return (struct result_number){.kind = RESULT_REAL, .real = real};
}

/* Tells whether a value is known (and finite). */
bool result_is_known(struct result_number number);

/* Gives a value as a double. Requires that it is known. */
double result_as_double(struct result_number number);

/* A name and what belongs to it: options, host facts, sysctls. */
struct result_pair {
    char *name;
    char *value; /* NULL: unknown */
};

/* How often a phase of a connection failed with an errno. */
struct result_error {
    char *phase; /* "connect" */
    int error;   /* positive errno */
    uint64_t count;
};

/* From where a latency counts. */
enum result_origin {
    RESULT_FROM_SCHEDULED, /* the time that the schedule named: what a user would have waited */
    RESULT_FROM_START,     /* the time that we really began: what the target took */
    RESULT_PLAIN,          /* neither: a histogram of something else, such as "turn" */
};

/* A histogram in ns. */
struct result_hist {
    char *name; /* "connect" */
    enum result_origin origin;
    const struct hist *hist; /* borrowed */
};

/* A table of one row per tick. Column names end in their unit: "elapsed_sec", "time_wait". */
struct result_series {
    char **columns;
    uint32_t column_count;
    struct result_number *cells; /* row after row */
    uint32_t row_count;
    uint32_t row_capacity;
};

/* What a counter of a group says; kernel counters are deltas over the run. */
struct result_counter {
    char *group; /* "transport", "kernel" */
    char *name;
    char *help; /* may be NULL */
    struct result_number value;
};

/* A full count of TCP states at one time. */
struct result_census {
    double elapsed_sec;    /* when the count ended, from the start of the run */
    uint64_t age_ns;       /* how old the count was when it was taken over */
    uint64_t cost_wall_ns; /* what it took */
    uint64_t cost_cpu_ns;
    char *method; /* "proc", "sock_diag", "bpf"; may be NULL */
    struct tcp_state_counts counts;
};

/* A feature of the engine and why it is used or not. */
struct result_feature {
    char *name;  /* "multishot_recv" */
    char *state; /* "used", "absent", "off" */
    char *why;   /* may be NULL */
};

/* One number from two sources. */
enum result_check_outcome {
    RESULT_CHECK_UNKNOWN = 0, /* a side is unknown: nothing was checked */
    RESULT_CHECK_OK,
    RESULT_CHECK_FAILED,
};

struct result_check {
    char *name; /* "active_opens" */
    struct result_number expected;
    struct result_number measured;
    double tolerance; /* absolute, in the numbers' unit */
    enum result_check_outcome outcome;
    char *note; /* what was compared, or why it cannot be; may be NULL */
};

/* What a limit means for the run. */
enum result_weight {
    RESULT_NOTE,    /* worth knowing; the run stands */
    RESULT_INVALID, /* the generator or the host was the limit: not a measurement of the target */
    RESULT_TARGET_FAILED, /* the run stands, and the target did not */
};

struct result_limit {
    enum result_weight weight;
    char *code; /* "schedule", "accounting", "descriptors": one word, lower case */
    char *text; /* one sentence for a person */
};

/* CPU time. The program's own is exact (getrusage); the machine's is sampled by the kernel's tick.
 */
struct result_cpu {
    struct result_number user_ns;          /* of our process, over the run */
    struct result_number system_ns;        /* of our process, over the run */
    struct result_number machine_busy_ns;  /* all CPUs, without idle, iowait and steal */
    struct result_number machine_error_ns; /* one standard error of machine_busy_ns from sampling */
    struct result_number machine_steal_ns; /* taken by the hypervisor; not in busy */
    struct result_number machine_total_ns; /* all CPUs x elapsed time */
    /* Per completed connection; result_derive fills these from the above. */
    struct result_number own_ns_per_conn;
    struct result_number machine_ns_per_conn;
    struct result_number machine_error_ns_per_conn;
    struct result_number steal_ns_per_conn;
};

struct result_time_wait {
    struct result_number measured; /* in our namespace, at the end */
    struct result_number expected; /* by the closing table or the model, at the same time */
    struct result_number peak;
    struct result_number lifetime_ns; /* as the model measured it */
    char *basis; /* a sentence: what `expected` was computed from; set by result_set */
};

struct result {
    /* Strings: set with result_set. NULL: unknown. */
    char *program;
    char *version;
    char *command_line; /* quoted for a shell */
    char *engine;       /* "uring", "epoll", "stack" */
    char *engine_why;   /* what `auto` went by */
    char *closer;       /* "client", "server", "both" */
    char *close_how;    /* "fin", "close", ... */

    struct result_number seed;
    struct result_number start_wall_ns; /* ns since 1970 */
    struct result_number duration_ns;   /* from the first scheduled arrival to the last one's end */

    struct result_number offered_per_sec; /* unknown for a closed loop */
    struct result_number completed_per_sec;
    struct result_number
        attempted; /* = completed + failed + open_at_end; see result_check_accounting */
    struct result_number completed;
    struct result_number failed;
    struct result_number open_at_end;
    struct result_number shed; /* arrivals that were not attempted: over conns_max */
    struct result_number
        failed_before_syn; /* of failed: no segment was sent, so not in ActiveOpens */
    /* Most connections open at once. Unknown with several workers: each knows its own most, and
     * those came at different times. Their sum, a bound, is a counter of its own. */
    struct result_number open_max;
    struct result_number tuple_reuses;      /* 4-tuples used again within --reuse-after */
    struct result_number segments_per_conn; /* both directions */
    struct result_number bytes_per_conn; /* our memory (the allocator's figure), not the kernel's */

    struct result_cpu cpu;
    struct result_time_wait time_wait;

    struct result_series series;

    /* Tables, each with its count below; the result_add calls fill them. */
    struct result_pair *options;
    struct result_pair *host;
    struct result_pair *sysctls;
    struct result_error *errors;
    struct result_hist *hists;
    struct result_counter *counters;
    struct result_census *censuses;
    struct result_feature *features;
    struct result_check *checks;
    struct result_limit *limits;

    uint32_t option_count;
    uint32_t host_count;
    uint32_t sysctl_count;
    uint32_t error_count;
    uint32_t hist_count;
    uint32_t counter_count;
    uint32_t census_count;
    uint32_t feature_count;
    uint32_t check_count;
    uint32_t limit_count;
};

/* Makes an empty result: everything unknown, but program and version (FINWAIT_VERSION). Returns 0
 * or -ENOMEM, and then the struct may be destroyed or dropped. */
int result_init(struct result *result, const char *program);

/* Frees all that the result owns. Safe on a zeroed struct. */
void result_destroy(struct result *result);

/* Replaces one of the result's strings, e.g. result_set(&result.engine, "uring"). NULL makes it
 * unknown. */
int result_set(char **field, const char *text);

/* Keeps the command line, quoted so that a shell would read it back the same. */
int result_set_command_line(struct result *result, int argc, char *const *argv);

/* Add a pair; names are unique within a table: a second value replaces the first. A NULL value is
 * unknown. */
int result_add_option(struct result *result, const char *name, const char *value);
int result_add_host(struct result *result, const char *name, const char *value);
int result_add_sysctl(struct result *result, const char *name, const char *value);

/* Adds every option of a program's table with its value as a user would write it. */
int result_add_options(struct result *result, const struct cli_program *program,
                       const void *options);

/* Adds to the count of (phase, errno). A count of 0 changes nothing. Requires error > 0. */
int result_add_error(struct result *result, const char *phase, int error, uint64_t count);

/* Adds a histogram of ns, which is borrowed. Requires that (name, origin) is not there yet. */
int result_add_hist(struct result *result, const char *name, enum result_origin origin,
                    const struct hist *hist);

/* Adds one counter, or all of a view; the values are copied as they are now. */
int result_add_counter(struct result *result, const char *group, const char *name,
                       struct result_number value);
int result_add_counters(struct result *result, const char *group, const struct counter_view *view);

/* Names the columns of the per-second series. Requires that no columns were named before, count >
 * 0. */
int result_series_columns(struct result *result, const char *const *names, uint32_t count);

/* Adds a row: one cell per column; a zeroed cell is unknown. */
int result_series_add_row(struct result *result, const struct result_number *cells);

/* Adds a census; the strings are copied. */
int result_add_census(struct result *result, const struct result_census *census);

/* Adds a feature; `why` may be NULL. */
int result_add_feature(struct result *result, const char *name, const char *state, const char *why);

/* Adds a cross-check; the strings are copied and `outcome` is decided here: unknown when a side is,
 * else by |measured - expected| <= tolerance. It does not touch the verdict: the caller knows what
 * a mismatch means for the run. */
int result_add_check(struct result *result, const struct result_check *check);

/* Adds a limit with its sentence (printf format), which decides the verdict by its weight. */
int result_add_limit(struct result *result, enum result_weight weight, const char *code,
                     const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Finds a histogram, or NULL. */
const struct hist *result_find_hist(const struct result *result, const char *name,
                                    enum result_origin origin);

/* Counts the failures of the errors table. */
uint64_t result_error_total(const struct result *result);

/* Fills what follows from other fields and is still unknown: completed_per_sec from completed and
 * duration, the per-connection CPU figures. What cannot be derived stays unknown. */
void result_derive(struct result *result);

/* Checks attempted = completed + failed + open_at_end, and that the errors table adds up to
 * `failed`; adds the invalidating limit "accounting" for each that is broken, and one when a term
 * is unknown while `attempted` is known. Returns 0 or -ENOMEM. */
int result_check_accounting(struct result *result);

/* Tells whether no limit makes the run invalid. */
bool result_is_valid(const struct result *result);

/* Gives the exit code: 3 when invalid, else 4 when the target failed, else 0. */
int result_exit_code(const struct result *result);

#endif
