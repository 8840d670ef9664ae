/* Rules of tcp/index. */
#include "tcp/test.h"

#include <errno.h>

#include "base/rng.h"
#include "tcp/index.h"

static const struct siphash_key key = {UINT64_C(0x1234), UINT64_C(0x5678)};

/* Records of any number; the reference's population is what the test pleases. */
struct records {
    struct tuple *tuples;
    uint32_t *refs; /* INDEX_NONE: not in the index */
    uint32_t count;
};

static const struct tuple *tuple_of(void *context, uint32_t ref)
{
    const struct records *records = context;
    assert_true(index_ref_record(ref) < records->count);
    return &records->tuples[index_ref_record(ref)];
}

static struct records make_records(uint32_t count)
{
    struct records records = {
        .tuples = calloc(count, sizeof *records.tuples),
        .refs = malloc(count * sizeof *records.refs),
        .count = count,
    };
    assert_non_null(records.tuples);
    assert_non_null(records.refs);
    for (uint32_t i = 0; i < count; i++) {
        /* As churn has them: few addresses, ports that follow each other. */
        records.tuples[i] = (struct tuple){.local_ip = 0x0a000001,
                                           .remote_ip = 0x0a000002 + i / 50000u,
                                           .local_port = 7,
                                           .remote_port = (uint16_t)(1024u + i % 50000u)};
        records.refs[i] = INDEX_NONE;
    }
    return records;
}

static void free_records(struct records *records)
{
    free(records->tuples);
    free(records->refs);
}

static int make_index(struct index *index, struct test_memory *test, struct records *records)
{
    return index_init(
        index, &(struct index_config){
                   .memory = &test->memory, .key = key, .tuple_of = tuple_of, .context = records});
}

static uint64_t hash_of(const struct records *records, uint32_t i)
{
    return tuple_hash(&key, &records->tuples[i]);
}

static int insert(struct index *index, struct records *records, uint32_t i, uint32_t population)
{
    uint32_t ref = index_ref((enum index_population)population, i);
    int result = index_insert(index, hash_of(records, i), ref);
    records->refs[i] = result == 0 ? ref : INDEX_NONE;
    return result;
}

static void take_out(struct index *index, struct records *records, uint32_t i)
{
    index_remove(index, hash_of(records, i), records->refs[i]);
    records->refs[i] = INDEX_NONE;
}

/* Looks each record up, those that are in and those that are not. */
static void check_all(const struct index *index, const struct records *records)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < records->count; i++) {
        uint32_t ref = index_find(index, &records->tuples[i], hash_of(records, i));
        assert_int_equal(ref, records->refs[i]);
        count += ref != INDEX_NONE ? 1u : 0u;
    }
    assert_true(index->entry_count == count);
}

static void test_reference_keeps_population_and_record(void **state)
{
    (void)state;
    uint32_t most = (UINT32_C(1) << 30) - 1u;
    assert_int_equal(index_ref_population(index_ref(INDEX_TIME_WAIT, most)), INDEX_TIME_WAIT);
    assert_int_equal(index_ref_record(index_ref(INDEX_TIME_WAIT, most)), most);
    assert_int_equal(index_ref_population(index_ref(INDEX_HALF_OPEN, 0)), INDEX_HALF_OPEN);
    assert_true(index_ref(INDEX_TIME_WAIT, most) != INDEX_NONE);
}

static void test_tuples_that_differ_in_one_field_are_told_apart(void **state)
{
    (void)state;
    struct test_memory test;
    struct index index;
    struct records records = make_records(5);
    const struct tuple base = {1, 2, 3, 4};
    for (uint32_t i = 0; i < 5; i++) {
        records.tuples[i] = base;
    }
    records.tuples[1].local_ip ^= 1;
    records.tuples[2].remote_ip ^= 1;
    records.tuples[3].local_port ^= 1;
    records.tuples[4].remote_port ^= 1;
    test_memory_init(&test, 0);
    assert_int_equal(make_index(&index, &test, &records), 0);
    for (uint32_t i = 0; i < 5; i++) {
        check_all(&index, &records);
        assert_int_equal(insert(&index, &records, i, INDEX_LIVE), 0);
    }
    check_all(&index, &records);
    index_destroy(&index);
    test_memory_check_empty(&test);
    free_records(&records);
}

