/* The ring itself: SQEs that a submission leaves in the queue, and completions that do not fit. */
#include <errno.h>
#include <stdio.h>

#include "base/test.h"
#include "uring/uring.h"

#define SQ_ENTRIES 8u
#define CQ_ENTRIES 16u
#define NO_SUCH_OPCODE 255
#define TURNS_MAX 1000 /* far more than anything here takes */

static void open_ring(struct uring *uring)
{
    struct failure failure;
    struct uring_config config = {.sq_entries = SQ_ENTRIES, .cq_entries = CQ_ENTRIES};
    if (uring_probe(0, &config.features, &failure) != 0) {
        print_message("%s\n", failure.text);
        skip();
    }
    if (uring_open(uring, &config, &failure) != 0) {
        fail_msg("%s", failure.text);
    }
}

static void put_nop(struct uring *uring, uint64_t user_data)
{
    struct io_uring_sqe *sqe = uring_sqe(uring);
    io_uring_prep_nop(sqe);
    io_uring_sqe_set_data64(sqe, user_data);
}

/* The kernel stops at an SQE that it refuses, and leaves those behind it in the queue. */
static void put_refused_and_two_behind(struct uring *uring)
{
    struct io_uring_sqe *sqe = uring_sqe(uring);
    io_uring_prep_nop(sqe);
    sqe->opcode = NO_SUCH_OPCODE;
    io_uring_sqe_set_data64(sqe, 0);
    put_nop(uring, 1);
    put_nop(uring, 2);
}

/* Works off the completions that are there, without a system call; each must be the next. */
static uint64_t drain(struct uring *uring, uint64_t next)
{
    const struct io_uring_cq *cq = &uring->ring.cq;
    while (io_uring_cq_ready(&uring->ring) > 0) {
        assert_int_equal(cq->cqes[*cq->khead & *cq->kring_mask].user_data, next++);
        io_uring_cq_advance(&uring->ring, 1);
    }
    return next;
}

/* As the engine's loop does: a system call only where the ring says that there is something to do.
 * Returns how many completions came. */
static uint64_t turn_while_there_is_work(struct uring *uring, uint64_t next)
{
    for (unsigned turns = 0; uring->queued || uring_has_work(uring); turns++) {
        assert_true(turns < TURNS_MAX);
        assert_int_equal(uring_flush(uring), 0);
        next = drain(uring, next);
    }
    return next;
}

static void what_a_flush_leaves_in_the_queue_goes_with_the_next(void **state)
{
    (void)state;
    struct uring uring;
    open_ring(&uring);
    put_refused_and_two_behind(&uring);
    assert_int_equal(uring_flush(&uring), 0);
    uint64_t next = drain(&uring, 0);
    assert_int_equal(turn_while_there_is_work(&uring, next), 3);
    assert_false(uring.queued);
    uring_close(&uring);
}

static void what_a_wait_leaves_in_the_queue_goes_with_the_next_flush(void **state)
{
    (void)state;
    static const uint64_t timeouts_ns[] = {0, URING_WAIT_FOREVER_NS};
    for (size_t i = 0; i < sizeof(timeouts_ns) / sizeof(timeouts_ns[0]); i++) {
        struct uring uring;
        open_ring(&uring);
        put_refused_and_two_behind(&uring);
        assert_int_equal(uring_wait(&uring, timeouts_ns[i]), 0);
        uint64_t next = drain(&uring, 0);
        assert_int_equal(turn_while_there_is_work(&uring, next), 3);
        uring_close(&uring);
    }
}

/* The kernel holds back what does not fit, says so, and hands it over as room comes. */
static void completions_beyond_the_queue_are_told_and_none_is_lost(void **state)
{
    (void)state;
    struct uring uring;
    const uint64_t count = 10u * CQ_ENTRIES;
    open_ring(&uring);
    for (uint64_t i = 0; i < count; i++) {
        put_nop(&uring, i);
    }
    assert_int_equal(uring_flush(&uring), 0);
    assert_true(uring_cq_overflowed(&uring));
    uint64_t next = drain(&uring, 0);
    assert_in_range(next, CQ_ENTRIES, count - 1);
    assert_int_equal(turn_while_there_is_work(&uring, next), count);
    assert_false(uring_cq_overflowed(&uring));
    uring_close(&uring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_flush_leaves_in_the_queue_goes_with_the_next),
        cmocka_unit_test(what_a_wait_leaves_in_the_queue_goes_with_the_next_flush),
        cmocka_unit_test(completions_beyond_the_queue_are_told_and_none_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
