#include "loadgen/report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "loadgen/checks.h"
#include "loadgen/verdict.h"
#include "transport/stack_result.h"

/* A burst of a few connections keeps its CPU busy and proves nothing. */
#define CPU_WINDOW_MIN_NS (100 * NS_PER_MS)

/* Tells over how long completions count towards the rate: the offered window. A run that ended by
 * --count has none: then up to the last outcome. */
static uint64_t window_ns(const struct run *run)
{
    const struct plan *plan = run->plan;
    const struct stats *total = run->total;
    uint64_t longest_ns = 0;
    for (uint32_t i = 0; i < run->worker_count; i++) {
        uint64_t worker_ns = run->workers[i].window_ns;
        longest_ns = worker_ns > longest_ns ? worker_ns : longest_ns;
    }
    uint64_t started = stats_read(&total->live.attempted) + stats_read(&total->live.shed);
    if (plan->duration_ns != 0 && !run->interrupted && started < plan->arrivals_max) {
        return plan->duration_ns;
    }
    if (started >= plan->arrivals_max && total->last_ns > run->start_ns) {
        return total->last_ns - run->start_ns;
    }
    return longest_ns;
}

static bool ended_by_count(const struct run *run)
{
    const struct stats *total = run->total;
    return stats_read(&total->live.attempted) + stats_read(&total->live.shed) >=
           run->plan->arrivals_max;
}

static void set_rates(struct result *result, const struct run *run)
{
    const struct stats *total = run->total;
    const struct cli_rate *rate = &run->plan->options.rate;
    uint64_t completed =
        ended_by_count(run) ? stats_read(&total->live.completed) : total->completed_in_window;
    double seconds = (double)window_ns(run) / (double)NS_PER_SEC;
    if (run->plan->open_loop) {
        double period_sec = (double)rate->per_ns / (double)NS_PER_SEC;
        result->offered_per_sec = result_real((double)rate->events / period_sec);
    }
    if (seconds > 0) {
        result->completed_per_sec = result_real((double)completed / seconds);
    }
    if (total->last_ns > run->start_ns) {
        result->duration_ns = result_count(total->last_ns - run->start_ns);
    }
}

/* Counts what the workers' memory grew by over the run. */
static uint64_t grown_bytes(const struct run *run)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < run->worker_count; i++) {
        bytes += run->workers[i].memory_bytes - run->workers[i].memory_idle_bytes;
    }
    return bytes;
}

/* Tells whether the memory says little about connections, since the stack's TIME_WAIT is in it. */
static bool is_time_wait_most(const struct run *run)
{
    return run->board != NULL &&
           run->stack->counts.n[TCP_STATE_TIME_WAIT] > run->total->open_max / 100;
}

static void set_counts(struct result *result, const struct run *run)
{
    const struct stats *total = run->total;
    uint64_t attempted = stats_read(&total->live.attempted);
    uint64_t completed = stats_read(&total->live.completed);
    uint64_t failed = stats_read(&total->live.failed);
    result->seed = result_count(run->plan->options.seed);
    result->start_wall_ns = result_count(run->start_wall_ns);
    result->attempted = result_count(attempted);
    result->completed = result_count(completed);
    result->failed = result_count(failed);
    result->open_at_end = result_count(attempted - completed - failed);
    result->shed = result_count(stats_read(&total->live.shed));
    result->failed_before_syn = result_count(total->failed_before_syn);
    result->tuple_reuses = result_count(total->tuples_reused);
    if (run->worker_count == 1) {
        result->open_max = result_count(total->open_max);
    }
    uint64_t memory_bytes = grown_bytes(run);
    if (total->open_max > 0 && memory_bytes > 0 && !is_time_wait_most(run)) {
        result->bytes_per_conn = result_real((double)memory_bytes / (double)total->open_max);
    }
}

