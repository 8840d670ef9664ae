#include "stat/observer.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "tcpstat/owners.h"
#include "tcpstat/transitions.h"
#include "tcpstat/tuples.h"

/* Walks may take half of the budget: one part in so many per mille of it. */
#define WALK_SHARE (1000 * 2)

/* The newest of everything. */
struct observation {
    bool has_transitions;
    uint64_t transitions_ns; /* clock_now_ns */
    struct tcp_transitions matrix;
    uint64_t owners_ns; /* 0: none yet */
    uint64_t owners_cpu_ns;
    uint32_t owner_count;
    uint32_t owners_left_out;
    struct sample_owner owners[SAMPLE_OWNERS_MAX];
    char growth[OWNERS_GROWTH_TEXT_MAX]; /* "" : no CLOSE_WAIT grows */
    char tuples[TUPLES_TEXT_MAX];        /* "": no 4-tuples run out */
};

struct observer {
    const struct stat_settings *settings;
    struct transitions *transitions; /* NULL: not to be had here */
    struct owners *owners;           /* NULL: not wanted */
    struct tuples_ports ports;
    struct tuples_use *uses[2]; /* the walk before, and the last one */
    uint64_t walks;
    struct owners_growth growth;
    struct owners_result result;
    struct transitions_snapshot snapshot;
    pthread_t thread;
    bool was_started;

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t wake;
    bool stopping;
    uint64_t lifetime_ns; /* TIME_WAIT's, as the newest sample has it */
    struct observation latest;
};

/* Copies a name so that it can be shown and written as JSON: a process chooses its own. */
static void copy_name(char *to, size_t size, const char *from)
{
    snprintf(to, size, "%s", from);
    for (char *at = to; *at != '\0'; at++) {
        if (*at < ' ' || *at > '~') {
            *at = '?';
        }
    }
}

static void read_transitions(struct observer *observer, struct observation *found)
{
    if (observer->transitions == NULL ||
        transitions_read(observer->transitions, &observer->snapshot) < 0) {
        return;
    }
    found->has_transitions = true;
    found->transitions_ns = observer->snapshot.taken_ns;
    found->matrix = observer->snapshot.matrix;
}

static void keep_owners(const struct owners_result *result, struct observation *found)
{
    found->owners_ns = result->taken_ns;
    found->owners_cpu_ns = result->cpu_ns > 0 ? result->cpu_ns : 1;
    found->owner_count =
        result->row_count < SAMPLE_OWNERS_MAX ? result->row_count : SAMPLE_OWNERS_MAX;
    found->owners_left_out =
        result->groups > found->owner_count ? result->groups - found->owner_count : 0;
    for (uint32_t i = 0; i < found->owner_count; i++) {
        const struct owners_row *row = &result->rows[i];
        struct sample_owner *owner = &found->owners[i];
        copy_name(owner->name, sizeof(owner->name), row->name);
        owner->counts = row->counts;
        owner->time_wait_made = row->time_wait_made;
    }
}

/* Looks at every destination, and keeps the first warning that there is. */
static void forecast_tuples(struct observer *observer, uint64_t lifetime_ns,
                            struct observation *found)
{
    const struct tuples_use *earlier = observer->uses[observer->walks % 2];
    const struct tuples_use *later = observer->uses[(observer->walks + 1) % 2];
    found->tuples[0] = '\0';
    for (uint32_t i = 0; observer->walks > 1 && i < later->pair_count; i++) {
        struct tuples_forecast forecast;
        if (tuples_forecast(earlier, later, i, lifetime_ns, &forecast) &&
            tuples_warning(&forecast, &observer->ports, found->tuples)) {
            return;
        }
    }
}

/* Walks over all sockets once; returns what that cost. */
static uint64_t walk(struct observer *observer, uint64_t lifetime_ns, struct observation *found)
{
    const struct stat_settings *settings = observer->settings;
    const struct census_request filter = stat_settings_request(settings);
    const struct owners_request request = {
        .key = settings->by,
        .top = (uint32_t)settings->options->top,
        .filter = &filter,
        .tuples = observer->uses[observer->walks % 2],
    };
    const uint64_t cpu_ns = clock_thread_cpu_ns();
    if (owners_run(observer->owners, &request, &observer->result) == 0) {
        observer->walks++;
        keep_owners(&observer->result, found);
        forecast_tuples(observer, lifetime_ns, found);
        found->growth[0] = '\0';
        if (settings->by == OWNERS_BY_PID) {
            (void)owners_growth_update(&observer->growth, &observer->result, found->growth);
        }
    }
    return clock_thread_cpu_ns() - cpu_ns;
}

/* Sleeps until then, or until the end is wanted; true: it is. Requires the lock. */
static bool wait_until(struct observer *observer, uint64_t until_ns)
{
    const struct timespec until = {
        .tv_sec = (time_t)(until_ns / NS_PER_SEC),
        .tv_nsec = (long)(until_ns % NS_PER_SEC),
    };
    int error = 0;
    while (!observer->stopping && error == 0) {
        error = pthread_cond_timedwait(&observer->wake, &observer->lock, &until);
    }
    return observer->stopping;
}

