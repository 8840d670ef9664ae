/* Where reports are written: whole or not at all, and never over what is no file. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "report/report.h"
#include "report/sample.h"

#define CASE(test) cmocka_unit_test_setup_teardown(test, make, destroy)

/* A report to write, an empty directory, and a path in it. */
struct desk {
    struct sample sample;
    struct failure failure;
    char directory[SAMPLE_PATH_MAX];
    char path[SAMPLE_PATH_MAX];
    int files; /* that the test should leave in the directory */
};

static int make(void **state)
{
    struct desk *desk = calloc(1, sizeof(*desk));
    assert_non_null(desk);
    sample_make(&desk->sample);
    sample_directory(desk->directory);
    sample_path(desk->path, desk->directory, "report.json");
    *state = desk;
    return 0;
}

static int destroy(void **state)
{
    struct desk *desk = *state;
    int left = sample_remove_directory(desk->directory);
    int files = desk->files;
    sample_free(&desk->sample);
    free(desk);
    assert_int_equal(left, files); /* no temporary file, and no report that should not be */
    return 0;
}

/* An older report lies in the way. */
static void write_old(struct desk *desk)
{
    sample_write(desk->path, "old");
    desk->files++;
}

static int write_report(struct desk *desk, const char *path)
{
    return result_write_json(&desk->sample.result, path, &desk->failure);
}

static void a_report_replaces_the_one_before_it(void **state)
{
    struct desk *desk = *state;
    write_old(desk);
    assert_int_equal(write_report(desk, desk->path), 0);
    char *text = sample_read(desk->path);
    assert_int_equal(strncmp(text, "{\n\"schema\": \"finwait.result/1\",\n", 32), 0);
    assert_int_equal(strcmp(text + strlen(text) - 3, "\n}\n"), 0);
    free(text);
}

static void a_report_that_does_not_fit_leaves_the_old_one(void **state)
{
    struct desk *desk = *state;
    struct rlimit before, small;
    write_old(desk);
    /* A limit on file sizes stands for a full disk. */
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = (struct rlimit){.rlim_cur = 100, .rlim_max = before.rlim_max};
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    int error = write_report(desk, desk->path);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, handler);
    assert_int_equal(error, -EFBIG);
    assert_int_equal(desk->failure.error, EFBIG);
    assert_non_null(strstr(desk->failure.text, desk->path));
    char *text = sample_read(desk->path);
    assert_string_equal(text, "old");
    free(text);
}

static void a_full_device_is_an_error(void **state)
{
    struct desk *desk = *state;
    assert_int_equal(write_report(desk, "/dev/full"), -ENOSPC);
    assert_non_null(strstr(desk->failure.text, "/dev/full: cannot be written: No space left"));
}

static void a_directory_that_is_not_there_is_an_error(void **state)
{
    struct desk *desk = *state;
    char path[SAMPLE_PATH_MAX];
    sample_path(path, desk->directory, "missing/report");
    assert_int_equal(write_report(desk, path), -ENOENT);
    assert_non_null(strstr(desk->failure.text, "missing/report: cannot be written: No such file"));
    assert_int_equal(result_write_hgrm(&desk->sample.result, path, &desk->failure), -ENOENT);
    assert_int_equal(write_report(desk, desk->directory), -EISDIR);
}

static void a_link_is_written_through_and_stays_a_link(void **state)
{
    struct desk *desk = *state;
    struct stat status;
    char link_path[SAMPLE_PATH_MAX];
    sample_path(link_path, desk->directory, "latest.json");
    write_old(desk);
    assert_int_equal(symlink(desk->path, link_path), 0);
    desk->files++;
    assert_int_equal(write_report(desk, link_path), 0);
    assert_int_equal(lstat(link_path, &status), 0);
    assert_true(S_ISLNK(status.st_mode));
    char *text = sample_read(desk->path);
    assert_int_equal(text[0], '{');
    free(text);
}

static void a_report_is_readable_by_those_whom_the_umask_allows(void **state)
{
    struct desk *desk = *state;
    struct stat status;
    mode_t before = umask(022);
    int error = write_report(desk, desk->path);
    umask(before);
    assert_int_equal(error, 0);
    desk->files++;
    assert_int_equal(stat(desk->path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0644);
}

static void a_path_is_checked_before_a_run_and_nothing_is_left(void **state)
{
    struct desk *desk = *state;
    struct failure *failure = &desk->failure;
    char path[SAMPLE_PATH_MAX];
    sample_path(path, desk->directory, "missing/report");
    assert_int_equal(result_path_check(path, failure), -ENOENT);
    assert_non_null(strstr(failure->text, "missing/report: cannot be written"));
    assert_int_equal(result_path_check(desk->directory, failure), -EISDIR);
    assert_int_equal(result_path_check("-", failure), 0);
    assert_int_equal(result_path_check("/dev/null", failure), 0);
    assert_int_equal(result_path_check(desk->path, failure), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_report_replaces_the_one_before_it),
        CASE(a_report_that_does_not_fit_leaves_the_old_one),
        CASE(a_full_device_is_an_error),
        CASE(a_directory_that_is_not_there_is_an_error),
        CASE(a_path_is_checked_before_a_run_and_nothing_is_left),
        CASE(a_link_is_written_through_and_stays_a_link),
        CASE(a_report_is_readable_by_those_whom_the_umask_allows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
