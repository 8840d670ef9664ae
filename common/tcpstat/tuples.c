/* Forecast: records end on a schedule that the walk has read (their timers), so that for the next
 * minute only the rate of new ones is unknown. Beyond the schedule every end is a record that is
 * still to be made, one lifetime before. */
#include "tcpstat/tuples.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"

/* Of a (source, destination): with fewer ports of a quarter free, connect() has to search through
 * most of them before it finds one. */
#define FREE_SHARE_OF_CRAWL 0.02

/* From so many on, ports show how they are chosen: at random, they would lie evenly. */
#define TAKEN_MIN_TO_TELL 64
#define SHARE_OF_FIRST 0.75

void tuples_use_reset(struct tuples_use *use, uint64_t now_ns)
{
    use->taken_ns = now_ns;
    use->pair_count = 0;
    use->left_out = 0;
}

static bool is_pair(const struct tuples_pair *pair, const struct tuples_socket *socket)
{
    return pair->destination.port == socket->remote->port &&
           ip_equal(&pair->destination.ip, &socket->remote->ip) &&
           ip_equal(&pair->source, &socket->local->ip);
}

/* Finds the socket's pair, or makes it. Returns NULL when there is no place. */
static struct tuples_pair *find_pair(struct tuples_use *use, const struct tuples_socket *socket)
{
    for (uint32_t i = 0; i < use->pair_count; i++) {
        if (is_pair(&use->pairs[i], socket)) {
            return &use->pairs[i];
        }
    }
    if (use->pair_count == TUPLES_PAIRS_MAX) {
        return NULL;
    }
    struct tuples_pair *pair = &use->pairs[use->pair_count++];
    *pair = (struct tuples_pair){.source = socket->local->ip, .destination = *socket->remote};
    return pair;
}

void tuples_use_add(struct tuples_use *use, const struct tuples_socket *socket)
{
    const uint16_t port = socket->local->port;
    const struct tuples_ports *ports = use->ports;
    if (socket->state == TCP_STATE_LISTEN || socket->remote->port == 0 ||
        port < ports->range.first || port > ports->range.last ||
        port_set_has(&ports->reserved, port)) {
        return;
    }
    struct tuples_pair *pair = find_pair(use, socket);
    if (pair == NULL) {
        use->left_out++;
        return;
    }
    pair->taken++;
    pair->taken_of_quarter[tuples_quarter(ports, port)]++;
    pair->syn_sent += socket->state == TCP_STATE_SYN_SENT;
    if (socket->is_record) {
        const uint64_t second = socket->rest_ns / NS_PER_SEC;
        pair->time_wait++;
        pair->ends[second < TUPLES_ENDS_SECONDS ? second : TUPLES_ENDS_SECONDS - 1]++;
    }
}

/* A destination's pairs, added up. */
struct destination_sum {
    uint32_t sources;
    uint64_t taken;
    uint64_t time_wait;
    uint64_t taken_of_quarter[TUPLES_QUARTERS];
    const struct tuples_pair *fullest; /* its source's fails, or crawls, first; NULL: none */
    uint64_t ends[TUPLES_ENDS_SECONDS];
};

static void sum_destination(const struct tuples_use *use, const struct endpoint *destination,
                            struct destination_sum *sum)
{
    *sum = (struct destination_sum){0};
    for (uint32_t i = 0; i < use->pair_count; i++) {
        const struct tuples_pair *pair = &use->pairs[i];
        if (!endpoint_equal(&pair->destination, destination)) {
            continue;
        }
        sum->sources++;
        sum->taken += pair->taken;
        sum->time_wait += pair->time_wait;
        if (sum->fullest == NULL || pair->taken > sum->fullest->taken) {
            sum->fullest = pair;
        }
        for (uint32_t quarter = 0; quarter < TUPLES_QUARTERS; quarter++) {
            sum->taken_of_quarter[quarter] += pair->taken_of_quarter[quarter];
        }
        for (uint32_t second = 0; second < TUPLES_ENDS_SECONDS; second++) {
            sum->ends[second] += pair->ends[second];
        }
    }
}

