/* Rules of base/wheel. */
#include "base/test.h"

#include "base/clock.h"
#include "base/rng.h"
#include "base/wheel.h"

/* The first nanosecond at which a deadline may expire: itself, rounded up to the tick. */
static uint64_t rounded_up(uint64_t deadline_ns, uint64_t tick_ns)
{
    uint64_t rest = deadline_ns % tick_ns;
    return rest == 0 ? deadline_ns : deadline_ns + (tick_ns - rest);
}

static void test_empty_wheel_never_expires(void **state)
{
    (void)state;
    struct wheel wheel;
    wheel_init(&wheel, 1234, 10);
    assert_true(wheel_next_ns(&wheel) == CLOCK_NEVER);
    assert_null(wheel_expire(&wheel, UINT64_MAX));
    assert_true(wheel_next_ns(&wheel) == CLOCK_NEVER);
}

static void check_expiry(uint64_t start_ns, uint64_t tick_ns, uint64_t delay_ns)
{
    struct wheel wheel;
    struct wheel_timer timer = {0};
    uint64_t deadline_ns = start_ns + delay_ns;
    uint64_t expiry_ns = rounded_up(deadline_ns, tick_ns);
    for (int stepwise = 0; stepwise < 2; stepwise++) {
        wheel_init(&wheel, start_ns, tick_ns);
        wheel_arm(&wheel, &timer, deadline_ns);
        assert_true(wheel_is_armed(&timer));
        assert_int_equal(wheel.armed_count, 1);
        int steps = 0;
        for (uint64_t next; stepwise && (next = wheel_next_ns(&wheel)) < expiry_ns; steps++) {
            assert_null(wheel_expire(&wheel, next));
            assert_true(wheel_next_ns(&wheel) > next);
            assert_true(steps < 200);
        }
        assert_true(wheel_next_ns(&wheel) <= expiry_ns);
        if (expiry_ns > start_ns) {
            assert_null(wheel_expire(&wheel, expiry_ns - 1u));
            assert_true(wheel_next_ns(&wheel) <= expiry_ns);
        }
        assert_ptr_equal(wheel_expire(&wheel, expiry_ns), &timer);
        assert_false(wheel_is_armed(&timer));
        assert_int_equal(wheel.armed_count, 0);
        assert_null(wheel_expire(&wheel, expiry_ns));
        assert_true(wheel_next_ns(&wheel) == CLOCK_NEVER);
    }
}

static void test_timer_expires_at_its_deadline_rounded_up_to_the_tick(void **state)
{
    (void)state;
    static const uint64_t starts[] = {0,
                                      1,
                                      63,
                                      64,
                                      4095,
                                      4096,
                                      999999,
                                      (1u << 24) - 1u,
                                      (1u << 30) - 1u,
                                      UINT64_C(1) << 30,
                                      UINT64_C(987654321987654321)};
    static const uint64_t ticks[] = {1, 7, 1000, 1000000};
    static const uint64_t delays[] = {0,
                                      1,
                                      2,
                                      62,
                                      63,
                                      64,
                                      65,
                                      127,
                                      128,
                                      4095,
                                      4096,
                                      4097,
                                      1u << 18,
                                      (1u << 18) + 1u,
                                      1u << 24,
                                      (1u << 30) - 1u,
                                      1u << 30,
                                      (1u << 30) + 1u,
                                      UINT64_C(1) << 31,
                                      UINT64_C(1) << 36,
                                      (UINT64_C(1) << 36) + 12345u};
    for (size_t i = 0; i < TABLE_COUNT(starts); i++) {
        for (size_t j = 0; j < TABLE_COUNT(ticks); j++) {
            for (size_t k = 0; k < TABLE_COUNT(delays); k++) {
                check_expiry(starts[i], ticks[j], delays[k]);
                check_expiry(starts[i] * ticks[j] % (UINT64_C(1) << 60), ticks[j],
                             delays[k] * ticks[j] % (UINT64_C(1) << 60));
            }
        }
    }
}

