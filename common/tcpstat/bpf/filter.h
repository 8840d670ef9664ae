/* The filters of the BPF programs: which sockets they count.
 *
 * Layer: tcpstat (L1). Plain data of fixed layout, for both compilers, in the kernel's types; user
 * space fills it from a census_request (kernel_filter.h). */
#ifndef FINWAIT_TCPSTAT_BPF_FILTER_H
#define FINWAIT_TCPSTAT_BPF_FILTER_H

#include <linux/types.h>

#define FILTER_PORTS 65536
#define FILTER_PORT_WORDS (FILTER_PORTS / 64)
#define FILTER_RANGES_MAX 32

enum filter_end { FILTER_LOCAL, FILTER_REMOTE, FILTER_EITHER, FILTER_ENDS };

/* An address as two numbers; an IPv4 address is the lower half of the second. */
struct filter_address {
    __u64 high;
    __u64 low;
};

struct filter_range {
    struct filter_address first;
    struct filter_address last;
    __u32 family;
    __u32 padding;
};

struct filter_ranges {
    __u32 count; /* 0: every address passes */
    __u32 padding;
    struct filter_range ranges[FILTER_RANGES_MAX];
};

struct filter {
    __u32 states;    /* bit n: the state n passes; 0: all */
    __u32 has_ports; /* bit n: `ports` of end n are looked at */
    struct filter_ranges addresses[FILTER_ENDS];
    __u64 ports[FILTER_ENDS][FILTER_PORT_WORDS]; /* bit n % 64 of word n / 64: port n passes */
};

#endif
