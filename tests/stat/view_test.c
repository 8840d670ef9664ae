/* The live view, drawn at several sizes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "stat/view.h"

struct fixture {
    struct sample_head head;
    struct sample before;
    struct sample now;
    struct view_options options;
};

static struct tcpstat_listener make_listener(const char *local, uint32_t queued, uint64_t drops)
{
    struct tcpstat_listener listener = {
        .queued = queued, .backlog = 128, .drops = drops, .has_backlog = true, .has_drops = true};
    assert_int_equal(endpoint_parse(&listener.local, local, NULL), 0);
    return listener;
}

/* A second of churn: 470 TIME_WAITs made, 460 ended. */
static void fill(struct fixture *fixture)
{
    *fixture = (struct fixture){
        .head = {.kernel = "6.1.0",
                 .method = "procfs",
                 .interval_ns = NS_PER_SEC,
                 .budget_permille = 15,
                 .time_wait_max = 131072},
        .options = {.takes_keys = true},
    };
    struct sample *before = &fixture->before;
    before->elapsed_ns = 9 * NS_PER_SEC;
    before->values[WATCH_time_wait] = 28113;
    before->values[WATCH_time_wait_made] = 50000;
    before->listener_count = 2;
    before->listeners[0] = make_listener("0.0.0.0:7000", 3, 5);
    before->listeners[1] = make_listener("[::1]:80", 0, 0);
    struct sample *now = &fixture->now;
    *now = *before;
    now->elapsed_ns = 10 * NS_PER_SEC;
    now->values[WATCH_time_wait] = 28123;
    now->values[WATCH_time_wait_made] = 50470;
    now->values[WATCH_listen_drops] = 12;
    now->census_count = 5;
    now->census_age_ns = 400 * NS_PER_MS;
    now->census_every_ns = 1920 * NS_PER_MS;
    now->census.stamp.started_ns = 9600 * NS_PER_MS;
    now->census.stamp.cpu_ns = 8210 * NS_PER_US;
    now->census.stamp.wall_ns = 9 * NS_PER_MS;
    now->census.total.n[TCP_STATE_TIME_WAIT] = 28000;
    now->census.total.n[TCP_STATE_ESTABLISHED] = 14000;
    now->time_wait = (struct timewait_estimate){
        .lifetime_ns = 61020 * NS_PER_MS, .made_per_sec = 470, .plateau = 28680};
    now->listeners[0] = make_listener("0.0.0.0:7000", 129, 17);
    sample_add_note(now, "the accept queue of 0.0.0.0:7000 is full");
}

/* Draws, and gives the text; the caller frees it. */
static char *draw(const struct fixture *fixture, int rows, int columns)
{
    struct canvas canvas = {0};
    assert_int_equal(canvas_resize(&canvas, rows, columns), 0);
    view_draw(&canvas, &fixture->head, &fixture->now, &fixture->before, &fixture->options);
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    canvas_write_text(&canvas, out);
    fclose(out);
    canvas_free(&canvas);
    return text;
}

/* Finds the line that begins with a word, and copies it. */
static void find_line(const char *text, const char *word, char line[256])
{
    while (text != NULL && strncmp(text, word, strlen(word)) != 0) {
        text = strchr(text, '\n');
        text = text == NULL ? NULL : text + 1;
    }
    if (text == NULL) {
        fail_msg("no line begins with %s", word);
        return;
    }
    snprintf(line, 256, "%.*s", (int)strcspn(text, "\n"), text);
}

