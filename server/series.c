#include "server/series.h"

#include "base/clock.h"

static const char *const columns[] = {
    "elapsed_sec", "accepted_per_sec", "completed_per_sec", "failed_per_sec",
    "open",        "established",      "time_wait",         "listen_overflows"};

#define COLUMN_COUNT (sizeof(columns) / sizeof(columns[0]))

int series_begin(struct result *result)
{
    return result_series_columns(result, columns, COLUMN_COUNT);
}

struct series_sums series_sum(struct worker *workers, uint32_t count, uint64_t now_ns)
{
    struct series_sums sums = {.at_ns = now_ns};
    for (uint32_t i = 0; i < count; i++) {
        struct worker_progress *progress = &workers[i].progress;
        sums.accepted += atomic_load_explicit(&progress->accepted, memory_order_relaxed);
        sums.completed += atomic_load_explicit(&progress->completed, memory_order_relaxed);
        sums.failed += atomic_load_explicit(&progress->failed, memory_order_relaxed);
        sums.open += atomic_load_explicit(&progress->open, memory_order_relaxed);
    }
    return sums;
}

static struct result_number rate(uint64_t now, uint64_t before, double seconds)
{
    return seconds > 0 ? result_real((double)(now - before) / seconds) : result_unknown();
}

void series_tick(struct series *series, struct result *result, const struct series_sums *now,
                 const struct series_states *states)
{
    const struct series_sums *last = &series->last;
    double seconds = (double)(now->at_ns - last->at_ns) / (double)NS_PER_SEC;
    double elapsed = (double)(now->at_ns - series->start_ns) / (double)NS_PER_SEC;
    struct result_number cells[COLUMN_COUNT] = {
        result_real(elapsed),
        rate(now->accepted, last->accepted, seconds),
        rate(now->completed, last->completed, seconds),
        rate(now->failed, last->failed, seconds),
        result_count(now->open),
    };
    if (states->stack != NULL) {
        const struct stack_totals *stack = states->stack;
        uint64_t time_wait = stack->counts.n[TCP_STATE_TIME_WAIT];
        series->time_wait_max =
            time_wait > series->time_wait_max ? time_wait : series->time_wait_max;
        cells[5] = result_count(stack->counts.n[TCP_STATE_ESTABLISHED]);
        cells[6] = result_count(time_wait);
        cells[7] = result_count(stack_totals_counter(stack, "stack", "syns_dropped_backlog") +
                                stack_totals_counter(stack, "stack", "accepts_deferred_backlog"));
    } else if (states->watch != NULL) {
        struct watch_latest latest;
        watch_latest(states->watch, &latest);
        cells[5] = result_count(latest.tick.values[WATCH_established]);
        cells[6] = result_count(latest.tick.values[WATCH_time_wait]);
        cells[7] = result_count(latest.tick.values[WATCH_listen_overflows]);
    }
    series->last = *now;
    if (result->series.row_count >= SERIES_ROWS_MAX || result_series_add_row(result, cells) != 0) {
        series->left_out++;
    }
}
