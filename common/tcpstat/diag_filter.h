/* Port filters as the kernel's sock_diag runs them: bytecode of INET_DIAG_REQ_BYTECODE.
 *
 * Layer: tcpstat (L1), private but for tests. A program is a sequence of comparisons; each jumps
 * forward, by one offset when it holds and by another when not. A jump to the program's end takes
 * the socket, one 4 bytes past it leaves it out. Offsets when a comparison holds are 8 bits wide,
 * so that only "when not" and a plain jump reach far. */
#ifndef FINWAIT_TCPSTAT_DIAG_FILTER_H
#define FINWAIT_TCPSTAT_DIAG_FILTER_H

#include <stdbool.h>
#include <stdint.h>

#include <linux/inet_diag.h>

#include "tcpstat/census.h"

/* Of ranges, each at one end; enough for what a person writes, and a program of at most 5 kB. */
#define DIAG_FILTER_TERMS_MAX 256
#define DIAG_FILTER_OPS_MAX (5 * DIAG_FILTER_TERMS_MAX)

struct diag_filter {
    uint32_t count; /* 0: everything passes */
    struct inet_diag_bc_op ops[DIAG_FILTER_OPS_MAX];
};

/* Writes the program for a request's sets of ports. A request without any gives an empty program;
 * so does one with more ranges than fit, or with an empty set, and the caller must filter then,
 * which the result says by false. */
bool diag_filter_make(struct diag_filter *filter, const struct census_request *request);

#endif
