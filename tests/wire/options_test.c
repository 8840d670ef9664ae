/* Rules of wire/options, parsing and emitting TCP options. */
#include "wire/wire_test.h"

/* Parses a list that ends at a guard page. */
static struct wire_tcp_options parse(const void *bytes, size_t count)
{
    struct guard_page guard;
    struct wire_tcp_options options;
    memset(&options, 0xa5, sizeof(options)); /* the parser must set every field itself */
    guard_page_map(&guard, 256);
    wire_tcp_options_parse(&options, at_guard(&guard, bytes, count), count);
    guard_page_unmap(&guard);
    return options;
}

/* What a list says, with the options one expects; `text` is the list. */
struct list {
    const char *bytes;
    size_t count;
    struct wire_tcp_options says;
};

#define LIST(text) text, sizeof(text) - 1

static void check_lists(const struct list *lists, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct wire_tcp_options got = parse(lists[i].bytes, lists[i].count);
        assert_same_options(&got, &lists[i].says);
    }
}

static void test_each_known_option_is_read(void **state)
{
    (void)state;
    static const struct list lists[] = {
        {LIST(""), {0}},
        {LIST("\0"), {0}},
        {LIST("\x01\x01\x01"), {0}},
        {LIST("\x02\x04\x05\xb4"), {.mss = 1460}},
        {LIST("\x02\x04\0\0"), {.mss = 0}},
        {LIST("\x02\x04\xff\xff"), {.mss = 65535}},
        {LIST("\x03\x03\x0a"), {.has_wscale = true, .wscale = 10}},
        {LIST("\x03\x03\0"), {.has_wscale = true}},
        {LIST("\x04\x02"), {.sack_permitted = true}},
        {LIST("\x08\x0a\1\2\3\4\5\6\7\10"),
         {.has_timestamp = true, .ts_val = 0x01020304, .ts_ecr = 0x05060708}},
        {LIST("\1\1\x08\x0a\1\2\3\4\5\6\7\10"),
         {.has_timestamp = true, .ts_val = 0x01020304, .ts_ecr = 0x05060708}},
        {LIST("\x05\x0a\0\0\0\1\xff\xff\xff\xff"),
         {.sack_count = 1, .sack = {{.start = 1, .end = UINT32_MAX}}}},
        {LIST("\x02\x04\x02\x18\x04\x02\x08\x0a\0\0\0\1\0\0\0\2\x01\x03\x03\x07"),
         {.mss = 536,
          .sack_permitted = true,
          .has_wscale = true,
          .wscale = 7,
          .has_timestamp = true,
          .ts_val = 1,
          .ts_ecr = 2}},
    };
    check_lists(lists, TABLE_COUNT(lists));
}

static void test_window_scales_above_14_count_as_14(void **state)
{
    (void)state;
    for (unsigned int shift = 0; shift <= UINT8_MAX; shift++) {
        const uint8_t list[] = {3, 3, (uint8_t)shift};
        const struct wire_tcp_options got = parse(list, sizeof(list));
        assert_int_equal(got.wscale, shift < 14 ? shift : 14);
    }
}

static void test_unknown_options_are_skipped_by_their_length(void **state)
{
    (void)state;
    static const uint8_t mss[] = {2, 4, 0x05, 0xb4};
    for (unsigned int kind = 9; kind <= UINT8_MAX; kind++) {
        for (uint8_t length = 2; length <= 30; length++) {
            uint8_t list[34] = {(uint8_t)kind, length};
            memset(list + 2, 2, sizeof(list) - 2); /* looks like options, inside and out */
            memcpy(list + length, mss, sizeof(mss));
            const struct wire_tcp_options got = parse(list, length + 4u);
            assert_same_options(&got, &(struct wire_tcp_options){.mss = 1460});
        }
    }
}

static void test_nothing_behind_the_end_of_options_is_read(void **state)
{
    (void)state;
    static const struct list lists[] = {
        {LIST("\0\x02\x04\x05\xb4\0\0\0"), {0}},
        {LIST("\x04\x02\0\x02\x04\x05\xb4\0"), {.sack_permitted = true}},
    };
    check_lists(lists, TABLE_COUNT(lists));
}

