/* Payloads: each echo has its own bytes, and others are told from them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "loadgen/payload.h"

static void an_echo_matches_piece_by_piece(void **state)
{
    (void)state;
    struct payload payload;
    assert_int_equal(payload_make(&payload, 100, 7), 0);
    uint32_t offset = payload_offset(&payload, 3, 0);
    const uint8_t *sent = payload_at(&payload, offset);
    for (size_t i = 0; i < 100; i++) {
        assert_true(payload_matches(&payload, offset, i, sent + i, 1));
    }
    assert_true(payload_matches(&payload, offset, 0, sent, 100));
    payload_destroy(&payload);
}

static void a_changed_bit_does_not_match(void **state)
{
    (void)state;
    struct payload payload;
    uint8_t copy[64];
    assert_int_equal(payload_make(&payload, sizeof(copy), 7), 0);
    memcpy(copy, payload_at(&payload, 5), sizeof(copy));
    for (size_t bit = 0; bit < 8 * sizeof(copy); bit++) {
        copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_false(payload_matches(&payload, 5, 0, copy, sizeof(copy)));
        copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_true(payload_matches(&payload, 5, 0, copy, sizeof(copy)));
    payload_destroy(&payload);
}

static void bytes_of_another_echo_connection_or_place_do_not_match(void **state)
{
    (void)state;
    struct payload payload;
    assert_int_equal(payload_make(&payload, 64, 1), 0);
    uint32_t own = payload_offset(&payload, 10, 0);
    uint32_t others[] = {payload_offset(&payload, 10, 1), payload_offset(&payload, 11, 0),
                         payload_offset(&payload, 9, 1)};
    for (size_t i = 0; i < 3; i++) {
        assert_int_not_equal(others[i], own);
        assert_false(payload_matches(&payload, own, 0, payload_at(&payload, others[i]), 64));
    }
    /* A byte lost or doubled shifts all that follows. */
    assert_false(payload_matches(&payload, own, 0, payload_at(&payload, own) + 1, 63));
    assert_false(payload_matches(&payload, own, 1, payload_at(&payload, own), 63));
    payload_destroy(&payload);
}

static void the_same_seed_gives_the_same_bytes_and_another_does_not(void **state)
{
    (void)state;
    struct payload a, b, c;
    assert_int_equal(payload_make(&a, 1000, 1), 0);
    assert_int_equal(payload_make(&b, 1000, 1), 0);
    assert_int_equal(payload_make(&c, 1000, 2), 0);
    assert_memory_equal(a.bytes, b.bytes, 1000 + PAYLOAD_OFFSETS);
    assert_memory_not_equal(a.bytes, c.bytes, 1000 + PAYLOAD_OFFSETS);
    assert_int_equal(payload_offset(&a, 5, 2), payload_offset(&b, 5, 2));
    payload_destroy(&a);
    payload_destroy(&b);
    payload_destroy(&c);
}

static void offsets_stay_within_the_pattern_at_every_size(void **state)
{
    (void)state;
    static const uint64_t sizes[] = {1, 64, 65536, PAYLOAD_BYTES_MAX};
    for (size_t i = 0; i < 4; i++) {
        struct payload payload;
        assert_int_equal(payload_make(&payload, sizes[i], 3), 0);
        for (uint64_t conn = 0; conn < 1000; conn++) {
            assert_true(payload_offset(&payload, conn, 0) < PAYLOAD_OFFSETS);
        }
        /* The last window's last byte is inside: the sanitizer would tell. */
        assert_true(payload_matches(&payload, PAYLOAD_OFFSETS - 1, sizes[i] - 1,
                                    payload_at(&payload, PAYLOAD_OFFSETS - 1) + sizes[i] - 1, 1));
        payload_destroy(&payload);
    }
}

static void a_file_is_every_request(void **state)
{
    (void)state;
    char path[] = "/tmp/finwait-payload-XXXXXX";
    struct payload payload;
    struct failure failure;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(payload_load(&payload, path, &failure), -EINVAL);
    assert_non_null(strstr(failure.text, "empty"));
    assert_int_equal(write(fd, "GET /\r\n\r\n", 9), 9);
    assert_int_equal(payload_load(&payload, path, &failure), 0);
    assert_int_equal(payload.size, 9);
    assert_int_equal(payload_offset(&payload, 77, 3), 0);
    assert_memory_equal(payload_at(&payload, 0), "GET /\r\n\r\n", 9);
    payload_destroy(&payload);
    assert_int_equal(ftruncate(fd, (off_t)PAYLOAD_BYTES_MAX + 1), 0);
    assert_int_equal(payload_load(&payload, path, &failure), -EFBIG);
    close(fd);
    unlink(path);
    assert_int_equal(payload_load(&payload, path, &failure), -ENOENT);
    assert_non_null(strstr(failure.text, path));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_echo_matches_piece_by_piece),
        cmocka_unit_test(a_changed_bit_does_not_match),
        cmocka_unit_test(bytes_of_another_echo_connection_or_place_do_not_match),
        cmocka_unit_test(the_same_seed_gives_the_same_bytes_and_another_does_not),
        cmocka_unit_test(offsets_stay_within_the_pattern_at_every_size),
        cmocka_unit_test(a_file_is_every_request),
    };
    return cmocka_run_group_tests_name("loadgen/payload", tests, NULL, NULL);
}
