/* Faults over a pair in memory, on virtual time: their rates are those asked for, the same seed
 * gives the same ones, and what is not disturbed arrives whole and in order. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "link/cable.h"
#include "link/link.h"

#define MTU 600u
#define FRAMES 20000u
#define BATCH 50u
#define BYTES 100u

/* A pair whose first end has faults over it; `arrived` lists the numbers in order of arrival. */
struct run {
    struct link *faulty;
    struct link *plain;
    uint32_t arrived[2 * FRAMES];
    uint64_t at_ns[2 * FRAMES];
    uint32_t count;
    uint32_t wrong;                  /* arrived with other bytes than were sent */
    bool in_turn;                    /* a frame's number is its place, not what its bytes say */
    const struct link_faults *later; /* set before the middle frame; NULL: nothing is */
};

static void run_open(struct run *run, const struct link_faults *config)
{
    struct link *ends[2];
    memset(run, 0, sizeof(*run));
    assert_int_equal(link_memory_pair(ends, MTU, 4096), 0);
    assert_int_equal(link_faults_open(&run->faulty, ends[0], config), 0);
    assert_ptr_equal(link_inner(run->faulty), ends[0]);
    run->plain = ends[1];
}

static void run_close(struct run *run)
{
    link_destroy(run->faulty);
    link_destroy(run->plain);
}

static struct frame_plan plan_of(uint32_t number)
{
    static const uint8_t mac[6] = {2, 0, 0, 0, 0, 1};
    return (struct frame_plan){.target_mac = mac, .number = number, .bytes = BYTES};
}

static void take_all(struct run *run, struct link *to, uint64_t now_ns)
{
    struct link_frame frames[LINK_BATCH_MAX];
    size_t count;
    while ((count = link_receive(to, now_ns, frames, LINK_BATCH_MAX)) > 0) {
        for (size_t i = 0; i < count; i++) {
            uint8_t sent[BYTES];
            uint32_t number;
            memcpy(&number, frames[i].data + CABLE_FRAME_MIN - 8, sizeof(number));
            number = run->in_turn ? run->count : number;
            const struct frame_plan plan = plan_of(number);
            frame_write(sent, &plan);
            run->wrong += memcmp(sent, frames[i].data, BYTES) != 0;
            run->arrived[run->count] = number;
            run->at_ns[run->count++] = now_ns;
        }
        link_release(to);
    }
    link_release(to);
}

/* Sends all frames, a batch every 10 us, then lets time pass to each deadline. */
static void run_through(struct run *run, bool sends)
{
    struct link *from = sends ? run->faulty : run->plain;
    struct link *to = sends ? run->plain : run->faulty;
    uint64_t now_ns = 0;
    for (uint32_t first = 0; first < FRAMES; first += BATCH, now_ns += 10 * NS_PER_US) {
        struct link_slot slots[BATCH];
        if (run->later != NULL && first == FRAMES / 2) {
            assert_int_equal(link_faults_set(run->faulty, run->later), 0);
        }
        assert_int_equal(link_reserve(from, slots, BATCH), BATCH);
        for (uint32_t i = 0; i < BATCH; i++) {
            const struct frame_plan plan = plan_of(first + i);
            frame_write(slots[i].data, &plan);
            slots[i].bytes = BYTES;
        }
        link_send(from, now_ns, slots, BATCH);
        assert_int_equal(link_flush(from, now_ns), 0);
        take_all(run, to, now_ns);
    }
    while ((now_ns = link_deadline_ns(run->faulty)) != CLOCK_NEVER) {
        assert_int_equal(link_flush(run->faulty, now_ns), 0);
        take_all(run, to, now_ns);
    }
}

/* A rate is near what was asked for when it is within five standard deviations of it. */
static void assert_near(uint64_t count, double probability)
{
    const double expected = FRAMES * probability;
    const double deviation = sqrt(expected * (1 - probability));
    if (fabs((double)count - expected) > 5 * deviation) {
        fail_msg("%llu of %u is not a rate of %g", (unsigned long long)count, FRAMES, probability);
    }
}