static void test_replaced_reference_is_what_is_found(void **state)
{
    (void)state;
    struct test_memory test;
    struct index index;
    struct records records = make_records(2000);
    test_memory_init(&test, 0);
    assert_int_equal(make_index(&index, &test, &records), 0);
    for (uint32_t i = 0; i < 1000; i++) {
        assert_int_equal(insert(&index, &records, i, INDEX_LIVE), 0);
    }
    for (uint32_t i = 0; i < 1000; i++) { /* to another record of another population */
        records.tuples[1000 + i] = records.tuples[i];
        memset(&records.tuples[i], 0, sizeof records.tuples[i]);
        uint32_t to = index_ref(INDEX_TIME_WAIT, 1000 + i);
        index_replace(&index, hash_of(&records, 1000 + i), records.refs[i], to);
        records.refs[i] = INDEX_NONE;
        records.refs[1000 + i] = to;
    }
    check_all(&index, &records);
    index_destroy(&index);
    test_memory_check_empty(&test);
    free_records(&records);
}

static void test_guess_is_the_record_while_it_lies_at_home(void **state)
{
    (void)state;
    enum { COUNT = 20000 };
    struct test_memory test;
    struct index index;
    struct records records = make_records(COUNT);
    test_memory_init(&test, 0);
    assert_int_equal(make_index(&index, &test, &records), 0);
    for (uint32_t i = 0; i < COUNT; i++) {
        assert_int_equal(insert(&index, &records, i, i % 3u), 0);
    }
    uint32_t right = 0;
    for (uint32_t i = 0; i < COUNT; i++) {
        index_prefetch(&index, hash_of(&records, i));
        right += index_guess(&index, hash_of(&records, i)) == records.refs[i] ? 1u : 0u;
    }
    assert_true(right > COUNT * 85u / 100u);
    index_destroy(&index);
    free_records(&records);
}

static void test_a_million_entries_cost_at_most_8_bytes_each_and_go_back(void **state)
{
    (void)state;
    enum { COUNT = 1000000 };
    struct test_memory test;
    struct index index;
    struct records records = make_records(COUNT + 1000);
    test_memory_init(&test, 0);
    test.aligned = true; /* as jemalloc's size classes of these sizes are */
    assert_int_equal(make_index(&index, &test, &records), 0);
    for (uint32_t i = 0; i < COUNT; i++) {
        assert_int_equal(insert(&index, &records, i, INDEX_TIME_WAIT), 0);
        if (i % 50000u == 0 && i > 0) {
            assert_true(index.memory_bytes <= i * UINT64_C(8));
        }
    }
    assert_true(index.memory_bytes <= COUNT * UINT64_C(8));
    assert_int_equal(index.memory_bytes, test.memory.bytes);
    assert_true(index.depth >= 9);
    check_all(&index, &records);
    for (uint32_t i = 0; i < COUNT; i++) {
        take_out(&index, &records, i);
    }
    assert_true(index.entry_count == 0);
    assert_int_equal(index.depth, 0);
    assert_true(test.memory.bytes <= 256);
    check_all(&index, &records);
    index_destroy(&index);
    test_memory_check_empty(&test);
    free_records(&records);
}

static void test_population_that_stands_allocates_nothing(void **state)
{
    (void)state;
    enum { COUNT = 30000, STANDING = 20000 };
    struct test_memory test;
    struct index index;
    struct records records = make_records(COUNT);
    test_memory_init(&test, 0);
    assert_int_equal(make_index(&index, &test, &records), 0);
    for (uint32_t i = 0; i < STANDING; i++) {
        assert_int_equal(insert(&index, &records, i, INDEX_LIVE), 0);
    }
    uint64_t settled = 0;
    for (uint32_t round = 0; round < 10; round++) { /* the oldest goes, a new one comes */
        settled = round == 5 ? test.allocation_count : settled;
        for (uint32_t i = 0; i < COUNT; i++) {
            take_out(&index, &records, (i + round * COUNT) % COUNT);
            assert_int_equal(insert(&index, &records, (i + STANDING) % COUNT, INDEX_LIVE), 0);
        }
    }
    assert_int_equal(test.allocation_count, settled);
    check_all(&index, &records);
    index_destroy(&index);
    test_memory_check_empty(&test);
    free_records(&records);
}

