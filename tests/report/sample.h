/* A result with something in every field, and a directory for files; for the tests of report. */
#ifndef FINWAIT_TESTS_REPORT_SAMPLE_H
#define FINWAIT_TESTS_REPORT_SAMPLE_H

#include "report/report.h"

struct sample {
    struct result result;
    struct hist *connect; /* 1 to 1000 us, once each, from the schedule */
    struct hist *start;   /* 100 ns, ten times */
    struct hist *turn;    /* empty */
};

/* Makes the sample; a cmocka assertion fails when it cannot. */
void sample_make(struct sample *sample);
void sample_free(struct sample *sample);

#define SAMPLE_PATH_MAX 256

/* Makes an empty directory under the build's TMPDIR or /tmp. */
void sample_directory(char directory[SAMPLE_PATH_MAX]);

/* Joins a directory and a name. */
void sample_path(char path[SAMPLE_PATH_MAX], const char *directory, const char *name);

/* Removes a directory and the files in it; returns how many files there were. */
int sample_remove_directory(const char *directory);

/* Reads a whole file as a string; the caller frees it. */
char *sample_read(const char *path);

/* Makes a file with a text. */
void sample_write(const char *path, const char *text);

#endif