static void assert_in_order(const struct run *run)
{
    for (uint32_t i = 1; i < run->count; i++) {
        assert_true(run->arrived[i] > run->arrived[i - 1]);
    }
}

/* When run_through sends a frame. */
static uint64_t sent_ns(uint32_t number)
{
    return number / BATCH * 10 * NS_PER_US;
}

static void without_faults_every_frame_arrives_whole_and_at_once(void **state)
{
    struct run *run = *state;
    for (int sends = 0; sends < 2; sends++) {
        run_open(run, &(struct link_faults){.seed = 1});
        run_through(run, sends != 0);
        assert_int_equal(run->count, FRAMES);
        assert_int_equal(run->wrong, 0);
        assert_in_order(run);
        for (uint32_t i = 0; i < FRAMES; i++) {
            assert_int_equal(run->at_ns[i], sent_ns(i));
        }
        run_close(run);
    }
}

static void loss_has_its_rate_both_ways(void **state)
{
    struct run *run = *state;
    static const double rates[] = {0.001, 0.01, 0.25};
    for (size_t i = 0; i < 6; i++) {
        const double rate = rates[i / 2];
        run_open(run, &(struct link_faults){.seed = i, .loss = rate});
        run_through(run, i % 2 == 0);
        assert_near(FRAMES - run->count, rate);
        assert_int_equal(link_counter_read(run->faulty, LINK_COUNTER_faults_lost),
                         FRAMES - run->count);
        assert_in_order(run);
        assert_int_equal(run->wrong, 0);
        run_close(run);
    }
}

static void loss_of_all_and_none_are_exact(void **state)
{
    struct run *run = *state;
    run_open(run, &(struct link_faults){.loss = 1});
    run_through(run, true);
    assert_int_equal(run->count, 0);
    run_close(run);
}

static void duplication_has_its_rate_and_changes_nothing_else(void **state)
{
    struct run *run = *state;
    run_open(run, &(struct link_faults){.seed = 3, .duplication = 0.1});
    run_through(run, false);
    assert_near(run->count - FRAMES, 0.1);
    assert_int_equal(run->wrong, 0);
    for (uint32_t i = 1; i < run->count; i++) {
        assert_true(run->arrived[i] >= run->arrived[i - 1]);
    }
    assert_int_equal(link_counter_read(run->faulty, LINK_COUNTER_faults_duplicated),
                     run->count - FRAMES);
    run_close(run);
}

static void a_late_duplicate_comes_in_its_time_and_holds_up_nobody(void **state)
{
    struct run *run = *state;
    const uint64_t late_ns = 40 * NS_PER_SEC;
    for (int sends = 0; sends < 2; sends++) {
        run_open(run, &(struct link_faults){
                          .seed = 11, .duplication = 0.1, .duplicate_ns = late_ns, .delay_ns = 7});
        run_through(run, sends != 0);
        assert_near(run->count - FRAMES, 0.1);
        assert_int_equal(link_counter_read(run->faulty, LINK_COUNTER_faults_duplicated),
                         run->count - FRAMES);
        assert_int_equal(link_counter_read(run->faulty, LINK_COUNTER_faults_reordered), 0);
        assert_int_equal(run->wrong, 0);
        for (uint32_t i = 0; i < FRAMES; i++) {
            assert_int_equal(run->arrived[i], i);
        }
        for (uint32_t i = FRAMES; i < run->count; i++) {
            assert_int_equal(run->at_ns[i], sent_ns(run->arrived[i]) + 7 + late_ns);
            assert_true(i == FRAMES || run->arrived[i] > run->arrived[i - 1]);
        }
        run_close(run);
    }
}

