/* What finwait-stat shows, as text: pure functions of the numbers.
 *
 * Layer: program finwait-stat (L5). Text goes to a FILE of the caller's. */
#ifndef FINWAIT_STAT_DISPLAY_H
#define FINWAIT_STAT_DISPLAY_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/tcp_state.h"
#include "stat/sample.h"
#include "tcpstat/census.h"
#include "tcpstat/timewait.h"

#define DISPLAY_HEADER_EVERY 20 /* lines, so that a screen shows one */

/* One line of the live view. */
struct display_line {
    uint64_t elapsed_ns;
    bool has_census;
    struct tcp_state_counts counts;
    uint64_t age_ns;   /* of the count, from its start */
    uint64_t cost_ns;  /* its CPU time */
    uint64_t every_ns; /* from its start to the next, by the budget; 0: not known */
    uint64_t time_wait_live;
    double time_wait_made_per_sec;
    double listen_drops_per_sec;
};

/* Which columns there are. Zeroed before the first line. A state's column stays once it was shown;
 * ESTABLISHED, TIME_WAIT and LISTEN are always there. */
struct display {
    bool shown[TCP_STATE_COUNT];
    uint32_t lines; /* since the last header */
    bool has_header;
};

/* Prints a line, after a header where one is due: at first, every DISPLAY_HEADER_EVERY lines, and
 * when a column was added. */
void display_print_line(struct display *display, const struct display_line *line, FILE *out);

/* Prints how many there are in each state, by family. */
void display_print_states(const struct census_result *result, FILE *out);

/* Prints a count as a table by state and family, and what is known about it. */
void display_print_table(const struct census_result *result, uint64_t time_wait_live, FILE *out);

/* Prints a table of those who have the most sockets; nothing when they were not counted. */
void display_print_owners(const struct sample_head *head, const struct sample *sample, FILE *out);

/* Prints a table of what the sockets of each port did, and of the rest; nothing when they were not
 * told apart. */
void display_print_ports(const struct sample_head *head, const struct sample *sample, FILE *out);

/* Prints the census's method, and why cheaper ones were passed over where they were. */
void display_print_method(const char *method, const char *passed_over, FILE *out);

/* Names where the lifetime of TIME_WAIT is known from: "measured", "2MSL" where a stack told it,
 * or "assumed". Static memory. */
const char *display_lifetime_basis(const struct timewait_estimate *estimate);

/* Prints what the model says about TIME_WAIT, on one line. */
void display_print_time_wait(const struct timewait_estimate *estimate, FILE *out);

/* Words for a stamp's stability: "stable", "changed", "unknown". Static memory. */
const char *display_stability_name(enum census_stability stability);

/* Writes a duration with three digits and its unit: "8.21 ms". Returns `text`. */
const char *display_format_duration(uint64_t ns, char *text, size_t size);

#endif
