/* Runs the demonstrations; see timewait.h. Layer: bench/lab. */
#include "timewait.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/utsname.h>

#include "base/clock.h"
#include "base/log.h"

#define PROGRAM "finwait-lab"
#define CODE_NOT_SHOWN 4

void timewait_head(const char *name, const char *explanation)
{
    printf("\n%s: %s\n", name, explanation);
    fflush(stdout);
}

void timewait_check(struct timewait *timewait, bool holds, const char *format, ...)
{
    va_list arguments;
    printf("  %-9s ", holds ? "ok" : "NOT SHOWN");
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("\n");
    fflush(stdout);
    if (holds) {
        timewait->shown++;
    } else {
        timewait->not_shown++;
    }
}

double timewait_rate(const struct timewait *timewait)
{
    const struct cli_rate *rate = &timewait->options->rate;
    return (double)rate->events * (double)NS_PER_SEC / (double)rate->per_ns;
}

bool timewait_pause(struct timewait *timewait, uint64_t ns)
{
    if (keeper_wait(timewait->keeper, NULL, clock_now_ns() + ns) == WAIT_STOP) {
        timewait->stopped = true;
    }
    return !timewait->stopped;
}

typedef void (*demonstration)(struct timewait *timewait);

static const demonstration demonstrations[] = {
    timewait_show_sides,     timewait_show_restart,  timewait_show_timestamps,
    timewait_show_tw_reuse,  timewait_show_ports,    timewait_show_buckets,
    timewait_show_duplicate, timewait_show_last_ack, timewait_show_stack_reuse,
    timewait_show_churn,
};

int timewait_run(struct keeper *keeper, const struct timewait_options *options)
{
    struct timewait timewait = {.keeper = keeper, .options = options};
    struct failure failure;
    struct utsname system;
    uname(&system);
    if (place_find(&timewait.place, options->bin_dir, PLACE_APART, &failure) != 0) {
        log_line(PROGRAM, "%s", failure.text);
        return CODE_NOT_SHOWN;
    }
    printf("finwait %s, Linux %s: TIME_WAIT in the kernel and in finwait's stack, each line "
           "measured now\n",
           FINWAIT_VERSION, system.release);
    for (size_t i = 0; i < sizeof(demonstrations) / sizeof(demonstrations[0]); i++) {
        if (!timewait.stopped) {
            demonstrations[i](&timewait);
        }
    }
    printf("\n%" PRIu32 " shown, %" PRIu32 " not shown%s\n", timewait.shown, timewait.not_shown,
           timewait.stopped ? "; interrupted" : "");
    fflush(stdout);
    if (timewait.stopped) {
        return 128 + keeper->last_signal;
    }
    return timewait.not_shown == 0 ? 0 : CODE_NOT_SHOWN;
}
