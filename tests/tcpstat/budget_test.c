/* The watch's budget, on a clock of the test's own: what is spent keeps to what is earned. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tcpstat/budget.h"

#define TICK_COST_NS (100 * NS_PER_US)

/* A watch of one tick a second, whose censuses cost what the test says. */
struct model {
    struct budget budget;
    uint64_t now_ns;
    uint64_t spent_ns;
    uint64_t censuses;
};

static void start(struct model *model, uint32_t permille)
{
    *model = (struct model){.now_ns = 7 * NS_PER_SEC, .spent_ns = 3 * NS_PER_SEC};
    budget_start(&model->budget, permille, model->now_ns, model->spent_ns);
}

/* Runs for some seconds: each second a tick, and a census when it is allowed, at most one. */
static void run(struct model *model, uint64_t seconds, uint64_t census_cost_ns)
{
    for (uint64_t i = 0; i < seconds; i++) {
        model->now_ns += NS_PER_SEC;
        model->spent_ns += TICK_COST_NS;
        budget_update(&model->budget, model->now_ns, model->spent_ns, census_cost_ns);
        if (budget_wait_ns(&model->budget, census_cost_ns) == 0) {
            model->spent_ns += census_cost_ns;
            model->censuses++;
        }
    }
}

static void test_ticks_and_censuses_together_keep_to_the_budget(void **state)
{
    (void)state;
    static const struct {
        uint32_t permille;
        uint64_t cost_ns;
    } cases[] = {{10, 70 * NS_PER_MS}, {10, 350 * NS_PER_MS}, {10, 9 * NS_PER_MS},
                 {5, 20 * NS_PER_MS},  {100, NS_PER_SEC},     {1000, 800 * NS_PER_MS}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct model model;
        start(&model, cases[i].permille);
        const uint64_t before_ns = model.spent_ns;
        run(&model, 600, cases[i].cost_ns);
        const uint64_t budget_ns = 600 * NS_PER_SEC / 1000 * cases[i].permille;
        assert_in_range(model.spent_ns - before_ns, 1, budget_ns);
        /* And it is used: all but a census and the credit that may be left. */
        assert_true(model.spent_ns - before_ns + cases[i].cost_ns >= budget_ns * 79 / 100 ||
                    model.censuses >= 599);
    }
}

static void test_an_advance_is_earned_back_before_the_next(void **state)
{
    (void)state;
    struct model model;
    start(&model, 10);
    const uint64_t cost_ns = 400 * NS_PER_MS;
    model.spent_ns += cost_ns; /* the first */
    budget_update(&model.budget, model.now_ns, model.spent_ns, cost_ns);
    assert_in_range(budget_wait_ns(&model.budget, cost_ns), 80 * NS_PER_SEC - NS_PER_MS,
                    80 * NS_PER_SEC + NS_PER_MS);
    run(&model, 79, cost_ns);
    assert_int_equal(model.censuses, 0);
    run(&model, 2, cost_ns);
    assert_int_equal(model.censuses, 1);
}

/* A start of 70 ms at 1% of a core: paid back over half a minute, and not a ns more. */
static void test_a_debt_is_paid_back_little_by_little(void **state)
{
    (void)state;
    struct model model;
    const uint64_t debt_ns = 70 * NS_PER_MS;
    start(&model, 10);
    budget_owe(&model.budget, debt_ns);
    const uint64_t cost_ns = NS_PER_MS;
    run(&model, 1, cost_ns);
    assert_int_equal(model.censuses, 1); /* at once, for most of what is earned */
    run(&model, 28, cost_ns);
    assert_true(model.budget.owed_ns > 0);
    run(&model, 600, cost_ns);
    assert_int_equal(model.budget.owed_ns, 0);
    assert_int_equal(model.budget.charged_ns, debt_ns + 629 * TICK_COST_NS + 628 * cost_ns);
}

static void test_a_debt_beyond_the_budget_leaves_half_of_it(void **state)
{
    (void)state;
    struct budget budget;
    budget_start(&budget, 1, 0, 0); /* 30 ms in half a minute */
    budget_owe(&budget, 70 * NS_PER_MS);
    budget_update(&budget, NS_PER_SEC, 0, 0);
    assert_int_equal(budget.owed_ns, 70 * NS_PER_MS - NS_PER_MS / 2);
}

static void test_a_quiet_hour_does_not_pay_for_a_burst(void **state)
{
    (void)state;
    struct model model;
    start(&model, 10);
    run(&model, 3600, NS_PER_MS);
    const uint64_t before_ns = model.spent_ns;
    run(&model, 30, 50 * NS_PER_MS);
    /* 30 s at 1 %, a tenth of it that was kept, and no more than one census over. */
    assert_in_range(model.spent_ns - before_ns, 200 * NS_PER_MS, 330 * NS_PER_MS + 50 * NS_PER_MS);
}

static void test_ticks_that_take_all_leave_no_census(void **state)
{
    (void)state;
    struct model model;
    start(&model, 1); /* 1 ms a second, of which ticks take half, then all */
    for (int i = 0; i < 100; i++) {
        model.now_ns += NS_PER_SEC;
        model.spent_ns += 2 * NS_PER_MS;
        budget_update(&model.budget, model.now_ns, model.spent_ns, NS_PER_MS);
        assert_true(budget_wait_ns(&model.budget, NS_PER_MS) > 0);
    }
}

static void test_no_budget_never_earns(void **state)
{
    (void)state;
    struct budget budget;
    budget_start(&budget, 0, 0, 0);
    budget_update(&budget, 3600 * NS_PER_SEC, 0, 1);
    assert_int_equal(budget_wait_ns(&budget, 1), CLOCK_NEVER / 2);
    assert_false(budget_is_small(&budget, 1));
}

static void test_small_is_what_three_seconds_earn(void **state)
{
    (void)state;
    struct budget budget;
    budget_start(&budget, 10, 0, 0);
    assert_true(budget_is_small(&budget, 30 * NS_PER_MS));
    assert_false(budget_is_small(&budget, 31 * NS_PER_MS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ticks_and_censuses_together_keep_to_the_budget),
        cmocka_unit_test(test_an_advance_is_earned_back_before_the_next),
        cmocka_unit_test(test_a_debt_is_paid_back_little_by_little),
        cmocka_unit_test(test_a_debt_beyond_the_budget_leaves_half_of_it),
        cmocka_unit_test(test_a_quiet_hour_does_not_pay_for_a_burst),
        cmocka_unit_test(test_ticks_that_take_all_leave_no_census),
        cmocka_unit_test(test_no_budget_never_earns),
        cmocka_unit_test(test_small_is_what_three_seconds_earn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
