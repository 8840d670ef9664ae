/* What the censuses that the kernel walks for have in common: the namespace that they belong to,
 * and the look at whether its table changed meanwhile.
 *
 * Layer: tcpstat (L1), private: the head of census_bpf.c's and census_sock_diag.c's structs. */
#ifndef FINWAIT_TCPSTAT_KERNEL_CENSUS_H
#define FINWAIT_TCPSTAT_KERNEL_CENSUS_H

#include "tcpstat/census.h"
#include "tcpstat/stability.h"

/* Linux's number of a request socket's state, beside ours. */
#define KERNEL_NEW_SYN_RECV 12

struct kernel_census {
    struct census census; /* first: a pointer to it is a pointer to this */
    struct stability *stability;
    int netns_fd;
};

/* Takes the calling thread's namespace. Returns 0 or -errno with the failure's text set; closed by
 * kernel_census_close either way. */
int kernel_census_open(struct kernel_census *census, const struct census_ops *ops,
                       struct failure *failure);

void kernel_census_close(struct kernel_census *census);

/* Counts by one walk of `count`, between two looks at the table. Returns what census_run does. */
typedef int kernel_census_count(struct kernel_census *census, const struct census_request *request,
                                struct census_result *result);
int kernel_census_run(struct kernel_census *census, const struct census_request *request,
                      struct census_result *result, kernel_census_count *count);

/* Tells whether a run is to be given up. */
bool kernel_census_is_cancelled(const struct census_request *request);

#endif
