/* Measures; see measure.h. Layer: bench/lab. */
#include "measure.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "table.h"

/* Fewer TIME_WAIT than this are lost among what else comes and goes in the kernel's memory. */
#define TIME_WAIT_MIN 5000

static const char *const keys[MEASURE_COUNT] = {
#define MEASURE(name, key, help) [MEASURE_##name] = (key),
#include "measures.def"
#undef MEASURE
};

const char *measure_key(enum measure measure)
{
    return keys[measure];
}

double measure_completed(const json_t *report, double from_sec, double until_sec)
{
    enum { COLUMN_ELAPSED = 0, COLUMN_COMPLETED = 2 };
    const json_t *series = json_object_get(report, "series");
    double sum = 0, covered = 0, before = 0;
    for (size_t i = 0; i < json_array_size(series); i++) {
        const json_t *row = json_array_get(series, i);
        double at = json_number_value(json_array_get(row, COLUMN_ELAPSED));
        double first = fmax(before, from_sec), last = fmin(at, until_sec);
        if (last > first) {
            sum += json_number_value(json_array_get(row, COLUMN_COMPLETED)) * (last - first);
            covered += last - first;
        }
        before = at;
    }
    double wanted = until_sec - from_sec;
    return covered >= wanted / 2 && wanted > 0 ? sum * wanted / covered : (double)NAN;
}

/* How long the TIME_WAIT of an end lasts: the kernel's mean, 60 s and half of its timer's granule
 * at HZ 250; the stack's 2MSL as it comes. */
static double lifetime_sec(enum lab_kind kind)
{
    return lab_kind_is_kernel(kind) ? 61 : 60;
}

/* Computes how many of the run's TIME_WAIT are there still at its end. */
static double expect_left(const struct cell_spec *spec, const json_t *report, enum lab_kind kind)
{
    double whole_sec = (double)(spec->warm_up_ns + spec->duration_ns) / (double)NS_PER_SEC;
    return measure_completed(report, fmax(0, whole_sec - lifetime_sec(kind)), whole_sec);
}

static void measure_cpu(double *values, const struct usage *usage, double completed)
{
    if (usage->cpus == 0 || !(completed > 0)) {
        return;
    }
    values[MEASURE_CPU] = (double)usage->busy_ns / completed;
    values[MEASURE_CPU_ERROR] = usage_error_ns(usage, usage->busy_ns) / completed;
    values[MEASURE_SOFTIRQ] = (double)usage->softirq_ns / completed;
    values[MEASURE_SOFTIRQ_ERROR] = usage_error_ns(usage, usage->softirq_ns) / completed;
    values[MEASURE_STEAL] = (double)usage->steal_ns / completed;
}

/* The client's end of the link sees every packet once. */
static void measure_traffic(double *values, const struct cell_result *result, double completed)
{
    const struct observer_traffic *traffic = &result->traffic;
    double packets = (double)(traffic->sent_packets + traffic->received_packets);
    if (!(packets > 0) || !(completed > 0)) {
        return;
    }
    values[MEASURE_SEGMENTS] = packets / completed;
    values[MEASURE_BYTES] = (double)(traffic->sent_bytes + traffic->received_bytes) / completed;
    if (result->usage.cpus > 0) {
        values[MEASURE_NS_PER_PACKET] = (double)result->usage.busy_ns / packets;
    }
}

static void measure_latency(double *values, const json_t *report)
{
    static const struct {
        enum measure measure;
        const char *path;
    } latencies[] = {
        {MEASURE_CONNECT_P50, "latency/connect/from_start/p50"},
        {MEASURE_CONNECT_P99, "latency/connect/from_start/p99"},
        {MEASURE_CONNECT_MAX, "latency/connect/from_start/p100"},
        {MEASURE_ECHO_P50, "latency/echo/from_start/p50"},
        {MEASURE_ECHO_P99, "latency/echo/from_start/p99"},
        {MEASURE_ECHO_MAX, "latency/echo/from_start/p100"},
    };
    for (size_t i = 0; i < sizeof(latencies) / sizeof(latencies[0]); i++) {
        values[latencies[i].measure] = table_number(report, latencies[i].path);
    }
}

/* Computes what a TIME_WAIT takes in a stack, by what the stack says of itself: the record and its
 * share of the table that finds it; the few open connections' share is in it too. */
