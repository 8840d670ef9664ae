/* Recordings: what is written is what is read, and anything else is refused. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "stat/recording.h"

/* Puts a value through text, as a file would. */
static json_t *through_text(json_t *value)
{
    assert_non_null(value);
    char *text = json_dumps(value, JSON_COMPACT);
    assert_null(strchr(text, '\n'));
    json_t *read = json_loads(text, 0, NULL);
    assert_non_null(read);
    free(text);
    json_decref(value);
    return read;
}

static void fill_time_wait(struct timewait_estimate *estimate)
{
    *estimate = (struct timewait_estimate){.live = 1,
                                           .made_per_sec = 470.25,
                                           .ended_per_sec = 469.5,
                                           .recycled_share = 0.25,
                                           .lifetime_ns = 61,
                                           .lifetime_is_told = true,
                                           .lifetime_is_measured = true,
                                           .plateau = 5,
                                           .at_plateau = true,
                                           .plateau_measured = 4.5,
                                           .plateau_error = -0.1};
}

static void fill_ports(struct sample *sample)
{
    sample->has_ports = true;
    sample->port_count = 2;
    sample->ports_full = 13;
    sample->port_rest.transitions.n[TCP_STATE_NONE][TCP_STATE_SYN_SENT] = 60;
    sample->port_rest.lasted[TCP_STATE_LISTEN].count = 2;
    for (uint16_t i = 0; i < 2; i++) {
        struct sample_port *port = &sample->ports[i];
        port->port = i == 0 ? 80 : 65535;
        port->transitions.n[TCP_STATE_NONE][TCP_STATE_SYN_SENT] = 20;
        port->lasted[TCP_STATE_ESTABLISHED] = (struct sample_lasted){.count = 3,
                                                                     .sum_ns = 9,
                                                                     .p50_ns = 4,
                                                                     .p90_ns = 5,
                                                                     .p99_ns = 6,
                                                                     .max_ns = 7,
                                                                     .powers[3] = i};
    }
}

static void fill(struct sample *sample)
{
    *sample = (struct sample){
        .number = 7,
        .elapsed_ns = 7000,
        .wall_ns = UINT64_C(1795379444134492011),
        .late_ns = 3,
        .census_count = 2,
        .census_age_ns = 1000,
        .census_every_ns = 5000,
        .has_present = true,
        .has_transitions = true,
        .matrix_has_time_wait = true,
        .transitions_ns = 6999,
        .owners_ns = 6500,
        .owners_cpu_ns = 12,
        .owner_count = 1,
        .owners_left_out = 4,
        .owners_in_ns = 8,
        .listener_count = 2,
        .listeners_left_out = 1,
        .is_last = true,
    };
    for (int i = 0; i < WATCH_FIELD_COUNT; i++) {
        sample->values[i] = (uint64_t)i * 11 + 1;
    }
    sample->census.stamp = (struct census_stamp){.started_ns = 6000,
                                                 .wall_ns = 5,
                                                 .cpu_ns = 4,
                                                 .stability = CENSUS_CHANGED,
                                                 .rows = 9,
                                                 .rows_repeated = 1,
                                                 .lines_malformed = 2,
                                                 .lines_truncated = 3,
                                                 .passes = 2,
                                                 .repeats_remain = true};
    for (int state = 1; state < TCP_STATE_COUNT; state++) {
        sample->oldest_ns[state] = (uint64_t)state * 5;
        sample->owners[0].oldest_ns[state] = (uint64_t)state * 4;
        sample->peak.n[state] = (uint64_t)state * 7;
        sample->present.n[state] = (uint64_t)state * 8;
        sample->lasted[state] = (struct sample_lasted){.count = (uint64_t)state,
                                                       .sum_ns = 1,
                                                       .p50_ns = 2,
                                                       .p90_ns = 3,
                                                       .p99_ns = 4,
                                                       .max_ns = 5,
                                                       .powers = {[0] = 6, [44] = 7}};
        sample->census.v4.n[state] = (uint64_t)state;
        sample->census.v6.n[state] = (uint64_t)state * 2;
        sample->census.total.n[state] = (uint64_t)state * 3;
    }
    sample->transitions.n[TCP_STATE_NONE][TCP_STATE_SYN_SENT] = 100;
    sample->transitions.n[TCP_STATE_FIN_WAIT_2][TCP_STATE_CLOSED] = 99;
    snprintf(sample->owners[0].name, sizeof(sample->owners[0].name), "nginx (123)");
    sample->owners[0].counts.n[TCP_STATE_CLOSE_WAIT] = 5;
    sample->owners[0].time_wait_made = 77;
    sample->listeners[0] = (struct tcpstat_listener){
        .queued = 1, .backlog = 2, .drops = 3, .has_backlog = true, .has_drops = true};
    assert_int_equal(endpoint_parse(&sample->listeners[0].local, "[::1]:80", NULL), 0);
    sample->listeners[1] = (struct tcpstat_listener){.queued = 4};
    assert_int_equal(endpoint_parse(&sample->listeners[1].local, "0.0.0.0:7000", NULL), 0);
    fill_time_wait(&sample->time_wait);
    fill_ports(sample);
    sample_add_note(sample, "a warning: %d", 1);
}

