/* The quota that transports share. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "transport/quota.h"

#define PLACES 3u
#define THREADS 4u
#define ROUNDS 20000u

static void test_there_are_as_many_places_as_were_named(void **state)
{
    (void)state;
    struct transport_quota quota;
    bool waits = false;
    transport_quota_init(&quota, PLACES);
    for (uint32_t i = 0; i < PLACES; i++) {
        assert_int_equal(quota_room(&quota), PLACES - i);
        assert_true(quota_take(&quota, &waits));
        assert_false(waits);
    }
    assert_false(quota_take(&quota, &waits));
    assert_true(waits);
    quota_give(&quota, 2);
    assert_int_equal(quota_room(&quota), 2);
    assert_true(quota_take(&quota, &waits));
    assert_false(waits);
    assert_int_equal(quota.waiting, 0);
}

static void test_who_has_not_waited_leaves_a_place_for_who_waits(void **state)
{
    (void)state;
    struct transport_quota quota;
    bool busy = false;
    bool waiter = false;
    transport_quota_init(&quota, 2);
    assert_true(quota_take(&quota, &busy));
    assert_true(quota_take(&quota, &busy));
    assert_false(quota_take(&quota, &waiter));
    quota_give(&quota, 1);
    assert_false(quota_take(&quota, &busy)); /* the one place is the waiter's */
    assert_true(quota_take(&quota, &waiter));
    assert_false(waiter);
    quota_give(&quota, 1);
    assert_true(quota_take(&quota, &busy)); /* nobody else waits */
    assert_int_equal(quota.waiting, 0);
}

static void test_of_two_that_wait_either_takes_the_last_place(void **state)
{
    (void)state;
    struct transport_quota quota;
    bool one = false;
    bool other = false;
    bool holder = false;
    transport_quota_init(&quota, 1);
    assert_true(quota_take(&quota, &holder));
    assert_false(quota_take(&quota, &one));
    assert_false(quota_take(&quota, &other));
    assert_int_equal(quota.waiting, 2);
    quota_give(&quota, 1);
    assert_true(quota_take(&quota, &other));
    quota_give(&quota, 1);
    assert_true(quota_take(&quota, &one));
    assert_int_equal(quota.waiting, 0);
}

static void test_who_gives_up_waiting_keeps_no_place_from_others(void **state)
{
    (void)state;
    struct transport_quota quota;
    bool waiter = false;
    bool other = false;
    transport_quota_init(&quota, 1);
    assert_true(quota_take(&quota, &other));
    assert_false(quota_take(&quota, &waiter));
    quota_wait_end(&quota, &waiter);
    quota_wait_end(&quota, &waiter); /* once is enough */
    quota_give(&quota, 1);
    assert_true(quota_take(&quota, &other));
}

static void test_who_does_not_wait_is_told_and_not_counted(void **state)
{
    (void)state;
    struct transport_quota quota;
    transport_quota_init(&quota, 1);
    assert_true(quota_try(&quota));
    assert_false(quota_try(&quota));
    assert_int_equal(quota.waiting, 0);
    quota_give(&quota, 1);
    assert_true(quota_try(&quota));
}

struct crowd {
    struct transport_quota quota;
    _Atomic uint32_t inside;
    _Atomic uint32_t most;
};

static void *come_and_go(void *context)
{
    struct crowd *crowd = context;
    bool waits = false;
    for (uint32_t round = 0; round < ROUNDS;) {
        if (!quota_take(&crowd->quota, &waits)) {
            continue;
        }
        uint32_t inside = atomic_fetch_add(&crowd->inside, 1) + 1;
        uint32_t most = atomic_load(&crowd->most);
        while (inside > most && !atomic_compare_exchange_weak(&crowd->most, &most, inside)) {
        }
        atomic_fetch_sub(&crowd->inside, 1);
        quota_give(&crowd->quota, 1);
        round++;
    }
    return NULL;
}

static void test_threads_never_hold_more_than_there_are(void **state)
{
    (void)state;
    struct crowd crowd = {.inside = 0};
    pthread_t threads[THREADS];
    transport_quota_init(&crowd.quota, PLACES);
    for (uint32_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, &crowd), 0);
    }
    for (uint32_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_in_range(crowd.most, 1, PLACES);
    assert_int_equal(crowd.quota.open, 0);
    assert_int_equal(crowd.quota.waiting, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_there_are_as_many_places_as_were_named),
        cmocka_unit_test(test_who_has_not_waited_leaves_a_place_for_who_waits),
        cmocka_unit_test(test_of_two_that_wait_either_takes_the_last_place),
        cmocka_unit_test(test_who_gives_up_waiting_keeps_no_place_from_others),
        cmocka_unit_test(test_who_does_not_wait_is_told_and_not_counted),
        cmocka_unit_test(test_threads_never_hold_more_than_there_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
