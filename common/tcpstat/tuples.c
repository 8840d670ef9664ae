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

/* Of a (source, destination): with fewer free, a connect() has to search through most of the range
 * before it finds one. */
#define FREE_SHARE_OF_CRAWL 0.02

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
    pair->taken_of_parity[port % 2]++;
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
    uint64_t fullest; /* of one source: it crawls first */
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
        sum->fullest = pair->taken > sum->fullest ? pair->taken : sum->fullest;
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

/* Finds when what is taken reaches the capacity: what is made comes evenly, what is there ends by
 * its schedule. After one lifetime the made ones end as fast as they come, so that it is reached
 * before that or never. */
static double seconds_until_full(const struct destination_sum *sum, double opens_per_sec,
                                 double capacity, double lifetime_sec)
{
    const double step_sec = 0.1;
    double ended = 0;
    for (uint32_t step = 0; step * step_sec < lifetime_sec; step++) {
        const double at_sec = step * step_sec;
        ended = ends_within(sum, at_sec);
        const double taken = (double)sum->taken - ended + opens_per_sec * at_sec;
        if (taken >= capacity) {
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

static enum tuples_verdict judge(const struct tuples_forecast *forecast, uint64_t fullest,
                                 uint32_t usable)
{
    if (forecast->reusable) {
        return TUPLES_ENOUGH;
    }
    const double free_of_fullest = (double)usable - (double)fullest;
    if (free_of_fullest <= FREE_SHARE_OF_CRAWL * usable && forecast->time_wait > 0) {
        return TUPLES_CRAWL;
    }
    if (isinf(forecast->seconds_left)) {
        return TUPLES_ENOUGH;
    }
    return forecast->seconds_left <= TUPLES_WARN_SEC ? TUPLES_SOON : TUPLES_RUNS_OUT;
}

bool tuples_forecast(const struct tuples_use *earlier, const struct tuples_use *later,
                     uint32_t index, uint64_t lifetime_ns, struct tuples_forecast *forecast)
{
    ASSERT(index < later->pair_count);
    if (!is_first_of_destination(later, index)) {
        return false;
    }
    const struct endpoint *destination = &later->pairs[index].destination;
    const double lifetime_sec = (double)lifetime_ns / (double)NS_PER_SEC;
    const double seconds = (double)(later->taken_ns - earlier->taken_ns) / (double)NS_PER_SEC;
    struct destination_sum before;
    struct destination_sum now;
    sum_destination(earlier, destination, &before);
    sum_destination(later, destination, &now);
    *forecast = (struct tuples_forecast){
        .destination = *destination,
        .sources = now.sources,
        .reusable = is_reusable(later->ports, destination),
        .capacity = (uint64_t)now.sources * later->ports->usable,
        .taken = now.taken,
        .time_wait = now.time_wait,
    };
    if (seconds > 0) {
        const double freed = ends_within(&before, seconds);
        const double opened = (double)now.taken - (double)before.taken + freed;
        forecast->frees_per_sec = freed / seconds;
        forecast->opens_per_sec = opened > 0 ? opened / seconds : 0;
    }
    forecast->plateau =
        forecast->opens_per_sec * lifetime_sec + (double)(now.taken - now.time_wait);
    forecast->seconds_left =
        seconds_until_full(&now, forecast->opens_per_sec, (double)forecast->capacity, lifetime_sec);
    forecast->verdict = judge(forecast, now.fullest, later->ports->usable);
    return true;
}

static const char *advice(const struct tuples_ports *ports)
{
    return ports->time_wait_reuse == 1
               ? "add source addresses, destinations or ports, or let the server close first"
               : "add source addresses, destinations or ports, let the server close first, or set "
                 "tcp_tw_reuse to 1";
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
        snprintf(text, TUPLES_TEXT_MAX,
                 "4-tuples to %s run out in %.0f s: %" PRIu64 " of %" PRIu64 " are taken (%" PRIu64
                 " by TIME_WAIT), %.0f/s more; %s",
                 destination, forecast->seconds_left, forecast->taken, forecast->capacity,
                 forecast->time_wait, forecast->opens_per_sec, advice(ports));
        return true;
    case TUPLES_CRAWL:
        snprintf(text, TUPLES_TEXT_MAX,
                 "connect() to %s crawls: %" PRIu64 " of %" PRIu64 " 4-tuples are taken (%" PRIu64
                 " by TIME_WAIT), so it searches for a port and gets %.0f/s, without an error; %s",
                 destination, forecast->taken, forecast->capacity, forecast->time_wait,
                 forecast->opens_per_sec, advice(ports));
        return true;
    }
    return false;
}
