#include "stat/metrics.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "exporter/kernel.h"

static double seconds(uint64_t ns)
{
    return (double)ns / (double)NS_PER_SEC;
}

static void add_time_wait(struct openmetrics *out, const struct sample_head *head,
                          const struct timewait_estimate *estimate)
{
    static const struct openmetrics_family lifetime = {
        "finwait_tcp_time_wait_lifetime_seconds", OPENMETRICS_GAUGE, "seconds",
        "mean time that a TIME_WAIT record lives, measured once enough have ended"};
    static const struct openmetrics_family forecast = {
        "finwait_tcp_time_wait_forecast", OPENMETRICS_GAUGE, "",
        "TIME_WAIT records that there will be if the present rate goes on"};
    static const struct openmetrics_family limit = {"finwait_tcp_time_wait_limit",
                                                    OPENMETRICS_GAUGE, "", "tcp_max_tw_buckets"};
    openmetrics_one(out, &lifetime, seconds(estimate->lifetime_ns));
    openmetrics_one(out, &forecast, (double)estimate->plateau);
    if (head->time_wait_max > 0) {
        openmetrics_one(out, &limit, (double)head->time_wait_max);
    }
}

/* Adds up listeners of one address (SO_REUSEPORT), since a series may be there only once. Returns
 * false for one that was added up before. */
static bool sum_listener(const struct sample *sample, uint32_t index, struct tcpstat_listener *sum)
{
    *sum = sample->listeners[index];
    for (uint32_t i = 0; i < sample->listener_count; i++) {
        const struct tcpstat_listener *other = &sample->listeners[i];
        if (i == index || !endpoint_equal(&other->local, &sum->local)) {
            continue;
        }
        if (i < index) {
            return false;
        }
        sum->queued += other->queued;
        sum->backlog += other->backlog;
        sum->drops += other->drops;
    }
    return true;
}

enum listener_value { LISTENER_QUEUED, LISTENER_BACKLOG, LISTENER_DROPS };

static uint64_t listener_value(const struct tcpstat_listener *listener, enum listener_value value,
                               bool *is_known)
{
    switch (value) {
    case LISTENER_QUEUED:
        *is_known = true;
        return listener->queued;
    case LISTENER_BACKLOG:
        *is_known = listener->has_backlog;
        return listener->backlog;
    case LISTENER_DROPS:
        *is_known = listener->has_drops;
        return listener->drops;
    }
    return 0;
}

static void add_listeners(struct openmetrics *out, const struct sample *sample)
{
    static const struct openmetrics_family families[] = {
        {"finwait_tcp_listen_queue_connections", OPENMETRICS_GAUGE, "",
         "connections that wait to be accepted"},
        {"finwait_tcp_listen_backlog_connections", OPENMETRICS_GAUGE, "",
         "connections that may wait to be accepted"},
        {"finwait_tcp_listen_socket_drops", OPENMETRICS_COUNTER, "",
         "SYNs and handshakes that the listening socket dropped"},
    };
    for (int value = LISTENER_QUEUED; value <= LISTENER_DROPS; value++) {
        openmetrics_begin(out, &families[value]);
        for (uint32_t i = 0; i < sample->listener_count; i++) {
            struct tcpstat_listener sum;
            char local[ENDPOINT_TEXT_MAX];
            bool is_known = false;
            if (!sum_listener(sample, i, &sum)) {
                continue;
            }
            const uint64_t number = listener_value(&sum, (enum listener_value)value, &is_known);
            const struct openmetrics_label label = {"local", endpoint_format(&sum.local, local)};
            if (is_known) {
                openmetrics_count(out, &families[value], (struct openmetrics_labels){&label, 1},
                                  number);
            }
        }
    }
}

/* What is counted of one port, or of all. */
struct counted {
    char port[8]; /* the label; "": there is none */
    const struct tcp_transitions *transitions;
    const struct sample_lasted *lasted;
};

/* Gives the whole, or its parts by port one after the other, which add up to it: never both, since
 * who adds series up must not count twice. False: there are no more. */
static bool get_counted(const struct sample *sample, uint32_t index, struct counted *counted)
{
    if (!sample->has_ports) {
        *counted = (struct counted){"", &sample->transitions, sample->lasted};
        return index == 0;
    }
    const bool is_rest = index == sample->port_count;
    const struct sample_port *port = is_rest ? &sample->port_rest : &sample->ports[index];
    if (index > sample->port_count) {
        return false;
    }
    *counted = (struct counted){"other", &port->transitions, port->lasted};
    if (!is_rest) {
        snprintf(counted->port, sizeof(counted->port), "%u", port->port);
    }
    return true;
}

/* Puts the port's label behind those that are there, for the port that there is. */
static struct openmetrics_labels with_port(struct openmetrics_label *labels, size_t count,
                                           const struct counted *counted)
{
    labels[count] = (struct openmetrics_label){"port", counted->port};
    return (struct openmetrics_labels){labels, count + (counted->port[0] != '\0')};
}

