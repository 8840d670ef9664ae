/* Runs a comparison's trials; see compare.h. Layer: bench/lab. */
#include "compare.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "command.h"
#include "netns.h"
#include "offload.h"
#include "report/report.h"
#include "table.h"

#define PROGRAM "finwait-lab"
#define CODE_INVALID 3
#define CODE_FAILED 4

#define WARM_ERROR_MAX 0.05

/* Long enough for thousands of connections to be opened by sanitized programs. */
#define HOLD_NS (2 * NS_PER_SEC)

/* Congestion control of every row: what Debian has and the stack speaks too. Reno, which every
 * namespace may have, where the host keeps cubic from them. */
static const char *const congestion_controls[] = {"cubic", "reno", NULL};

int compare_check(const struct compare_options *options, struct failure *failure)
{
    struct compare compare;
    int error = compare_plan(&compare, options, failure);
    for (uint32_t i = 0; error == 0 && i < compare.groups[0].count; i++) {
        const struct cell_spec *spec = &compare.groups[0].contenders[i].spec;
        error = place_check_program(&compare.place, command_server_program(spec->server), failure);
        error = error != 0 ? error
                           : place_check_program(&compare.place,
                                                 command_client_program(spec->client), failure);
    }
    if (error == 0 && options->json != NULL) {
        error = result_path_check(options->json, failure);
    }
    compare_free(&compare);
    return error;
}

static void print_intro(const struct compare *compare)
{
    struct utsname system;
    uname(&system);
    const struct compare_options *options = compare->options;
    printf("finwait %s, Linux %s: %" PRIu64 " trials of %g s for each row, each in two fresh "
           "network namespaces\nover veth; client on CPU %s, server on CPU %s, closed loop, "
           "%" PRIu64 " in flight, 1 echo of 64 B a connection\n\n",
           FINWAIT_VERSION, system.release, options->pairs, compare->seconds,
           compare->place.client_cpus, compare->place.server_cpus, options->in_flight);
    if (options->warm_up_ns > 0) {
        printf("Each after %.1f s of the same load%s\n\n",
               (double)options->warm_up_ns / (double)NS_PER_SEC,
               options->warm_up_ns >= COMPARE_STEADY_NS ? ": the steady state of TIME_WAIT"
                                                        : ": shorter than TIME_WAIT's 60 s");
    }
    fflush(stdout);
}

