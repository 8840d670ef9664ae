/* Rules of tcp/cookie. */
#include "tcp/test.h"

#include "base/rng.h"
#include "tcp/cookie.h"

static const struct siphash_key key = {UINT64_C(0x0123456789abcdef), UINT64_C(0xfedcba9876543210)};
static const struct tuple tuple = {0x0a000001, 0x0a000002, 80, 40000};
static const struct cookie_syn syn = {.irs = 123456789, .mss = 1460};

static void test_cookie_holds_for_one_to_two_minutes(void **state)
{
    (void)state;
    for (uint64_t made = 0; made < 4u * COOKIE_PERIOD_NS; made += COOKIE_PERIOD_NS / 8u) {
        uint32_t iss = cookie_make(&key, &tuple, &syn, made);
        for (uint64_t age = 0; age < 40u * COOKIE_PERIOD_NS; age += COOKIE_PERIOD_NS / 8u) {
            struct cookie_syn read = {.irs = syn.irs};
            uint64_t periods = (made + age) / COOKIE_PERIOD_NS - made / COOKIE_PERIOD_NS;
            bool holds = cookie_check(&key, &tuple, iss, &read, made + age);
            assert_int_equal(holds, periods <= 1);
            assert_true(holds || age > COOKIE_PERIOD_NS);
            assert_true(!holds || age < 2u * COOKIE_PERIOD_NS);
        }
    }
}

static void test_cookie_is_bound_to_key_tuple_and_sequence_number(void **state)
{
    (void)state;
    uint64_t now = 100 * COOKIE_PERIOD_NS;
    uint32_t iss = cookie_make(&key, &tuple, &syn, now);
    struct cookie_syn read = {.irs = syn.irs};
    assert_true(cookie_check(&key, &tuple, iss, &read, now));
    struct tuple others[4] = {tuple, tuple, tuple, tuple};
    others[0].local_ip++;
    others[1].remote_ip++;
    others[2].local_port++;
    others[3].remote_port++;
    for (size_t i = 0; i < TABLE_COUNT(others); i++) {
        assert_false(cookie_check(&key, &others[i], iss, &read, now));
    }
    struct siphash_key other_key = {key.k0, key.k1 + 1u};
    assert_false(cookie_check(&other_key, &tuple, iss, &read, now));
    read.irs++;
    assert_false(cookie_check(&key, &tuple, iss, &read, now));
}

static void test_any_changed_bit_spoils_a_cookie(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 64; i++) {
        uint64_t now = i < 32 ? 0 : 7 * COOKIE_PERIOD_NS; /* in the first period of all, too */
        uint32_t iss = cookie_make(&key, &tuple, &syn, now);
        struct cookie_syn read = {.irs = syn.irs};
        assert_false(cookie_check(&key, &tuple, iss ^ UINT32_C(1) << i % 32, &read, now));
    }
}

static void test_guesses_succeed_no_more_often_than_28_bits_allow(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 71);
    int hits = 0;
    for (int i = 0; i < 1000000; i++) {
        struct cookie_syn read = {.irs = syn.irs};
        hits += cookie_check(&key, &tuple, (uint32_t)rng_next(&rng), &read, COOKIE_PERIOD_NS);
    }
    assert_in_range(hits, 0, 1); /* 2^-28 each */
}

static void test_mss_is_kept_as_the_largest_known_one_that_is_not_above(void **state)
{
    (void)state;
    static const uint16_t cases[][2] = {{0, 536},     {1, 64},      {64, 64},     {511, 64},
                                        {512, 512},   {535, 512},   {536, 536},   {1219, 536},
                                        {1220, 1220}, {1400, 1360}, {1440, 1440}, {1459, 1440},
                                        {1460, 1460}, {8959, 1460}, {8960, 8960}, {65535, 8960}};
    for (size_t i = 0; i < TABLE_COUNT(cases); i++) {
        struct cookie_syn sent = {.irs = 1, .mss = cases[i][0]};
        struct cookie_syn read = {.irs = 1, .sack_permitted = true, .wscale = 3};
        assert_true(cookie_check(&key, &tuple, cookie_make(&key, &tuple, &sent, 5), &read, 5));
        assert_int_equal(read.mss, cases[i][1]);
        assert_true(read.sack_permitted); /* options stay untouched */
        assert_int_equal(read.wscale, 3);
    }
}

