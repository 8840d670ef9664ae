/* 4-tuples: each once, in order, none again too early, none that belongs to a target. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdlib.h>

#include "base/clock.h"
#include "loadgen/planner.h"

#define NOW UINT64_C(1000)
#define REUSE_NS (65 * NS_PER_SEC)

struct space {
    struct sources sources;
    struct endpoint targets[3];
    struct planner_config config;
};

static void add_source(struct space *space, const char *text)
{
    struct ip_range range;
    assert_int_equal(ip_range_parse(&range, text, NULL), 0);
    assert_int_equal(sources_add(&space->sources, &range, NULL), 0);
}

static void add_target(struct space *space, const char *text)
{
    struct endpoint *target = &space->targets[space->config.target_count++];
    assert_int_equal(endpoint_parse(target, text, NULL), 0);
}

static void space_init(struct space *space, uint16_t first, uint16_t last)
{
    memset(space, 0, sizeof(*space));
    space->config = (struct planner_config){.sources = &space->sources,
                                            .targets = space->targets,
                                            .ports = {first, last},
                                            .reuse_after_ns = REUSE_NS,
                                            .shares = 1};
}

static struct planner planner_of(const struct space *space)
{
    struct planner planner;
    planner_init(&planner, &space->config);
    return planner;
}

static void ports_run_fastest_then_sources(void **state)
{
    (void)state;
    struct space space;
    space_init(&space, 100, 102);
    add_source(&space, "127.0.0.2-127.0.0.3");
    add_target(&space, "127.0.0.1:7000");
    struct planner planner = planner_of(&space);
    static const struct {
        uint8_t last_byte;
        uint16_t port;
    } expected[] = {{2, 100}, {2, 101}, {2, 102}, {3, 100}, {3, 101}, {3, 102}};
    uint64_t tuple;
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        assert_true(planner_take(&planner, NOW, &tuple));
        struct flow flow = planner_flow(&planner, tuple);
        assert_int_equal(flow.source.ip.bytes[3], expected[i].last_byte);
        assert_int_equal(flow.source.port, expected[i].port);
        assert_true(endpoint_equal(&flow.target, &space.targets[0]));
    }
    assert_false(planner_take(&planner, NOW, &tuple));
    assert_int_equal(planner.used_count, 6);
    planner_destroy(&planner);
}

/* Three rows of three ports for two shares: a row each, and the last one by turns. */
static void shares_take_whole_rows_and_divide_what_is_left(void **state)
{
    (void)state;
    struct space space;
    space_init(&space, 100, 102);
    add_source(&space, "127.0.0.2-127.0.0.4");
    add_target(&space, "127.0.0.1:7000");
    space.config.shares = 2;
    static const struct {
        uint8_t last_byte;
        uint16_t port;
    } expected[2][5] = {{{2, 100}, {2, 101}, {2, 102}, {4, 100}, {4, 102}},
                        {{3, 100}, {3, 101}, {3, 102}, {4, 101}}};
    for (uint32_t share = 0; share < 2; share++) {
        space.config.share = share;
        struct planner planner = planner_of(&space);
        uint64_t tuple;
        for (size_t i = 0; planner_take(&planner, NOW, &tuple); i++) {
            struct flow flow = planner_flow(&planner, tuple);
            assert_in_range(i, 0, 4);
            assert_int_equal(flow.source.ip.bytes[3], expected[share][i].last_byte);
            assert_int_equal(flow.source.port, expected[share][i].port);
        }
        assert_int_equal(planner.used_count, 5 - share);
        planner_destroy(&planner);
    }
}

/* How often a share's first tuples go to each target; `targets` may grow apart by two at most. */
static void expect_even_start(const struct space *space)
{
    uint64_t tuple, met[3] = {0};
    struct planner planner = planner_of(space);
    for (uint32_t taken = 1; taken <= 24; taken++) {
        uint64_t least = UINT64_MAX, most = 0;
        assert_true(planner_take(&planner, NOW, &tuple));
        struct flow flow = planner_flow(&planner, tuple);
        for (uint32_t i = 0; i < space->config.target_count; i++) {
            met[i] += endpoint_equal(&flow.target, &space->targets[i]);
            least = met[i] < least ? met[i] : least;
            most = met[i] > most ? met[i] : most;
        }
        assert_true(most - least <= 2);
    }
    planner_destroy(&planner);
}

