/* A flood over a pair in memory: it says of each SYN what became of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "bench/flood/flood.h"

#define SLOTS 64u

static struct flood_config make_config(uint64_t count)
{
    struct flood_config config = {.events = 1000000,
                                  .per_ns = NS_PER_SEC,
                                  .duration_ns = 10 * NS_PER_SEC,
                                  .count_max = count,
                                  .seed = 3};
    struct failure failure;
    assert_int_equal(endpoint_parse(&config.target, "10.9.0.1:7000", &failure), 0);
    assert_int_equal(ip_range_parse(&config.sources, "10.64.0.0/10", &failure), 0);
    return config;
}

/* Counts what arrives at an end. */
static uint64_t receive_all(struct link *link)
{
    struct link_frame frames[LINK_BATCH_MAX];
    uint64_t total = 0;
    for (size_t count = 1; count > 0; total += count) {
        count = link_receive(link, 0, frames, LINK_BATCH_MAX);
        link_release(link);
    }
    return total;
}

static void what_was_sent_is_what_arrives_and_the_rest_was_skipped(void **state)
{
    (void)state;
    const volatile sig_atomic_t stop = 0;
    struct link *ends[2];
    struct flood_config config = make_config(500);
    assert_int_equal(link_memory_pair(ends, 1500, SLOTS), 0);
    struct flood_result result = flood_run(&config, ends[0], &stop);
    assert_int_equal(result.sent, SLOTS); /* nobody empties the ring */
    assert_int_equal(receive_all(ends[1]), SLOTS);
    assert_int_equal(result.skipped, 500 - SLOTS);
    assert_int_equal(result.refused + result.unsent, 0);
    link_destroy(ends[0]);
    link_destroy(ends[1]);
}

static void a_flood_that_is_stopped_at_once_has_sent_nothing(void **state)
{
    (void)state;
    const volatile sig_atomic_t stop = 1;
    struct link *ends[2];
    struct flood_config config = make_config(0);
    assert_int_equal(link_memory_pair(ends, 1500, SLOTS), 0);
    struct flood_result result = flood_run(&config, ends[0], &stop);
    assert_int_equal(result.sent + result.skipped + result.refused + result.unsent, 0);
    link_destroy(ends[0]);
    link_destroy(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_sent_is_what_arrives_and_the_rest_was_skipped),
        cmocka_unit_test(a_flood_that_is_stopped_at_once_has_sent_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
