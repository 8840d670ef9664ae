/* finwait-loadgen: opens, uses and closes TCP connections by a schedule, and says what came of
 * each.
 *
 * Layer: loadgen (L5), the program. Only this file prints errors and decides the exit code. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "base/log.h"
#include "loadgen/options.h"
#include "loadgen/outputs.h"
#include "loadgen/report.h"
#include "loadgen/run.h"
#include "report/report.h"

#define LOADGEN_NAME "finwait-loadgen"

enum loadgen_exit {
    LOADGEN_EXIT_USAGE = 2,
    LOADGEN_EXIT_INVALID = 3,
};

struct gates {
    uint32_t count;
    struct gate list[CLI_LIST_MAX];
};

static int gates_parse(struct gates *gates, const struct cli_list *texts, struct failure *failure)
{
    gates->count = texts->count;
    for (uint32_t i = 0; i < texts->count; i++) {
        int rc = gate_parse(&gates->list[i], texts->values[i], failure);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

static int gates_judge(const struct gates *gates, struct result *result)
{
    int rc = 0;
    for (uint32_t i = 0; i < gates->count && rc == 0; i++) {
        char reason[GATE_REASON_MAX];
        if (gate_fails(&gates->list[i], result, reason)) {
            rc = result_add_limit(result, RESULT_TARGET_FAILED, "fail-if", "%s", reason);
        }
    }
    return rc;
}

/* Takes all the descriptors that the system allows; where that is too few, connections will fail
 * with a name. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/* With --quiet, a run that gives no 0 still says why, a line for each reason. */
static void say_why(const struct result *result)
{
    for (uint32_t i = 0; i < result->limit_count; i++) {
        const struct result_limit *limit = &result->limits[i];
        if (limit->weight != RESULT_NOTE) {
            log_line(LOADGEN_NAME, "%s (%s): %s",
                     limit->weight == RESULT_INVALID ? "run invalid" : "target failed", limit->code,
                     limit->text);
        }
    }
}

static int write_out(const struct result *result, const struct loadgen_options *options,
                     struct failure *failure)
{
    bool json_on_stdout = options->json != NULL && strcmp(options->json, "-") == 0;
    int rc = 0;
    if (!options->quiet) {
        rc = result_write_text(result, json_on_stdout ? stderr : stdout);
        if (rc != 0) {
            return failure_set(failure, -rc, "cannot write the summary");
        }
    } else {
        say_why(result);
    }
    if (options->json != NULL) {
        rc = result_write_json(result, options->json, failure);
    }
    if (rc == 0 && options->hgrm != NULL) {
        rc = result_write_hgrm(result, options->hgrm, failure);
    }
    return rc;
}

/* What the report needs from main. */
struct occasion {
    int argc;
    char *const *argv;
    const struct gates *gates;
    const char *engine_why;
};

static int report(struct result *result, const struct run *run, const struct occasion *occasion,
                  struct failure *failure)
{
    int rc = result_set_command_line(result, occasion->argc, occasion->argv);
    rc = rc != 0 ? rc : result_set(&result->engine_why, occasion->engine_why);
    rc = rc != 0 ? rc : report_fill(result, run);
    rc = rc != 0 ? rc : gates_judge(occasion->gates, result);
    if (rc != 0) {
        return failure_set(failure, -rc, "cannot make the report: %s", strerror(-rc));
    }
    return write_out(result, &run->plan->options, failure);
}

static int make_run(const struct plan *plan, const struct occasion *occasion)
{
    struct failure failure;
    struct result result = {0};
    struct run run;
    int code = LOADGEN_EXIT_INVALID;
    int rc = run_make(&run, plan, &failure);
    if (rc == 0) {
        rc = result_init(&result, LOADGEN_NAME);
        rc = rc != 0 ? failure_set(&failure, -rc, "no memory for the report")
                     : report(&result, &run, occasion, &failure);
    }
    if (rc != 0) {
        log_line(LOADGEN_NAME, "%s", failure.text);
        /* What keeps the stack from its link or its addresses is what was asked for. */
        code = run.start_ns == 0 && plan->engine == TRANSPORT_STACK ? LOADGEN_EXIT_USAGE : code;
    } else {
        code = result_exit_code(&result);
    }
    result_destroy(&result);
    run_destroy(&run);
    return code;
}