static void every_share_meets_all_targets_evenly_from_the_start(void **state)
{
    (void)state;
    static const char *const sources[] = {"10.0.0.4", "10.0.0.4-10.0.0.8"};
    static const char *const targets[] = {"127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"};
    for (uint32_t shares = 1; shares <= 6; shares++) {
        for (uint32_t variant = 0; variant < 4; variant++) {
            struct space space;
            space_init(&space, 100, 399);
            add_source(&space, sources[variant & 1]);
            space.config.by_port = (variant & 2) != 0;
            space.config.shares = shares;
            add_target(&space, targets[0]);
            for (uint32_t count = 2; count <= 3; count++) {
                add_target(&space, targets[count - 1]);
                for (uint32_t share = 0; share < shares; share++) {
                    space.config.share = share;
                    expect_even_start(&space);
                }
            }
        }
    }
}

/* Takes all that a planner has and marks each flow in `seen` by source, port and target. */
static uint64_t take_all(struct planner *planner, const struct space *space, int *seen)
{
    uint64_t tuple, count = 0;
    uint32_t ports = (uint32_t)(space->config.ports.last - space->config.ports.first) + 1;
    while (planner_take(planner, NOW, &tuple)) {
        struct flow flow = planner_flow(planner, tuple);
        uint32_t target = 0;
        while (!endpoint_equal(&flow.target, &space->targets[target])) {
            target++;
        }
        uint32_t port = (uint32_t)(flow.source.port - space->config.ports.first);
        seen[(flow.source.ip.bytes[3] * ports + port) * 3 + target]++;
        count++;
    }
    return count;
}

static void every_source_port_and_target_meet_once_for_any_split(void **state)
{
    (void)state;
    for (uint32_t shares = 1; shares <= 4; shares++) {
        for (uint16_t ports = 1; ports <= 7; ports++) {
            struct space space;
            int *seen = calloc((size_t)256 * 7 * 3, sizeof(*seen));
            uint64_t count = 0;
            space_init(&space, 100, (uint16_t)(99 + ports));
            add_source(&space, "10.0.0.4-10.0.0.8");
            add_target(&space, "127.0.0.1:1");
            add_target(&space, "127.0.0.1:2");
            add_target(&space, "127.0.0.1:3");
            space.config.shares = shares;
            for (uint32_t share = 0; share < shares; share++) {
                space.config.share = share;
                struct planner planner = planner_of(&space);
                count += take_all(&planner, &space, seen);
                planner_destroy(&planner);
            }
            assert_int_equal(count, 5 * ports * 3);
            for (size_t i = 0; i < (size_t)256 * ports * 3; i++) {
                assert_int_equal(seen[i], i / (ports * 3u) >= 4 && i / (ports * 3u) <= 8);
            }
            free(seen);
        }
    }
}

static void by_port_each_share_has_the_ports_of_its_residue_and_all_meet_once(void **state)
{
    (void)state;
    for (uint32_t shares = 1; shares <= 4; shares++) {
        for (uint16_t ports = 1; ports <= 9; ports++) {
            struct space space;
            int *seen = calloc((size_t)256 * 9 * 3, sizeof(*seen));
            uint64_t count = 0;
            space_init(&space, 101, (uint16_t)(100 + ports));
            add_source(&space, "10.0.0.4-10.0.0.6");
            add_target(&space, "127.0.0.1:1");
            add_target(&space, "127.0.0.1:2");
            add_target(&space, "127.0.0.1:3");
            space.config.shares = shares;
            space.config.by_port = true;
            for (uint32_t share = 0; share < shares; share++) {
                space.config.share = share;
                struct planner planner = planner_of(&space);
                struct planner again = planner_of(&space);
                uint64_t tuple;
                while (planner_take(&planner, NOW, &tuple)) {
                    assert_int_equal(planner_flow(&planner, tuple).source.port % shares, share);
                }
                count += take_all(&again, &space, seen);
                planner_destroy(&planner);
                planner_destroy(&again);
            }
            assert_int_equal(count, 3 * ports * 3);
            for (size_t i = 0; i < (size_t)256 * ports * 3; i++) {
                assert_int_equal(seen[i], i / (ports * 3u) >= 4 && i / (ports * 3u) <= 6);
            }
            free(seen);
        }
    }
}

