/* Rules of tcp/slots. */
#include "tcp/test.h"

#include "base/rng.h"
#include "tcp/slots.h"
#include "tcp/tuple.h"

enum { IDS_MAX = 400000 };

struct record {
    struct tuple tuple;
    uint32_t id;
    uint32_t unused[4];
};

_Static_assert(sizeof(struct record) == SLOTS_RECORD_BYTES, "a slot holds it");

/* All that were ever appended, in order; what a plain list would know of them. */
struct model {
    struct slots slots;
    struct test_memory test;
    uint32_t count;
    uint32_t live_count;
    uint32_t oldest; /* no smaller id lives */
    uint32_t references[IDS_MAX];
    bool lives[IDS_MAX];
};

static struct model *make_model(uint32_t records_max, uint64_t position)
{
    struct model *model = calloc(1, sizeof *model);
    assert_non_null(model);
    test_memory_init(&model->test, 0);
    slots_init(&model->slots, &model->test.memory, records_max);
    model->slots.head = position;
    model->slots.tail = position;
    return model;
}

static void free_model(struct model *model)
{
    assert_int_equal(model->slots.memory_bytes, model->test.memory.bytes);
    slots_destroy(&model->slots);
    test_memory_check_empty(&model->test);
    free(model);
}

static bool append(struct model *model)
{
    uint32_t reference;
    struct record *record = slots_append(&model->slots, &reference);
    if (record == NULL) {
        return false;
    }
    assert_int_equal(record->id, 0);
    assert_int_equal(record->unused[3], 0);
    assert_true(model->count < IDS_MAX);
    record->tuple.local_port = 7;
    record->id = model->count;
    record->unused[3] = ~model->count;
    model->references[model->count] = reference;
    model->lives[model->count++] = true;
    model->live_count++;
    return true;
}

static void kill(struct model *model, uint32_t id)
{
    const struct record *record = slots_at(&model->slots, model->references[id]);
    assert_int_equal(record->id, id);
    assert_int_equal(record->unused[3], ~id);
    slots_release(&model->slots, model->references[id]);
    model->lives[id] = false;
    model->live_count--;
}

static uint32_t oldest_id(struct model *model)
{
    while (model->oldest < model->count && !model->lives[model->oldest]) {
        model->oldest++;
    }
    return model->oldest;
}

static void moved(void *context, uint32_t from, uint32_t to)
{
    struct model *model = context;
    const struct record *record = slots_at(&model->slots, to);
    assert_true(model->lives[record->id]);
    assert_int_equal(model->references[record->id], from);
    model->references[record->id] = to;
}

/* Walks everything: order, references, contents. */
static void check_all(struct model *model)
{
    uint64_t position = 0;
    uint32_t reference;
    uint32_t id = 0;
    const struct record *record;
    while ((record = slots_next(&model->slots, &position, &reference)) != NULL) {
        while (id < record->id) {
            assert_false(model->lives[id++]);
        }
        assert_int_equal(record->id, id);
        assert_int_equal(reference, model->references[id++]);
    }
    while (id < model->count) {
        assert_false(model->lives[id++]);
    }
    assert_int_equal(model->slots.live_count, model->live_count);
    assert_int_equal(model->slots.memory_bytes, model->test.memory.bytes);
}

static void check_oldest(struct model *model)
{
    uint32_t reference;
    const struct record *record = slots_oldest(&model->slots, &reference);
    uint32_t id = oldest_id(model);
    assert_int_equal(record == NULL, id == model->count);
    if (record != NULL) {
        assert_int_equal(record->id, id);
        assert_int_equal(reference, model->references[id]);
        assert_ptr_equal(slots_ahead(&model->slots, 0), record);
    }
}

static void test_records_come_out_in_the_order_in_which_they_went_in(void **state)
{
    (void)state;
    struct model *model = make_model(1u << 20, 0);
    for (int i = 0; i < 100000; i++) {
        assert_true(append(model));
    }
    assert_ptr_equal(slots_ahead(&model->slots, 5000),
                     slots_at(&model->slots, model->references[5000]));
    assert_null(slots_ahead(&model->slots, 100000));
    for (uint32_t id = 0; id < 100000; id++) {
        check_oldest(model);
        kill(model, id);
    }
    check_oldest(model);
    check_all(model);
    free_model(model);
}

static void test_standing_population_allocates_nothing_and_an_empty_one_holds_a_chunk(void **state)
{
    (void)state;
    struct model *model = make_model(1u << 20, 0);
    for (uint32_t i = 0; i < 20000; i++) {
        assert_true(append(model));
    }
    uint64_t settled = 0;
    for (uint32_t id = 0; id < 200000; id++) {
        kill(model, id);
        assert_true(append(model));
        settled = id == 10000 ? model->test.allocation_count : settled;
    }
    assert_int_equal(model->test.allocation_count, settled);
    for (uint32_t id = 200000; id < 220000; id++) {
        kill(model, id);
    }
    assert_true(model->test.memory.bytes <= SLOTS_CHUNK_RECORDS * SLOTS_RECORD_BYTES + 1024u);
    free_model(model);
}

static void test_limit_is_exact(void **state)
{
    (void)state;
    struct model *model = make_model(10, 0);
    for (int i = 0; i < 10; i++) {
        assert_true(append(model));
    }
    assert_false(append(model));
    kill(model, 4); /* dead slots do not count */
    assert_true(append(model));
    assert_false(append(model));
    check_all(model);
    free_model(model);
}