static void the_other_direction_of_one_that_has_faults_has_none(void **state)
{
    struct run *run = *state;
    static const enum link_faults_direction directions[] = {LINK_FAULTS_RECEIVED, LINK_FAULTS_SENT};
    for (int i = 0; i < 4; i++) {
        const bool sends = i % 2 != 0, has_faults = (i / 2 != 0) == sends;
        run_open(run, &(struct link_faults){.delay_ns = NS_PER_MS,
                                            .duplication = 1,
                                            .corruption = 1,
                                            .direction = directions[i / 2]});
        run->in_turn = true;
        run_through(run, sends);
        assert_int_equal(run->count, has_faults ? 2 * FRAMES : FRAMES);
        assert_int_equal(run->wrong, has_faults ? 2 * FRAMES : 0);
        for (uint32_t k = 0; !has_faults && k < FRAMES; k++) {
            assert_int_equal(run->at_ns[k], sent_ns(k));
        }
        run_close(run);
    }
}

static void corruption_has_its_rate_and_always_changes_the_frame(void **state)
{
    struct run *run = *state;
    run_open(run, &(struct link_faults){.seed = 4, .corruption = 0.05});
    run->in_turn = true; /* a flipped bit of the number would make another frame of it */
    run_through(run, true);
    assert_int_equal(run->count, FRAMES);
    assert_near(run->wrong, 0.05);
    assert_int_equal(link_counter_read(run->faulty, LINK_COUNTER_faults_corrupted), run->wrong);
    run_close(run);
}

/* Which bits flip: everyone behind the Ethernet header, none within, one a frame. */
static void corruption_flips_one_bit_anywhere_behind_the_ethernet_header(void **state)
{
    struct run *run = *state;
    uint8_t sent[BYTES];
    uint32_t flips[BYTES] = {0};
    run_open(run, &(struct link_faults){.seed = 5, .corruption = 1});
    const struct frame_plan plan = plan_of(77);
    frame_write(sent, &plan);
    for (uint32_t i = 0; i < FRAMES; i++) {
        struct link_frame frame;
        assert_true(frame_send(run->faulty, &plan, true));
        assert_int_equal(link_receive(run->plain, 0, &frame, 1), 1);
        uint32_t bits = 0;
        for (uint32_t at = 0; at < BYTES; at++) {
            const int changed = __builtin_popcount(sent[at] ^ frame.data[at]);
            bits += (uint32_t)changed;
            flips[at] += (uint32_t)changed;
        }
        assert_int_equal(bits, 1);
        link_release(run->plain);
    }
    for (uint32_t at = 0; at < BYTES; at++) {
        assert_true(at < LINK_ETHER_BYTES ? flips[at] == 0 : flips[at] > 100);
    }
    run_close(run);
}

static void a_delay_holds_every_frame_as_long_and_in_order(void **state)
{
    struct run *run = *state;
    run_open(run, &(struct link_faults){.seed = 6, .delay_ns = 35 * NS_PER_US});
    struct link_frame frame;
    const struct frame_plan plan = plan_of(0);
    struct link_slot slot;
    assert_int_equal(link_reserve(run->faulty, &slot, 1), 1);
    frame_write(slot.data, &plan);
    slot.bytes = BYTES;
    link_send(run->faulty, 1000, &slot, 1);
    assert_int_equal(link_deadline_ns(run->faulty), 36000);
    assert_int_equal(link_flush(run->faulty, 35999), 0);
    assert_int_equal(link_receive(run->plain, 0, &frame, 1), 0);
    link_release(run->plain);
    assert_int_equal(link_flush(run->faulty, 36000), 0);
    assert_int_equal(link_receive(run->plain, 0, &frame, 1), 1);
    frame_check(&frame, &plan);
    link_release(run->plain);
    assert_true(link_deadline_ns(run->faulty) == CLOCK_NEVER);
    run_through(run, false);
    assert_int_equal(run->count, FRAMES);
    assert_in_order(run);
    for (uint32_t i = 0; i < FRAMES; i++) {
        assert_true(run->at_ns[i] >= sent_ns(i) + 35 * NS_PER_US);
    }
    run_close(run);
}

static void jitter_spreads_frames_without_changing_their_order(void **state)
{
    struct run *run = *state;
    run_open(run, &(struct link_faults){.seed = 7, .jitter_ns = 100 * NS_PER_US});
    run_through(run, true);
    assert_int_equal(run->count, FRAMES);
    assert_in_order(run);
    uint32_t late = 0;
    for (uint32_t i = 0; i < FRAMES; i++) {
        assert_in_range(run->at_ns[i] - sent_ns(i), 0, 110 * NS_PER_US);
        late += run->at_ns[i] > sent_ns(i);
    }
    assert_true(late > FRAMES / 2);
    run_close(run);
}

