/* Percentile files, read back line by line as a plotter would. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "report/report.h"
#include "report/sample.h"

struct line {
    double value, percentile, inverse;
    uint64_t count;
};

struct fixture {
    struct sample sample;
    char directory[SAMPLE_PATH_MAX];
};

static int make(void **state)
{
    static struct fixture fixture;
    struct failure failure;
    char prefix[SAMPLE_PATH_MAX];
    sample_make(&fixture.sample);
    sample_directory(fixture.directory);
    sample_path(prefix, fixture.directory, "run");
    *state = &fixture;
    return result_write_hgrm(&fixture.sample.result, prefix, &failure);
}

static int destroy(void **state)
{
    struct fixture *fixture = *state;
    sample_remove_directory(fixture->directory);
    sample_free(&fixture->sample);
    return 0;
}

static char *read_file(const struct fixture *fixture, const char *name)
{
    char path[SAMPLE_PATH_MAX];
    sample_path(path, fixture->directory, name);
    return sample_read(path);
}

/* Reads the lines of values; returns how many there were. */
static size_t parse(char *text, struct line *lines, size_t lines_max)
{
    size_t count = 0;
    char *rest = NULL;
    for (char *row = strtok_r(text, "\n", &rest); row != NULL; row = strtok_r(NULL, "\n", &rest)) {
        struct line line;
        if (row[0] != '#' && sscanf(row, "%lf %lf %" SCNu64 " %lf", &line.value, &line.percentile,
                                    &line.count, &line.inverse) == 4) {
            assert_true(count < lines_max);
            lines[count++] = line;
        }
    }
    return count;
}

static void lines_rise_to_the_maximum_and_the_whole_count(void **state)
{
    struct line lines[256];
    char *text = read_file(*state, "run.connect.hgrm");
    size_t count = parse(text, lines, 256);
    assert_true(count > 30);
    assert_true(fabs(lines[0].value - 1) < 1e-9);
    assert_int_equal(lines[0].count, 1);
    for (size_t i = 1; i < count; i++) {
        assert_true(lines[i].value >= lines[i - 1].value);
        assert_true(lines[i].percentile > lines[i - 1].percentile);
        assert_true(lines[i].count >= lines[i - 1].count);
        /* At a percentile at least that share has been counted. */
        assert_true((double)lines[i].count >= lines[i].percentile * 1000 - 1e-6);
    }
    assert_true(fabs(lines[count - 1].value - 1000) < 1e-9);
    assert_true(fabs(lines[count - 1].percentile - 1) < 1e-12);
    assert_int_equal(lines[count - 1].count, 1000);
    assert_true(isinf(lines[count - 1].inverse));
    free(text);
}

static void the_median_line_has_the_median_in_microseconds(void **state)
{
    struct line lines[256];
    char *text = read_file(*state, "run.connect.hgrm");
    size_t count = parse(text, lines, 256), found = 0;
    for (size_t i = 0; i < count; i++) {
        if (fabs(lines[i].percentile - 0.5) < 1e-9) {
            assert_true(fabs(lines[i].value - 500) < 5);
            assert_true(fabs(lines[i].inverse - 2) < 0.01);
            found++;
        }
    }
    assert_int_equal(found, 1);
    free(text);
}

static void header_and_footer_say_what_the_values_are(void **state)
{
    char *text = read_file(*state, "run.connect.hgrm");
    assert_int_equal(
        strncmp(text, "# connect, from the scheduled time; values in microseconds\n", 59), 0);
    assert_non_null(strstr(text, "Value     Percentile TotalCount 1/(1-Percentile)\n\n"));
    assert_non_null(strstr(text, "#[Mean    =      500.500, StdDeviation   =      288.6"));
    assert_non_null(strstr(text, "#[Max     =     1000.000, Total count    =         1000]\n"));
    free(text);
}

static void each_origin_has_its_own_file(void **state)
{
    struct line lines[16];
    char *text = read_file(*state, "run.connect.start.hgrm");
    assert_non_null(strstr(text, "# connect, from the actual start;"));
    size_t count = parse(text, lines, 16);
    /* One value: its first line counts all of it. */
    assert_int_equal(count, 2);
    assert_int_equal(lines[0].count, 10);
    assert_true(fabs(lines[0].value - 0.1) < 1e-9);
    free(text);
}

static void an_empty_histogram_has_no_lines(void **state)
{
    struct line lines[16];
    char *text = read_file(*state, "run.turn.hgrm");
    assert_non_null(strstr(text, "Total count    =            0]"));
    assert_int_equal(parse(text, lines, 16), 0);
    free(text);
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, make, destroy)
    const struct CMUnitTest tests[] = {
        CASE(lines_rise_to_the_maximum_and_the_whole_count),
        CASE(the_median_line_has_the_median_in_microseconds),
        CASE(header_and_footer_say_what_the_values_are),
        CASE(each_origin_has_its_own_file),
        CASE(an_empty_histogram_has_no_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