static void test_80x24_has_every_part_and_no_line_is_cut(void **state)
{
    (void)state;
    struct fixture fixture;
    fill(&fixture);
    char *text = draw(&fixture, 24, 80);
    static const char *const parts[] = {
        "10.0 s, every 1.00 s",
        "census: procfs, 400 ms old, 8.21 ms of CPU, every 1.92 s, budget 1.5%",
        "LISTEN",
        "SYN_SENT",
        "SYN_RECEIVED",
        "ESTABLISHED",
        "FIN_WAIT_1",
        "FIN_WAIT_2",
        "CLOSING",
        "CLOSE_WAIT",
        "LAST_ACK",
        "TIME_WAIT 28,123 of at most 131,072, reused 0/s, overflow 0/s\n",
        "forecast  28,680 at 470/s for 61.02 s (assumed)\n",
        "per s: drops 12  overflows 0  SYN queue 0  cookies 0  retrans 0  resets 0\n",
        "[::1]:80",
        "the accept queue of 0.0.0.0:7000 is full\n",
        "q quit   p pause",
    };
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (strstr(text, parts[i]) == NULL) {
            fail_msg("\"%s\" is not in\n%s", parts[i], text);
        }
    }
    free(text);
}

static void test_rates_in_and_out_come_from_the_counters(void **state)
{
    (void)state;
    struct fixture fixture;
    fill(&fixture);
    char *text = draw(&fixture, 24, 80);
    char line[256];
    find_line(text, "TIME_WAIT   ", line);
    char *at = line + strlen("TIME_WAIT");
    assert_int_equal(strtoul(at, &at, 10), 28);
    at++; /* the comma */
    assert_int_equal(strtoul(at, &at, 10), 0);
    assert_int_equal(strtoul(at, &at, 10), 470);
    assert_int_equal(strtoul(at, &at, 10), 460);
    find_line(text, "CLOSE_WAIT", line);
    assert_non_null(strstr(line, "0         -         -"));
    free(text);
}

static void test_counts_of_the_moment_are_shown_where_there_are_any(void **state)
{
    (void)state;
    struct fixture fixture;
    fill(&fixture);
    fixture.now.census_age_ns = 20 * NS_PER_SEC;
    char *text = draw(&fixture, 24, 80);
    char line[256];
    find_line(text, "state", line);
    assert_non_null(strstr(line, " counted "));
    find_line(text, "ESTABLISHED", line);
    assert_non_null(strstr(line, " 14,000 "));
    free(text);
    fixture.now.has_present = true;
    fixture.now.present.n[TCP_STATE_ESTABLISHED] = 15123;
    text = draw(&fixture, 24, 80);
    find_line(text, "state", line);
    assert_non_null(strstr(line, " now "));
    find_line(text, "ESTABLISHED", line);
    assert_non_null(strstr(line, " 15,123 "));
    free(text);
}

static void test_exact_transitions_give_every_state_its_rates(void **state)
{
    (void)state;
    struct fixture fixture;
    fill(&fixture);
    fixture.before.has_transitions = fixture.now.has_transitions = true;
    fixture.before.transitions_ns = 8 * NS_PER_SEC;
    fixture.now.transitions_ns = 10 * NS_PER_SEC;
    fixture.now.transitions.n[TCP_STATE_ESTABLISHED][TCP_STATE_CLOSE_WAIT] = 200;
    fixture.now.transitions.n[TCP_STATE_CLOSE_WAIT][TCP_STATE_LAST_ACK] = 100;
    const struct sample_flow flow =
        sample_state_flow(&fixture.now, &fixture.before, TCP_STATE_CLOSE_WAIT);
    assert_true(flow.has_in && flow.has_out);
    assert_int_equal((int)flow.in_per_sec, 100);
    assert_int_equal((int)flow.out_per_sec, 50);
}

static uint32_t count_of(const char *line, char character)
{
    uint32_t count = 0;
    for (; *line != '\0'; line++) {
        count += *line == character;
    }
    return count;
}

static void test_bars_are_in_proportion_and_fill_the_width(void **state)
{
    (void)state;
    struct fixture fixture;
    fill(&fixture);
    static const int widths[] = {80, 100, 132, 200};
    for (size_t i = 0; i < sizeof(widths) / sizeof(widths[0]); i++) {
        char *text = draw(&fixture, 43, widths[i]);
        char most[256];
        char half[256];
        find_line(text, "TIME_WAIT   ", most);
        find_line(text, "ESTABLISHED", half);
        assert_int_equal(strlen(most), widths[i] - 1);
        assert_in_range(count_of(half, '#'), count_of(most, '#') / 2, count_of(most, '#') / 2 + 1);
        free(text);
    }
}