static void targets_take_turns(void **state)
{
    (void)state;
    struct space space;
    space_init(&space, 100, 120);
    add_source(&space, "10.0.0.4");
    add_target(&space, "127.0.0.1:1");
    add_target(&space, "127.0.0.1:2");
    add_target(&space, "127.0.0.1:3");
    struct planner planner = planner_of(&space);
    for (uint32_t i = 0; i < 21; i++) {
        uint64_t tuple;
        assert_true(planner_take(&planner, NOW, &tuple));
        struct flow flow = planner_flow(&planner, tuple);
        assert_true(endpoint_equal(&flow.target, &space.targets[(100 + i + 2) % 3]) ||
                    endpoint_equal(&flow.target, &space.targets[i % 3]));
    }
    planner_destroy(&planner);
}

static void the_address_and_port_of_any_target_are_never_a_source(void **state)
{
    (void)state;
    struct space space;
    uint64_t tuple;
    space_init(&space, 6999, 7001);
    add_source(&space, "127.0.0.1-127.0.0.2");
    add_target(&space, "127.0.0.1:7000");
    add_target(&space, "127.0.0.2:7001");
    struct planner planner = planner_of(&space);
    uint64_t count = 0;
    while (planner_take(&planner, NOW, &tuple)) {
        struct flow flow = planner_flow(&planner, tuple);
        assert_false(endpoint_equal(&flow.source, &space.targets[0]));
        assert_false(endpoint_equal(&flow.source, &space.targets[1]));
        count++;
    }
    assert_int_equal(count, 2 * 3 * 2 - 4);
    planner_destroy(&planner);
}

static void a_space_of_the_target_alone_is_empty(void **state)
{
    (void)state;
    struct space space;
    uint64_t tuple;
    space_init(&space, 7000, 7000);
    add_source(&space, "127.0.0.1");
    add_target(&space, "127.0.0.1:7000");
    struct planner planner = planner_of(&space);
    assert_false(planner_take(&planner, NOW, &tuple));
    assert_true(planner_next_ns(&planner) == CLOCK_NEVER);
    planner_destroy(&planner);
}

/* Of the unused ones as of those that were given back, before and after their time. */
static void a_peek_tells_what_is_taken_next(void **state)
{
    (void)state;
    struct space space;
    uint64_t tuple, peeked;
    space_init(&space, 100, 103);
    add_source(&space, "127.0.0.1-127.0.0.2");
    add_target(&space, "127.0.0.1:101");
    add_target(&space, "127.0.0.2:7000");
    struct planner planner = planner_of(&space);
    uint64_t count = 0;
    while (planner_peek(&planner, &peeked)) {
        struct flow flow = planner_flow(&planner, peeked);
        assert_true(planner_take(&planner, NOW, &tuple));
        assert_int_equal(tuple, peeked);
        struct flow taken = planner_flow(&planner, tuple);
        assert_true(endpoint_equal(&flow.source, &taken.source));
        assert_true(endpoint_equal(&flow.target, &taken.target));
        count++;
    }
    assert_int_equal(count, 2 * 4 * 2 - 2);
    assert_false(planner_take(&planner, NOW, &tuple));
    planner_release(&planner, 3, NOW);
    planner_release(&planner, 1, NOW);
    assert_true(planner_peek(&planner, &peeked));
    assert_int_equal(peeked, 3);
    assert_false(planner_take(&planner, NOW, &tuple));
    assert_true(planner_take(&planner, NOW + REUSE_NS, &tuple));
    assert_int_equal(tuple, 3);
    assert_true(planner_peek(&planner, &peeked));
    assert_int_equal(peeked, 1);
    planner_destroy(&planner);
}

