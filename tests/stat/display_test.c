/* finwait-stat's lines, as a reader sees them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "stat/display.h"

/* What was printed since the last call; the caller frees it. */
struct page {
    FILE *out;
    char *text;
    size_t length;
};

static void page_open(struct page *page)
{
    *page = (struct page){0};
    page->out = open_memstream(&page->text, &page->length);
    assert_non_null(page->out);
}

static void page_close(struct page *page)
{
    fclose(page->out);
}

static uint32_t count_of(const char *text, const char *word)
{
    uint32_t count = 0;
    for (const char *at = strstr(text, word); at != NULL; at = strstr(at + 1, word)) {
        count++;
    }
    return count;
}

static void test_states_that_never_occurred_have_no_column(void **state)
{
    (void)state;
    struct display display = {0};
    struct display_line line = {.has_census = true, .counts.n[TCP_STATE_CLOSE_WAIT] = 41};
    struct page page;
    page_open(&page);
    display_print_line(&display, &line, page.out);
    page_close(&page);
    assert_non_null(strstr(page.text, "CLOSE_WAIT"));
    assert_non_null(strstr(page.text, "ESTABLISHED"));
    assert_non_null(strstr(page.text, " 41 "));
    assert_null(strstr(page.text, "FIN_WAIT_1"));
    assert_null(strstr(page.text, "CLOSED"));
    free(page.text);
}

static void test_the_header_comes_again_for_a_new_column_and_every_20_lines(void **state)
{
    (void)state;
    struct display display = {0};
    struct display_line line = {.has_census = true};
    struct page page;
    page_open(&page);
    for (int i = 0; i < 20; i++) {
        display_print_line(&display, &line, page.out);
    }
    fflush(page.out);
    assert_int_equal(count_of(page.text, "ESTABLISHED"), 1);
    display_print_line(&display, &line, page.out);
    fflush(page.out);
    assert_int_equal(count_of(page.text, "ESTABLISHED"), 2);
    line.counts.n[TCP_STATE_CLOSING] = 1;
    display_print_line(&display, &line, page.out);
    line.counts.n[TCP_STATE_CLOSING] = 0;
    display_print_line(&display, &line, page.out); /* the column stays */
    page_close(&page);
    assert_int_equal(count_of(page.text, "ESTABLISHED"), 3);
    assert_int_equal(count_of(page.text, "CLOSING"), 1);
    free(page.text);
}

/* Gives a line's length up to its newline. */
static size_t line_length(const char *text)
{
    return strcspn(text, "\n");
}

static void test_header_and_lines_are_aligned(void **state)
{
    (void)state;
    struct display display = {0};
    struct display_line line = {
        .elapsed_ns = 1500 * NS_PER_MS,
        .has_census = true,
        .time_wait_live = 12345,
        .age_ns = 999999999,
        .cost_ns = 8210000,
    };
    for (int i = 1; i < TCP_STATE_COUNT; i++) {
        line.counts.n[i] = (uint64_t)i * 1000;
    }
    struct page page;
    page_open(&page);
    display_print_line(&display, &line, page.out);
    line.has_census = false;
    display_print_line(&display, &line, page.out);
    page_close(&page);
    const char *second = strchr(page.text, '\n') + 1;
    const char *third = strchr(second, '\n') + 1;
    assert_int_equal(line_length(page.text), line_length(second));
    assert_int_equal(line_length(page.text), line_length(third));
    assert_non_null(strstr(second, "8.21 ms"));
    assert_non_null(strstr(second, "1.5s"));
    assert_non_null(strstr(third, " - "));
    free(page.text);
}

static void test_a_doubtful_count_says_so(void **state)
{
    (void)state;
    struct census_result result = {
        .stamp = {.stability = CENSUS_CHANGED,
                  .passes = 3,
                  .repeats_remain = true,
                  .rows_repeated = 7,
                  .lines_malformed = 5},
        .v4.n[TCP_STATE_TIME_WAIT] = 30,
        .v6.n[TCP_STATE_TIME_WAIT] = 12,
        .total.n[TCP_STATE_TIME_WAIT] = 42,
    };
    struct page page;
    page_open(&page);
    display_print_table(&result, 44, page.out);
    page_close(&page);
    assert_non_null(strstr(page.text, "TIME_WAIT              30         12         42"));
    assert_non_null(strstr(page.text, "came or went"));
    assert_non_null(strstr(page.text, "5 lines"));
    assert_non_null(strstr(page.text, "7 sockets"));
    assert_non_null(strstr(page.text, "too high"));
    assert_non_null(strstr(page.text, "sockstat: 44"));
    free(page.text);
}