static void test_a_sample_comes_back_as_it_was(void **state)
{
    (void)state;
    struct sample *written = calloc(2, sizeof(*written));
    struct sample *read = written + 1;
    struct sample_end end = {0};
    fill(written);
    json_t *line = through_text(recording_encode_sample(written, 0));
    assert_int_equal(recording_decode(line, read, &end), RECORDING_SAMPLE);
    assert_memory_equal(read, written, sizeof(*read));
    json_decref(line);
    free(written);
}

static void test_a_census_is_written_once_and_goes_on_being_known(void **state)
{
    (void)state;
    struct sample *samples = calloc(2, sizeof(*samples));
    struct sample_end end = {0};
    fill(&samples[0]);
    json_t *first = through_text(recording_encode_sample(&samples[0], 0));
    samples[0].elapsed_ns = 9000;
    json_t *second = through_text(recording_encode_sample(&samples[0], 2));
    assert_null(json_object_get(second, "census"));
    assert_int_equal(recording_decode(first, &samples[1], &end), RECORDING_SAMPLE);
    assert_int_equal(recording_decode(second, &samples[1], &end), RECORDING_SAMPLE);
    assert_int_equal(samples[1].census_count, 2);
    assert_int_equal(samples[1].census_age_ns, 3000);
    assert_int_equal(samples[1].census.total.n[TCP_STATE_TIME_WAIT], 3 * TCP_STATE_TIME_WAIT);
    json_decref(first);
    json_decref(second);
    free(samples);
}

/* As finwait wrote them before ports were told apart; and a sample without them after one that had
 * them keeps nothing. */
static void test_recordings_without_ports_are_read(void **state)
{
    (void)state;
    json_t *line =
        json_loads("{\"format\":\"finwait.recording\",\"version\":1,\"by\":\"pid\"}", 0, NULL);
    struct sample_head head;
    memset(&head, 0xff, sizeof(head));
    assert_int_equal(recording_decode_head(line, &head), 0);
    assert_string_equal(head.ports_by, "");
    assert_int_equal(head.ports_shown, 0);
    json_decref(line);

    struct sample *samples = calloc(2, sizeof(*samples));
    struct sample_end end = {0};
    fill(&samples[0]);
    line = through_text(recording_encode_sample(&samples[0], 0));
    assert_int_equal(recording_decode(line, &samples[1], &end), RECORDING_SAMPLE);
    assert_true(samples[1].has_ports);
    assert_int_equal(json_object_del(json_object_get(line, "transitions"), "ports"), 0);
    assert_int_equal(recording_decode(line, &samples[1], &end), RECORDING_SAMPLE);
    assert_true(samples[1].has_transitions);
    assert_false(samples[1].has_ports);
    assert_int_equal(samples[1].port_count, 0);
    json_decref(line);
    free(samples);
}