static void test_any_size_is_drawn_within_its_bounds(void **state)
{
    (void)state;
    struct fixture fixture;
    fill(&fixture);
    snprintf(fixture.head.by, sizeof(fixture.head.by), "pid");
    fixture.now.owner_count = 1;
    snprintf(fixture.now.owners[0].name, sizeof(fixture.now.owners[0].name), "nginx (123)");
    for (int rows = 1; rows < 60; rows++) {
        for (int columns = 1; columns < 160; columns += 7) {
            char *text = draw(&fixture, rows, columns);
            assert_int_equal(count_of(text, '\n'), rows);
            for (const char *line = text; *line != '\0'; line += strcspn(line, "\n") + 1) {
                assert_true(strcspn(line, "\n") <= (size_t)columns);
            }
            free(text);
        }
    }
}

static void test_a_wide_terminal_has_listeners_and_owners_side_by_side(void **state)
{
    (void)state;
    struct fixture fixture;
    fill(&fixture);
    snprintf(fixture.head.by, sizeof(fixture.head.by), "pid");
    fixture.now.owner_count = 1;
    snprintf(fixture.now.owners[0].name, sizeof(fixture.now.owners[0].name), "nginx (123)");
    fixture.now.owners[0].counts.n[TCP_STATE_CLOSE_WAIT] = 1532;
    char *text = draw(&fixture, 43, 132);
    char line[256];
    assert_non_null(strstr(text, "400 ms old, 8.21 ms of CPU in 9.00 ms, every 1.92 s"));
    find_line(text, "listen queues", line);
    assert_non_null(strstr(line, "most sockets by pid"));
    find_line(text, "0.0.0.0:7000", line);
    assert_non_null(strstr(line, "nginx (123)"));
    assert_non_null(strstr(line, "1,532"));
    free(text);
    text = draw(&fixture, 24, 80);
    find_line(text, "nginx (123)", line);
    free(text);
}

static void test_listeners_that_find_no_row_are_counted(void **state)
{
    (void)state;
    struct fixture fixture;
    fill(&fixture);
    fixture.now.listener_count = 40;
    for (uint32_t i = 0; i < 40; i++) {
        char local[32];
        snprintf(local, sizeof(local), "127.0.0.1:%u", 1000 + i);
        fixture.now.listeners[i] = make_listener(local, 0, 0);
    }
    fixture.now.listeners_left_out = 2;
    char *text = draw(&fixture, 24, 80);
    const char *more = strstr(text, "and ");
    assert_non_null(more);
    assert_int_equal(strtoul(more + 4, NULL, 10), 42 - 4);
    free(text);
}

static void test_the_order_follows_the_key(void **state)
{
    (void)state;
    struct fixture fixture;
    fill(&fixture);
    fixture.options.sort = VIEW_SORT_NAME;
    char *text = draw(&fixture, 24, 80);
    assert_true(strstr(text, "[::1]:80 ") < strstr(text, "0.0.0.0:7000 "));
    free(text);
    fixture.options.sort = VIEW_SORT_TIME_WAIT;
    text = draw(&fixture, 24, 80);
    assert_true(strstr(text, "0.0.0.0:7000 ") < strstr(text, "[::1]:80 "));
    free(text);
}

static void test_text_from_outside_cannot_move_the_cursor(void **state)
{
    (void)state;
    struct fixture fixture;
    fill(&fixture);
    sample_add_note(&fixture.now, "a\033[2Jb\nc\xff");
    char *text = draw(&fixture, 24, 80);
    assert_null(strchr(text, '\033'));
    assert_non_null(strstr(text, "a?[2Jb?c?"));
    free(text);
}

