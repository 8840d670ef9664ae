#include "stat/observer.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "stat/lasted.h"
#include "stat/ports.h"
#include "stat/present.h"
#include "tcpstat/census_owners.h"
#include "tcpstat/counters.h"
#include "tcpstat/owners.h"
#include "tcpstat/transitions.h"
#include "tcpstat/tuples.h"

/* What the last walk found. */
struct observation {
    uint64_t owners_ns; /* clock_now_ns; 0: none yet */
    uint64_t owners_cpu_ns;
    uint32_t owner_count;
    uint32_t owners_left_out;
    struct sample_owner owners[SAMPLE_OWNERS_MAX];
    uint64_t oldest_ns[TCP_STATE_COUNT];
    char growth[OWNERS_GROWTH_TEXT_MAX]; /* "" : no CLOSE_WAIT grows */
    char tuples[TUPLES_TEXT_MAX];        /* "": no 4-tuples run out */
};

struct observer {
    const struct stat_settings *settings;
    struct transitions *transitions; /* NULL: not to be had here */
    struct lasted lasted;
    struct ports *by_port;             /* NULL: transitions are not told apart by port */
    struct tcpstat_counters *counters; /* the census thread's; NULL: no census is carried on */

    /* The walking thread's. */
    struct owners *owners;     /* NULL: not wanted */
    struct cgroup_set cgroups; /* of --cgroup */
    struct tuples_ports ports;
    struct tuples_use *uses[2]; /* the walk before, and the last one */
    uint64_t walks;
    struct owners_growth growth;
    struct owners_result result;
    struct observation found;

    pthread_mutex_t lock; /* guards what follows */
    uint64_t lifetime_ns; /* TIME_WAIT's, as the newest sample has it */
    struct observation latest;
    struct transitions_snapshot snapshot; /* the transitions are read with the lock held */
    struct present_reading begin;         /* of the census under way, once it is */
    bool has_begin;
    struct present_base base; /* of the last census */
    bool has_base;
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

static void keep_owners(const struct owners_result *result, struct observation *found)
{
    found->owners_ns = result->taken_ns;
    found->owners_cpu_ns = result->cpu_ns > 0 ? result->cpu_ns : 1;
    found->owner_count =
        result->row_count < SAMPLE_OWNERS_MAX ? result->row_count : SAMPLE_OWNERS_MAX;
    found->owners_left_out =
        result->groups > found->owner_count ? result->groups - found->owner_count : 0;
    memcpy(found->oldest_ns, result->oldest_ns, sizeof(found->oldest_ns));
    for (uint32_t i = 0; i < found->owner_count; i++) {
        const struct owners_row *row = &result->rows[i];
        struct sample_owner *owner = &found->owners[i];
        copy_name(owner->name, sizeof(owner->name), row->name);
        owner->counts = row->counts;
        owner->time_wait_made = row->time_wait_made;
        memcpy(owner->oldest_ns, row->oldest_ns, sizeof(owner->oldest_ns));
    }
}

/* Looks at every destination, and keeps the first warning that there is. */
static void forecast_tuples(struct observer *observer, uint64_t lifetime_ns)
{
    const struct tuples_use *earlier = observer->uses[observer->walks % 2];
    const struct tuples_use *later = observer->uses[(observer->walks + 1) % 2];
    char *text = observer->found.tuples;
    text[0] = '\0';
    for (uint32_t i = 0; observer->walks > 1 && i < later->pair_count; i++) {
        struct tuples_forecast forecast;
        if (tuples_forecast(earlier, later, i, lifetime_ns, &forecast) &&
            tuples_warning(&forecast, &observer->ports, text)) {
            return;
        }
    }
}

static void take_result(struct observer *observer)
{
    pthread_mutex_lock(&observer->lock);
    const uint64_t lifetime_ns = observer->lifetime_ns;
    pthread_mutex_unlock(&observer->lock);
    struct observation *found = &observer->found;
    observer->walks++;
    keep_owners(&observer->result, found);
    forecast_tuples(observer, lifetime_ns);
    found->growth[0] = '\0';
    if (observer->settings->by == OWNERS_BY_PID) {
        (void)owners_growth_update(&observer->growth, &observer->result, found->growth);
    }
    pthread_mutex_lock(&observer->lock);
    observer->latest = *found;
    pthread_mutex_unlock(&observer->lock);
}

/* Walks for the rows of --by, and what passes the filters. Returns 0 or -errno. */
static int walk(struct observer *observer, const struct census_request *filter)
{
    const struct stat_settings *settings = observer->settings;
    if (settings->has_cgroup) {
        /* What is known already serves where the folder cannot be read any more. */
        (void)cgroup_set_read(&observer->cgroups, settings->cgroup.folder);
    }
    const struct owners_request request = {
        .key = settings->by,
        .top = (uint32_t)settings->options->top,
        .filter = filter,
        .pid = settings->pid,
        .cgroups = settings->has_cgroup ? &observer->cgroups : NULL,
        .tuples = observer->uses[observer->walks % 2],
    };
    const int error = owners_run(observer->owners, &request, &observer->result);
    if (error == 0) {
        take_result(observer);
    }
    return error;
}

void observer_walk(struct observer *observer)
{
    const struct census_request filter = stat_settings_request(observer->settings);
    (void)walk(observer, &filter); /* the next one may go better; the rows keep their age */
}

static int walk_for_census(void *context, const struct census_request *filter,
                           const struct owners_result **found)
{
    struct observer *observer = context;
    *found = &observer->result;
    return walk(observer, filter);
}

int observer_open_census(struct observer *observer, struct census **census, struct failure *failure)
{
    *census = NULL;
    if (!stat_settings_names_owner(observer->settings)) {
        return 0;
    }
    const struct census_owners_config config = {
        .owners = observer->owners, .walk = walk_for_census, .context = observer};
    return census_open_owners(census, &config, failure);
}

bool observer_walks(const struct observer *observer)
{
    return observer->owners != NULL && !stat_settings_names_owner(observer->settings);
}

/* Says that a process's sockets are elsewhere, most likely: it may have been given some of ours. */
static void add_other_namespace(uint32_t pid, struct sample_head *head)
{
    char path[64];
    char text[256];
    struct stat own;
    struct stat its;
    snprintf(path, sizeof(path), "/proc/%u/ns/net", pid);
    if (pid == 0 || stat("/proc/thread-self/ns/net", &own) < 0 || stat(path, &its) < 0 ||
        own.st_ino == its.st_ino) {
        return;
    }
    snprintf(text, sizeof(text),
             "process %u lives in another network namespace, where its own sockets are; --netns %u "
             "watches that",
             pid, pid);
    sample_head_add_missing(head, text);
}

static int open_owners(struct observer *observer, struct sample_head *head, struct failure *failure)
{
    if (!observer->settings->has_by && !stat_settings_names_owner(observer->settings)) {
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
            sample_head_add_missing(head, owners_missing(observer->owners));
        }
    }
    return error;
}

