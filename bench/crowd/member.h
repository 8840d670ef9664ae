/* One process of the crowd and the sockets that it holds.
 *
 * Layer: bench. A member's sockets are spread over six states in one family; it talks to the parent
 * over two pipes, a byte a step, and ends when the parent's end closes. */
#ifndef FINWAIT_BENCH_CROWD_MEMBER_H
#define FINWAIT_BENCH_CROWD_MEMBER_H

#include <stdint.h>

#include "base/tcp_state.h"

/* So that a member stays below an RLIMIT_NOFILE of 20,000. */
#define MEMBER_SOCKETS_MAX 19000
#define MEMBER_SOCKETS_MIN 100

/* Listening ports are below the range that connect() takes ports from (10000 to 65000). */
#define MEMBER_PORT_FIRST 2000

struct member_plan {
    uint32_t number; /* its ports follow from it; even: IPv4, odd: IPv6 */
    uint32_t established_pairs;
    uint32_t half_closed_pairs;
    uint32_t deferred; /* an established client and a request socket each */
    uint32_t time_waits;
};

enum member_mix {
    MEMBER_SIX_STATES,
    MEMBER_ESTABLISHED, /* but for the listeners, and one TIME_WAIT where the number is odd */
};

/* Spreads a number of sockets, of MEMBER_SOCKETS_MIN to MEMBER_SOCKETS_MAX, over the mix's states.
 */
struct member_plan member_plan_make(uint32_t number, uint32_t sockets, enum member_mix mix);

/* Adds what the member will hold. */
void member_plan_count(const struct member_plan *plan, struct tcp_state_counts *counts);

/* Runs a member: makes all but TIME_WAIT, says so by a byte to `done_fd`, waits for one from
 * `go_fd`, makes TIME_WAIT, says so, and holds everything until `go_fd` ends. TIME_WAIT comes last,
 * since it lasts for 60 s. Never returns; exit code 1 and a line on stderr when it cannot. */
_Noreturn void member_run(const struct member_plan *plan, int done_fd, int go_fd);

#endif