/* Random operations in waves of growing and falling, against the list of references. */
static void run_against_list(struct index *index, struct records *records, struct rng *rng,
                             uint32_t operations)
{
    for (uint32_t step = 0; step < operations; step++) {
        uint32_t i = (uint32_t)rng_below(rng, records->count);
        bool is_in = records->refs[i] != INDEX_NONE;
        bool growing = step / (2u * records->count) % 2u == 0;
        uint64_t hash = hash_of(records, i);
        assert_int_equal(index_find(index, &records->tuples[i], hash), records->refs[i]);
        if (!is_in && (growing || rng_below(rng, 10) == 0)) {
            (void)insert(index, records, i, (uint32_t)rng_below(rng, 3));
        } else if (is_in && rng_below(rng, 3) == 0) {
            uint32_t to = index_ref((enum index_population)rng_below(rng, 3), i);
            index_replace(index, hash, records->refs[i], to);
            records->refs[i] = to;
        } else if (is_in && (!growing || rng_below(rng, 10) == 0)) {
            take_out(index, records, i);
        }
    }
}

static void test_random_operations_agree_with_a_list(void **state)
{
    (void)state;
    static const uint32_t counts[] = {1, 5, 12, 40, 300, 2000, 20000};
    for (size_t i = 0; i < TABLE_COUNT(counts); i++) {
        struct test_memory test;
        struct index index;
        struct rng rng;
        struct records records = make_records(counts[i]);
        test_memory_init(&test, 0);
        rng_seed(&rng, 41 + i);
        assert_int_equal(make_index(&index, &test, &records), 0);
        for (int round = 0; round < 10; round++) {
            run_against_list(&index, &records, &rng, counts[i]);
            check_all(&index, &records);
            assert_int_equal(index.memory_bytes, test.memory.bytes);
        }
        index_destroy(&index);
        test_memory_check_empty(&test);
        free_records(&records);
    }
}

static void test_index_survives_a_refusal_at_any_call(void **state)
{
    (void)state;
    for (uint64_t call = 1; call < 120; call++) {
        struct test_memory test;
        struct index index;
        struct rng rng;
        struct records records = make_records(9000);
        test_memory_init(&test, call);
        rng_seed(&rng, call);
        int result = make_index(&index, &test, &records);
        assert_int_equal(result, call <= 3 ? -ENOMEM : 0); /* directory, bucket (twice) */
        if (result == 0) {
            run_against_list(&index, &records, &rng, 27000);
            check_all(&index, &records);
            test.calls_until_failure = 0; /* memory has come back */
            run_against_list(&index, &records, &rng, 9000);
            check_all(&index, &records);
            assert_int_equal(index.memory_bytes, test.memory.bytes);
        }
        index_destroy(&index);
        test_memory_check_empty(&test);
        free_records(&records);
    }
}

static void test_refused_insertion_changes_nothing(void **state)
{
    (void)state;
    struct test_memory test;
    struct index index;
    struct records records = make_records(3000);
    test_memory_init(&test, 0);
    assert_int_equal(make_index(&index, &test, &records), 0);
    test.calls_until_failure = 1;
    uint32_t in = 0;
    while (insert(&index, &records, in, INDEX_LIVE) == 0) {
        in++;
    }
    assert_in_range(in, 8, 12);
    check_all(&index, &records);
    assert_true(index.entry_count == in);
    index_destroy(&index);
    test_memory_check_empty(&test);
    free_records(&records);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reference_keeps_population_and_record),
        cmocka_unit_test(test_tuples_that_differ_in_one_field_are_told_apart),
        cmocka_unit_test(test_replaced_reference_is_what_is_found),
        cmocka_unit_test(test_guess_is_the_record_while_it_lies_at_home),
        cmocka_unit_test(test_a_million_entries_cost_at_most_8_bytes_each_and_go_back),
        cmocka_unit_test(test_population_that_stands_allocates_nothing),
        cmocka_unit_test(test_random_operations_agree_with_a_list),
        cmocka_unit_test(test_index_survives_a_refusal_at_any_call),
        cmocka_unit_test(test_refused_insertion_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