static int set_words(struct result *result, const struct run *run)
{
    static const char *const closers[] = {"client", "server", "both"};
    static const char *const hows[] = {"fin", "close", "half", "rst", "fin-no-timewait"};
    const struct plan *plan = run->plan;
    int rc = result_set(&result->engine, transport_engine_name(plan->engine));
    rc = rc != 0 ? rc : result_set(&result->closer, closers[plan->closer]);
    rc = rc != 0 ? rc : result_set(&result->close_how, hows[plan->close_how]);
    return rc != 0 ? rc : result_add_options(result, &loadgen_program, &plan->options);
}

static int add_errors(struct result *result, const struct stats *total)
{
    int rc = 0;
    for (int phase = 0; phase < CONN_PHASE_COUNT; phase++) {
        for (int error = 1; error < STATS_ERRNO_COUNT && rc == 0; error++) {
            rc = result_add_error(result, stats_phase_name((enum conn_phase)phase), error,
                                  total->errors[phase][error]);
        }
    }
    return rc;
}

static int add_hists(struct result *result, const struct stats *total)
{
    static const enum result_origin origins[STATS_ORIGIN_COUNT] = {
        [STATS_FROM_DUE] = RESULT_FROM_SCHEDULED,
        [STATS_FROM_START] = RESULT_FROM_START,
    };
    int rc = 0;
    for (int which = 0; which < STATS_LATENCY_COUNT; which++) {
        for (int origin = 0; origin < STATS_ORIGIN_COUNT && rc == 0; origin++) {
            const struct hist *hist = &total->latency[which][origin];
            if (hist->count > 0) {
                rc = result_add_hist(result, stats_latency_name((enum stats_latency)which),
                                     origins[origin], hist);
            }
        }
    }
    if (rc == 0 && total->slip.count > 0) {
        rc = result_add_hist(result, "schedule_slip", RESULT_PLAIN, &total->slip);
    }
    return rc != 0 ? rc : result_add_hist(result, "turn", RESULT_PLAIN, &total->turn);
}

/* Adds the transports' counters of all workers. */
static int add_transport_counters(struct result *result, const struct run *run)
{
    struct counter_view view = run->workers[0].counters;
    uint64_t *sums = calloc(view.count + 1, sizeof(*sums));
    if (sums == NULL) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < run->worker_count; i++) {
        const struct counter_view *part = &run->workers[i].counters;
        for (size_t k = 0; k < part->count && k < view.count; k++) {
            sums[k] += part->values[k];
        }
    }
    view.values = sums;
    int rc = result_add_counters(result, "transport", &view);
    free(sums);
    return rc;
}

static int add_own_counters(struct result *result, const struct run *run)
{
    const struct stats *total = run->total;
    const struct {
        const char *name;
        uint64_t value;
    } own[] = {
        {"workers", run->worker_count},
        {"offered", total->offered},
        {"connected", total->connected},
        {"completed_in_window", total->completed_in_window},
        {"window_ns", window_ns(run)},
        {"close_not_as_asked", total->close_not_as_asked},
        {"resets_sent", total->resets_sent},
        {"backoffs", total->backoffs},
        {"tuples_used", total->tuples_used},
        {"tuples_reused", total->tuples_reused},
        {"tuples_taken_by_others", total->tuple_taken},
        {"tuples_too_early", total->tuple_early},
        {"open_max_of_workers_added", total->open_max},
        {"memory_grown_bytes", grown_bytes(run)},
    };
    int rc = 0;
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]) && rc == 0; i++) {
        rc = result_add_counter(result, "loadgen", own[i].name, result_count(own[i].value));
    }
    return rc;
}

static int add_kernel_counters(struct result *result, const struct watch_series *kernel)
{
    int rc = 0;
    for (int i = 0; i < WATCH_FIELD_COUNT && rc == 0; i++) {
        int64_t delta = watch_series_delta(kernel, (enum watch_field)i);
        if (watch_field_infos[i].kind == WATCH_KIND_TOTAL && delta >= 0) {
            rc = result_add_counter(result, "kernel", watch_field_infos[i].name,
                                    result_count((uint64_t)delta));
        }
    }
    return rc;
}