static struct compare_note *add_note(struct contender *contender, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Counts one more trial with this note. What is beyond the room is left out: NULL. */
static struct compare_note *add_note(struct contender *contender, const char *format, ...)
{
    char text[COMPARE_NOTE_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    uint32_t at = 0;
    while (at < contender->note_count && strcmp(contender->notes[at].text, text) != 0) {
        at++;
    }
    if (at == COMPARE_NOTES_MAX) {
        return NULL;
    }
    struct compare_note *note = &contender->notes[at];
    if (at == contender->note_count) {
        *note = (struct compare_note){.trials = 0};
        memcpy(note->text, text, sizeof(text));
        contender->note_count++;
    }
    note->trials++;
    return note;
}

static void add_limits(struct contender *contender, const json_t *report, const char *who)
{
    const json_t *limits = json_object_get(json_object_get(report, "verdict"), "limits");
    for (size_t i = 0; i < json_array_size(limits); i++) {
        const json_t *limit = json_array_get(limits, i);
        const char *code = json_string_value(json_object_get(limit, "code"));
        const char *weight = json_string_value(json_object_get(limit, "weight"));
        const char *sentence = json_string_value(json_object_get(limit, "text"));
        struct compare_note *note = add_note(contender, "%s, %s: %s", weight == NULL ? "?" : weight,
                                             who, code == NULL ? "?" : code);
        if (note != NULL && note->sentence == NULL && sentence != NULL) {
            note->sentence = strdup(sentence); /* without memory the code has to do */
        }
    }
}

/* A machine that did other work as well has shared its CPUs with the trial. */
static void add_calm(struct contender *contender, const struct calm *calm, const char *what)
{
    if (!calm->known) {
        add_note(contender, "%s: whether the machine was quiet is unknown", what);
    } else if (!calm->quiet) {
        add_note(contender, "%s: the machine was busy with something else before it", what);
    }
}

/* Tells whether two known counts differ by more than the kernel's timer does from its mean, and a
 * second that they are apart: TIME_WAIT has ended meanwhile. */
static bool differs_warm(double count, double expected)
{
    return fabs(count - expected) > WARM_ERROR_MAX * expected;
}

/* Tells whether the TIME_WAIT of a trial are known, and not what was expected. */
static bool differs(const struct cell_spec *spec, const struct measures *measures,
                    const struct cell_result *result)
{
    const double *values = measures->values;
    const double client = values[MEASURE_CLIENT_TIME_WAIT];
    const double server = values[MEASURE_SERVER_TIME_WAIT];
    if (spec->warm_up_ns > 0) {
        return differs_warm(client, values[MEASURE_CLIENT_EXPECTED]) ||
               differs_warm(server, values[MEASURE_SERVER_EXPECTED]);
    }
    return !isnan(client) && !isnan(server) && !table_as_expected(spec, result);
}

/* Notes on a trial's own numbers, which two sources have told. */
static void add_checks(struct contender *contender, const struct measures *measures,
                       const struct cell_result *result)
{
    const double *values = measures->values;
    if (differs(&contender->spec, measures, result)) {
        add_note(contender, "TIME_WAIT differ from what the closing table expects");
    }
    double told = values[MEASURE_SEGMENTS_TOLD], seen = values[MEASURE_SEGMENTS];
    if (fabs(told / seen - 1) > 0.02) {
        add_note(contender, "segments told and packets on the link differ by more than 2%%");
    }
}

/* Keeps what is the same in all reports from the first that has it. */
static void keep_host(struct compare *compare, const struct cell_spec *spec,
                      const struct cell_result *result)
{
    if (compare->host == NULL) {
        compare->host = json_incref(json_object_get(result->client, "host"));
    }
    if (compare->sysctls == NULL && lab_kind_is_kernel(spec->client)) {
        compare->sysctls = json_incref(json_object_get(result->client, "sysctls"));
    }
}

/* Reads how a pair's offloads stand, in the client's namespace. */
static void keep_offloads(struct compare *compare, const struct netns_pair *pair)
{
    int own_fd = compare->offloads[0] == '\0' ? netns_open_own() : -1;
    if (own_fd >= 0 && netns_enter(pair->client_fd) == 0) {
        offloads_describe(NETNS_LINK, compare->offloads);
        netns_enter(own_fd);
    }
    if (own_fd >= 0) {
        close(own_fd);
    }
}

static int make_pair(const struct compare *compare, const struct cell_spec *spec,
                     struct netns_pair *pair, struct failure *failure)
{
    const struct compare_options *options = compare->options;
    struct netns_tuning tuning = {
        .hash_entries = options->hash_entries,
        .time_wait_max = options->time_wait_max,
        .congestion_controls = congestion_controls,
        .offloads_off = options->offloads == COMPARE_OFFLOADS_OFF,
        .ipv4_only = true,
    };
    cell_tune(&tuning, spec);
    return netns_pair_make(pair, &tuning, failure);
}

/* Runs one cell in a pair of its own, once the machine is quiet. */
static void run_cell(struct compare *compare, struct keeper *keeper, const struct cell_spec *spec,
                     struct cell_result *result)
{
    struct cell_watcher watcher = {.progress = NULL};
    struct failure failure;
    struct netns_pair pair;
    struct calm calm;
    *result = (struct cell_result){.outcome = CELL_INTERRUPTED};
    if (!usage_await_quiet(keeper, &calm)) {
        return;
    }
    if (make_pair(compare, spec, &pair, &failure) != 0) {
        result->outcome = CELL_FAILED;
        snprintf(result->reason, CELL_REASON_MAX, "%.200s", failure.text);
        return;
    }
    keep_offloads(compare, &pair);
    cell_run(result, spec, &pair, keeper, &watcher);
    result->calm = calm;
    netns_pair_close(&pair);
}

static void print_progress(const struct compare *compare, const struct contender *contender,
                           uint32_t round)
{
    char name[COMPARE_NAME_MAX];
    printf("%2" PRIu32 " of %" PRIu64 "  %s/%s  %-40s ", round + 1, compare->options->pairs,
           contender->spec.closer, contender->spec.close, compare_name(contender, name));
    if (contender->failed) {
        printf("failed: %s\n", contender->reason);
    } else {
        printf("%8.0f connections/s\n", contender->trials[round].values[MEASURE_COMPLETED_PER_SEC]);
    }
    fflush(stdout);
}

/* Runs one trial and keeps what it measured. Returns false when a signal asked to stop. */
static bool run_trial(struct compare *compare, struct keeper *keeper, struct contender *contender,
                      uint32_t round)
{
    struct cell_result result;
    run_cell(compare, keeper, &contender->spec, &result);
    if (result.outcome == CELL_DONE) {
        struct measures *measures = &contender->trials[round];
        measure_trial(measures, &contender->spec, &result);
        keep_host(compare, &contender->spec, &result);
        add_calm(contender, &result.calm, "trial");
        add_limits(contender, result.client, "client");
        add_limits(contender, result.server, "server");
        add_checks(contender, measures, &result);
        contender->invalid = contender->invalid || result.client_code == CODE_INVALID;
        contender->done = round + 1;
        if (isnan(measures->values[MEASURE_COMPLETED_PER_SEC])) {
            contender->failed = true;
            snprintf(contender->reason, CELL_REASON_MAX, "the client's report has no rate");
        }
        if (result.client_code == CODE_FAILED) {
            contender->failed = true;
            snprintf(contender->reason, CELL_REASON_MAX, "%.0f connections failed",
                     measures->values[MEASURE_FAILED]);
        }
    } else if (result.outcome == CELL_FAILED) {
        contender->failed = true;
        memcpy(contender->reason, result.reason, CELL_REASON_MAX);
    }
    bool go_on = result.outcome != CELL_INTERRUPTED;
    cell_result_free(&result);
    if (go_on) {
        print_progress(compare, contender, round);
    }
    return go_on;
}

/* Holds connections once, to see what memory they take. Returns false when a signal asked to stop.
 */
static bool run_memory(struct compare *compare, struct keeper *keeper, struct contender *contender)
{
    if (contender->failed || lab_kind_is_null(contender->spec.client) ||
        compare->options->memory_conns == 0) {
        return true;
    }
    struct cell_spec spec = contender->spec;
    struct cell_result result;
    spec.in_flight = (uint32_t)compare->options->memory_conns;
    spec.hold_ns = HOLD_NS;
    spec.warm_up_ns = 0;
    spec.closer = "client"; /* who will close is nothing to an open connection */
    spec.close = "rst";     /* TIME_WAIT would be in a stack's memory beside them */
    run_cell(compare, keeper, &spec, &result);
    if (result.outcome == CELL_DONE) {
        contender->held_bytes = measure_held_bytes(&spec, &result);
        add_calm(contender, &result.calm, "memory");
        if (isnan(contender->held_bytes)) {
            add_note(contender, "memory of a connection is unknown");
        }
    } else if (result.outcome == CELL_FAILED) {
        add_note(contender, "memory was not measured: %.60s", result.reason);
    }
    bool go_on = result.outcome != CELL_INTERRUPTED;
    cell_result_free(&result);
    return go_on;
}

static bool run_group(struct compare *compare, struct keeper *keeper, uint32_t index)
{
    struct compare_group *group = &compare->groups[index];
    uint32_t order[COMPARE_CONTENDERS_MAX];
    struct rng rng;
    rng_seed(&rng, compare->options->seed + index);
    for (uint32_t round = 0; round < compare->options->pairs; round++) {
        stats_order_round(order, group->count, round, &rng);
        for (uint32_t i = 0; i < group->count; i++) {
            struct contender *contender = &group->contenders[order[i]];
            /* The first trial that fails ends a row: its figure is missing for good. */
            if (!contender->failed && !run_trial(compare, keeper, contender, round)) {
                return false;
            }
        }
    }
    return true;
}

/* Measures the first group's connections; all groups have the same contenders in the same order. */
static bool run_memories(struct compare *compare, struct keeper *keeper)
{
    for (uint32_t i = 0; i < compare->groups[0].count; i++) {
        struct contender *contender = &compare->groups[0].contenders[i];
        if (!run_memory(compare, keeper, contender)) {
            return false;
        }
        for (uint32_t k = 1; k < compare->group_count; k++) {
            compare->groups[k].contenders[i].held_bytes = contender->held_bytes;
        }
    }
    return true;
}

/* The gravest outcome decides: failed, then invalid. */
static int decide_code(const struct compare *compare)
{
    int code = 0;
    for (uint32_t i = 0; i < compare->group_count; i++) {
        for (uint32_t k = 0; k < compare->groups[i].count; k++) {
            const struct contender *contender = &compare->groups[i].contenders[k];
            if (contender->failed) {
                return CODE_FAILED;
            }
            code = contender->invalid ? CODE_INVALID : code;
        }
    }
    return code;
}

/* Runs all groups; what is there by a signal is kept. */
static void run_groups(struct compare *compare, struct keeper *keeper)
{
    for (uint32_t i = 0; i < compare->group_count && !compare->interrupted; i++) {
        compare->interrupted = !run_group(compare, keeper, i);
    }
    compare->interrupted = compare->interrupted || !run_memories(compare, keeper);
}

int compare_run(struct keeper *keeper, const struct compare_options *options)
{
    struct compare compare;
    struct failure failure;
    int error = compare_plan(&compare, options, &failure);
    if (error == 0) {
        print_intro(&compare);
        run_groups(&compare, keeper);
        compare_print(&compare, stdout);
        if (options->json != NULL) {
            error = compare_write_json(&compare, options->json, &failure);
        }
    }
    int code = compare.interrupted ? 128 + keeper->last_signal : decide_code(&compare);
    if (error != 0) {
        log_line(PROGRAM, "%s", failure.text);
        code = CODE_FAILED;
    }
    compare_free(&compare);
    return code;
}
