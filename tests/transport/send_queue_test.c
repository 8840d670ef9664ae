/* The queue of what a connection still has to send. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "transport/send_queue.h"

#define PIECES 3

static const char bytes_of[] = "0123456789";

/* A queue of pieces of 2, 3 and 4 bytes, which stand one behind the other in `bytes_of`. */
struct filled {
    struct send_queue queue;
    struct send_piece pieces[PIECES];
};

static void fill(struct filled *filled)
{
    const char *data = bytes_of;
    *filled = (struct filled){0};
    for (size_t i = 0; i < PIECES; i++) {
        filled->pieces[i].buffer_id = (uint32_t)i;
        send_queue_append(&filled->queue, &filled->pieces[i], data, 2 + i);
        data += 2 + i;
    }
}

static void test_an_empty_queue_has_nothing_to_send_and_nothing_sent(void **state)
{
    (void)state;
    struct send_queue queue = {0};
    struct iovec listed[1];
    uint64_t bytes = 1;
    assert_false(send_queue_has_sent(&queue));
    assert_int_equal(send_queue_gather(&queue, 100, listed, 1, &bytes), 0);
    assert_int_equal(bytes, 0);
    assert_null(send_queue_cut_unsent(&queue));
    assert_null(send_queue_cut_all(&queue));
    send_queue_consume(&queue, 0);
    assert_false(send_queue_has_sent(&queue));
}

/* After each number of bytes taken: how many pieces are whole, and where the next byte is. */
static void test_a_piece_is_sent_when_its_last_byte_is_taken(void **state)
{
    (void)state;
    static const size_t whole_after[] = {0, 0, 1, 1, 1, 2, 2, 2, 2, 3};
    for (size_t taken = 0; taken < sizeof(whole_after) / sizeof(whole_after[0]); taken++) {
        struct filled filled;
        struct iovec listed[PIECES];
        uint64_t left;
        fill(&filled);
        send_queue_consume(&filled.queue, taken);
        size_t count = send_queue_gather(&filled.queue, 100, listed, PIECES, &left);
        assert_int_equal(left, 9 - taken);
        assert_int_equal(count, PIECES - whole_after[taken]);
        if (count > 0) {
            assert_ptr_equal(listed[0].iov_base, &bytes_of[taken]);
        }
        for (size_t i = 0; i < whole_after[taken]; i++) {
            assert_true(send_queue_has_sent(&filled.queue));
            const struct send_piece *piece = send_queue_shift(&filled.queue);
            assert_int_equal(piece->buffer_id, i);
            assert_int_equal(piece->bytes, 2 + i);
        }
        assert_false(send_queue_has_sent(&filled.queue));
    }
}

static void test_a_gather_keeps_to_its_bytes_and_its_pieces(void **state)
{
    (void)state;
    struct filled filled;
    struct iovec listed[PIECES];
    uint64_t bytes;
    fill(&filled);
    assert_int_equal(send_queue_gather(&filled.queue, 4, listed, PIECES, &bytes), 2);
    assert_int_equal(bytes, 4);
    assert_int_equal(listed[1].iov_len, 2);
    assert_int_equal(send_queue_gather(&filled.queue, 5, listed, PIECES, &bytes), 2);
    assert_int_equal(bytes, 5);
    assert_int_equal(send_queue_gather(&filled.queue, 100, listed, 1, &bytes), 1);
    assert_int_equal(bytes, 2);
}

/* What was taken keeps its SENT, and a piece that is added later comes behind it. */
static void test_what_is_unsent_is_cut_off_and_the_rest_goes_on(void **state)
{
    (void)state;
    for (uint64_t taken = 0; taken <= 9; taken++) {
        struct filled filled;
        struct send_piece later = {.buffer_id = 9};
        uint32_t next = 0;
        fill(&filled);
        send_queue_consume(&filled.queue, taken);
        const struct send_piece *unsent = send_queue_cut_unsent(&filled.queue);
        send_queue_append(&filled.queue, &later, bytes_of, 1);
        assert_ptr_equal(filled.queue.unsent, &later);
        while (send_queue_has_sent(&filled.queue)) {
            assert_int_equal(send_queue_shift(&filled.queue)->buffer_id, next++);
        }
        for (; unsent != NULL; unsent = unsent->next) {
            assert_int_equal(unsent->buffer_id, next++);
        }
        assert_int_equal(next, PIECES);
        send_queue_consume(&filled.queue, 1);
        assert_ptr_equal(send_queue_shift(&filled.queue), &later);
        assert_false(send_queue_has_sent(&filled.queue));
    }
}

static void test_everything_can_be_taken_off_at_once(void **state)
{
    (void)state;
    struct filled filled;
    fill(&filled);
    send_queue_consume(&filled.queue, 3);
    const struct send_piece *all = send_queue_cut_all(&filled.queue);
    for (size_t i = 0; i < PIECES; i++) {
        assert_ptr_equal(all, &filled.pieces[i]);
        all = all->next;
    }
    assert_null(all);
    assert_false(send_queue_has_sent(&filled.queue));
    assert_null(send_queue_cut_unsent(&filled.queue));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_empty_queue_has_nothing_to_send_and_nothing_sent),
        cmocka_unit_test(test_a_piece_is_sent_when_its_last_byte_is_taken),
        cmocka_unit_test(test_a_gather_keeps_to_its_bytes_and_its_pieces),
        cmocka_unit_test(test_what_is_unsent_is_cut_off_and_the_rest_goes_on),
        cmocka_unit_test(test_everything_can_be_taken_off_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