/* Makes what the transitions by port need, once these are open. */
static int open_ports(struct observer *observer, const struct ports_plan *plan,
                      struct sample_head *head, struct failure *failure)
{
    if (plan->by == TRANSITIONS_WHOLE) {
        return 0;
    }
    observer->by_port = ports_new(plan);
    if (observer->by_port == NULL) {
        return failure_set(failure, ENOMEM, "no memory to tell ports apart");
    }
    snprintf(head->ports_by, sizeof(head->ports_by), "%s", plan->name);
    head->ports_shown = plan->shown;
    return 0;
}

/* Opens the transitions, unless the method rules BPF out. Without them is a failure only where the
 * method rules everything else out. */
static int open_transitions(struct observer *observer, struct sample_head *head,
                            struct failure *failure)
{
    const struct stat_settings *settings = observer->settings;
    const struct census_request filter = stat_settings_request(settings);
    const struct ports_plan plan = ports_plan_make(settings);
    const struct transitions_config config = {
        .filter = &filter,
        .grouping = plan.by,
        .groups_max = plan.places,
        .groups_services = plan.named == NULL,
        .pid = settings->pid,
        /* Where transitions are told apart by it, there is no later. */
        .finds_holders_later = settings->pid == 0,
        .cgroup_id = settings->has_cgroup ? settings->cgroup.id : 0,
        .cgroup_level = settings->cgroup.level,
    };
    const bool names_owner = stat_settings_names_owner(settings);
    if (names_owner && settings->options->method == CENSUS_PROCFS) {
        return 0;
    }
    struct failure why;
    const int error = transitions_open(&observer->transitions, &config, &why);
    if (error == 0) {
        return open_ports(observer, &plan, head, failure);
    }
    observer->transitions = NULL;
    if (names_owner && settings->options->method == CENSUS_BPF) {
        return failure_set(failure, -error, "%s", why.text);
    }
    sample_head_add_missing(head, why.text);
    if (plan.by != TRANSITIONS_WHOLE) {
        sample_head_add_missing(head, "so nothing is told apart by port");
    }
    return 0;
}

/* Opens what a census is carried on by. Without it counts are as old as the census, which is said
 * beside them. A census by owner is not carried on: a socket may change its owner. */
