/* Census: a full count of the TCP sockets by state, from whichever source can give one.
 *
 * Layer: tcpstat (L1). A census is opened by census_open, or by the constructor of its method (the
 * custom stack has its own), and used through census_run and census_close. It counts the network
 * namespace that the calling thread was in when it was opened. One census belongs to one thread at
 * a time. The result owns its groups, which are made on the first grouped run and used again by the
 * next, so that a steady observer allocates nothing.
 *
 * A count is not a snapshot: it takes a while, and sockets move meanwhile. The stamp says when and
 * how long, and whether anything is known to have moved. */
#ifndef FINWAIT_TCPSTAT_CENSUS_H
#define FINWAIT_TCPSTAT_CENSUS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/addr.h"
#include "base/failure.h"
#include "base/tcp_state.h"

#define CENSUS_PORTS 65536

/* A set of ports; zeroed is empty. */
struct port_set {
    uint64_t words[CENSUS_PORTS / 64];
};

static inline void port_set_add(struct port_set *set, uint16_t port)
{
    set->words[port / 64] |= UINT64_C(1) << (port % 64);
}

static inline bool port_set_has(const struct port_set *set, uint16_t port)
{
    return (set->words[port / 64] >> (port % 64) & 1) != 0;
}

/* Adds every port of a range. */
void port_set_add_range(struct port_set *set, struct port_range range);

#define ADDR_SET_MAX 32 /* the kernel's programs look at one after the other */

/* A set of addresses; zeroed is empty. */
struct addr_set {
    uint32_t count;
    struct ip_range ranges[ADDR_SET_MAX];
};

/* Tells whether an address is in a set; an IPv4-mapped one also as the IPv4 address that it holds.
 */
bool addr_set_has(const struct addr_set *set, const struct ip_addr *ip);

enum census_grouping {
    CENSUS_WHOLE,
    CENSUS_BY_LOCAL_PORT,
    CENSUS_BY_REMOTE_PORT,
};

/* What to count. A socket is counted when it passes every set that is given; NULL lets all pass. */
struct census_request {
    const struct port_set *local_ports;
    const struct port_set *remote_ports;
    const struct port_set *either_ports; /* passes when one of the two ports is in it */
    const struct addr_set *local_addrs;
    const struct addr_set *remote_addrs;
    const struct addr_set *either_addrs;
    uint32_t states; /* bit n: enum tcp_state n passes; 0: all */
    enum census_grouping grouping;
    const atomic_bool *cancel; /* may be NULL; once true, the run ends with -ECANCELED */
};

struct census_group {
    uint16_t port;
    struct tcp_state_counts counts; /* both families */
};

/* Counts by port, in no particular order. At most CENSUS_PORTS, so nothing
 * is ever left out. */
struct census_groups {
    uint32_t count;
    uint32_t capacity;
    struct census_group *groups;
    uint32_t *slot_of_port; /* CENSUS_PORTS entries: index in groups + 1; 0: not there */
};

/* What is known about the table while it was read. */
enum census_stability {
    CENSUS_STABILITY_UNKNOWN, /* segments flowed, or the source cannot tell */
    CENSUS_STABLE,            /* no socket came, went or could change its state */
    CENSUS_CHANGED,           /* sockets came or went: the count mixes moments */
};

struct census_stamp {
    uint64_t started_ns; /* clock_now_ns */
    uint64_t wall_ns;    /* how long it took */
    uint64_t cpu_ns;     /* what it cost the calling thread, kernel time included */
    enum census_stability stability;
    uint64_t rows; /* sockets that the source walked over or gave, without the repeated ones */
    uint64_t rows_repeated;   /* sockets that the source gave twice, dropped */
    uint64_t lines_malformed; /* whole lines or messages that could not be understood, dropped */
    uint64_t lines_truncated; /* 1 for each family whose table ended within a line */
    uint32_t passes;          /* times that the tables were read: over 1 when a repeat spoilt one */
    bool repeats_remain;      /* the last pass was spoilt as well: the count is too high */
};

struct census_result {
    struct census_stamp stamp;
    struct tcp_state_counts v4;
    struct tcp_state_counts
        v6; /* IPv4-mapped sockets too: an AF_INET6 socket is one whatever it carries */
    struct tcp_state_counts total;
    struct census_groups groups; /* empty when the request was for the whole */
};

