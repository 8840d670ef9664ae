/* Report: a run's result as text, as JSON and as percentile files; what a host is; gates for CI.
 *
 * Layer: report (L1); uses base only. It measures nothing: host.c alone reads /proc and /sys, for
 * the facts that a reader needs to judge a number. Writers keep no pointer; failures carry the
 * words. */
#ifndef FINWAIT_REPORT_REPORT_H
#define FINWAIT_REPORT_REPORT_H

#include <stdio.h>

#include "base/failure.h"
#include "report/gate.h"
#include "report/result.h"
#include "report/summary.h"

/* Writes the summary that a person reads, in 80 columns: rate and verdict first, then latency,
 * failures, TIME_WAIT, CPU, cross-checks, limits. Returns 0 or -EIO when the stream failed. */
int result_write_text(const struct result *result, FILE *out);

/* Writes the whole result as JSON; "-" is stdout. A regular file is written beside its place and
 * renamed, so that a reader never sees half of it; pipes, devices and links are written through.
 * Top-level keys have a line each. Unknown values are null; durations are ns; `seed` is a decimal
 * string, since JSON's readers keep only 53 bits. Returns 0, or -errno with the text set and
 * whatever was at `path` left as it was (regular files). */
int result_write_json(const struct result *result, const char *path, struct failure *failure);

/* Writes every histogram as an HdrHistogram percentile file, in microseconds: PREFIX.connect.hgrm
 * counts from the scheduled time, PREFIX.connect.start.hgrm from the actual start. Returns 0, or
 * -errno with the text set; files that were complete by then stay. */
int result_write_hgrm(const struct result *result, const char *prefix, struct failure *failure);

/* Tells, before a run, whether a report could be written at a path, so that no run is lost to a
 * slip of the pen. Leaves nothing behind. Returns 0, or -errno with the text set. */
int result_path_check(const char *path, struct failure *failure);

/* Adds what the host is (kernel, CPUs, clock source, memory, descriptor limit) and the sysctls that
 * decide TCP churn, as they are in our network namespace. What cannot be read is unknown. `root` is
 * "" but in tests, which point it at a copy of /proc and /sys. Returns 0 or -ENOMEM. */
int result_gather_host(struct result *result, const char *root);

#endif