/* Counts the records that end within a time from the walk on; a second's in equal parts. */
static double ends_within(const struct destination_sum *sum, double seconds)
{
    double ended = 0;
    for (uint32_t second = 0; second < TUPLES_ENDS_SECONDS && second < seconds; second++) {
        const double share = seconds - second < 1 ? seconds - second : 1;
        ended += share * (double)sum->ends[second];
    }
    return ended;
}

/* What fills up: all 4-tuples of a destination, or those of the ports taken first. */
struct filling {
    double taken;
    double capacity;
    double share_of_ends; /* of the destination's records that end */
};

/* Finds when what is taken reaches the capacity: what is made comes evenly, what is there ends by
 * its schedule. After one lifetime the made ones end as fast as they come, so that it is reached
 * before that or never. */
static double seconds_until_full(const struct destination_sum *sum, const struct filling *filling,
                                 double opens_per_sec, double lifetime_sec)
{
    const double step_sec = 0.1;
    for (uint32_t step = 0; step * step_sec < lifetime_sec; step++) {
        const double at_sec = step * step_sec;
        const double ended = filling->share_of_ends * ends_within(sum, at_sec);
        if (filling->taken - ended + opens_per_sec * at_sec >= filling->capacity) {
            return at_sec;
        }
    }
    return INFINITY;
}

/* connect() takes over a TIME_WAIT with timestamps once it is tcp_tw_reuse_delay old (a second). A
 * peer without timestamps is the exception that this does not know of. */
static bool is_reusable(const struct tuples_ports *ports, const struct endpoint *destination)
{
    return ports->time_wait_reuse == 1 ||
           (ports->time_wait_reuse == 2 && ip_is_loopback(&destination->ip));
}

static bool is_first_of_destination(const struct tuples_use *use, uint32_t index)
{
    for (uint32_t i = 0; i < index; i++) {
        if (endpoint_equal(&use->pairs[i].destination, &use->pairs[index].destination)) {
            return false;
        }
    }
    return true;
}

static bool is_nearly_full(uint64_t taken, uint32_t usable)
{
    return (double)taken >= (1 - FREE_SHARE_OF_CRAWL) * (double)usable;
}

/* How the ports of the fullest source lie. */
struct pattern {
    bool is_full[TUPLES_QUARTERS];
    bool any_full;
    bool kernel_chooses;
    bool is_first[TUPLES_QUARTERS]; /* the quarters that fill, or filled, first */
};

/* Finds the parity that most of the ports in quarters that are not full have; -1: they lie evenly,
 * or are too few to tell. */
static int find_skew(const struct tuples_pair *pair, const struct pattern *pattern)
{
    uint64_t of_parity[2] = {0, 0};
    for (uint32_t quarter = 0; quarter < TUPLES_QUARTERS; quarter++) {
        if (!pattern->is_full[quarter]) {
            of_parity[quarter % 2] += pair->taken_of_quarter[quarter];
        }
    }
    const double all = (double)(of_parity[0] + of_parity[1]);
    if (all < TAKEN_MIN_TO_TELL) {
        return -1;
    }
    if ((double)of_parity[0] >= SHARE_OF_FIRST * all) {
        return 0;
    }
    return (double)of_parity[1] >= SHARE_OF_FIRST * all ? 1 : -1;
}

/* Of a parity, bind() fills the quarter of one half alone, connect() both. */
static void mark_first(const struct tuples_pair *pair, int parity, struct pattern *pattern)
{
    const double low = pair->taken_of_quarter[parity];
    const double high = pair->taken_of_quarter[parity + 2];
    pattern->is_first[parity] = low >= (1 - SHARE_OF_FIRST) * (low + high);
    pattern->is_first[parity + 2] = high >= (1 - SHARE_OF_FIRST) * (low + high);
}