/* Adds what was counted below the engine: by the kernel, or by the stack. */
static int add_tcp_counters(struct result *result, const struct run *run)
{
    if (run->board == NULL) {
        return add_kernel_counters(result, &run->kernel);
    }
    struct stack_result_facts facts = {.settings = &run->plan->stack, .totals = run->stack};
    for (uint32_t i = 0; i < run->worker_count; i++) {
        const struct worker *worker = &run->workers[i];
        facts.abandoned.closing += worker->abandoned.closing;
        facts.abandoned.time_wait += worker->abandoned.time_wait;
        facts.lingering_ns =
            worker->lingering_ns > facts.lingering_ns ? worker->lingering_ns : facts.lingering_ns;
    }
    facts.is_taken = run->alarm.is_taken;
    facts.taken = run->alarm.taken;
    return stack_result_add(result, &facts);
}

static int add_features(struct result *result, const struct worker *worker)
{
    int rc = 0;
    for (uint32_t i = 0; i < worker->feature_count && rc == 0; i++) {
        const struct transport_feature *feature = &worker->features[i];
        rc = result_add_feature(result, feature->name, transport_feature_state_name(feature->state),
                                feature->help);
    }
    return rc;
}

static int add_series(struct result *result, const struct run *run)
{
    static const char *const columns[] = {
        "elapsed_sec",  "attempted_per_sec", "completed_per_sec", "failed_per_sec",
        "shed_per_sec", "in_flight",         "time_wait"};
    int rc = result_series_columns(result, columns, sizeof(columns) / sizeof(columns[0]));
    struct run_sample last = {.at_ns = run->start_ns};
    for (uint32_t i = 0; i < run->sample_count && rc == 0; i++) {
        const struct run_sample *now = &run->samples[i];
        double step_sec = (double)(now->at_ns - last.at_ns) / (double)NS_PER_SEC;
        const struct result_number cells[] = {
            result_real((double)(now->at_ns - run->start_ns) / (double)NS_PER_SEC),
            result_real((double)(now->attempted - last.attempted) / step_sec),
            result_real((double)(now->completed - last.completed) / step_sec),
            result_real((double)(now->failed - last.failed) / step_sec),
            result_real((double)(now->shed - last.shed) / step_sec),
            result_count(now->attempted - now->completed - now->failed),
            result_count(now->time_wait),
        };
        rc = result_series_add_row(result, cells);
        last = *now;
    }
    return rc;
}

static int add_censuses(struct result *result, const struct run *run)
{
    const struct watch_series *kernel = &run->kernel;
    int rc = 0;
    for (uint32_t i = 0; i < kernel->census_count && rc == 0; i++) {
        const struct watch_census *census = &kernel->censuses[i];
        uint64_t end_ns = census->stamp.started_ns + census->stamp.wall_ns;
        struct result_census entry = {
            .elapsed_sec = ((double)end_ns - (double)run->start_ns) / (double)NS_PER_SEC,
            .cost_wall_ns = census->stamp.wall_ns,
            .cost_cpu_ns = census->stamp.cpu_ns,
            .counts = census->total,
        };
        rc = result_set(&entry.method, kernel->census_method);
        rc = rc != 0 ? rc : result_add_census(result, &entry);
        free(entry.method);
    }
    return rc;
}

static double busiest_share(const struct run *run)
{
    double busiest = 0;
    for (uint32_t i = 0; i < run->worker_count; i++) {
        const struct worker *worker = &run->workers[i];
        double share = worker->window_ns >= CPU_WINDOW_MIN_NS
                           ? (double)worker->cpu_ns / (double)worker->window_ns
                           : 0;
        busiest = share > busiest ? share : busiest;
    }
    return busiest;
}