static void families_are_never_mixed(void **state)
{
    (void)state;
    struct space space;
    uint64_t tuple, count = 0;
    space_init(&space, 100, 109);
    add_source(&space, "127.0.0.2");
    add_source(&space, "::1");
    add_target(&space, "127.0.0.1:7000");
    add_target(&space, "[::1]:7000");
    struct planner planner = planner_of(&space);
    while (planner_take(&planner, NOW, &tuple)) {
        struct flow flow = planner_flow(&planner, tuple);
        assert_int_equal(flow.source.ip.family, flow.target.ip.family);
        count++;
    }
    assert_int_equal(count, 20);
    planner_destroy(&planner);
}

/* However few sources one family has beside the other's. */
static void targets_of_both_families_take_turns(void **state)
{
    (void)state;
    struct space space;
    space_init(&space, 100, 199);
    add_source(&space, "127.0.0.2-127.0.0.250");
    add_source(&space, "::1");
    add_target(&space, "127.0.0.1:7000");
    add_target(&space, "[::1]:7000");
    struct planner planner = planner_of(&space);
    for (uint32_t i = 0; i < 200; i++) {
        uint64_t tuple;
        assert_true(planner_take(&planner, NOW, &tuple));
        struct flow flow = planner_flow(&planner, tuple);
        assert_true(endpoint_equal(&flow.target, &space.targets[(i + i / 100) % 2]));
    }
    planner_destroy(&planner);
}

static void a_released_tuple_rests_before_it_is_taken_again(void **state)
{
    (void)state;
    struct space space;
    uint64_t first, second, again;
    space_init(&space, 100, 101);
    add_source(&space, "127.0.0.2");
    add_target(&space, "127.0.0.1:7000");
    struct planner planner = planner_of(&space);
    assert_int_equal(planner_next_ns(&planner), 0);
    assert_true(planner_take(&planner, NOW, &first));
    planner_release(&planner, first, NOW);
    /* A fresh one comes before one that was used. */
    assert_true(planner_take(&planner, NOW + 2 * REUSE_NS, &second));
    assert_int_not_equal(first, second);
    assert_int_equal(planner.reuse_count, 0);
    assert_int_equal(planner_next_ns(&planner), NOW + REUSE_NS);
    assert_false(planner_take(&planner, NOW + REUSE_NS - 1, &again));
    assert_true(planner_take(&planner, NOW + REUSE_NS, &again));
    assert_int_equal(again, first);
    assert_int_equal(planner.reuse_count, 1);
    assert_true(planner_next_ns(&planner) == CLOCK_NEVER);
    planner_destroy(&planner);
}

static void the_oldest_release_is_taken_first(void **state)
{
    (void)state;
    struct space space;
    uint64_t tuples[3], tuple;
    space_init(&space, 100, 102);
    add_source(&space, "127.0.0.2");
    add_target(&space, "127.0.0.1:7000");
    struct planner planner = planner_of(&space);
    for (int i = 0; i < 3; i++) {
        assert_true(planner_take(&planner, NOW, &tuples[i]));
    }
    planner_release(&planner, tuples[2], NOW + 10);
    planner_release(&planner, tuples[0], NOW + 5); /* counts as NOW + 10 */
    planner_release(&planner, tuples[1], NOW + 20);
    assert_false(planner_take(&planner, NOW + REUSE_NS + 9, &tuple));
    assert_true(planner_take(&planner, NOW + REUSE_NS + 10, &tuple));
    assert_int_equal(tuple, tuples[2]);
    assert_true(planner_take(&planner, NOW + REUSE_NS + 10, &tuple));
    assert_int_equal(tuple, tuples[0]);
    assert_false(planner_take(&planner, NOW + REUSE_NS + 10, &tuple));
    assert_int_equal(planner_next_ns(&planner), NOW + REUSE_NS + 20);
    planner_destroy(&planner);
}

static void reuse_after_zero_gives_a_tuple_back_at_once(void **state)
{
    (void)state;
    struct space space;
    uint64_t tuple, again;
    space_init(&space, 100, 100);
    add_source(&space, "127.0.0.2");
    add_target(&space, "127.0.0.1:7000");
    space.config.reuse_after_ns = 0;
    struct planner planner = planner_of(&space);
    assert_true(planner_take(&planner, NOW, &tuple));
    planner_release(&planner, tuple, NOW);
    assert_true(planner_take(&planner, NOW, &again));
    assert_int_equal(tuple, again);
    planner_destroy(&planner);
}