static void find_pattern(const struct tuples_pair *pair, const struct tuples_ports *ports,
                         struct pattern *pattern)
{
    *pattern = (struct pattern){0};
    for (uint32_t quarter = 0; quarter < TUPLES_QUARTERS; quarter++) {
        pattern->is_full[quarter] =
            ports->usable_of_quarter[quarter] > 0 &&
            is_nearly_full(pair->taken_of_quarter[quarter], ports->usable_of_quarter[quarter]);
        pattern->any_full = pattern->any_full || pattern->is_full[quarter];
    }
    for (uint32_t quarter = 0; quarter < TUPLES_QUARTERS; quarter++) {
        if (pattern->is_full[quarter] && !pattern->is_full[quarter ^ 1u]) {
            pattern->kernel_chooses = true; /* one parity was filled before the other was begun */
            pattern->is_first[quarter] = true;
        }
    }
    const int parity = find_skew(pair, pattern);
    if (parity < 0 || pattern->kernel_chooses) {
        return;
    }
    pattern->kernel_chooses = true;
    mark_first(pair, parity, pattern);
}

static enum tuples_verdict judge(const struct tuples_forecast *forecast,
                                 const struct destination_sum *now, const struct pattern *pattern,
                                 const struct tuples_ports *ports)
{
    if (forecast->reusable) {
        return TUPLES_ENOUGH;
    }
    if (now->fullest->taken >= ports->usable) {
        return TUPLES_GONE;
    }
    if (pattern->kernel_chooses && pattern->any_full) {
        return TUPLES_CRAWL;
    }
    const double seconds = forecast->crawls_sec < forecast->seconds_left ? forecast->crawls_sec
                                                                         : forecast->seconds_left;
    if (isinf(seconds)) {
        return TUPLES_ENOUGH;
    }
    return seconds <= TUPLES_WARN_SEC ? TUPLES_SOON : TUPLES_RUNS_OUT;
}

/* The two rates: what ended meanwhile by the earlier walk's schedule came back, so that the change
 * and that together is what is new. */
static void measure_rates(const struct destination_sum *before, const struct destination_sum *now,
                          double seconds, struct tuples_forecast *forecast)
{
    if (seconds <= 0) {
        return;
    }
    const double freed = ends_within(before, seconds);
    const double opened = (double)now->taken - (double)before->taken + freed;
    forecast->frees_per_sec = freed / seconds;
    forecast->opens_per_sec = opened > 0 ? opened / seconds : 0;
}

static void forecast_times(const struct destination_sum *now, double lifetime_sec,
                           struct tuples_forecast *forecast)
{
    const struct filling all = {
        .taken = (double)now->taken,
        .capacity = (double)forecast->capacity,
        .share_of_ends = 1,
    };
    const struct filling first = {
        .taken = (double)forecast->first_taken,
        .capacity = (double)forecast->first_capacity,
        .share_of_ends = now->taken > 0 ? (double)forecast->first_taken / (double)now->taken : 0,
    };
    forecast->seconds_left = INFINITY;
    forecast->crawls_sec = INFINITY;
    if (forecast->reusable) {
        return;
    }
    forecast->seconds_left = seconds_until_full(now, &all, forecast->opens_per_sec, lifetime_sec);
    if (forecast->kernel_chooses) {
        forecast->crawls_sec =
            seconds_until_full(now, &first, forecast->opens_per_sec, lifetime_sec);
    }
}