static int choose_engine(struct plan *plan, struct failure *why)
{
    enum transport_engine wanted = plan->engine;
    int rc = transport_choose(wanted, &plan->engine, plan->features_off, why);
    if (rc == 0 && why->text[0] != '\0' && !plan->options.quiet) {
        log_line(LOADGEN_NAME, "using epoll: %s", why->text);
    }
    return rc;
}

/* Finds what would spoil the report before there is one. */
static int check_report(const struct loadgen_options *options, struct gates *gates,
                        struct failure *failure)
{
    int rc = gates_parse(gates, &options->fail_if, failure);
    return rc != 0 ? rc : outputs_check_all(options, failure);
}

static int generate(const struct loadgen_options *options, const struct cli_given *given, int argc,
                    char *const *argv)
{
    struct failure failure;
    struct gates gates;
    struct plan plan;
    int rc = check_report(options, &gates, &failure);
    rc = rc != 0 ? rc : plan_make(&plan, options, given, &failure);
    if (rc != 0) {
        log_line(LOADGEN_NAME, "%s", failure.text);
        return LOADGEN_EXIT_USAGE;
    }
    int code = LOADGEN_EXIT_USAGE;
    rc = choose_engine(&plan, &failure);
    if (rc != 0) {
        log_line(LOADGEN_NAME, "%s", failure.text);
    } else {
        code = make_run(&plan, &(struct occasion){
                                   .argc = argc,
                                   .argv = argv,
                                   .gates = &gates,
                                   .engine_why = failure.text[0] != '\0' ? failure.text : NULL,
                               });
    }
    plan_destroy(&plan);
    return code;
}

static int print_features(const struct loadgen_options *options)
{
    struct transport_stack_settings settings;
    struct transport_stack_config stack;
    struct transport_config config = {
        .engine = (enum transport_engine)options->engine, .conns_max = 1, .connects = true};
    struct failure failure;
    int rc = plan_features_off(options, &config.features_off, &failure);
    if (rc == 0 && config.engine == TRANSPORT_STACK) {
        rc = transport_stack_options_make(&settings, &options->stack, 1, &failure);
        stack = transport_stack_config_of(&settings, 0, 1, LINK_STEER_LOCAL_PORT);
        config.stack = &stack;
    }
    if (rc == 0) {
        rc = transport_features_print(&config, stdout, &failure);
    }
    if (rc != 0) {
        log_line(LOADGEN_NAME, "%s", failure.text);
    }
    return rc != 0 ? LOADGEN_EXIT_USAGE : 0;
}

int main(int argc, char **argv)
{
    struct loadgen_options options;
    struct cli_given given;
    struct failure failure;
    switch (cli_parse(&loadgen_program, argv, &options, &given, &failure)) {
    case CLI_HELP:
        cli_print_help(&loadgen_program, stdout);
        return 0;
    case CLI_VERSION:
        printf(LOADGEN_NAME " " FINWAIT_VERSION "\n");
        return 0;
    case CLI_MAN:
        cli_print_man(&loadgen_program, stdout);
        return 0;
    case CLI_BAD:
        log_line(LOADGEN_NAME, "%s", failure.text);
        return LOADGEN_EXIT_USAGE;
    case CLI_RUN:
        break;
    }
    /* A reader of the report that goes away must be an error, not the end. */
    signal(SIGPIPE, SIG_IGN);
    raise_descriptor_limit();
    if (options.print_features) {
        return print_features(&options);
    }
    return generate(&options, &given, argc, argv);
}