static void test_ports_of_the_wrong_shape_do_no_harm(void **state)
{
    (void)state;
    static const struct {
        const char *ports;
        uint32_t count;
    } cases[] = {
        {"[]", 0},
        {"7", 0},
        {"{}", 0},
        {"{\"rows\":{}}", 0},
        {"{\"rows\":[{\"port\":80},{\"port\":81}]}", 2},
        {"{\"rows\":[{\"port\":80},{\"port\":80}]}", 1}, /* twice the same */
        {"{\"rows\":[{\"port\":80},{\"port\":79}]}", 1},
        {"{\"rows\":[{\"port\":65536}]}", 0},
        {"{\"rows\":[{\"port\":1,\"matrix\":5,\"lasted\":[]},3]}", 1},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[256];
        snprintf(text, sizeof(text), "{\"tick\":1,\"values\":{},\"transitions\":{\"ports\":%s}}",
                 cases[i].ports);
        json_t *line = json_loads(text, 0, NULL);
        struct sample *sample = calloc(1, sizeof(*sample));
        struct sample_end end = {0};
        assert_int_equal(recording_decode(line, sample, &end), RECORDING_SAMPLE);
        assert_int_equal(sample->port_count, cases[i].count);
        free(sample);
        json_decref(line);
    }
}

/* More rows than a sample holds, and then what a line may hold at most. */
static void test_ports_beyond_the_limit_are_left_out(void **state)
{
    (void)state;
    json_t *rows = json_array();
    for (int port = 1; port <= 2 * SAMPLE_PORTS_MAX; port++) {
        json_array_append_new(rows, json_pack("{s:i}", "port", port));
    }
    json_t *line = json_pack("{s:i,s:{},s:{s:{s:o}}}", "tick", 1, "values", "transitions", "ports",
                             "rows", rows);
    assert_non_null(line);
    struct sample *sample = calloc(1, sizeof(*sample));
    struct sample_end end = {0};
    assert_int_equal(recording_decode(line, sample, &end), RECORDING_SAMPLE);
    assert_int_equal(sample->port_count, SAMPLE_PORTS_MAX);
    assert_int_equal(sample->ports[SAMPLE_PORTS_MAX - 1].port, SAMPLE_PORTS_MAX);
    free(sample);
    json_decref(line);
}

static void test_head_and_end_come_back(void **state)
{
    (void)state;
    const struct sample_head head = {.kernel = "6.1.0",
                                     .method = "procfs",
                                     .by = "pid",
                                     .ports_by = "local-port",
                                     .ports_shown = 10,
                                     .missing = "no CAP_BPF",
                                     .started_wall_ns = 1,
                                     .interval_ns = 2,
                                     .budget_permille = 3,
                                     .time_wait_max = 4};
    json_t *line = through_text(recording_encode_head(&head));
    struct sample_head read;
    memset(&read, 0xff, sizeof(read));
    assert_int_equal(recording_decode_head(line, &read), 0);
    assert_memory_equal(&read, &head, sizeof(head));
    json_decref(line);

    struct sample_delta deltas[] = {{"Tcp.ActiveOpens", 5}, {"sockstat.TCP.tw", -3}};
    const struct sample_end end = {
        .is_whole = true, .ticks_missed = 1, .delta_count = 2, .deltas = deltas};
    line = through_text(recording_encode_end(&end));
    struct sample *sample = calloc(1, sizeof(*sample));
    struct sample_end back = {0};
    assert_int_equal(recording_decode(line, sample, &back), RECORDING_END);
    assert_true(back.is_whole);
    assert_int_equal(back.ticks_missed, 1);
    assert_int_equal(back.delta_count, 2);
    assert_int_equal(back.deltas[1].rise, -3);
    free(back.deltas);
    free(sample);
    json_decref(line);
}