static void add_transitions(struct openmetrics *out, const struct sample *sample)
{
    static const struct openmetrics_family family = {
        "finwait_tcp_transitions", OPENMETRICS_COUNTER, "",
        "changes of sockets' states, counted in the kernel"};
    struct counted counted;
    openmetrics_begin(out, &family);
    for (uint32_t i = 0; get_counted(sample, i, &counted); i++) {
        for (int step = 0; step < TCP_STATE_COUNT * TCP_STATE_COUNT; step++) {
            const enum tcp_state from = (enum tcp_state)(step / TCP_STATE_COUNT);
            const enum tcp_state to = (enum tcp_state)(step % TCP_STATE_COUNT);
            struct openmetrics_label labels[3] = {{"from", tcp_state_key(from)},
                                                  {"to", tcp_state_key(to)}};
            if (counted.transitions->n[from][to] > 0) {
                openmetrics_count(out, &family, with_port(labels, 2, &counted),
                                  counted.transitions->n[from][to]);
            }
        }
    }
}

static void add_lasted(struct openmetrics *out, const struct sample *sample)
{
    static const struct openmetrics_family family = {
        "finwait_tcp_state_duration_seconds", OPENMETRICS_HISTOGRAM, "seconds",
        "how long a state lasted for the sockets that left it, timed in the kernel"};
    struct counted counted;
    openmetrics_begin(out, &family);
    for (uint32_t i = 0; get_counted(sample, i, &counted); i++) {
        for (int state = TCP_STATE_ESTABLISHED; state < TCP_STATE_COUNT; state++) {
            const struct sample_lasted *lasted = &counted.lasted[state];
            const struct openmetrics_powers powers = {lasted->powers, SAMPLE_POWERS,
                                                      lasted->sum_ns};
            struct openmetrics_label labels[2] = {{"state", tcp_state_key((enum tcp_state)state)}};
            if (lasted->count > 0) {
                openmetrics_powers(out, &family, with_port(labels, 1, &counted), &powers);
            }
        }
    }
}

static void add_oldest(struct openmetrics *out, const struct sample *sample)
{
    static const struct openmetrics_family family = {
        "finwait_tcp_oldest_seconds", OPENMETRICS_GAUGE, "seconds",
        "age of the oldest socket in each state, as of the last walk over owners"};
    openmetrics_begin(out, &family);
    for (int state = TCP_STATE_ESTABLISHED; state < TCP_STATE_COUNT; state++) {
        const struct openmetrics_label label = {"state", tcp_state_key((enum tcp_state)state)};
        if (sample->oldest_ns[state] > 0) {
            openmetrics_real(out, &family, (struct openmetrics_labels){&label, 1},
                             seconds(sample->oldest_ns[state]));
        }
    }
}

/* Tells whether an owner's name, which may have been cut, was there before. */
static bool is_repeated(const struct sample *sample, uint32_t index)
{
    for (uint32_t i = 0; i < index; i++) {
        if (strcmp(sample->owners[i].name, sample->owners[index].name) == 0) {
            return true;
        }
    }
    return false;
}

static void add_owners(struct openmetrics *out, const struct sample_head *head,
                       const struct sample *sample)
{
    static const struct openmetrics_family family = {
        "finwait_tcp_owner_connections", OPENMETRICS_GAUGE, "",
        "TCP sockets by state of those owners that have the most"};
    openmetrics_begin(out, &family);
    for (uint32_t i = 0; i < sample->owner_count; i++) {
        for (int state = TCP_STATE_ESTABLISHED; state < TCP_STATE_COUNT; state++) {
            const struct sample_owner *owner = &sample->owners[i];
            const struct openmetrics_label labels[] = {
                {"by", head->by},
                {"owner", owner->name},
                {"state", tcp_state_key((enum tcp_state)state)},
            };
            if (owner->counts.n[state] > 0 && !is_repeated(sample, i)) {
                openmetrics_count(out, &family, (struct openmetrics_labels){labels, 3},
                                  owner->counts.n[state]);
            }
        }
    }
}

static void add_made(struct openmetrics *out, const struct sample_head *head,
                     const struct sample *sample)
{
    static const struct openmetrics_family family = {
        "finwait_tcp_owner_time_wait", OPENMETRICS_COUNTER, "",
        "TIME_WAIT records that an owner's sockets left since the start"};
    openmetrics_begin(out, &family);
    for (uint32_t i = 0; i < sample->owner_count; i++) {
        const struct sample_owner *owner = &sample->owners[i];
        const struct openmetrics_label labels[] = {{"by", head->by}, {"owner", owner->name}};
        if (owner->time_wait_made > 0 && !is_repeated(sample, i)) {
            openmetrics_count(out, &family, (struct openmetrics_labels){labels, 2},
                              owner->time_wait_made);
        }
    }
}

void metrics_fill(struct openmetrics *out, const struct sample_head *head,
                  const struct sample *sample)
{
    exporter_add_build(out);
    exporter_add_census(out, &sample->census, sample->census_count, sample->census_age_ns);
    exporter_add_kernel(out, sample->values);
    add_time_wait(out, head, &sample->time_wait);
    add_listeners(out, sample);
    if (sample->has_transitions) {
        add_transitions(out, sample);
        add_lasted(out, sample);
    }
    if (head->by[0] != '\0') {
        add_owners(out, head, sample);
        add_made(out, head, sample);
        add_oldest(out, sample);
    }
}