static void test_past_deadline_expires_at_the_next_call(void **state)
{
    (void)state;
    struct wheel wheel;
    struct wheel_timer timer = {0};
    wheel_init(&wheel, 1000000, 1000);
    wheel_arm(&wheel, &timer, 5);
    assert_true(wheel_next_ns(&wheel) <= 1000000);
    assert_ptr_equal(wheel_expire(&wheel, 1000000), &timer);
    wheel_arm(&wheel, &timer, 1000000); /* now itself */
    assert_ptr_equal(wheel_expire(&wheel, 1000000), &timer);
}

static void test_time_that_goes_back_counts_as_the_last(void **state)
{
    (void)state;
    struct wheel wheel;
    struct wheel_timer timer = {0};
    wheel_init(&wheel, 0, 10);
    assert_null(wheel_expire(&wheel, 1000));
    wheel_arm(&wheel, &timer, 900);
    assert_ptr_equal(wheel_expire(&wheel, 20), &timer);
    wheel_arm(&wheel, &timer, 1010);
    assert_null(wheel_expire(&wheel, 20));
    assert_ptr_equal(wheel_expire(&wheel, 1010), &timer);
}

static void test_disarmed_timer_does_not_expire(void **state)
{
    (void)state;
    static const uint64_t deadlines[] = {1, 50, 64, 5000, 1u << 20, UINT64_C(1) << 33};
    for (size_t i = 0; i < TABLE_COUNT(deadlines); i++) {
        struct wheel wheel;
        struct wheel_timer timer = {0};
        wheel_init(&wheel, 0, 1);
        wheel_disarm(&wheel, &timer); /* nothing */
        wheel_arm(&wheel, &timer, deadlines[i]);
        wheel_disarm(&wheel, &timer);
        wheel_disarm(&wheel, &timer);
        assert_int_equal(wheel.armed_count, 0);
        assert_true(wheel_next_ns(&wheel) == CLOCK_NEVER);
        assert_null(wheel_expire(&wheel, UINT64_MAX));
    }
}

static void test_arming_again_moves_the_timer(void **state)
{
    (void)state;
    static const uint64_t pairs[][2] = {
        {10, 5000}, {5000, 10}, {10, 10}, {64, 65}, {1, UINT64_C(1) << 34}};
    for (size_t i = 0; i < TABLE_COUNT(pairs); i++) {
        struct wheel wheel;
        struct wheel_timer timer = {0};
        wheel_init(&wheel, 0, 1);
        wheel_arm(&wheel, &timer, pairs[i][0]);
        wheel_arm(&wheel, &timer, pairs[i][1]);
        assert_int_equal(wheel.armed_count, 1);
        assert_null(wheel_expire(&wheel, pairs[i][1] - 1u));
        assert_ptr_equal(wheel_expire(&wheel, pairs[i][1]), &timer);
        assert_null(wheel_expire(&wheel, UINT64_MAX));
    }
}

static void test_due_timers_may_be_moved_and_disarmed_between_calls(void **state)
{
    (void)state;
    struct wheel wheel;
    struct wheel_timer timers[6] = {{0}};
    wheel_init(&wheel, 0, 10);
    for (int i = 0; i < 6; i++) {
        wheel_arm(&wheel, &timers[i], 95);
    }
    struct wheel_timer *first = wheel_expire(&wheel, 100);
    assert_non_null(first);
    struct wheel_timer *others[5];
    for (int i = 0, j = 0; i < 6; i++) {
        if (&timers[i] != first) {
            others[j++] = &timers[i];
        }
    }
    wheel_disarm(&wheel, others[0]);
    wheel_disarm(&wheel, others[4]);
    wheel_arm(&wheel, others[2], 200);
    wheel_arm(&wheel, first, 100); /* due at once, again */
    assert_int_equal(wheel.armed_count, 4);
    int handed_out = 0;
    for (struct wheel_timer *timer; (timer = wheel_expire(&wheel, 100)) != NULL; handed_out++) {
        assert_true(timer == first || timer == others[1] || timer == others[3]);
    }
    assert_int_equal(handed_out, 3);
    assert_true(wheel_next_ns(&wheel) > 100 && wheel_next_ns(&wheel) <= 200);
    assert_ptr_equal(wheel_expire(&wheel, 200), others[2]);
}