static void check_options(uint32_t ts, const struct cookie_syn *sent)
{
    uint32_t made = cookie_timestamp_make(ts, sent);
    assert_true((int32_t)(ts - made) >= 0);
    assert_true(ts - made < 64);
    struct cookie_syn read = {0};
    assert_true(made == 0 || cookie_timestamp_read(made, &read));
    if (made != 0) {
        assert_true(read.has_timestamp);
        assert_int_equal(read.has_wscale, sent->has_wscale);
        assert_int_equal(read.wscale, sent->wscale);
        assert_int_equal(read.sack_permitted, sent->sack_permitted);
        assert_int_equal(read.ecn, sent->ecn);
    }
}

static void test_options_come_back_from_a_timestamp_that_is_not_raised(void **state)
{
    (void)state;
    static const uint32_t stamps[] = {0, 1, 62, 63, 64, 1000003, UINT32_C(0x80000000), UINT32_MAX};
    for (size_t i = 0; i < TABLE_COUNT(stamps); i++) {
        for (unsigned bits = 0; bits < 64; bits++) {
            struct cookie_syn sent = {.sack_permitted = (bits & 16u) != 0, .ecn = bits >= 32u};
            sent.has_wscale = bits % 16u != 15u;
            sent.wscale = (uint8_t)(sent.has_wscale ? bits % 16u : 0u);
            check_options(stamps[i], &sent);
        }
    }
}

static void test_echo_of_nothing_is_no_option(void **state)
{
    (void)state;
    struct cookie_syn read = {0};
    assert_false(cookie_timestamp_read(0, &read));
    assert_false(read.has_timestamp);
}

static void test_isn_ticks_every_4_us_and_differs_by_tuple_and_key(void **state)
{
    (void)state;
    struct tuple other = tuple;
    struct siphash_key other_key = {key.k0 + 1u, key.k1};
    uint32_t isn = keyed_isn(&key, &tuple, 1000000);
    assert_int_equal(keyed_isn(&key, &tuple, 1003999), isn);
    assert_int_equal(keyed_isn(&key, &tuple, 1004000), isn + 1u);
    /* The clock wraps with its 32 bits, after 4.77 hours. */
    assert_int_equal(keyed_isn(&key, &tuple, 1000000 + (UINT64_C(4000) << 32)), isn);
    other.remote_port++;
    assert_true(keyed_isn(&key, &other, 1000000) != isn);
    assert_true(keyed_isn(&other_key, &tuple, 1000000) != isn);
}

static void test_keyed_values_are_unlike_each_other(void **state)
{
    (void)state;
    uint32_t isn = keyed_isn(&key, &tuple, 0);
    uint32_t offset = keyed_timestamp_offset(&key, &tuple);
    uint32_t port = keyed_port_offset(&key, &tuple);
    assert_true(isn != offset);
    assert_true(isn != port);
    assert_true(offset != port);
    struct tuple other = tuple;
    other.local_port++;
    assert_int_equal(keyed_port_offset(&key, &other), port); /* for all local ports the same */
    assert_true(keyed_timestamp_offset(&key, &other) != offset);
    other.remote_port++;
    assert_true(keyed_port_offset(&key, &other) != port);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cookie_holds_for_one_to_two_minutes),
        cmocka_unit_test(test_cookie_is_bound_to_key_tuple_and_sequence_number),
        cmocka_unit_test(test_any_changed_bit_spoils_a_cookie),
        cmocka_unit_test(test_guesses_succeed_no_more_often_than_28_bits_allow),
        cmocka_unit_test(test_mss_is_kept_as_the_largest_known_one_that_is_not_above),
        cmocka_unit_test(test_options_come_back_from_a_timestamp_that_is_not_raised),
        cmocka_unit_test(test_echo_of_nothing_is_no_option),
        cmocka_unit_test(test_isn_ticks_every_4_us_and_differs_by_tuple_and_key),
        cmocka_unit_test(test_keyed_values_are_unlike_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
