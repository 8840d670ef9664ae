/* Watch: observes a namespace's TCP while a program runs, from threads of its own.
 *
 * Layer: tcpstat (L1). Two threads: one reads the cheap counters every interval, and one takes full
 * censuses, and walks of its owner's, as often as a budget of CPU time leaves room for beside the
 * ticks, so that a census of seconds delays no tick.
 * Both block all signals. The files are opened by the thread that calls watch_start, in its
 * namespace.
 *
 * The watch owns what it keeps until watch_stop hands it out. Memory is bounded: a series that
 * reaches its limit is thinned to every second entry, and from then on keeps every second (fourth,
 * ...) one, so that it always spans the whole run; values are cumulative, so no sum is lost. What
 * was thinned out is counted. */
#ifndef FINWAIT_TCPSTAT_WATCH_H
#define FINWAIT_TCPSTAT_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/failure.h"
#include "tcpstat/census.h"
#include "tcpstat/counters.h"
#include "tcpstat/timewait.h"

enum watch_field {
#define WATCH_FIELD(name, kernel_name, kind, help) WATCH_##name,
#include "tcpstat/watch_fields.def"
#undef WATCH_FIELD
    WATCH_FIELD_COUNT
};

enum watch_kind {
    WATCH_KIND_GAUGE, /* a level */
    WATCH_KIND_TOTAL, /* only rises; differences mean something, the value does not */
};

struct watch_field_info {
    const char *name; /* "listen_drops" */
    const char *kernel_name;
    enum watch_kind kind;
    const char *help;
};

extern const struct watch_field_info watch_field_infos[WATCH_FIELD_COUNT];

#define WATCH_TICKS_MAX 16384   /* 4.5 hours at 1 s before the first thinning; 4.5 MB */
#define WATCH_CENSUSES_MAX 4096 /* 1.6 MB */

#define WATCH_INTERVAL_DEFAULT_NS NS_PER_SEC
#define WATCH_BUDGET_DEFAULT_PERMILLE 10

struct watch_tick {
    uint64_t at_ns;                     /* when it was read: clock_now_ns */
    uint64_t late_ns;                   /* behind its schedule */
    uint64_t values[WATCH_FIELD_COUNT]; /* by enum watch_field; 0 for what the kernel lacks */
};

struct watch_census {
    struct census_stamp stamp;
    struct tcp_state_counts v4;
    struct tcp_state_counts v6;
    struct tcp_state_counts total;
    bool is_final; /* taken after watch_stop was called */
};

/* The newest of everything; for a progress line. */
struct watch_latest {
    uint64_t started_ns; /* the first tick's time */
    uint64_t ticks;      /* so far */
    struct watch_tick tick;
    struct watch_tick previous; /* the one before, for rates; the same when there is only one */
    uint64_t censuses;          /* so far; 0: the next is not set */
    struct watch_census census;
    /* When the budget allows the next ones; 0: not known yet, CLOCK_NEVER / 2 and more: not. */
    uint64_t census_due_ns;
    uint64_t walk_due_ns;
    struct tcp_state_counts peak; /* most in each state over the censuses since the tick before */
    const char *census_method;
};

/* Whose CPU time the budget is for. */
enum watch_payer {
    WATCH_PAYS_ITSELF,      /* ticks and censuses: in a program with work of its own */
    WATCH_PAYS_FOR_PROCESS, /* all threads: in a program that does nothing but watch */
};

/* Whether a last census is taken when the watch stops. */
enum watch_final {
    WATCH_FINAL_ALWAYS,
    WATCH_FINAL_WITHIN_BUDGET, /* when it was earned, or is small (budget.h); or none was taken yet
                                */
};

struct watch_config {
    uint64_t interval_ns;     /* 0: WATCH_INTERVAL_DEFAULT_NS */
    uint64_t census_gap_ns;   /* least time from one census's start to the next's; 0: an interval */
    uint32_t budget_permille; /* of one core, for ticks and censuses; 0: only the one at the end */
    enum watch_payer payer;
    uint64_t opened_cpu_ns; /* spent on opening what is watched by: owed to the budget */
    enum watch_final final;
    struct census_request
        request;               /* its port sets are borrowed until watch_stop; `cancel` is ours */
    enum census_method method; /* zeroed: CENSUS_AUTO */
    struct census *census; /* NULL: by the method; else the watch's from a successful start on */
    void (*on_tick)(void *context,
                    const struct watch_latest *latest); /* in the tick thread; or NULL */
    /* A further walk over all sockets, in the census thread and from its budget: it gets up to half
     * of it, and what it leaves goes to censuses. NULL: none. */
    void (*walk)(void *context);
    /* Called in the census thread just before each census, with NULL, and just after one that
     * succeeded, with what it counted; NULL: not wanted. */
    void (*around)(void *context, const struct tcp_state_counts *counted);
    void *context; /* of all three */
};

/* All that was kept. Owned by whom watch_stop gave it to. */
struct watch_series {
    const char *census_method;
    struct census_passed_over passed_over; /* cheaper methods, and why they were not taken */
    uint64_t interval_ns;
    struct watch_tick
        *ticks; /* the first is from before watch_start returned, the last from watch_stop */
    uint32_t tick_count;
    struct watch_census *censuses;
    uint32_t census_count;
    uint64_t ticks_thinned; /* taken but not kept */
    uint64_t censuses_thinned;
    uint64_t ticks_missed;  /* not taken: the one before was late by an interval or more */
    uint64_t tick_errors;   /* reads of the counters that failed */
    uint64_t census_errors; /* censuses that failed */
    int last_error;         /* 0 or -errno of the last failure */
    uint64_t tick_cpu_ns;   /* that ticks cost in all, and censuses */
    uint64_t census_cpu_ns;
    uint64_t walk_cpu_ns;
    uint64_t budget_cpu_ns; /* that was charged to the budget: until the last census's turn */
    struct tcpstat_counters_snapshot first; /* everything, by the names below */
    struct tcpstat_counters_snapshot last;
    struct tcpstat_counters *counters; /* for names and indexes of the two snapshots */
};

struct watch;

/* Opens the sources, takes the first tick, and starts the threads. Returns 0 or -errno with the
 * failure's text set. */
int watch_start(struct watch **watch, const struct watch_config *config, struct failure *failure);

/* Copies the newest tick and census. Callable from any thread, also within on_tick. */
void watch_latest(struct watch *watch, struct watch_latest *latest);

/* Tells which cheaper methods of census were passed over, and why; empty: none. Valid as long as
 * the watch. */
const char *watch_passed_over(const struct watch *watch);

/* Takes a last tick and, as the configuration has it, a last census, ends the threads, frees the
 * watch, and hands the series out. A census under way is given up, since its count would be from
 * before. Blocks for the last census: about 3 us per socket by procfs. Not callable from on_tick.
 */
void watch_stop(struct watch *watch, struct watch_series *series);

/* Frees a series and leaves it zeroed. */
void watch_series_free(struct watch_series *series);

/* Gives what a field rose by from the first tick to the last; negative for a gauge that fell. */
int64_t watch_series_delta(const struct watch_series *series, enum watch_field field);

/* Gives a tick as the TIME_WAIT model takes it. */
struct timewait_sample watch_tick_time_wait(const struct watch_tick *tick);

/* Estimates TIME_WAIT from the ticks of a series up to (and with) the last at or before `until_ns`
 * (CLOCK_NEVER: all). Returns 0, -ENODATA without such a tick, or -ENOMEM. */
int watch_series_time_wait(const struct watch_series *series, uint64_t until_ns,
                           const struct timewait_config *config,
                           struct timewait_estimate *estimate);

#endif
