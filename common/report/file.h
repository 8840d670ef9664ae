/* Output files that appear whole or not at all.
 *
 * Layer: report; of this folder only. Owner: the struct's holder, who ends every file that was
 * begun with report_file_commit. The text is gathered in memory and written in one go, so that a
 * failure keeps its errno: a stream that wrote on its own would only know that it failed. */
#ifndef FINWAIT_REPORT_FILE_H
#define FINWAIT_REPORT_FILE_H

#include <stdio.h>

#include "base/failure.h"

struct report_file {
    FILE *out;        /* to print into */
    const char *path; /* borrowed */
    char *text;       /* of `out` */
    size_t size;
};

/* Begins a file. Returns 0, or -ENOMEM with the text set. */
int report_file_begin(struct report_file *file, const char *path, struct failure *failure);

/* Ends a file and puts it in place: "-" is stdout; what exists and is no regular file (a pipe,
 * /dev/null, a link) is written through, since a rename would take its place; all else is written
 * beside its place and renamed. `error` is what printing gave so far (0 or -errno): with an error
 * nothing is written. Returns 0, or -errno with the text set and, where renaming is the way, no
 * trace left. */
int report_file_commit(struct report_file *file, int error, struct failure *failure);

#endif