static void a_reuse_after_beyond_the_clock_means_never(void **state)
{
    (void)state;
    struct space space;
    uint64_t tuple;
    space_init(&space, 100, 100);
    add_source(&space, "127.0.0.2");
    add_target(&space, "127.0.0.1:7000");
    space.config.reuse_after_ns = UINT64_MAX - 10;
    struct planner planner = planner_of(&space);
    assert_true(planner_take(&planner, NOW, &tuple));
    planner_release(&planner, tuple, NOW);
    assert_false(planner_take(&planner, UINT64_MAX - 1, &tuple));
    planner_destroy(&planner);
}

/* Models the queue over many chunks: every tuple is either in use or waits its turn, whatever the
 * mix. */
static void the_queue_keeps_order_over_chunks(void **state)
{
    (void)state;
    enum { TUPLES = 20000, ROUNDS = 6 };
    struct space space;
    uint64_t now_ns = NOW;
    uint64_t *in_use = malloc(TUPLES * sizeof(*in_use));
    space_init(&space, 10000, 10000 + TUPLES - 1);
    add_source(&space, "127.0.0.2");
    add_target(&space, "127.0.0.1:7000");
    space.config.reuse_after_ns = 100;
    struct planner planner = planner_of(&space);
    for (int round = 0; round < ROUNDS; round++) {
        for (uint64_t i = 0; i < TUPLES; i++) {
            assert_true(planner_take(&planner, now_ns, &in_use[i]));
            assert_int_equal(in_use[i], i);
        }
        assert_false(planner_take(&planner, now_ns, &in_use[0]));
        for (uint64_t i = 0; i < TUPLES; i++) {
            planner_release(&planner, i, now_ns + i / 100);
        }
        assert_int_equal(planner.waiting_count, TUPLES);
        now_ns += TUPLES;
    }
    assert_int_equal(planner.reuse_count, (uint64_t)(ROUNDS - 1) * TUPLES);
    assert_int_equal(planner.lost_count, 0);
    planner_destroy(&planner);
    free(in_use);
}

/* A slow trickle must not let the queue's memory wander off: chunks go round. */
static void a_trickle_of_releases_uses_the_same_memory(void **state)
{
    (void)state;
    struct space space;
    uint64_t tuple;
    space_init(&space, 100, 102);
    add_source(&space, "127.0.0.2");
    add_target(&space, "127.0.0.1:7000");
    space.config.reuse_after_ns = 2;
    struct planner planner = planner_of(&space);
    for (uint64_t i = 0; i < 50000; i++) {
        assert_true(planner_take(&planner, NOW + i, &tuple));
        planner_release(&planner, tuple, NOW + i);
        assert_true(planner.waiting_count <= 3);
    }
    planner_destroy(&planner);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ports_run_fastest_then_sources),
        cmocka_unit_test(shares_take_whole_rows_and_divide_what_is_left),
        cmocka_unit_test(every_share_meets_all_targets_evenly_from_the_start),
        cmocka_unit_test(every_source_port_and_target_meet_once_for_any_split),
        cmocka_unit_test(by_port_each_share_has_the_ports_of_its_residue_and_all_meet_once),
        cmocka_unit_test(targets_take_turns),
        cmocka_unit_test(the_address_and_port_of_any_target_are_never_a_source),
        cmocka_unit_test(a_space_of_the_target_alone_is_empty),
        cmocka_unit_test(a_peek_tells_what_is_taken_next),
        cmocka_unit_test(families_are_never_mixed),
        cmocka_unit_test(targets_of_both_families_take_turns),
        cmocka_unit_test(a_released_tuple_rests_before_it_is_taken_again),
        cmocka_unit_test(the_oldest_release_is_taken_first),
        cmocka_unit_test(reuse_after_zero_gives_a_tuple_back_at_once),
        cmocka_unit_test(a_reuse_after_beyond_the_clock_means_never),
        cmocka_unit_test(the_queue_keeps_order_over_chunks),
        cmocka_unit_test(a_trickle_of_releases_uses_the_same_memory),
    };
    return cmocka_run_group_tests_name("loadgen/planner", tests, NULL, NULL);
}
