/* finwait-stat's command line.
 *
 * Layer: program finwait-stat (L5). Plain data. */
#ifndef FINWAIT_STAT_OPTIONS_H
#define FINWAIT_STAT_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cli.h"
#include "tcpstat/census.h"
#include "tcpstat/cgroups.h"
#include "tcpstat/owners.h"

/* What the command line says. */
struct stat_options {
    struct cli_list ports; /* of either end */
    struct cli_list local_ports;
    struct cli_list remote_ports;
    struct cli_list addresses; /* of either end */
    struct cli_list local_addresses;
    struct cli_list remote_addresses;
    struct cli_list states;
    uint64_t pid;       /* 0: all */
    const char *cgroup; /* path; NULL: all */
    int by;             /* index in stat_by_choices */
    uint64_t top;       /* rows of --by */
    const char *stack;  /* path of a program's --stack-socket, or NULL: the kernel */
    const char *netns;  /* path, pid or name; NULL: our own */
    bool once;
    uint64_t interval_ns;
    uint64_t count; /* lines; 0: until a signal */
    const char *budget;
    int method;         /* enum census_method */
    const char *json;   /* path, "-" for stdout, or NULL */
    const char *csv;    /* likewise */
    const char *record; /* path or NULL */
    const char *replay; /* path or NULL */
    const char *speed;
    const char *metrics; /* ADDR:PORT or NULL */
    bool metrics_allow_remote;
    int view; /* enum stat_view */
};

enum stat_view {
    STAT_VIEW_AUTO, /* live on a terminal, else lines */
    STAT_VIEW_LIVE,
    STAT_VIEW_LINES,
};

/* What follows from it. */
struct stat_settings {
    const struct stat_options *options;
    uint32_t budget_permille;
    bool has_by;
    enum owners_key by;
    const char *by_name; /* "pid" */
    bool has_metrics;
    struct endpoint metrics;
    double speed; /* of a replay; 0: as fast as it goes */
    struct port_set either_ports;
    struct port_set local_ports;
    struct port_set remote_ports;
    struct addr_set either_addrs;
    struct addr_set local_addrs;
    struct addr_set remote_addrs;
    uint32_t states; /* bits of enum tcp_state; 0: all */
    uint32_t pid;    /* 0: all */
    bool has_cgroup;
    struct cgroup cgroup;
};

extern const struct cli_program stat_program;

/* Checks what the option table cannot, and works the settings out, which borrow the options.
 * Returns 0 or -EINVAL with the failure's text set. */
int stat_settings_make(struct stat_settings *settings, const struct stat_options *options,
                       struct failure *failure);

/* Tells whether the live view is to be shown rather than lines. */
bool stat_settings_is_live(const struct stat_settings *settings);

/* Reads a replay's speed: "1", "0.5", "10x"; "max" gives 0. Returns 0 or -EINVAL with the text set.
 */
int stat_parse_speed(double *speed, const char *text, struct failure *failure);

/* Tells whether a filter asks for whose the sockets are, which only a walk over owners can. */
bool stat_settings_names_owner(const struct stat_settings *settings);

/* Gives the filters as a census takes them; borrows the settings. */
struct census_request stat_settings_request(const struct stat_settings *settings);

/* Reads "2%" or "0.5%" as tenths of a percent: 0 to 100 %. Returns 0 or -EINVAL with the text set.
 */
int stat_parse_budget(uint32_t *permille, const char *text, struct failure *failure);

#endif
