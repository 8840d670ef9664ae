/* 4-tuples: how many a client has left towards each destination, when they run out, and whether
 * connect() already crawls for want of them.
 *
 * Layer: tcpstat (L1). tuples_use is filled by a walk over the sockets (owners_run); the forecasts
 * are pure functions of two such fillings. Memory is of fixed size: TUPLES_PAIRS_MAX pairs of
 * source and destination, the first that were met; what did not fit is counted.
 *
 * How Linux runs out (measured, 6.18): connect() without bind takes a random offset and scans the
 * ports of one parity first, those of the other only when all are taken. Nothing fails before the
 * last one: each connect() scans longer, 7 ms on average, and the rate falls to what TIME_WAIT
 * frees, with no error at all. So the signs of the crawl are the free 4-tuples of a (source,
 * destination), nearly gone, while new ones come at the rate at which TIME_WAIT ends. */
#ifndef FINWAIT_TCPSTAT_TUPLES_H
#define FINWAIT_TCPSTAT_TUPLES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/failure.h"
#include "base/tcp_state.h"
#include "tcpstat/census.h"

/* The ports that the kernel gives to connect() in a namespace, from its sysctls. */
struct tuples_ports {
    struct port_range range;  /* ip_local_port_range */
    uint32_t usable;          /* of it, without ip_local_reserved_ports */
    struct port_set reserved; /* all of them */
    int time_wait_reuse;      /* tcp_tw_reuse: 0, 1, or 2 (over loopback) */
    uint64_t time_wait_max;   /* tcp_max_tw_buckets */
};

/* Reads the calling thread's namespace's. Returns 0 or -errno with the failure's text set. */
int tuples_ports_read(struct tuples_ports *ports, struct failure *failure);

#define TUPLES_PAIRS_MAX 256
#define TUPLES_ENDS_SECONDS 66 /* TIME_WAIT's longest rest, rounded up, and 0 */

/* The 4-tuples in use from one source to one destination, of ports in the range. */
struct tuples_pair {
    struct ip_addr source;
    struct endpoint destination;
    uint32_t taken;     /* distinct local ports in use, in any state */
    uint32_t time_wait; /* of these, by TIME_WAIT and FIN_WAIT_2 records */
    uint32_t syn_sent;
    uint32_t taken_of_parity[2];        /* even, odd ports */
    uint32_t ends[TUPLES_ENDS_SECONDS]; /* records that end in [i, i + 1) s from the walk on */
};

/* Zeroed before its first use, but for `ports`. */
struct tuples_use {
    const struct tuples_ports *ports; /* borrowed, by the forecasts too */
    uint64_t taken_ns;
    uint32_t pair_count;
    struct tuples_pair pairs[TUPLES_PAIRS_MAX];
    uint64_t left_out; /* sockets of pairs that found no place */
};

/* A socket as a walk finds it. */
struct tuples_socket {
    const struct endpoint *local;
    const struct endpoint *remote;
    enum tcp_state state;
    bool is_record;   /* a TIME_WAIT or FIN_WAIT_2 without a socket */
    uint64_t rest_ns; /* until a record ends */
};

/* For walks: empty it, and add a socket. Sockets whose local port is outside of the range, and
 * those without a peer, are not clients' and are passed over. */
void tuples_use_reset(struct tuples_use *use, uint64_t now_ns);
void tuples_use_add(struct tuples_use *use, const struct tuples_socket *socket);

enum tuples_verdict {
    TUPLES_ENOUGH,   /* they do not run out at this rate */
    TUPLES_RUNS_OUT, /* in seconds_left */
    TUPLES_SOON,     /* the same, within TUPLES_WARN_SEC */
    TUPLES_CRAWL,    /* they have: connect() searches for ports */
};

#define TUPLES_WARN_SEC 60.0

/* The forecast for one destination, over all sources that are in use towards it. */
struct tuples_forecast {
    struct endpoint destination;
    uint32_t sources;
    bool reusable;     /* by tcp_tw_reuse, TIME_WAIT over a second old does not stand in the way */
    uint64_t capacity; /* sources x usable ports */
    uint64_t taken;
    uint64_t time_wait;
    double opens_per_sec; /* new 4-tuples, between the two walks */
    double frees_per_sec; /* that TIME_WAIT gave back meanwhile */
    double seconds_left;  /* INFINITY: never, at this rate */
    double plateau;       /* 4-tuples in use once TIME_WAIT ends as fast as it is made */
    enum tuples_verdict verdict;
};

/* Forecasts from two fillings, the later one last, for the destination of its pair number `index`;
 * pairs of one destination are added up, and only the first of them counts: for the others it
 * returns false. `lifetime_ns` is TIME_WAIT's mean (timewait_estimate). */
bool tuples_forecast(const struct tuples_use *earlier, const struct tuples_use *later,
                     uint32_t index, uint64_t lifetime_ns, struct tuples_forecast *forecast);

#define TUPLES_TEXT_MAX 320

/* Writes the warning in words, one line: what runs out, when, and what to do. Returns false, and an
 * empty text, where there is nothing to warn of. */
bool tuples_warning(const struct tuples_forecast *forecast, const struct tuples_ports *ports,
                    char text[TUPLES_TEXT_MAX]);

#endif