static void reordered_frames_are_overtaken_at_their_rate(void **state)
{
    struct run *run = *state;
    run_open(run, &(struct link_faults){.seed = 8, .reordering = 0.02, .reorder_ns = 50000});
    run_through(run, true);
    assert_int_equal(run->count, FRAMES);
    assert_int_equal(run->wrong, 0);
    uint32_t overtaken = 0, highest = 0;
    for (uint32_t i = 0; i < run->count; i++) {
        overtaken += run->arrived[i] < highest;
        highest = run->arrived[i] > highest ? run->arrived[i] : highest;
    }
    assert_near(overtaken, 0.02);
    assert_near(link_counter_read(run->faulty, LINK_COUNTER_faults_reordered), 0.02);
    run_close(run);
}

/* Asserts that the same frames arrived, spoiled or not, at the same times. */
static void assert_same(const struct run *a, const struct run *b)
{
    assert_int_equal(a->count, b->count);
    assert_int_equal(a->wrong, b->wrong);
    assert_memory_equal(a->arrived, b->arrived, a->count * sizeof(uint32_t));
    assert_memory_equal(a->at_ns, b->at_ns, a->count * sizeof(uint64_t));
}

static void the_same_seed_gives_the_same_faults_and_another_gives_others(void **state)
{
    struct run *runs = *state;
    struct link_faults config = {.seed = 9,
                                 .loss = 0.1,
                                 .duplication = 0.1,
                                 .corruption = 0.1,
                                 .reordering = 0.1,
                                 .jitter_ns = 20000};
    for (int i = 0; i < 3; i++) {
        config.seed = i == 2 ? 10 : 9;
        run_open(&runs[i], &config);
        run_through(&runs[i], true);
        run_close(&runs[i]);
    }
    assert_same(&runs[0], &runs[1]);
    assert_true(runs[2].count != runs[0].count ||
                memcmp(runs[0].arrived, runs[2].arrived, runs[0].count * sizeof(uint32_t)) != 0);
}

static void changed_faults_are_those_of_the_frames_to_come(void **state)
{
    struct run *run = *state;
    const struct link_faults all = {.loss = 1}, none = {.seed = 0};
    for (int sends = 0; sends < 2; sends++) {
        run_open(run, sends != 0 ? &all : &none);
        run->later = sends != 0 ? &none : &all;
        run_through(run, sends != 0);
        assert_int_equal(run->count, FRAMES / 2);
        assert_int_equal(link_counter_read(run->faulty, LINK_COUNTER_faults_lost), FRAMES / 2);
        for (uint32_t i = 0; i < run->count; i++) {
            assert_int_equal(run->arrived[i], sends != 0 ? FRAMES / 2 + i : i);
        }
        run_close(run);
    }
}

static void a_delay_that_became_shorter_lets_none_overtake_those_that_wait(void **state)
{
    struct run *run = *state;
    const struct link_faults none = {.seed = 0};
    run_open(run, &(struct link_faults){.delay_ns = NS_PER_SEC});
    run->later = &none;
    run_through(run, true);
    assert_int_equal(run->count, FRAMES);
    assert_in_order(run);
    const uint64_t last_ns = sent_ns(FRAMES / 2 - 1) + NS_PER_SEC;
    for (uint32_t i = 0; i < FRAMES; i++) {
        assert_int_equal(run->at_ns[i], i < FRAMES / 2 ? sent_ns(i) + NS_PER_SEC : last_ns);
    }
    run_close(run);
}