static void test_slots_in_use_never_reach_round_to_a_reference(void **state)
{
    (void)state;
    /* As if 2^30 slots less one chunk lay between the head and the tail. */
    struct model *model = make_model(1u << 20, 0);
    uint32_t reference;
    for (uint32_t i = 0; i < SLOTS_CHUNK_RECORDS; i++) {
        assert_true(append(model));
    }
    model->slots.tail = UINT64_C(1) << 30;
    assert_null(slots_append(&model->slots, &reference));
    model->slots.tail = SLOTS_CHUNK_RECORDS;
    assert_true(append(model));
    check_all(model);
    free_model(model);
}

static void test_compaction_is_wanted_when_a_chunks_worth_and_more_than_half_is_dead(void **state)
{
    (void)state;
    struct model *model = make_model(1u << 20, 0);
    for (uint32_t i = 0; i < 10000; i++) {
        assert_true(append(model));
    }
    for (uint32_t id = 1; id < 5001; id++) {
        assert_false(slots_wants_compaction(&model->slots));
        kill(model, id);
    }
    kill(model, 5001);
    assert_true(slots_wants_compaction(&model->slots));
    size_t before = model->test.memory.bytes;
    while (slots_wants_compaction(&model->slots)) {
        slots_compact(&model->slots, 100, moved, model);
    }
    check_all(model);
    assert_true(model->slots.tail - model->slots.head == model->live_count);
    assert_true(model->test.memory.bytes < before);
    free_model(model);
}

/* One random operation. The oldest goes as often as a random one, as expiry and reuse would have
 * it.
 */
static void random_step(struct model *model, struct rng *rng, bool growing)
{
    uint64_t draw = rng_below(rng, 100);
    if (draw < (growing ? 60u : 30u)) {
        (void)append(model);
    } else if (draw < 90 && model->live_count > 0) {
        uint32_t id = oldest_id(model);
        if (draw % 2u == 0) {
            id += (uint32_t)rng_below(rng, model->count - id);
            while (!model->lives[id]) {
                id = id + 1u == model->count ? oldest_id(model) : id + 1u;
            }
        }
        kill(model, id);
    } else if (slots_wants_compaction(&model->slots) || draw == 99) {
        slots_compact(&model->slots, (uint32_t)rng_below(rng, 200), moved, model);
    }
}

static void test_random_operations_agree_with_a_list(void **state)
{
    (void)state;
    /* The second begins just below where references wrap. */
    static const uint64_t positions[] = {0, (UINT64_C(1) << 30) - 2u * SLOTS_CHUNK_RECORDS};
    for (size_t i = 0; i < TABLE_COUNT(positions); i++) {
        struct model *model = make_model(30000, positions[i]);
        struct rng rng;
        rng_seed(&rng, 51 + i);
        for (uint32_t step = 0; step < 600000; step++) {
            random_step(model, &rng, step / 100000u % 2u == 0);
            check_oldest(model);
            if (step % 5000u == 0) {
                check_all(model);
            }
        }
        check_all(model);
        free_model(model);
    }
}

static void test_a_gap_that_compaction_made_is_passed_when_all_before_it_go(void **state)
{
    (void)state;
    struct model *model = make_model(1u << 20, 0);
    for (uint32_t i = 0; i < 50000; i++) {
        assert_true(append(model));
    }
    for (uint32_t id = 10; id < 40000; id++) {
        kill(model, id);
    }
    slots_compact(&model->slots, 40100, moved, model); /* 110 lie at the head now */
    check_all(model);
    for (uint32_t id = 0; id < 10; id++) {
        kill(model, id);
        check_oldest(model);
    }
    for (uint32_t id = 40000; id < 40100; id++) {
        kill(model, id);
        check_oldest(model);
    }
    check_all(model);
    assert_true(model->slots.head >= 40100);
    while (slots_wants_compaction(&model->slots)) {
        slots_compact(&model->slots, 1000, moved, model);
    }
    check_all(model);
    free_model(model);
}

static void test_slots_survive_a_refusal_at_any_call(void **state)
{
    (void)state;
    for (uint64_t call = 1; call < 12; call++) {
        struct model *model = make_model(1u << 20, 0);
        struct rng rng;
        rng_seed(&rng, call);
        model->test.calls_until_failure = call;
        for (uint32_t i = 0; i < 40000; i++) {
            random_step(model, &rng, true);
            check_oldest(model);
        }
        check_all(model);
        model->test.calls_until_failure = 0;
        assert_true(append(model));
        check_all(model);
        free_model(model);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_records_come_out_in_the_order_in_which_they_went_in),
        cmocka_unit_test(test_standing_population_allocates_nothing_and_an_empty_one_holds_a_chunk),
        cmocka_unit_test(test_limit_is_exact),
        cmocka_unit_test(test_slots_in_use_never_reach_round_to_a_reference),
        cmocka_unit_test(test_compaction_is_wanted_when_a_chunks_worth_and_more_than_half_is_dead),
        cmocka_unit_test(test_random_operations_agree_with_a_list),
        cmocka_unit_test(test_a_gap_that_compaction_made_is_passed_when_all_before_it_go),
        cmocka_unit_test(test_slots_survive_a_refusal_at_any_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
