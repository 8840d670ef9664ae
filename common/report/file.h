/* Output files that appear whole or not at all.
 *
 * Layer: report; of this folder only. Owner: the struct's holder, who ends every file that was opened
 * with report_file_commit. */
#ifndef FINWAIT_REPORT_FILE_H
#define FINWAIT_REPORT_FILE_H

#include <stdio.h>

#include "base/failure.h"

struct report_file {
    FILE *out;
    const char *path; /* borrowed */
    char *temporary;  /* beside `path`; NULL when `path` is written through */
};

/* Opens a file to be written: "-" is stdout; what exists and is no regular file (a pipe, /dev/null, a
 * link) is written through, since a rename would take its place. Returns 0, or -errno with the text
 * set and nothing left behind. */
int report_file_open(struct report_file *file, const char *path, struct failure *failure);

/* Ends a file and puts it in place. `error` is what writing gave so far (0 or -errno); with an error,
 * and when the stream failed, nothing is put in place. Returns 0, or -errno with the text set. */
int report_file_commit(struct report_file *file, int error, struct failure *failure);

#endif
