#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "stat/display.h"
#include "stat/document.h"
#include "stat/feed.h"
#include "stat/namespace.h"
#include "stat/observer.h"
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

/* What one count gave. */
struct counted {
    struct census_result result;
    struct sample_head head;
    struct sample sample;
};

/* Counts by a census of its own, or by the walk over owners that a filter asks for. */
static int count_once(const struct stat_settings *settings, struct observer *observer,
                      struct counted *counted, struct failure *failure)
{
    struct census_passed_over passed_over = {0};
    struct census *census = NULL;
    int error = observer == NULL ? 0 : observer_open_census(observer, &census, failure);
    if (error == 0 && census == NULL) {
        error = census_open(&census, (enum census_method)settings->options->method, &passed_over,
                            failure);
    }
    if (error < 0) {
        return error;
    }
    struct sample_head *head = &counted->head;
    snprintf(head->method, sizeof(head->method), "%s", census_method(census));
    sample_head_add_missing(head, passed_over.text);
    const struct census_request request = stat_settings_request(settings);
    error = census_run(census, &request, &counted->result);
    census_close(census);
    if (error < 0) {
        return failure_set(failure, -error, "the sockets cannot be counted by %s: %s", head->method,
                           strerror(-error));
    }
    counted->sample.census_count = 1;
    counted->sample.census = (struct watch_census){.stamp = counted->result.stamp,
                                                   .v4 = counted->result.v4,
                                                   .v6 = counted->result.v6,
                                                   .total = counted->result.total};
    return 0;
}

/* Counts, and finds owners where they are asked for; the transitions have only begun. */
static int find_once(const struct stat_settings *settings, struct counted *counted,
                     struct failure *failure)
{
    struct observer *observer = NULL;
    int error = 0;
    if (settings->has_by || stat_settings_names_owner(settings)) {
        error = observer_open(&observer, settings, &counted->head, failure);
    }
    if (error == 0) {
        error = count_once(settings, observer, counted, failure);
    }
    if (error == 0 && observer != NULL) {
        if (observer_walks(observer)) {
            observer_walk(observer);
        }
        observer_add(observer, 0, &counted->sample);
        counted->sample.has_transitions = false;
    }
    observer_close(observer);
    return error;
}

static bool prints_lines(const struct stat_options *options)
{
    return options->json == NULL || strcmp(options->json, "-") != 0;
}

static int show_once(const struct stat_settings *settings, const struct counted *counted,
                     struct failure *failure)
{
    const struct sample *sample = &counted->sample;
    if (prints_lines(settings->options) && settings->options->stack != NULL) {
        display_print_states(&counted->result, stdout);
        display_print_method(counted->head.method, counted->head.missing, stdout);
    } else if (prints_lines(settings->options)) {
        display_print_table(&counted->result, sample->values[WATCH_time_wait], stdout);
        display_print_owners(&counted->head, sample, stdout);
        display_print_method(counted->head.method, counted->head.missing, stdout);
    }
    return settings->options->json == NULL
               ? 0
               : document_write_once(settings, &counted->head, sample, failure);
}

/* Asks a stack, whose first sample is there once its feed is open. */
static int ask_stack(const struct stat_settings *settings, struct counted *counted,
                     struct failure *failure)
{
    struct feed *feed;
    struct sample *sample = &counted->sample;
    int error = feed_open_stack(&feed, settings, failure);
    if (error < 0) {
        return error;
    }
    error = feed->ops->next(feed, sample, failure);
    counted->head = feed->head;
    counted->result = (struct census_result){
        .stamp = sample->census.stamp, .v4 = sample->census.v4, .total = sample->census.total};
    sample->has_transitions = false;
    feed->ops->close(feed);
    return error == FEED_SAMPLE ? 0 : error;
}

static int ask_kernel(const struct stat_settings *settings, struct counted *counted,
                      struct failure *failure)
{
    struct utsname kernel;
    if (uname(&kernel) == 0) {
        snprintf(counted->head.kernel, sizeof(counted->head.kernel), "%s", kernel.release);
    }
    const char *netns = settings->options->netns;
    int error = netns == NULL ? 0 : namespace_enter_named(netns, failure);
    if (error == 0) {
        error = find_once(settings, counted, failure);
    }
    return error != 0 ? error : read_time_wait(&counted->sample.values[WATCH_time_wait], failure);
}

int run_once(const struct stat_settings *settings, struct failure *failure)
{
    struct counted *counted = calloc(1, sizeof(*counted));
    if (counted == NULL) {
        return failure_set(failure, ENOMEM, "no memory to count");
    }
    int error = settings->options->stack != NULL ? ask_stack(settings, counted, failure)
                                                 : ask_kernel(settings, counted, failure);
    if (error == 0) {
        error = show_once(settings, counted, failure);
    }
    census_result_free(&counted->result);
    free(counted);
    return error;
}