static void test_an_impossible_length_ends_the_list_and_keeps_what_came_before(void **state)
{
    (void)state;
    static const struct list lists[] = {
        {LIST("\x04\x02\x63\0\x02\x04\x05\xb4"), {.sack_permitted = true}},
        {LIST("\x04\x02\x63\1\x02\x04\x05\xb4"), {.sack_permitted = true}},
        {LIST("\x04\x02\x63\x07\x02\x04\x05\xb4"), {.sack_permitted = true}},
        {LIST("\x04\x02\x63\xff\x02\x04\x05\xb4"), {.sack_permitted = true}},
        {LIST("\x04\x02\x02\0\x03\x03\x02\x01"), {.sack_permitted = true}},
        {LIST("\x04\x02\x02\x05\x03\x03"), {.sack_permitted = true}},
        {LIST("\x04\x02\x63"), {.sack_permitted = true}},
        {LIST("\x04\x02\x02"), {.sack_permitted = true}},
    };
    check_lists(lists, TABLE_COUNT(lists));
}

static void test_a_known_option_of_another_length_is_skipped(void **state)
{
    (void)state;
    static const struct list lists[] = {
        {LIST("\x02\x03\x05\x04\x02"), {.sack_permitted = true}},
        {LIST("\x02\x05\x05\xb4\0\x04\x02"), {.sack_permitted = true}},
        {LIST("\x02\x02\x04\x02"), {.sack_permitted = true}},
        {LIST("\x03\x02\x04\x02"), {.sack_permitted = true}},
        {LIST("\x03\x04\x07\x07\x04\x02"), {.sack_permitted = true}},
        {LIST("\x04\x03\x01\x02\x04\x05\xb4"), {.mss = 1460}},
        {LIST("\x08\x09\0\0\0\1\0\0\0\x04\x02"), {.sack_permitted = true}},
        {LIST("\x08\x0b\0\0\0\1\0\0\0\2\0\x04\x02"), {.sack_permitted = true}},
        {LIST("\1\1\x08\x09\0\0\0\1\0\0\0\0"), {0}},
        {LIST("\x05\x02\x04\x02"), {.sack_permitted = true}},
        {LIST("\x05\x09\0\0\0\1\0\0\0\x04\x02"), {.sack_permitted = true}},
        {LIST("\x05\x0e\0\0\0\1\0\0\0\2\0\0\0\0\x04\x02"), {.sack_permitted = true}},
    };
    check_lists(lists, TABLE_COUNT(lists));
}

static void test_of_an_option_that_comes_twice_the_last_counts(void **state)
{
    (void)state;
    static const struct list lists[] = {
        {LIST("\x02\x04\x05\xb4\x02\x04\x02\x18"), {.mss = 536}},
        {LIST("\x03\x03\x07\x03\x03\x02"), {.has_wscale = true, .wscale = 2}},
        {LIST("\x05\x12\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4\x05\x0a\0\0\0\5\0\0\0\6"),
         {.sack_count = 1, .sack = {{.start = 5, .end = 6}}}},
        {LIST("\x05\x0a\0\0\0\5\0\0\0\6\x05\x02"), /* a list without blocks is none */
         {.sack_count = 1, .sack = {{.start = 5, .end = 6}}}},
    };
    check_lists(lists, TABLE_COUNT(lists));
}

static void test_at_most_four_sack_blocks_are_taken(void **state)
{
    (void)state;
    for (uint8_t blocks = 1; blocks <= 8; blocks++) {
        uint8_t list[2 + 8 * 8] = {5, (uint8_t)(2 + 8 * blocks)};
        for (uint8_t i = 0; i < 8; i++) {
            list[2 + 8 * i + 3] = i;
            list[2 + 8 * i + 7] = (uint8_t)(i + 100);
        }
        const struct wire_tcp_options got = parse(list, 2u + 8u * blocks);
        assert_int_equal(got.sack_count, blocks < 4 ? blocks : 4);
        for (uint32_t i = 0; i < got.sack_count; i++) {
            assert_int_equal(got.sack[i].start, i);
            assert_int_equal(got.sack[i].end, i + 100);
        }
    }
}

