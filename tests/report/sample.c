/* See sample.h. */
#include "report/sample.h"

#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct hist *make_hist(void)
{
    struct hist *hist = malloc(sizeof(*hist));
    assert_non_null(hist);
    hist_init(hist);
    return hist;
}

static void fill_hists(struct sample *sample)
{
    sample->connect = make_hist();
    sample->start = make_hist();
    sample->turn = make_hist();
    for (uint64_t us = 1; us <= 1000; us++) {
        hist_record(sample->connect, us * 1000);
    }
    for (int i = 0; i < 10; i++) {
        hist_record(sample->start, 100);
    }
    struct result *result = &sample->result;
    assert_int_equal(result_add_hist(result, "connect", RESULT_FROM_SCHEDULED, sample->connect), 0);
    assert_int_equal(result_add_hist(result, "connect", RESULT_FROM_START, sample->start), 0);
    assert_int_equal(result_add_hist(result, "turn", RESULT_PLAIN, sample->turn), 0);
}

static void fill_tables(struct result *result)
{
    static const char *const columns[] = {"elapsed_sec", "completed", "time_wait"};
    const struct result_number row[] = {result_real(1.5), result_count(20), result_unknown()};
    struct result_census census = {.elapsed_sec = 2.5, .cost_wall_ns = 7, .method = NULL};
    census.counts.n[TCP_STATE_TIME_WAIT] = 12;
    char method[] = "proc";
    census.method = method;
    assert_int_equal(result_add_option(result, "rate", "20k/s"), 0);
    assert_int_equal(result_add_host(result, "kernel_release", "6.18"), 0);
    assert_int_equal(result_add_sysctl(result, "net.ipv4.tcp_tw_reuse", NULL), 0);
    assert_int_equal(result_add_error(result, "connect", ECONNREFUSED, 2), 0);
    assert_int_equal(result_add_error(result, "echo", ECONNRESET, 1), 0);
    assert_int_equal(result_add_counter(result, "kernel", "ActiveOpens", result_count(5)), 0);
    assert_int_equal(result_add_counter(result, "kernel", "TCPLost", result_unknown()), 0);
    assert_int_equal(result_series_columns(result, columns, 3), 0);
    assert_int_equal(result_series_add_row(result, row), 0);
    assert_int_equal(result_add_census(result, &census), 0);
    assert_int_equal(result_add_feature(result, "multishot_recv", "used", NULL), 0);
    assert_int_equal(result_add_limit(result, RESULT_NOTE, "server_cpu", "%s was busy.", "It"), 0);
}

static void fill_checks(struct result *result)
{
    char opens[] = "active_opens", resets[] = "out_rsts", note[] = "the kernel's figure";
    const struct result_check checks[] = {
        {.name = opens, .expected = result_count(1003), .measured = result_count(1003)},
        {.name = resets,
         .expected = result_count(1),
         .measured = result_count(4),
         .tolerance = 2,
         .note = note},
        {.name = resets, .expected = result_count(1), .measured = result_unknown()},
    };
    for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
        assert_int_equal(result_add_check(result, &checks[i]), 0);
    }
}

void sample_make(struct sample *sample)
{
    struct result *result = &sample->result;
    assert_int_equal(result_init(result, "finwait-loadgen"), 0);
    assert_int_equal(result_set(&result->engine, "uring"), 0);
    assert_int_equal(result_set(&result->closer, "client"), 0);
    assert_int_equal(result_set(&result->close_how, "fin"), 0);
    result->seed = result_count(UINT64_MAX);
    result->start_wall_ns = result_count(UINT64_C(1700000000123000000));
    result->duration_ns = result_count(UINT64_C(2000000000));
    result->offered_per_sec = result_real(501.5);
    result->attempted = result_count(1003);
    result->completed = result_count(1000);
    result->failed = result_count(3);
    result->open_at_end = result_count(0);
    result->shed = result_count(0);
    result->cpu.user_ns = result_count(10000000);
    result->cpu.system_ns = result_count(30000000);
    result->time_wait.measured = result_count(990);
    result->time_wait.expected = result_count(1000);
    fill_hists(sample);
    fill_tables(result);
    fill_checks(result);
    result_derive(result);
    assert_int_equal(result_check_accounting(result), 0);
}

void sample_free(struct sample *sample)
{
    result_destroy(&sample->result);
    free(sample->connect);
    free(sample->start);
    free(sample->turn);
}

void sample_directory(char directory[SAMPLE_PATH_MAX])
{
    const char *base = getenv("TMPDIR");
    int length = snprintf(directory, SAMPLE_PATH_MAX, "%s/finwait-report-XXXXXX",
                          base == NULL ? "/tmp" : base);
    assert_true(length > 0 && length < SAMPLE_PATH_MAX);
    assert_non_null(mkdtemp(directory));
}

void sample_path(char path[SAMPLE_PATH_MAX], const char *directory, const char *name)
{
    int length = snprintf(path, SAMPLE_PATH_MAX, "%s/%s", directory, name);
    assert_true(length > 0 && length < SAMPLE_PATH_MAX);
}

int sample_remove_directory(const char *directory)
{
    int count = 0;
    char path[SAMPLE_PATH_MAX];
    DIR *listing = opendir(directory);
    assert_non_null(listing);
    for (struct dirent *entry = readdir(listing); entry != NULL; entry = readdir(listing)) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        sample_path(path, directory, entry->d_name);
        assert_int_equal(unlink(path), 0);
        count++;
    }
    closedir(listing);
    assert_int_equal(rmdir(directory), 0);
    return count;
}

char *sample_read(const char *path)
{
    FILE *in = fopen(path, "r");
    assert_non_null(in);
    char *text = NULL;
    size_t size = 0;
    /* A file without a NUL is read to its end. */
    ssize_t got = getdelim(&text, &size, '\0', in);
    assert_true(got >= 0);
    fclose(in);
    return text;
}

void sample_write(const char *path, const char *text)
{
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    assert_true(fputs(text, out) >= 0);
    assert_int_equal(fclose(out), 0);
}