struct census;

struct census_ops {
    const char *method; /* "procfs" */
    /* Counts; of the stamp it fills in what the source knows, not the times. */
    int (*run)(struct census *census, const struct census_request *request,
               struct census_result *result);
    void (*close)(struct census *census);
};

/* The head of every implementation's struct. */
struct census {
    const struct census_ops *ops;
};

enum census_method {
    CENSUS_AUTO, /* the cheapest that the system allows: BPF, else sock_diag, else procfs */
    CENSUS_PROCFS,
    CENSUS_SOCK_DIAG,
    CENSUS_BPF,
};

/* The methods' names in the enum's order, NULL-ended: an option's choices. */
extern const char *const census_method_choices[];

#define CENSUS_PASSED_OVER_MAX 768

/* Why cheaper methods were not taken, one after the other, in words; empty when none was passed
 * over. */
struct census_passed_over {
    char text[CENSUS_PASSED_OVER_MAX];
};

/* Opens a census by a method. `passed_over` may be NULL. Returns 0 or -errno with the failure's
 * text set: of the method that was asked for, or of the last that was tried. */
int census_open(struct census **census, enum census_method method,
                struct census_passed_over *passed_over, struct failure *failure);

/* Opens a census over /proc/net/tcp and tcp6 of the calling thread's namespace; a kernel without
 * IPv6 has only the first. Returns 0 or -errno with the failure's text set. */
int census_open_procfs(struct census **census, struct failure *failure);

/* Opens a census by sock_diag, which needs no rights. Ports are filtered in the kernel unless the
 * sets have very many ranges. After a run that was cancelled or failed, a run from another
 * namespace than the census's needs CAP_SYS_ADMIN. Returns 0 or -errno with the failure's text set.
 */
int census_open_sock_diag(struct census **census, struct failure *failure);

/* Opens a census by a BPF iterator, which counts inside the kernel. Returns 0 or -errno with the
 * failure's text set: -ENOSYS for a build without BPF, -EPERM without the rights, -ENOENT without
 * BTF. */
int census_open_bpf(struct census **census, struct failure *failure);

/* Counts once. `result` is zeroed before its first use. Returns 0, -ECANCELED, -ENOMEM, or -errno
 * of the source; after an error the counts mean nothing, and the result may be used again or freed.
 */
int census_run(struct census *census, const struct census_request *request,
               struct census_result *result);

/* Names the method: "procfs". */
const char *census_method(const struct census *census);

/* Closes the source and frees the census. NULL is allowed. */
void census_close(struct census *census);

/* Frees what a result owns and leaves it zeroed. */
void census_result_free(struct census_result *result);

/* Finds a port's counts; NULL when no socket had it. Valid until the result's next run. */
const struct tcp_state_counts *census_groups_find(const struct census_groups *groups,
                                                  uint16_t port);

/* For implementations: empties a result but keeps its memory, and makes the groups' index when the
 * request asks for groups. Returns 0 or -ENOMEM. */
int census_result_reset(struct census_result *result, const struct census_request *request);

/* For implementations that group by themselves: adds to a port's count. Requires a result that was
 * reset for a grouped request. Returns 0 or -ENOMEM. */
int census_groups_add(struct census_groups *groups, uint16_t port, enum tcp_state state,
                      uint64_t times);

/* A socket as a census counts it. */
struct census_socket {
    uint8_t family; /* AF_INET or AF_INET6 */
    enum tcp_state state;
    uint16_t local_port;
    uint16_t remote_port;
    uint64_t times;              /* 1, or more where the source counts by itself */
    const struct ip_addr *local; /* both are looked at only when a request names addresses */
    const struct ip_addr *remote;
};

/* For implementations: tells whether a request names addresses, and whether a socket passes all of
 * its filters. */
bool census_request_names_addresses(const struct census_request *request);
bool census_request_passes(const struct census_request *request,
                           const struct census_socket *socket);

/* For implementations: adds a socket to the counts if it passes the request's filters. Returns 0 or
 * -ENOMEM. */
int census_result_add(struct census_result *result, const struct census_request *request,
                      const struct census_socket *socket);

#endif
