/* What programs print and report, kept in anonymous memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "bench/lab/capture.h"

static int capture_of(const char *text)
{
    int fd = capture_open("test");
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    return fd;
}

static void assert_last_line(const char *text, const char *expected)
{
    char line[64];
    int fd = capture_of(text);
    capture_last_line(fd, line, sizeof(line));
    assert_string_equal(line, expected);
    close(fd);
}

static void the_last_line_that_is_not_empty_is_found(void **state)
{
    (void)state;
    assert_last_line("", "");
    assert_last_line("\n\n", "");
    assert_last_line("one", "one");
    assert_last_line("one\ntwo\n", "two");
    assert_last_line("one\ntwo\n\n\n", "two");
}

static void a_long_line_is_cut_and_not_overrun(void **state)
{
    (void)state;
    char text[10001], line[16];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    int fd = capture_of(text);
    capture_last_line(fd, line, sizeof(line));
    assert_string_equal(line, "xxxxxxxxxxxxxxx");
    close(fd);
}

static void a_report_is_written_by_path_and_read_as_json(void **state)
{
    (void)state;
    char path[CAPTURE_PATH_MAX];
    int fd = capture_open("test");
    /* A program opens the path anew and cuts the file to nothing first. */
    for (int i = 0; i < 2; i++) {
        FILE *out = fopen(capture_path(fd, path), "w");
        assert_non_null(out);
        fprintf(out, "{\"completed\": %d}", i);
        fclose(out);
    }
    json_t *report = capture_json(fd);
    assert_int_equal(json_integer_value(json_object_get(report, "completed")), 1);
    json_decref(report);
    close(fd);
}

static void what_is_no_json_gives_no_report(void **state)
{
    (void)state;
    int empty = capture_of(""), broken = capture_of("{\"completed\": 1");
    assert_null(capture_json(empty));
    assert_null(capture_json(broken));
    close(empty);
    close(broken);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_line_that_is_not_empty_is_found),
        cmocka_unit_test(a_long_line_is_cut_and_not_overrun),
        cmocka_unit_test(a_report_is_written_by_path_and_read_as_json),
        cmocka_unit_test(what_is_no_json_gives_no_report),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
