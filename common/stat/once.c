#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "stat/display.h"
#include "stat/document.h"
#include "stat/namespace.h"
#include "stat/run.h"
#include "tcpstat/tcpstat.h"

static int read_time_wait(uint64_t *live, struct failure *failure)
{
    struct tcpstat_counters *counters;
    int error = tcpstat_counters_open(&counters, failure);
    if (error < 0) {
        return error;
    }
    error = tcpstat_counters_read_time_wait(counters, live);
    tcpstat_counters_close(counters);
    if (error < 0) {
        return failure_set(failure, -error, "/proc/net/sockstat cannot be read: %s",
                           strerror(-error));
    }
    return 0;
}

/* What one count gave, and by which means. */
struct counted {
    struct census_result result;
    const char *method;
    struct census_passed_over passed_over;
};

static int count_once(const struct stat_settings *settings, struct counted *counted,
                      struct failure *failure)
{
    struct census *census;
    int error = census_open(&census, (enum census_method)settings->options->method,
                            &counted->passed_over, failure);
    if (error < 0) {
        return error;
    }
    counted->method = census_method(census);
    const struct census_request request = stat_settings_request(settings);
    error = census_run(census, &request, &counted->result);
    census_close(census);
    if (error < 0) {
        return failure_set(failure, -error, "the sockets cannot be counted by %s: %s",
                           counted->method, strerror(-error));
    }
    return 0;
}

static bool prints_lines(const struct stat_options *options)
{
    return options->json == NULL || strcmp(options->json, "-") != 0;
}

int run_once(const struct stat_settings *settings, struct failure *failure)
{
    struct counted counted = {0};
    uint64_t time_wait_live = 0;
    const char *netns = settings->options->netns;
    int error = netns == NULL ? 0 : namespace_enter_named(netns, failure);
    if (error == 0) {
        error = count_once(settings, &counted, failure);
    }
    if (error == 0) {
        error = read_time_wait(&time_wait_live, failure);
    }
    if (error == 0 && prints_lines(settings->options)) {
        display_print_table(&counted.result, time_wait_live, stdout);
        display_print_method(counted.method, counted.passed_over.text, stdout);
    }
    if (error == 0 && settings->options->json != NULL) {
        error =
            document_write_once(settings, &counted.result, counted.method, time_wait_live, failure);
    }
    census_result_free(&counted.result);
    return error;
}