bool tuples_forecast(const struct tuples_use *earlier, const struct tuples_use *later,
                     uint32_t index, uint64_t lifetime_ns, struct tuples_forecast *forecast)
{
    ASSERT(index < later->pair_count);
    if (!is_first_of_destination(later, index)) {
        return false;
    }
    const struct tuples_ports *ports = later->ports;
    const struct endpoint *destination = &later->pairs[index].destination;
    const double lifetime_sec = (double)lifetime_ns / (double)NS_PER_SEC;
    struct destination_sum before;
    struct destination_sum now;
    sum_destination(earlier, destination, &before);
    sum_destination(later, destination, &now);
    ASSERT(now.fullest != NULL); /* the pair that the call names is one */
    struct pattern pattern;
    find_pattern(now.fullest, ports, &pattern);
    *forecast = (struct tuples_forecast){
        .destination = *destination,
        .sources = now.sources,
        /* Where nothing is in TIME_WAIT, there is nothing to take over. */
        .reusable = now.time_wait > 0 && is_reusable(ports, destination),
        .kernel_chooses = pattern.kernel_chooses,
        .capacity = (uint64_t)now.sources * ports->usable,
        .taken = now.taken,
        .time_wait = now.time_wait,
    };
    for (uint32_t quarter = 0; quarter < TUPLES_QUARTERS; quarter++) {
        if (pattern.is_first[quarter]) {
            forecast->first_taken += now.taken_of_quarter[quarter];
            forecast->first_capacity += (uint64_t)now.sources * ports->usable_of_quarter[quarter];
        }
    }
    measure_rates(&before, &now, (double)(later->taken_ns - earlier->taken_ns) / (double)NS_PER_SEC,
                  forecast);
    forecast->plateau =
        forecast->opens_per_sec * lifetime_sec + (double)(now.taken - now.time_wait);
    forecast_times(&now, lifetime_sec, forecast);
    forecast->verdict = judge(forecast, &now, &pattern, ports);
    return true;
}

static const char *advice(const struct tuples_forecast *forecast, const struct tuples_ports *ports)
{
    return ports->time_wait_reuse == 1 || forecast->time_wait == 0
               ? "add source addresses, destinations or ports, or let the server close first"
               : "add source addresses, destinations or ports, let the server close first, or set "
                 "tcp_tw_reuse to 1";
}

static void warn_soon(const struct tuples_forecast *forecast, const char *destination,
                      const struct tuples_ports *ports, char text[TUPLES_TEXT_MAX])
{
    if (forecast->crawls_sec < forecast->seconds_left) {
        snprintf(text, TUPLES_TEXT_MAX,
                 "connect() to %s will crawl in %.0f s: of the ports that it takes first, "
                 "%" PRIu64 " of %" PRIu64 " 4-tuples are taken (TIME_WAIT holds %" PRIu64
                 "), %.0f/s more; %s",
                 destination, forecast->crawls_sec, forecast->first_taken, forecast->first_capacity,
                 forecast->time_wait, forecast->opens_per_sec, advice(forecast, ports));
        return;
    }
    snprintf(text, TUPLES_TEXT_MAX,
             "4-tuples to %s run out in %.0f s: %" PRIu64 " of %" PRIu64
             " are taken (TIME_WAIT holds %" PRIu64 "), %.0f/s more; %s",
             destination, forecast->seconds_left, forecast->taken, forecast->capacity,
             forecast->time_wait, forecast->opens_per_sec, advice(forecast, ports));
}

bool tuples_warning(const struct tuples_forecast *forecast, const struct tuples_ports *ports,
                    char text[TUPLES_TEXT_MAX])
{
    char destination[ENDPOINT_TEXT_MAX];
    endpoint_format(&forecast->destination, destination);
    text[0] = '\0';
    switch (forecast->verdict) {
    case TUPLES_ENOUGH:
    case TUPLES_RUNS_OUT:
        return false;
    case TUPLES_SOON:
        warn_soon(forecast, destination, ports, text);
        return true;
    case TUPLES_CRAWL:
        snprintf(text, TUPLES_TEXT_MAX,
                 "connect() to %s crawls: the ports that it takes first are gone, so "
                 "each call searches through %" PRIu64 " of them, and gets %.0f/s, without an "
                 "error (%" PRIu64 " of %" PRIu64 " 4-tuples taken, TIME_WAIT holds %" PRIu64
                 "); %s",
                 destination, forecast->first_capacity / forecast->sources, forecast->opens_per_sec,
                 forecast->taken, forecast->capacity, forecast->time_wait, advice(forecast, ports));
        return true;
    case TUPLES_GONE:
        snprintf(text, TUPLES_TEXT_MAX,
                 "4-tuples to %s are gone: %" PRIu64 " of %" PRIu64
                 " are taken (TIME_WAIT holds %" PRIu64
                 "), and what connects fails with EADDRNOTAVAIL; %s",
                 destination, forecast->taken, forecast->capacity, forecast->time_wait,
                 advice(forecast, ports));
        return true;
    }
    return false;
}