static double stack_time_wait_bytes(const json_t *report)
{
    const json_t *memory = json_object_get(json_object_get(report, "counters"), "stack_memory");
    double records = table_number(memory, "time_wait_records");
    if (!(records >= TIME_WAIT_MIN)) {
        return (double)NAN;
    }
    return (table_number(memory, "time_wait_memory_bytes") +
            table_number(memory, "index_memory_bytes")) /
           records;
}

/* Computes the memory of one TIME_WAIT: of the kernel, by what its slabs grew; else of a stack. NaN
 * when it is not known, or too little to stand out. */
static double time_wait_bytes(const struct cell_spec *spec, const struct cell_result *result,
                              double client, double server)
{
    double in_kernel = (lab_kind_is_kernel(spec->client) ? client : 0) +
                       (lab_kind_is_kernel(spec->server) ? server : 0);
    if (result->slabs_known && in_kernel >= TIME_WAIT_MIN) {
        return (double)result->slab_bytes / in_kernel;
    }
    double in_client = stack_time_wait_bytes(result->client);
    return isnan(in_client) ? stack_time_wait_bytes(result->server) : in_client;
}

static void measure_time_wait(double *values, const struct cell_spec *spec,
                              const struct cell_result *result, double completed)
{
    double client = table_time_wait(spec, result, true);
    double server = table_time_wait(spec, result, false);
    struct table_expected expected = table_expect(spec, completed > 0 ? (uint64_t)completed : 0);
    values[MEASURE_CLIENT_TIME_WAIT] = client;
    values[MEASURE_SERVER_TIME_WAIT] = server;
    values[MEASURE_CLIENT_EXPECTED] = expected.client;
    values[MEASURE_SERVER_EXPECTED] = expected.server;
    if (spec->warm_up_ns > 0 && expected.client > 0) {
        values[MEASURE_CLIENT_EXPECTED] = expect_left(spec, result->client, spec->client);
    }
    if (spec->warm_up_ns > 0 && expected.server > 0) {
        values[MEASURE_SERVER_EXPECTED] = expect_left(spec, result->client, spec->server);
    }
    values[MEASURE_MEMORY_TIME_WAIT] = time_wait_bytes(spec, result, client, server);
}

void measure_trial(struct measures *measures, const struct cell_spec *spec,
                   const struct cell_result *result)
{
    double *values = measures->values;
    for (int i = 0; i < MEASURE_COUNT; i++) {
        values[i] = (double)NAN;
    }
    double completed = table_number(result->client, "completed");
    values[MEASURE_COMPLETED_PER_SEC] = table_number(result->client, "completed_per_sec");
    values[MEASURE_FAILED] = table_number(result->client, "failed");
    values[MEASURE_SEGMENTS_TOLD] = table_number(result->client, "segments_per_conn");
    values[MEASURE_BUSY_BEFORE] = result->calm.known ? result->calm.busy_cpus : (double)NAN;
    measure_latency(values, result->client);
    measure_time_wait(values, spec, result, completed);
    if (spec->warm_up_ns > 0) {
        double from_sec = (double)spec->warm_up_ns / (double)NS_PER_SEC;
        double seconds = (double)spec->duration_ns / (double)NS_PER_SEC;
        completed = measure_completed(result->client, from_sec, from_sec + seconds);
        values[MEASURE_COMPLETED_PER_SEC] = completed / seconds;
        /* The two moments are a little more than the duration apart. */
        completed *= (double)result->usage.at_ns / (double)spec->duration_ns;
    }
    measure_cpu(values, &result->usage, completed);
    measure_traffic(values, result, completed);
}

double measure_held_bytes(const struct cell_spec *spec, const struct cell_result *result)
{
    if (table_number(result->client, "open_max") != (double)spec->in_flight) {
        return (double)NAN;
    }
    double bytes = result->held_server_known ? (double)result->held_server_bytes : (double)NAN;
    if (lab_kind_is_kernel(spec->client) || lab_kind_is_kernel(spec->server)) {
        bytes += result->held_slabs_known ? (double)result->held_slab_bytes : (double)NAN;
    }
    /* The load generator knows its own by its allocator; a sanitized one does not. */
    return bytes / spec->in_flight + table_number(result->client, "bytes_per_conn");
}