static void test_another_format_or_version_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int error;
    } cases[] = {
        {"{}", -EINVAL},
        {"[1]", -EINVAL},
        {"{\"format\":\"pcap\",\"version\":1}", -EINVAL},
        {"{\"format\":\"finwait.recording\",\"version\":2}", -ENOTSUP},
        {"{\"format\":\"finwait.recording\"}", -ENOTSUP},
        {"{\"format\":\"finwait.recording\",\"version\":1}", 0},
        {"{\"format\":\"finwait.recording\",\"version\":1,\"later\":true}", 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        json_t *line = json_loads(cases[i].text, 0, NULL);
        struct sample_head head;
        assert_int_equal(recording_decode_head(line, &head), cases[i].error);
        json_decref(line);
    }
}

static void test_lines_of_the_wrong_shape_do_no_harm(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum recording_line kind;
    } cases[] = {
        {"{}", RECORDING_OTHER},
        {"[]", RECORDING_OTHER},
        {"{\"later\":{}}", RECORDING_OTHER},
        {"{\"end\":5}", RECORDING_BAD},
        {"{\"tick\":1}", RECORDING_BAD},
        {"{\"tick\":1,\"values\":[]}", RECORDING_BAD},
        {"{\"tick\":1,\"values\":{},\"elapsed_ns\":4}", RECORDING_BAD}, /* time went back */
        {"{\"tick\":1,\"values\":{\"time_wait\":-5},\"elapsed_ns\":6}", RECORDING_SAMPLE},
        {"{\"tick\":-1,\"values\":{},\"elapsed_ns\":6,\"census\":7,\"owners\":[],"
         "\"listeners\":{},\"notes\":\"x\",\"transitions\":[],\"time_wait\":3}",
         RECORDING_SAMPLE},
        {"{\"tick\":1,\"values\":{},\"elapsed_ns\":6,\"owners\":{\"rows\":[5,{},{\"name\":3}]},"
         "\"listeners\":[{\"local\":\"nowhere\"},{\"local\":7},3],\"notes\":[1,null]}",
         RECORDING_SAMPLE},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        json_t *line = json_loads(cases[i].text, 0, NULL);
        struct sample *sample = calloc(1, sizeof(*sample));
        struct sample_end end = {0};
        sample->elapsed_ns = 5;
        assert_int_equal(recording_decode(line, sample, &end), cases[i].kind);
        assert_int_equal(sample->listener_count, 0);
        assert_int_equal(sample->values[WATCH_time_wait], 0);
        free(end.deltas);
        free(sample);
        json_decref(line);
    }
}

static void test_names_cannot_carry_control_characters(void **state)
{
    (void)state;
    json_t *line = json_loads("{\"tick\":1,\"values\":{},\"owners\":{\"rows\":[{\"name\":"
                              "\"a\\u001b[2Jb\"}]}}",
                              0, NULL);
    struct sample *sample = calloc(1, sizeof(*sample));
    struct sample_end end = {0};
    assert_int_equal(recording_decode(line, sample, &end), RECORDING_SAMPLE);
    assert_string_equal(sample->owners[0].name, "a?[2Jb");
    free(sample);
    json_decref(line);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_sample_comes_back_as_it_was),
        cmocka_unit_test(test_a_census_is_written_once_and_goes_on_being_known),
        cmocka_unit_test(test_recordings_without_ports_are_read),
        cmocka_unit_test(test_ports_of_the_wrong_shape_do_no_harm),
        cmocka_unit_test(test_ports_beyond_the_limit_are_left_out),
        cmocka_unit_test(test_head_and_end_come_back),
        cmocka_unit_test(test_another_format_or_version_is_refused),
        cmocka_unit_test(test_lines_of_the_wrong_shape_do_no_harm),
        cmocka_unit_test(test_names_cannot_carry_control_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
