/* 4-tuples: how many a client has left towards each destination, when they run out, and whether
 * connect() already crawls for want of them.
 *
 * Layer: tcpstat (L1). tuples_use is filled by a walk over the sockets (owners_run); the forecasts
 * are pure functions of two such fillings. Memory is of fixed size: TUPLES_PAIRS_MAX pairs of
 * source and destination, the first that were met; what did not fit is counted.
 *
 * How Linux runs out (measured, 6.18): connect() without bind scans the ports of one parity first,
 * and those of the other only when it found none free; bind() of port 0 with SO_REUSEADDR even
 * scans one parity of the range's lower half first. Nothing fails before the last one is taken. But
 * once that first part is full, half or a quarter of the range, each call passes over all of it,
 * some milliseconds, and the rate falls to what that leaves, with no error at all: the crawl. Its
 * signs are that of a (source, destination) one quarter (parity and half) is all but gone, while
 * the other parity's of the same half has many free. Who binds ports explicitly fills both parities
 * alike, crawls never, and fails at the end. */
#ifndef FINWAIT_TCPSTAT_TUPLES_H
#define FINWAIT_TCPSTAT_TUPLES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/failure.h"
#include "base/tcp_state.h"
#include "tcpstat/census.h"

/* Parts of the range, as the kernel scans it: bit 0 is the parity, bit 1 set is the upper half. */
#define TUPLES_QUARTERS 4

/* The ports that the kernel gives to connect() in a namespace, from its sysctls. */
struct tuples_ports {
    struct port_range range; /* ip_local_port_range */
    uint32_t usable;         /* of it, without ip_local_reserved_ports */
    uint32_t usable_of_quarter[TUPLES_QUARTERS];
    struct port_set reserved; /* all of them */
    int time_wait_reuse;      /* tcp_tw_reuse: 0, 1, or 2 (over loopback) */
    uint64_t time_wait_max;   /* tcp_max_tw_buckets */
};

/* Tells in which quarter a port of the range lies. */
uint32_t tuples_quarter(const struct tuples_ports *ports, uint16_t port);

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
    uint32_t taken_of_quarter[TUPLES_QUARTERS];
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
    TUPLES_RUNS_OUT, /* in seconds_left, or connect() will crawl in crawls_sec */
    TUPLES_SOON,     /* the same, within TUPLES_WARN_SEC */
    TUPLES_CRAWL,    /* connect() searches for ports */
    TUPLES_GONE,     /* none is left, of any parity */
};

#define TUPLES_WARN_SEC 60.0

/* The forecast for one destination, over all sources that are in use towards it. */
struct tuples_forecast {
    struct endpoint destination;
    uint32_t sources;
    bool reusable; /* by tcp_tw_reuse, TIME_WAIT over a second old does not stand in the way */
    bool kernel_chooses; /* the ports: they lie in one parity, as connect() without bind takes them
                          */
    uint64_t capacity;   /* sources x usable ports */
    uint64_t taken;
    uint64_t first_capacity; /* the same of the ports that are taken first */
    uint64_t first_taken;
    uint64_t time_wait;
    double opens_per_sec; /* new 4-tuples, between the two walks */
    double frees_per_sec; /* that TIME_WAIT gave back meanwhile */
    double seconds_left;  /* until all are taken; INFINITY: never, at this rate */
    double crawls_sec;    /* until these are; INFINITY: never, or not chosen so; 0: they are */
    double plateau;       /* 4-tuples in use once TIME_WAIT ends as fast as it is made */
    enum tuples_verdict verdict;
};

/* Forecasts from two fillings, the later one last, for the destination of its pair number `index`;
 * pairs of one destination are added up, and only the first of them counts: for the others it
 * returns false. `lifetime_ns` is TIME_WAIT's mean (timewait_estimate). */
bool tuples_forecast(const struct tuples_use *earlier, const struct tuples_use *later,
                     uint32_t index, uint64_t lifetime_ns, struct tuples_forecast *forecast);

#define TUPLES_TEXT_MAX 400

/* Writes the warning in words, one line: what runs out, when, and what to do. Returns false, and an
 * empty text, where there is nothing to warn of. */
bool tuples_warning(const struct tuples_forecast *forecast, const struct tuples_ports *ports,
                    char text[TUPLES_TEXT_MAX]);

#endif