static void open_present(struct observer *observer)
{
    if (observer->transitions == NULL || stat_settings_names_owner(observer->settings)) {
        return;
    }
    const struct census_request request = stat_settings_request(observer->settings);
    observer->base.states = request.states;
    observer->base.follows_time_wait =
        request.local_ports == NULL && request.remote_ports == NULL &&
        request.either_ports == NULL && !census_request_names_addresses(&request);
    struct failure ignored;
    if (tcpstat_counters_open(&observer->counters, &ignored) < 0) {
        observer->counters = NULL;
    }
}

int observer_open(struct observer **observer, const struct stat_settings *settings,
                  struct sample_head *head, struct failure *failure)
{
    struct observer *made = calloc(1, sizeof(*made));
    if (made == NULL) {
        return failure_set(failure, ENOMEM, "no memory to find owners");
    }
    made->settings = settings;
    add_other_namespace(settings->pid, head);
    made->lifetime_ns = TIMEWAIT_LIFETIME_ASSUMED_NS;
    pthread_mutex_init(&made->lock, NULL);
    int error = open_transitions(made, head, failure);
    if (error == 0) {
        error = open_owners(made, head, failure);
    }
    if (error < 0) {
        observer_close(made);
        return error;
    }
    open_present(made);
    *observer = made;
    return 0;
}

static bool read_present(struct observer *observer, struct present_reading *reading)
{
    if (observer->counters == NULL ||
        tcpstat_counters_read_time_wait(observer->counters, &reading->time_wait_live) < 0 ||
        transitions_read(observer->transitions, &observer->snapshot) < 0) {
        return false;
    }
    reading->matrix = observer->snapshot.matrix;
    return true;
}

void observer_note_census(struct observer *observer, const struct tcp_state_counts *counted)
{
    pthread_mutex_lock(&observer->lock);
    struct present_reading reading = {0};
    const bool is_read = read_present(observer, &reading);
    if (counted == NULL) {
        observer->has_begin = is_read;
        observer->begin = reading;
    } else {
        observer->has_base = is_read && observer->has_begin;
        observer->base.counted = *counted;
        observer->base.begin = observer->begin;
        observer->base.end = reading;
    }
    pthread_mutex_unlock(&observer->lock);
}

/* Requires the lock. */
static void add_present(const struct observer *observer, struct sample *sample)
{
    if (!observer->has_base || !sample->has_transitions) {
        return;
    }
    const struct present_reading now = {.matrix = sample->transitions,
                                        .time_wait_live = sample->values[WATCH_time_wait]};
    sample->has_present = true;
    present_follow(&observer->base, &now, &sample->present);
}

/* Requires the lock. */
static void add_transitions(struct observer *observer, uint64_t origin_ns, struct sample *sample)
{
    if (observer->transitions == NULL ||
        transitions_read(observer->transitions, &observer->snapshot) < 0) {
        return;
    }
    sample->has_transitions = true;
    sample->transitions_ns = observer->snapshot.taken_ns - origin_ns;
    sample->transitions = observer->snapshot.matrix;
    lasted_read(&observer->lasted, observer->transitions, LASTED_OF_ALL, &sample->transitions);
    memcpy(sample->lasted, observer->lasted.states, sizeof(sample->lasted));
    if (observer->by_port != NULL) {
        ports_add(observer->by_port, observer->transitions, &observer->snapshot, sample);
    }
}

static void add_owners(const struct observation *latest, uint64_t origin_ns, struct sample *sample)
{
    if (latest->owners_ns < origin_ns) {
        return;
    }
    sample->owners_ns = latest->owners_ns - origin_ns;
    sample->owners_cpu_ns = latest->owners_cpu_ns;
    sample->owner_count = latest->owner_count;
    sample->owners_left_out = latest->owners_left_out;
    memcpy(sample->oldest_ns, latest->oldest_ns, sizeof(sample->oldest_ns));
    memcpy(sample->owners, latest->owners, latest->owner_count * sizeof(latest->owners[0]));
}

void observer_add(struct observer *observer, uint64_t origin_ns, struct sample *sample)
{
    pthread_mutex_lock(&observer->lock);
    add_transitions(observer, origin_ns, sample);
    add_present(observer, sample);
    const struct observation *latest = &observer->latest;
    observer->lifetime_ns = sample->time_wait.lifetime_ns;
    add_owners(latest, origin_ns, sample);
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
    owners_close(observer->owners);
    owners_result_free(&observer->result);
    tcpstat_counters_close(observer->counters);
    transitions_snapshot_free(&observer->snapshot);
    transitions_close(observer->transitions);
    ports_free(observer->by_port);
    cgroup_set_free(&observer->cgroups);
    free(observer->uses[0]);
    free(observer->uses[1]);
    pthread_mutex_destroy(&observer->lock);
    free(observer);
}