static void test_every_truncation_of_a_full_list_stays_inside(void **state)
{
    (void)state;
    static const char list[] = "\x02\x04\x05\xb4\x04\x02\x08\x0a\0\0\0\1\0\0\0\2\x01\x03\x03\x07"
                               "\x05\x12\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4";
    for (size_t cut = 0; cut < sizeof(list); cut++) {
        const struct wire_tcp_options got = parse(list, cut);
        assert_int_equal(got.mss, cut < 4 ? 0 : 1460);
        assert_int_equal(got.sack_permitted, cut >= 6);
        assert_int_equal(got.has_timestamp, cut >= 16);
        assert_int_equal(got.has_wscale, cut >= 20);
        assert_int_equal(got.sack_count, cut < 38 ? 0 : 2);
    }
}

static void test_random_lists_never_lead_outside(void **state)
{
    (void)state;
    struct guard_page guard;
    struct rng rng;
    guard_page_map(&guard, WIRE_TCP_OPTIONS_MAX);
    rng_seed(&rng, 9);
    for (int run = 0; run < 50000; run++) {
        struct wire_tcp_options options;
        uint8_t list[WIRE_TCP_OPTIONS_MAX];
        const size_t count = rng_below(&rng, WIRE_TCP_OPTIONS_MAX + 1);
        rng_fill(&rng, list, count);
        for (size_t i = 0; i < count; i++) {
            list[i] = (uint8_t)(list[i] % 13u); /* known kinds and lengths, mostly */
        }
        wire_tcp_options_parse(&options, at_guard(&guard, list, count), count);
        assert_true(options.sack_count <= WIRE_SACK_MAX);
        assert_true(options.wscale <= WIRE_WSCALE_MAX);
    }
    guard_page_unmap(&guard);
}

static void test_padded_sizes_are_as_rfc_7323_appendix_a_and_linux_have_them(void **state)
{
    (void)state;
    static const struct {
        struct wire_tcp_options options;
        uint32_t bytes;
    } cases[] = {
        {{0}, 0},
        {{.mss = 1460}, 4},
        {{.has_timestamp = true}, 12},
        {{.sack_permitted = true}, 4},
        {{.has_wscale = true}, 4},
        {{.mss = 1, .sack_permitted = true, .has_timestamp = true, .has_wscale = true}, 20},
        {{.mss = 1, .sack_permitted = true, .has_wscale = true}, 12},
        {{.mss = 1, .has_timestamp = true, .has_wscale = true}, 20},
        {{.sack_count = 1}, 12},
        {{.sack_count = 4}, 36},
        {{.sack_count = 1, .has_timestamp = true}, 24},
        {{.sack_count = 3, .has_timestamp = true}, 40},
        {{.sack_count = 4, .has_timestamp = true}, 40},
        {{.sack_count = 4, .mss = 1, .has_wscale = true, .has_timestamp = true}, 40},
    };
    for (size_t i = 0; i < TABLE_COUNT(cases); i++) {
        assert_int_equal(wire_tcp_options_bytes(&cases[i].options), cases[i].bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_known_option_is_read),
        cmocka_unit_test(test_window_scales_above_14_count_as_14),
        cmocka_unit_test(test_unknown_options_are_skipped_by_their_length),
        cmocka_unit_test(test_nothing_behind_the_end_of_options_is_read),
        cmocka_unit_test(test_an_impossible_length_ends_the_list_and_keeps_what_came_before),
        cmocka_unit_test(test_a_known_option_of_another_length_is_skipped),
        cmocka_unit_test(test_of_an_option_that_comes_twice_the_last_counts),
        cmocka_unit_test(test_at_most_four_sack_blocks_are_taken),
        cmocka_unit_test(test_every_truncation_of_a_full_list_stays_inside),
        cmocka_unit_test(test_random_lists_never_lead_outside),
        cmocka_unit_test(test_padded_sizes_are_as_rfc_7323_appendix_a_and_linux_have_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