static uint64_t kernel_rise(const struct run *run, enum watch_field field)
{
    if (run->board != NULL) {
        return 0; /* that kernel saw nothing of the run */
    }
    int64_t rise = watch_series_delta(&run->kernel, field);
    return rise > 0 ? (uint64_t)rise : 0;
}

static double steal_share(const struct result *result)
{
    const struct result_cpu *cpu = &result->cpu;
    if (!result_is_known(cpu->machine_steal_ns) || !result_is_known(cpu->machine_total_ns)) {
        return 0;
    }
    return result_as_double(cpu->machine_steal_ns) / result_as_double(cpu->machine_total_ns);
}

/* Says why a figure that readers look for is missing. */
static int add_sampling_note(struct result *result)
{
    const struct result_cpu *cpu = &result->cpu;
    if (result_is_known(cpu->machine_busy_ns) || !result_is_known(cpu->machine_total_ns)) {
        return 0;
    }
    return result_add_limit(result, RESULT_NOTE, "cpu-sampling",
                            "The kernel's sampled CPU time is below what this process alone used, "
                            "as it is when arrivals keep step with the tick; it was left out.");
}

static int add_verdict(struct result *result, const struct run *run)
{
    const struct stats *total = run->total;
    const struct plan *plan = run->plan;
    const struct verdict_facts facts = {
        .open_loop = plan->open_loop,
        .interrupted = run->interrupted,
        .closer_is_server = plan->closer != CLOSER_CLIENT,
        .offered = total->offered,
        .attempted = result->attempted.count,
        .completed = result->completed.count,
        .failed = result->failed.count,
        .open_at_end = result->open_at_end.count,
        .shed = result->shed.count,
        .no_tuple = total->no_tuple,
        .tuple_taken = total->tuple_taken,
        .tuple_early = total->tuple_early,
        .no_descriptors =
            total->errors[CONN_PHASE_SETUP][EMFILE] + total->errors[CONN_PHASE_SETUP][ENFILE],
        .failed_before_syn = total->failed_before_syn,
        .close_timed_out = total->errors[CONN_PHASE_CLOSE][ETIMEDOUT],
        .close_not_as_asked = total->close_not_as_asked,
        .slip_p99_ns = hist_percentile(&total->slip, 99),
        .cpu_share = busiest_share(run),
        .steal_share = steal_share(result),
        .listen_overflows = kernel_rise(run, WATCH_listen_overflows),
        .time_wait_overflows = kernel_rise(run, WATCH_time_wait_overflows),
        .syn_queue_full =
            kernel_rise(run, WATCH_syn_queue_cookies) + kernel_rise(run, WATCH_syn_queue_drops),
        .link_down =
            run->board == NULL ? 0 : stack_totals_counter(run->stack, "link", "interface_down"),
        .conns_max = plan->options.conns_max,
        .reuse_after_ns = plan->options.reuse_after_ns,
    };
    return verdict_judge(result, &facts);
}

int report_fill(struct result *result, const struct run *run)
{
    set_counts(result, run);
    set_rates(result, run);
    machine_difference(&run->before, &run->after, &result->cpu);
    int rc = set_words(result, run);
    rc = rc != 0 ? rc : add_errors(result, run->total);
    rc = rc != 0 ? rc : add_hists(result, run->total);
    rc = rc != 0 ? rc : add_own_counters(result, run);
    rc = rc != 0 ? rc : add_transport_counters(result, run);
    rc = rc != 0 ? rc : add_tcp_counters(result, run);
    rc = rc != 0 ? rc : add_features(result, &run->workers[0]);
    rc = rc != 0 ? rc : add_series(result, run);
    rc = rc != 0 ? rc : add_censuses(result, run);
    rc = rc != 0 ? rc : checks_add(result, run);
    rc = rc != 0 ? rc : result_gather_host(result, "");
    if (rc == 0) {
        result_derive(result);
        rc = result_check_accounting(result);
    }
    rc = rc != 0 ? rc : add_sampling_note(result);
    return rc != 0 ? rc : add_verdict(result, run);
}