static void *run(void *context)
{
    struct observer *observer = context;
    const uint64_t interval_ns = observer->settings->options->interval_ns;
    const uint32_t budget = observer->settings->budget_permille;
    struct observation found = {0};
    uint64_t walk_due_ns = observer->owners == NULL ? CLOCK_NEVER : 0; /* a budget of 0: none */
    uint64_t due_ns = clock_now_ns();
    pthread_mutex_lock(&observer->lock);
    while (!wait_until(observer, due_ns)) {
        const uint64_t lifetime_ns = observer->lifetime_ns;
        pthread_mutex_unlock(&observer->lock);
        const uint64_t now_ns = clock_now_ns();
        read_transitions(observer, &found);
        if (budget > 0 && now_ns >= walk_due_ns) {
            const uint64_t cost_ns = walk(observer, lifetime_ns, &found);
            walk_due_ns = now_ns + cost_ns * WALK_SHARE / budget;
        }
        due_ns = now_ns + interval_ns;
        pthread_mutex_lock(&observer->lock);
        observer->latest = found;
    }
    pthread_mutex_unlock(&observer->lock);
    return NULL;
}

/* Adds a sentence to what the machine cannot tell. */
static void add_missing(struct sample_head *head, const char *text)
{
    const size_t length = strlen(head->missing);
    snprintf(head->missing + length, sizeof(head->missing) - length, "%s%s", length > 0 ? "; " : "",
             text);
}

static int open_owners(struct observer *observer, struct sample_head *head, struct failure *failure)
{
    if (!observer->settings->has_by) {
        return 0;
    }
    int error = tuples_ports_read(&observer->ports, failure);
    for (int i = 0; error == 0 && i < 2; i++) {
        observer->uses[i] = calloc(1, sizeof(*observer->uses[i]));
        if (observer->uses[i] == NULL) {
            return failure_set(failure, ENOMEM, "no memory for the 4-tuples");
        }
        observer->uses[i]->ports = &observer->ports;
    }
    if (error == 0) {
        error = owners_open(&observer->owners, observer->transitions, failure);
    }
    if (error == 0) {
        snprintf(head->by, sizeof(head->by), "%s", observer->settings->by_name);
        if (owners_missing(observer->owners) != NULL) {
            add_missing(head, owners_missing(observer->owners));
        }
    }
    return error;
}

/* Starts the thread with all signals blocked: they are the session's. */
static int start(struct observer *observer, struct failure *failure)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int error = pthread_create(&observer->thread, NULL, run, observer);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != 0) {
        return failure_set(failure, error, "no thread to find owners: %s", strerror(error));
    }
    observer->was_started = true;
    return 0;
}

static void init_lock(struct observer *observer)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&observer->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&observer->lock, NULL);
}

int observer_open(struct observer **observer, const struct stat_settings *settings,
                  struct sample_head *head, struct failure *failure)
{
    struct observer *made = calloc(1, sizeof(*made));
    if (made == NULL) {
        return failure_set(failure, ENOMEM, "no memory to find owners");
    }
    made->settings = settings;
    made->lifetime_ns = TIMEWAIT_LIFETIME_ASSUMED_NS;
    init_lock(made);
    const struct census_request filter = stat_settings_request(settings);
    const struct transitions_config config = {.local_ports = filter.local_ports,
                                              .remote_ports = filter.remote_ports};
    struct failure why;
    /* The matrix has no filter for either port: with one, no rates are better than wrong ones. */
    if (filter.either_ports == NULL && transitions_open(&made->transitions, &config, &why) < 0) {
        made->transitions = NULL;
        add_missing(head, why.text);
    }
    int error = open_owners(made, head, failure);
    if (error == 0) {
        error = start(made, failure);
    }
    if (error < 0) {
        observer_close(made);
        return error;
    }
    *observer = made;
    return 0;
}

void observer_add(struct observer *observer, uint64_t origin_ns, struct sample *sample)
{
    pthread_mutex_lock(&observer->lock);
    const struct observation *latest = &observer->latest;
    observer->lifetime_ns = sample->time_wait.lifetime_ns;
    sample->has_transitions = latest->has_transitions && latest->transitions_ns >= origin_ns;
    if (sample->has_transitions) {
        sample->transitions_ns = latest->transitions_ns - origin_ns;
        sample->transitions = latest->matrix;
    }
    if (latest->owners_ns >= origin_ns) {
        sample->owners_ns = latest->owners_ns - origin_ns;
        sample->owners_cpu_ns = latest->owners_cpu_ns;
        sample->owner_count = latest->owner_count;
        sample->owners_left_out = latest->owners_left_out;
        memcpy(sample->owners, latest->owners, latest->owner_count * sizeof(latest->owners[0]));
    }
    if (latest->tuples[0] != '\0') {
        sample_add_note(sample, "%s", latest->tuples);
    }
    if (latest->growth[0] != '\0') {
        sample_add_note(sample, "%s", latest->growth);
    }
    pthread_mutex_unlock(&observer->lock);
}

void observer_close(struct observer *observer)
{
    if (observer == NULL) {
        return;
    }
    if (observer->was_started) {
        pthread_mutex_lock(&observer->lock);
        observer->stopping = true;
        pthread_cond_broadcast(&observer->wake);
        pthread_mutex_unlock(&observer->lock);
        pthread_join(observer->thread, NULL);
    }
    owners_close(observer->owners);
    owners_result_free(&observer->result);
    transitions_snapshot_free(&observer->snapshot);
    transitions_close(observer->transitions);
    free(observer->uses[0]);
    free(observer->uses[1]);
    pthread_cond_destroy(&observer->wake);
    pthread_mutex_destroy(&observer->lock);
    free(observer);
}