static void test_ports_are_a_table(void **state)
{
    (void)state;
    struct sample_head head = {.ports_by = "port"};
    struct sample *sample = calloc(1, sizeof(*sample));
    assert_non_null(sample);
    struct page page;
    page_open(&page);
    display_print_ports(&head, sample, page.out);
    assert_int_equal(ftell(page.out), 0);
    sample->has_transitions = sample->has_ports = true;
    sample->port_count = 2;
    sample->ports[0].port = 80;
    sample->ports[1].port = 7000;
    sample->ports[1].transitions.n[TCP_STATE_NONE][TCP_STATE_SYN_SENT] = 3;
    sample->ports[1].transitions.n[TCP_STATE_FIN_WAIT_2][TCP_STATE_TIME_WAIT] = 2;
    sample->ports[1].lasted[TCP_STATE_ESTABLISHED] = (struct sample_lasted){
        .count = 3, .p50_ns = 20 * NS_PER_MS, .p99_ns = 31 * NS_PER_MS, .max_ns = 42 * NS_PER_MS};
    display_print_ports(&head, sample, page.out);
    page_close(&page);
    const char *first = strstr(page.text, "\n80   ");
    const char *second = strstr(page.text, "\n7000   ");
    assert_int_equal(strncmp(page.text, "by port ", 8), 0);
    assert_true(first != NULL && second != NULL && first < second);
    assert_non_null(strstr(first, " 0          0          -          -          -\n"));
    assert_non_null(strstr(second, " 3          2    20.0 ms    31.0 ms    42.0 ms\n"));
    assert_null(strstr(page.text, "other"));
    free(page.text);
    free(sample);
}

static void test_a_lifetime_says_where_it_is_known_from(void **state)
{
    (void)state;
    static const struct {
        bool is_told;
        bool is_measured;
        const char *words;
    } cases[] = {{false, false, "lifetime 60.00 s (assumed)"},
                 {true, false, "lifetime 60.00 s (2MSL)"},
                 {false, true, "lifetime 60.00 s (measured)"},
                 {true, true, "lifetime 60.00 s (measured)"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct timewait_estimate estimate = {.lifetime_ns = 60 * NS_PER_SEC,
                                                   .lifetime_is_told = cases[i].is_told,
                                                   .lifetime_is_measured = cases[i].is_measured};
        struct page page;
        page_open(&page);
        display_print_time_wait(&estimate, page.out);
        page_close(&page);
        assert_non_null(strstr(page.text, cases[i].words));
        free(page.text);
    }
}

static void test_durations_have_three_digits(void **state)
{
    (void)state;
    static const struct {
        uint64_t ns;
        const char *text;
    } cases[] = {{0, "0 ns"},           {999, "999 ns"},        {1000, "1.00 us"},
                 {9994, "9.99 us"},     {9996, "10.0 us"},      {8210000, "8.21 ms"},
                 {99940000, "99.9 ms"}, {130000000, "130 ms"},  {2900000000, "2.90 s"},
                 {99960000, "100 ms"},  {61024000000, "61.0 s"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[32];
        assert_string_equal(display_format_duration(cases[i].ns, text, sizeof(text)),
                            cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_states_that_never_occurred_have_no_column),
        cmocka_unit_test(test_the_header_comes_again_for_a_new_column_and_every_20_lines),
        cmocka_unit_test(test_header_and_lines_are_aligned),
        cmocka_unit_test(test_a_doubtful_count_says_so),
        cmocka_unit_test(test_ports_are_a_table),
        cmocka_unit_test(test_a_lifetime_says_where_it_is_known_from),
        cmocka_unit_test(test_durations_have_three_digits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
