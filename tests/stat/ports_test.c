/* Which ports are told apart, and the rows of a sample. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "stat/ports.h"

/* Adds `count` ports from `first` on. */
static void add_ports(struct port_set *set, uint16_t first, uint16_t count)
{
    for (uint16_t i = 0; i < count; i++) {
        port_set_add(set, (uint16_t)(first + i));
    }
}

static void test_two_to_as_many_ports_as_a_sample_holds_are_told_apart(void **state)
{
    (void)state;
    static const struct {
        uint16_t either;
        uint16_t local;
        uint16_t remote;
        bool by_local_port;
        enum transitions_grouping_by by;
        uint32_t shown;
    } cases[] = {
        {0, 0, 0, false, TRANSITIONS_WHOLE, 0},
        {1, 1, 1, false, TRANSITIONS_WHOLE, 0},
        {2, 0, 0, false, TRANSITIONS_BY_NAMED_PORT, 2},
        {SAMPLE_PORTS_MAX, 0, 0, false, TRANSITIONS_BY_NAMED_PORT, SAMPLE_PORTS_MAX},
        {SAMPLE_PORTS_MAX + 1, 0, 0, false, TRANSITIONS_WHOLE, 0},
        {0, 3, 2, false, TRANSITIONS_BY_LOCAL_PORT, 3},
        {1, 0, 2, false, TRANSITIONS_BY_REMOTE_PORT, 2},
        {0, 0, 0, true, TRANSITIONS_BY_LOCAL_PORT, 10},
        {SAMPLE_PORTS_MAX + 1, 0, 2, true, TRANSITIONS_BY_LOCAL_PORT, 10},
        {2, 0, 0, true, TRANSITIONS_BY_NAMED_PORT, 2},
    };
    const struct stat_options options = {.top = 10};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct stat_settings settings = {.options = &options,
                                         .has_by = cases[i].by_local_port,
                                         .by = OWNERS_BY_LOCAL_PORT,
                                         .by_name = "local-port"};
        add_ports(&settings.either_ports, 100, cases[i].either);
        add_ports(&settings.local_ports, 200, cases[i].local);
        add_ports(&settings.remote_ports, 300, cases[i].remote);
        const struct ports_plan plan = ports_plan_make(&settings);
        assert_int_equal(plan.by, cases[i].by);
        assert_int_equal(plan.shown, cases[i].shown);
        assert_true(plan.places >= plan.shown);
        assert_int_equal(plan.name[0] != '\0', plan.by != TRANSITIONS_WHOLE);
    }
}

static void test_a_named_port_has_a_row_before_anything_happened_there(void **state)
{
    (void)state;
    const struct stat_options options = {.top = 10};
    struct stat_settings settings = {.options = &options};
    add_ports(&settings.either_ports, 7000, 3);
    const struct ports_plan plan = ports_plan_make(&settings);
    struct ports *ports = ports_new(&plan);
    struct sample *sample = calloc(1, sizeof(*sample));
    assert_non_null(ports);
    assert_non_null(sample);
    /* Nobody left a state yet, so that no histogram is read, and none is needed. */
    struct transitions_group groups[] = {{.port = 7001, .number = 1}};
    groups[0].matrix.n[TCP_STATE_NONE][TCP_STATE_LISTEN] = 1;
    const struct transitions_snapshot snapshot = {.groups = groups, .group_count = 1};
    ports_add(ports, NULL, &snapshot, sample);
    assert_int_equal(sample->port_count, 3);
    for (uint16_t i = 0; i < 3; i++) {
        assert_int_equal(sample->ports[i].port, 7000 + i);
        assert_int_equal(sample_step_sum(&sample->ports[i].transitions), i == 1);
    }
    assert_int_equal(sample->note_count, 0);
    ports_free(ports);
    free(sample);
}

static void test_ports_without_a_place_are_told_in_words(void **state)
{
    (void)state;
    const struct stat_options options = {.top = 10};
    const struct stat_settings settings = {
        .options = &options, .has_by = true, .by = OWNERS_BY_LOCAL_PORT, .by_name = "local-port"};
    const struct ports_plan plan = ports_plan_make(&settings);
    struct ports *ports = ports_new(&plan);
    struct sample *sample = calloc(1, sizeof(*sample));
    assert_non_null(ports);
    assert_non_null(sample);
    const struct transitions_snapshot snapshot = {.counters[TRANSITIONS_COUNTER_groups_full] = 77};
    ports_add(ports, NULL, &snapshot, sample);
    assert_int_equal(sample->port_count, 0);
    assert_int_equal(sample->note_count, 1);
    assert_int_equal(strtoul(sample->notes[0], NULL, 10), 77);
    ports_free(ports);
    free(sample);
}

static void test_a_rank_is_by_transitions_only_where_rows_are_too_few(void **state)
{
    (void)state;
    struct sample *sample = calloc(1, sizeof(*sample));
    assert_non_null(sample);
    static const uint16_t steps[] = {5, 9, 1, 9, 30};
    sample->has_ports = true;
    sample->port_count = 5;
    for (uint16_t i = 0; i < 5; i++) {
        sample->ports[i].port = (uint16_t)(i + 1);
        sample->ports[i].transitions.n[TCP_STATE_NONE][TCP_STATE_SYN_SENT] = steps[i];
    }
    static const uint16_t ranked[] = {5, 2, 4, 1, 3};
    const struct sample_port *order[SAMPLE_PORTS_MAX];
    assert_int_equal(sample_rank_ports(sample, 3, order), 3);
    for (uint16_t i = 0; i < 5; i++) {
        assert_int_equal(order[i]->port, ranked[i]);
    }
    assert_int_equal(sample_rank_ports(sample, 5, order), 5);
    for (uint16_t i = 0; i < 5; i++) {
        assert_int_equal(order[i]->port, i + 1);
    }
    free(sample);
}

/* Beyond its ports, a copy is left as it was: that is what makes it cheap. */
static void test_a_copy_has_the_ports_that_there_are(void **state)
{
    (void)state;
    struct sample *from = calloc(2, sizeof(*from));
    struct sample *to = from + 1;
    assert_non_null(from);
    from->number = 4;
    from->has_ports = true;
    from->port_count = 2;
    from->port_rest.lasted[TCP_STATE_LISTEN].count = 3;
    from->ports[1].lasted[TCP_STATE_CLOSING].powers[SAMPLE_POWERS - 1] = 8;
    from->ports[2].port = 9;
    sample_copy(to, from);
    assert_int_equal(to->number, 4);
    assert_int_equal(to->port_rest.lasted[TCP_STATE_LISTEN].count, 3);
    assert_int_equal(to->ports[1].lasted[TCP_STATE_CLOSING].powers[SAMPLE_POWERS - 1], 8);
    assert_int_equal(to->ports[2].port, 0);
    from->has_ports = false;
    from->port_rest.lasted[TCP_STATE_LISTEN].count = 5;
    sample_copy(to, from);
    assert_false(to->has_ports);
    assert_int_equal(to->port_rest.lasted[TCP_STATE_LISTEN].count, 3);
    assert_null(sample_find_port(to, 0));
    free(from);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_to_as_many_ports_as_a_sample_holds_are_told_apart),
        cmocka_unit_test(test_a_named_port_has_a_row_before_anything_happened_there),
        cmocka_unit_test(test_ports_without_a_place_are_told_in_words),
        cmocka_unit_test(test_a_rank_is_by_transitions_only_where_rows_are_too_few),
        cmocka_unit_test(test_a_copy_has_the_ports_that_there_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
