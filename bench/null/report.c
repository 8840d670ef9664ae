/* What the workers counted; see report.h. Layer: bench/null. */
#include "bench/null/report.h"

#include "base/clock.h"

json_t *null_report_make(const char *role, const char *link)
{
    return json_pack("{s:s, s:s, s:s, s:n, s:[], s:b}", "program", "finwait-null", "role", role,
                     "link", link, "completed_per_sec", "completed_per_sec_by_worker", "sums_hold",
                     1);
}

/* Adds to a count of the report; the first time it begins at 0. */
static void add(json_t *report, const char *key, uint64_t count)
{
    json_int_t sum = json_integer_value(json_object_get(report, key));
    json_object_set_new(report, key, json_integer(sum + (json_int_t)count));
}

/* A worker that did not run for any time has no rate, and then there is none of all: null. */
static void add_rate(json_t *report, const struct null_worker *worker)
{
    json_t *rates = json_object_get(report, "completed_per_sec_by_worker");
    const json_t *sum = json_object_get(report, "completed_per_sec");
    bool known = worker->elapsed_ns > 0 && (json_array_size(rates) == 0 || json_is_real(sum));
    double rate = worker->elapsed_ns == 0 ? 0
                                          : (double)worker->lockstep.counts.completed *
                                                (double)NS_PER_SEC / (double)worker->elapsed_ns;
    json_array_append_new(rates, worker->elapsed_ns == 0 ? json_null() : json_real(rate));
    json_object_set_new(report, "completed_per_sec",
                        known ? json_real(json_real_value(sum) + rate) : json_null());
}

static void add_client(json_t *report, const struct null_worker *worker)
{
    const struct lockstep_counts *counts = &worker->lockstep.counts;
    /* Duplicates would make more late ones than were given up: then the sums do not hold. */
    uint64_t late = counts->late < counts->given_up ? counts->late : counts->given_up;
    add(report, "attempted", counts->begun);
    add(report, "completed", counts->completed);
    add(report, "failed", counts->failed);
    add(report, "open_at_end", counts->begun - counts->completed - counts->failed);
    add(report, "frames_awaited", counts->awaited);
    add(report, "frames_arrived", counts->arrived);
    add(report, "frames_late", counts->late);
    add(report, "frames_lost", counts->given_up - late);
    add(report, "frames_in_flight", lockstep_in_flight(&worker->lockstep));
}

static void add_server(json_t *report, const struct null_worker *worker)
{
    add(report, "frames_answered", worker->answered);
    add(report, "frames_last", worker->last_acks);
}

void null_report_add(json_t *report, const struct null_worker *worker)
{
    add_rate(report, worker);
    add(report, "frames_sent", worker->sent);
    add(report, "frames_received", worker->received);
    add(report, "frames_foreign", worker->foreign);
    add(report, "no_room", worker->no_room);
    if (worker->config.is_client) {
        add_client(report, worker);
    } else {
        add_server(report, worker);
    }
    if (!null_worker_adds_up(worker)) {
        json_object_set_new(report, "sums_hold", json_false());
    }
}
