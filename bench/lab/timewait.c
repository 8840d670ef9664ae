/* Runs the demonstrations; see timewait.h. Layer: bench/lab. */
#include "timewait.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
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
    if (timewait->stopped) {
        return; /* what was cut short shows nothing */
    }
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

static const struct part {
    const char *name;
    demonstration show;
    bool is_long;
} parts[] = {
    {"who-waits", timewait_show_sides, false},
    {"restart", timewait_show_restart, false},
    {"reuse", timewait_show_timestamps, false},
    {"tw-reuse", timewait_show_tw_reuse, false},
    {"ports", timewait_show_ports, false},
    {"tw-buckets", timewait_show_buckets, false},
    {"old-duplicate", timewait_show_duplicate, false},
    {"lost-ack", timewait_show_last_ack, false},
    {"stack-reuse", timewait_show_stack_reuse, false},
    {"churn-kernel", timewait_show_churn_kernel, true},
    {"churn-stack", timewait_show_churn_stack, true},
    {"churn-memory", timewait_show_churn_memory, false},
};

#define PART_COUNT (sizeof(parts) / sizeof(parts[0]))

/* Tells whether a list of words with commas between has a word. */
static bool has_word(const char *list, const char *word)
{
    size_t length = strlen(word);
    for (const char *at = list; at != NULL; at = strchr(at, ','), at += at != NULL ? 1 : 0) {
        if (strncmp(at, word, length) == 0 && (at[length] == ',' || at[length] == '\0')) {
            return true;
        }
    }
    return false;
}

static bool is_named(const struct timewait_options *options, const char *name)
{
    for (uint32_t i = 0; i < options->parts.count; i++) {
        if (has_word(options->parts.values[i], name)) {
            return true;
        }
    }
    return false;
}

static bool is_wanted(const struct timewait_options *options, const struct part *part)
{
    if (options->parts.count > 0) {
        return is_named(options, part->name);
    }
    return !part->is_long || !options->is_short;
}

/* Checks one list of names. */
static int check_list(const char *list, struct failure *failure)
{
    for (const char *at = list; at != NULL;) {
        size_t length = strcspn(at, ",");
        bool known = false;
        for (size_t i = 0; i < PART_COUNT; i++) {
            known = known ||
                    (strlen(parts[i].name) == length && strncmp(parts[i].name, at, length) == 0);
        }
        if (!known) {
            return failure_set(failure, EINVAL,
                               "--parts: unknown \"%.*s\"; --help lists what there is, such as %s",
                               (int)length, at, parts[0].name);
        }
        at = at[length] == ',' ? at + length + 1 : NULL;
    }
    return 0;
}

int timewait_check_parts(const struct timewait_options *options, struct failure *failure)
{
    int error = 0;
    for (uint32_t i = 0; error == 0 && i < options->parts.count; i++) {
        error = check_list(options->parts.values[i], failure);
    }
    return error;
}

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
    for (size_t i = 0; i < PART_COUNT; i++) {
        if (!timewait.stopped && is_wanted(options, &parts[i])) {
            parts[i].show(&timewait);
            timewait_pause(&timewait, 0);
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
