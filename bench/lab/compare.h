/* Compare: kernel against stack, trial by trial, as a table and as JSON.
 *
 * Layer: bench/lab. Trials come in rounds: each round has one trial of every contender, in an order
 * that stats_order_round gives, each in a fresh pair of namespaces; what a round holds is compared
 * within it. Files: compare_plan.c decides who contends, compare.c runs, compare_report.c computes
 * and prints, compare_json.c writes. */
#ifndef FINWAIT_BENCH_LAB_COMPARE_H
#define FINWAIT_BENCH_LAB_COMPARE_H

#include <jansson.h>
#include <stdio.h>

#include "base/failure.h"
#include "cell.h"
#include "keeper.h"
#include "measure.h"
#include "options.h"
#include "place.h"
#include "stats.h"

#define COMPARE_CONTENDERS_MAX 48u /* of one group */
#define COMPARE_GROUPS_MAX 15u     /* closers x closes */
#define COMPARE_NOTES_MAX 8u
#define COMPARE_NOTE_MAX 96u

/* From here on a warm-up is longer than any TIME_WAIT: 60 s, and a timer's granule. */
#define COMPARE_STEADY_NS (65 * UINT64_C(1000000000))

/* What a contender is there for. */
enum compare_row {
    ROW_KERNEL, /* as it comes: the first ratio is to this */
    ROW_TUNED,  /* to 7 segments: the second ratio is to this */
    ROW_CELL,   /* a wanted cell, as it comes */
    ROW_EAGER,  /* the stack made to send 10 segments */
    ROW_NULL,   /* canned segments without state */
    ROW_COUNT
};

/* A limit that the programs' verdicts named, or what the lab itself saw, and in how many trials. */
struct compare_note {
    char text[COMPARE_NOTE_MAX]; /* "note, client: generator-cpu", or a sentence of the lab's */
    char *sentence;              /* a verdict's, of the first trial that had it; owned; or NULL */
    uint32_t trials;
};

struct contender {
    enum compare_row row;
    struct cell_spec spec;
    struct measures *trials; /* by round; owned */
    uint32_t done;           /* rounds with a figure; less than all when one failed */
    double held_bytes;       /* memory of one connection; NaN: not measured */
    bool failed;
    bool invalid; /* a trial's verdict was "invalid" */
    char reason[CELL_REASON_MAX];
    struct compare_note notes[COMPARE_NOTES_MAX];
    uint32_t note_count;
};

/* All contenders of one way to close. */
struct compare_group {
    struct contender contenders[COMPARE_CONTENDERS_MAX];
    uint32_t count;
    int kernel; /* index of the reference as it comes; -1: none */
    int tuned;
};

struct compare {
    const struct compare_options *options;
    double seconds;
    struct place place;
    struct compare_group *groups; /* owned */
    uint32_t group_count;
    json_t *host;    /* of the first report; owned */
    json_t *sysctls; /* of the first report of a kernel's end; owned */
    char offloads[160];
    bool interrupted;
};

/* Reads the lists of the options and decides who contends. Returns 0, or -errno with the text
 * set. compare_free ends it either way. */
int compare_plan(struct compare *compare, const struct compare_options *options,
                 struct failure *failure);
void compare_free(struct compare *compare);

/* Checks options whose faults should be told before anything starts. Returns 0, or -EINVAL (or the
 * file's errno) with the text set. */
int compare_check(const struct compare_options *options, struct failure *failure);

/* Runs and prints all; returns the exit code. */
int compare_run(struct keeper *keeper, const struct compare_options *options);

/* Names a contender: "kernel-uring", "kernel-uring > stack-packet", "stack-packet, 10 segments". */
#define COMPARE_NAME_MAX 64
const char *compare_name(const struct contender *contender, char name[COMPARE_NAME_MAX]);

/* "kernel", "tuned", "cell", "eager", "null". */
const char *compare_row_name(enum compare_row row);

/* Gives a measure's median and interval over a contender's rounds. The generator's seed follows
 * from the options', so that each figure is the same however often it is asked for. */
struct stats_interval compare_interval(const struct compare *compare,
                                       const struct contender *contender, enum measure measure);

/* Gives the ratio of the rates to another contender's, paired by rounds; NaN without one. */
struct stats_interval compare_ratio(const struct compare *compare,
                                    const struct contender *contender,
                                    const struct contender *reference);

void compare_print(const struct compare *compare, FILE *out);

/* Returns 0, or -errno with the text set. */
int compare_write_json(const struct compare *compare, const char *path, struct failure *failure);

#endif
