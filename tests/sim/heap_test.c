/* Events come out in order of time, and equal times in order of arrival.
 *
 * Layer: tests. */
#include "base/rng.h"
#include "base/test.h"
#include "sim/heap.h"

static void events_come_in_order_of_time_then_of_arrival(void **state)
{
    (void)state;
    struct heap heap = {0};
    struct rng rng;
    rng_seed(&rng, 4);
    for (uint32_t i = 0; i < 5000; i++) {
        heap_push(&heap, (struct heap_event){.at_ns = rng_below(&rng, 500), .index = i});
    }
    struct heap_event last = heap_pop(&heap);
    while (heap.count > 0) {
        struct heap_event next = heap_pop(&heap);
        assert_true(next.at_ns > last.at_ns ||
                    (next.at_ns == last.at_ns && next.index > last.index));
        last = next;
    }
    heap_destroy(&heap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_come_in_order_of_time_then_of_arrival),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