/* The random numbers go on, seed and queue_max stay: to set what was set changes nothing. */
static void faults_that_are_set_anew_as_they_were_stay_the_same(void **state)
{
    struct run *runs = *state;
    const struct link_faults config = {
        .seed = 12, .loss = 0.1, .duplication = 0.1, .corruption = 0.1, .jitter_ns = 20000};
    struct link_faults again = config;
    again.seed = 13;
    again.queue_max = 1;
    for (int i = 0; i < 2; i++) {
        run_open(&runs[i], &config);
        runs[i].later = i == 1 ? &again : NULL;
        run_through(&runs[i], true);
        run_close(&runs[i]);
    }
    assert_same(&runs[0], &runs[1]);
}

static void more_than_the_queue_holds_is_dropped_and_counted(void **state)
{
    struct run *run = *state;
    run_open(run, &(struct link_faults){.delay_ns = NS_PER_SEC, .queue_max = 10});
    for (uint32_t i = 0; i < 15; i++) {
        const struct frame_plan plan = plan_of(i);
        assert_true(frame_send(run->faulty, &plan, false));
    }
    assert_int_equal(link_counter_read(run->faulty, LINK_COUNTER_faults_queue_full), 5);
    assert_true(link_memory_bytes(run->faulty) > 10 * BYTES);
    run_close(run); /* and what waits is freed */
}

static void what_is_no_probability_or_direction_is_refused(void **state)
{
    struct run *run = *state;
    struct link *ends[2], *faulty;
    static const double wrong[] = {-0.1, 1.1, NAN, INFINITY};
    const struct link_faults all = {.loss = 1};
    assert_int_equal(link_memory_pair(ends, MTU, 256), 0);
    run_open(run, &all);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        const struct link_faults configs[] = {
            {.loss = wrong[i]},
            {.duplication = wrong[i]},
            {.corruption = wrong[i]},
            {.reordering = wrong[i]},
            {.direction = (enum link_faults_direction)(LINK_FAULTS_RECEIVED + 1)}};
        for (size_t k = 0; k < sizeof(configs) / sizeof(configs[0]); k++) {
            assert_int_equal(link_faults_open(&faulty, ends[0], &configs[k]), -EINVAL);
            assert_int_equal(link_faults_set(run->faulty, &configs[k]), -EINVAL);
        }
    }
    run_through(run, true);
    assert_int_equal(run->count, 0); /* as it was opened */
    run_close(run);
    link_destroy(ends[0]);
    link_destroy(ends[1]);
}

int main(void)
{
    struct run *runs = calloc(3, sizeof(*runs));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(without_faults_every_frame_arrives_whole_and_at_once, runs),
        cmocka_unit_test_prestate(loss_has_its_rate_both_ways, runs),
        cmocka_unit_test_prestate(loss_of_all_and_none_are_exact, runs),
        cmocka_unit_test_prestate(duplication_has_its_rate_and_changes_nothing_else, runs),
        cmocka_unit_test_prestate(a_late_duplicate_comes_in_its_time_and_holds_up_nobody, runs),
        cmocka_unit_test_prestate(the_other_direction_of_one_that_has_faults_has_none, runs),
        cmocka_unit_test_prestate(corruption_has_its_rate_and_always_changes_the_frame, runs),
        cmocka_unit_test_prestate(corruption_flips_one_bit_anywhere_behind_the_ethernet_header,
                                  runs),
        cmocka_unit_test_prestate(a_delay_holds_every_frame_as_long_and_in_order, runs),
        cmocka_unit_test_prestate(jitter_spreads_frames_without_changing_their_order, runs),
        cmocka_unit_test_prestate(reordered_frames_are_overtaken_at_their_rate, runs),
        cmocka_unit_test_prestate(the_same_seed_gives_the_same_faults_and_another_gives_others,
                                  runs),
        cmocka_unit_test_prestate(changed_faults_are_those_of_the_frames_to_come, runs),
        cmocka_unit_test_prestate(a_delay_that_became_shorter_lets_none_overtake_those_that_wait,
                                  runs),
        cmocka_unit_test_prestate(faults_that_are_set_anew_as_they_were_stay_the_same, runs),
        cmocka_unit_test_prestate(more_than_the_queue_holds_is_dropped_and_counted, runs),
        cmocka_unit_test_prestate(what_is_no_probability_or_direction_is_refused, runs),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    free(runs);
    return failed;
}