static void test_jump_far_ahead_hands_out_all_in_the_order_of_their_ticks(void **state)
{
    (void)state;
    enum { COUNT = 5000 };
    struct wheel_timer timers[COUNT] = {{0}};
    struct wheel wheel;
    struct rng rng;
    rng_seed(&rng, 17);
    wheel_init(&wheel, 12345, 100);
    for (int i = 0; i < COUNT; i++) {
        wheel_arm(&wheel, &timers[i], rng_next(&rng) >> (8u + rng_below(&rng, 48)));
    }
    uint64_t last = 0;
    int handed_out = 0;
    for (struct wheel_timer *timer; (timer = wheel_expire(&wheel, UINT64_C(1) << 60)) != NULL;) {
        uint64_t tick = rounded_up(timer->deadline_ns, 100);
        tick = tick < 12300 ? 12300 : tick; /* what was past when it was armed is due together */
        assert_true(tick >= last);
        last = tick;
        handed_out++;
    }
    assert_int_equal(handed_out, COUNT);
    assert_int_equal(wheel.armed_count, 0);
}

static void test_deadlines_at_the_end_of_time_stay_armed(void **state)
{
    (void)state;
    static const uint64_t ticks[] = {1, 10, 1000000};
    for (size_t i = 0; i < TABLE_COUNT(ticks); i++) {
        struct wheel wheel;
        struct wheel_timer timer = {0};
        wheel_init(&wheel, UINT64_MAX - 3u * ticks[i], ticks[i]);
        wheel_arm(&wheel, &timer, CLOCK_NEVER - 1u);
        assert_true(wheel_next_ns(&wheel) != CLOCK_NEVER);
        if (ticks[i] == 1) {
            assert_null(wheel_expire(&wheel, UINT64_MAX - 2u));
            assert_ptr_equal(wheel_expire(&wheel, UINT64_MAX - 1u), &timer);
        } else {
            assert_null(wheel_expire(&wheel, UINT64_MAX)); /* its tick would be past the end */
            assert_true(wheel_is_armed(&timer));
        }
    }
}

/* The model: a plain array of deadlines beside the wheel. */
enum { MODEL_TIMERS = 300 };

struct model {
    struct wheel wheel;
    struct wheel_timer timers[MODEL_TIMERS];
    bool armed[MODEL_TIMERS];
    uint64_t expiry_ns[MODEL_TIMERS];
    uint64_t now_ns;
    uint64_t seed;
    struct rng rng;
};

static void model_check(const struct model *model, bool good, const char *rule)
{
    if (!good) {
        fail_msg("seed %lu at %lu ns: %s", (unsigned long)model->seed, (unsigned long)model->now_ns,
                 rule);
    }
}

static void model_arm(struct model *model, uint64_t which)
{
    uint64_t delay = rng_next(&model->rng) >> (20u + rng_below(&model->rng, 43));
    uint64_t back = rng_below(&model->rng, 4) == 0 ? rng_below(&model->rng, 5000) : 0;
    uint64_t deadline_ns = model->now_ns + delay;
    deadline_ns = deadline_ns > back ? deadline_ns - back : 0;
    wheel_arm(&model->wheel, &model->timers[which], deadline_ns);
    model->armed[which] = true;
    model->expiry_ns[which] = rounded_up(deadline_ns, model->wheel.tick_ns);
}

static void model_change(struct model *model)
{
    uint64_t which = rng_below(&model->rng, MODEL_TIMERS);
    if (rng_below(&model->rng, 3) == 0) {
        wheel_disarm(&model->wheel, &model->timers[which]);
        model->armed[which] = false;
    } else {
        model_arm(model, which);
    }
}

static uint64_t model_first_expiry(const struct model *model)
{
    uint64_t first = CLOCK_NEVER;
    for (int i = 0; i < MODEL_TIMERS; i++) {
        if (model->armed[i] && model->expiry_ns[i] < first) {
            first = model->expiry_ns[i];
        }
    }
    return first;
}

static void model_compare(const struct model *model)
{
    uint32_t armed = 0;
    for (int i = 0; i < MODEL_TIMERS; i++) {
        armed += model->armed[i];
        model_check(model, model->armed[i] == wheel_is_armed(&model->timers[i]),
                    "armed as it should be");
    }
    model_check(model, armed == model->wheel.armed_count, "the count of armed timers holds");
    uint64_t next = wheel_next_ns(&model->wheel);
    uint64_t first = model_first_expiry(model);
    model_check(model, (next == CLOCK_NEVER) == (armed == 0), "never means that none is armed");
    /* What was armed for the past is due at the last now. */
    model_check(model, next <= first || next <= model->now_ns,
                "next is not later than the first expiry");
}