/* Two ports of a hundred and ten connections since the sample before. */
static void fill_ports(struct fixture *fixture)
{
    struct sample *samples[] = {&fixture->before, &fixture->now};
    snprintf(fixture->head.ports_by, sizeof(fixture->head.ports_by), "local-port");
    for (int i = 0; i < 2; i++) {
        samples[i]->has_transitions = samples[i]->has_ports = true;
        samples[i]->port_count = 2;
        samples[i]->ports[0].port = 80;
        samples[i]->ports[1].port = 7000;
    }
    fixture->before.transitions_ns = 8 * NS_PER_SEC;
    fixture->now.transitions_ns = 10 * NS_PER_SEC;
    fixture->before.ports[1].transitions.n[TCP_STATE_NONE][TCP_STATE_SYN_RECEIVED] = 1000;
    struct sample_port *ports = fixture->now.ports;
    ports[0].transitions.n[TCP_STATE_NONE][TCP_STATE_SYN_RECEIVED] = 20;
    ports[1].transitions.n[TCP_STATE_NONE][TCP_STATE_SYN_RECEIVED] = 1220;
    ports[1].transitions.n[TCP_STATE_LAST_ACK][TCP_STATE_CLOSED] = 100;
    ports[1].lasted[TCP_STATE_ESTABLISHED] = (struct sample_lasted){
        .count = 1, .p50_ns = 20 * NS_PER_MS, .p99_ns = 31 * NS_PER_MS, .max_ns = 42 * NS_PER_MS};
}

static void test_ports_have_their_rates_and_times(void **state)
{
    (void)state;
    struct fixture fixture;
    fill(&fixture);
    fill_ports(&fixture);
    fixture.now.port_rest.transitions.n[TCP_STATE_NONE][TCP_STATE_SYN_SENT] = 4;
    char *text = draw(&fixture, 30, 80);
    char line[256];
    find_line(text, "by local-port  ", line);
    find_line(text, "80   ", line);
    assert_string_equal(
        line, "80                              10         0         -         -         -");
    find_line(text, "7000   ", line);
    assert_string_equal(
        line, "7000                           110        50   20.0 ms   31.0 ms   42.0 ms");
    find_line(text, "other ports", line);
    assert_string_equal(
        line, "other ports                    2.0         0         -         -         -");
    find_line(text, "listen queues", line);
    free(text);
}

static void test_where_rows_are_few_the_busiest_port_has_one(void **state)
{
    (void)state;
    struct fixture fixture;
    fill(&fixture);
    fill_ports(&fixture);
    char *text = draw(&fixture, 22, 80);
    char line[256];
    find_line(text, "by local-port, 1 of 2 ", line);
    find_line(text, "7000   ", line);
    assert_null(strstr(text, "\n80   "));
    free(text);
    for (int rows = 1; rows < 40; rows++) {
        text = draw(&fixture, rows, 80);
        assert_int_equal(count_of(text, '\n'), rows);
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_80x24_has_every_part_and_no_line_is_cut),
        cmocka_unit_test(test_rates_in_and_out_come_from_the_counters),
        cmocka_unit_test(test_counts_of_the_moment_are_shown_where_there_are_any),
        cmocka_unit_test(test_exact_transitions_give_every_state_its_rates),
        cmocka_unit_test(test_bars_are_in_proportion_and_fill_the_width),
        cmocka_unit_test(test_any_size_is_drawn_within_its_bounds),
        cmocka_unit_test(test_a_wide_terminal_has_listeners_and_owners_side_by_side),
        cmocka_unit_test(test_listeners_that_find_no_row_are_counted),
        cmocka_unit_test(test_the_order_follows_the_key),
        cmocka_unit_test(test_text_from_outside_cannot_move_the_cursor),
        cmocka_unit_test(test_ports_have_their_rates_and_times),
        cmocka_unit_test(test_where_rows_are_few_the_busiest_port_has_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
