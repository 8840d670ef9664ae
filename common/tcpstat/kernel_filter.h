/* The filters of a census_request as the BPF programs take them.
 *
 * Layer: tcpstat (L1), private to builds with BPF. Pure. */
#ifndef FINWAIT_TCPSTAT_KERNEL_FILTER_H
#define FINWAIT_TCPSTAT_KERNEL_FILTER_H

#include "tcpstat/bpf/filter.h"
#include "tcpstat/census.h"

/* Fills a program's filter in; what the request does not name passes. */
void kernel_filter_fill(struct filter *filter, const struct census_request *request);

#endif