static void model_expire(struct model *model)
{
    struct wheel_timer *timer;
    int calls = 0;
    while ((timer = wheel_expire(&model->wheel, model->now_ns)) != NULL) {
        size_t which = (size_t)(timer - model->timers);
        model_check(model, model->armed[which], "only what is armed expires");
        model_check(model, model->expiry_ns[which] <= model->now_ns, "nothing expires early");
        model->armed[which] = false;
        /* Changes between the calls, ended so that the loop ends; at times the rest is left. */
        if (calls++ < 50 && rng_below(&model->rng, 2) == 0) {
            model_change(model);
        }
        if (rng_below(&model->rng, 100) == 0) {
            return;
        }
    }
    model_check(model, model_first_expiry(model) > model->now_ns, "nothing that is due is left");
}

static void test_wheel_agrees_with_a_plain_list_of_deadlines(void **state)
{
    (void)state;
    static const uint64_t ticks[] = {1, 3, 64, 1000, 1000000};
    struct model model;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        memset(&model, 0, sizeof model);
        model.seed = seed;
        rng_seed(&model.rng, seed);
        model.now_ns = rng_next(&model.rng) >> (4u + rng_below(&model.rng, 60));
        wheel_init(&model.wheel, model.now_ns, ticks[seed % TABLE_COUNT(ticks)]);
        for (int step = 0; step < 150; step++) {
            for (uint64_t changes = rng_below(&model.rng, 20); changes > 0; changes--) {
                model_change(&model);
            }
            model_compare(&model);
            uint64_t next = wheel_next_ns(&model.wheel);
            if (rng_below(&model.rng, 2) == 0 && next != CLOCK_NEVER) {
                model.now_ns = next > model.now_ns ? next : model.now_ns;
            } else {
                model.now_ns += rng_next(&model.rng) >> (24u + rng_below(&model.rng, 40));
            }
            model_expire(&model);
            model_compare(&model);
        }
    }
}

static void test_sleeping_until_next_finds_every_timer_in_few_wakeups(void **state)
{
    (void)state;
    enum { COUNT = 1000 };
    struct wheel_timer timers[COUNT] = {{0}};
    struct wheel wheel;
    struct rng rng;
    rng_seed(&rng, 23);
    wheel_init(&wheel, 0, NS_PER_MS);
    for (int i = 0; i < COUNT; i++) {
        wheel_arm(&wheel, &timers[i], rng_below(&rng, 60 * NS_PER_SEC));
    }
    int wakeups = 0;
    int expired = 0;
    for (uint64_t next; (next = wheel_next_ns(&wheel)) != CLOCK_NEVER; wakeups++) {
        for (struct wheel_timer *timer; (timer = wheel_expire(&wheel, next)) != NULL; expired++) {
            assert_true(next >= timer->deadline_ns);
            assert_true(next < timer->deadline_ns + NS_PER_MS);
        }
    }
    assert_int_equal(expired, COUNT);
    assert_true(wakeups <= 2 * COUNT); /* one a timer, and its share of cascades */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty_wheel_never_expires),
        cmocka_unit_test(test_timer_expires_at_its_deadline_rounded_up_to_the_tick),
        cmocka_unit_test(test_past_deadline_expires_at_the_next_call),
        cmocka_unit_test(test_time_that_goes_back_counts_as_the_last),
        cmocka_unit_test(test_disarmed_timer_does_not_expire),
        cmocka_unit_test(test_arming_again_moves_the_timer),
        cmocka_unit_test(test_due_timers_may_be_moved_and_disarmed_between_calls),
        cmocka_unit_test(test_jump_far_ahead_hands_out_all_in_the_order_of_their_ticks),
        cmocka_unit_test(test_deadlines_at_the_end_of_time_stay_armed),
        cmocka_unit_test(test_wheel_agrees_with_a_plain_list_of_deadlines),
        cmocka_unit_test(test_sleeping_until_next_finds_every_timer_in_few_wakeups),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
