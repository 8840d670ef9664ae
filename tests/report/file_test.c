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

static void a_report_replaces_the_one_before_it(void **state)
{
    (void)state;
    struct sample sample;
    struct failure failure;
    char directory[SAMPLE_PATH_MAX], path[SAMPLE_PATH_MAX];
    sample_make(&sample);
    sample_directory(directory);
    sample_path(path, directory, "report.json");
    sample_write(path, "old");
    assert_int_equal(result_write_json(&sample.result, path, &failure), 0);
    char *text = sample_read(path);
    assert_int_equal(strncmp(text, "{\n\"schema\": \"finwait.result/1\",\n", 32), 0);
    assert_int_equal(strcmp(text + strlen(text) - 3, "\n}\n"), 0);
    free(text);
    assert_int_equal(sample_remove_directory(directory), 1);
    sample_free(&sample);
}

static void a_report_that_does_not_fit_leaves_the_old_one(void **state)
{
    (void)state;
    struct sample sample;
    struct failure failure;
    struct rlimit before, small;
    char directory[SAMPLE_PATH_MAX], path[SAMPLE_PATH_MAX];
    sample_make(&sample);
    sample_directory(directory);
    sample_path(path, directory, "report.json");
    sample_write(path, "old");
    /* A limit on file sizes stands for a full disk. */
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = (struct rlimit){.rlim_cur = 100, .rlim_max = before.rlim_max};
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    int error = result_write_json(&sample.result, path, &failure);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, handler);
    assert_int_equal(error, -EFBIG);
    assert_int_equal(failure.error, EFBIG);
    assert_non_null(strstr(failure.text, path));
    char *text = sample_read(path);
    assert_string_equal(text, "old");
    free(text);
    assert_int_equal(sample_remove_directory(directory), 1);
    sample_free(&sample);
}

static void a_full_device_is_an_error(void **state)
{
    (void)state;
    struct sample sample;
    struct failure failure;
    sample_make(&sample);
    assert_int_equal(result_write_json(&sample.result, "/dev/full", &failure), -ENOSPC);
    assert_non_null(strstr(failure.text, "/dev/full: cannot be written: No space left"));
    sample_free(&sample);
}

static void a_directory_that_is_not_there_is_an_error(void **state)
{
    (void)state;
    struct sample sample;
    struct failure failure;
    char directory[SAMPLE_PATH_MAX], path[SAMPLE_PATH_MAX];
    sample_make(&sample);
    sample_directory(directory);
    sample_path(path, directory, "missing/report");
    assert_int_equal(result_write_json(&sample.result, path, &failure), -ENOENT);
    assert_non_null(strstr(failure.text, "missing/report: cannot be written: No such file"));
    assert_int_equal(result_write_hgrm(&sample.result, path, &failure), -ENOENT);
    assert_int_equal(result_write_json(&sample.result, directory, &failure), -EISDIR);
    assert_int_equal(sample_remove_directory(directory), 0);
    sample_free(&sample);
}

static void a_link_is_written_through_and_stays_a_link(void **state)
{
    (void)state;
    struct sample sample;
    struct failure failure;
    struct stat status;
    char directory[SAMPLE_PATH_MAX], path[SAMPLE_PATH_MAX], link_path[SAMPLE_PATH_MAX];
    sample_make(&sample);
    sample_directory(directory);
    sample_path(path, directory, "report.json");
    sample_path(link_path, directory, "latest.json");
    sample_write(path, "old");
    assert_int_equal(symlink(path, link_path), 0);
    assert_int_equal(result_write_json(&sample.result, link_path, &failure), 0);
    assert_int_equal(lstat(link_path, &status), 0);
    assert_true(S_ISLNK(status.st_mode));
    char *text = sample_read(path);
    assert_int_equal(text[0], '{');
    free(text);
    assert_int_equal(sample_remove_directory(directory), 2);
    sample_free(&sample);
}

static void a_report_is_readable_by_those_whom_the_umask_allows(void **state)
{
    (void)state;
    struct sample sample;
    struct failure failure;
    struct stat status;
    char directory[SAMPLE_PATH_MAX], path[SAMPLE_PATH_MAX];
    sample_make(&sample);
    sample_directory(directory);
    sample_path(path, directory, "report.json");
    mode_t before = umask(022);
    int error = result_write_json(&sample.result, path, &failure);
    umask(before);
    assert_int_equal(error, 0);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0644);
    assert_int_equal(sample_remove_directory(directory), 1);
    sample_free(&sample);
}

static void a_path_is_checked_before_a_run_and_nothing_is_left(void **state)
{
    (void)state;
    struct failure failure;
    char directory[SAMPLE_PATH_MAX], path[SAMPLE_PATH_MAX];
    sample_directory(directory);
    sample_path(path, directory, "missing/report");
    assert_int_equal(result_path_check(path, &failure), -ENOENT);
    assert_non_null(strstr(failure.text, "missing/report: cannot be written"));
    assert_int_equal(result_path_check(directory, &failure), -EISDIR);
    assert_int_equal(result_path_check("-", &failure), 0);
    assert_int_equal(result_path_check("/dev/null", &failure), 0);
    sample_path(path, directory, "report.json");
    assert_int_equal(result_path_check(path, &failure), 0);
    assert_int_equal(sample_remove_directory(directory), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_report_replaces_the_one_before_it),
        cmocka_unit_test(a_report_that_does_not_fit_leaves_the_old_one),
        cmocka_unit_test(a_full_device_is_an_error),
        cmocka_unit_test(a_directory_that_is_not_there_is_an_error),
        cmocka_unit_test(a_path_is_checked_before_a_run_and_nothing_is_left),
        cmocka_unit_test(a_link_is_written_through_and_stays_a_link),
        cmocka_unit_test(a_report_is_readable_by_those_whom_the_umask_allows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
