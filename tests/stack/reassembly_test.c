/* Rules of stack/reassembly. */
#include "tcp/test.h"

#include "base/rng.h"
#include "stack/reassembly.h"
#include "wire/captured.h"

#define SOURCE 0xc0000201u
#define TARGET 0xc0000202u
#define PROTO_UDP 17u
#define DATAGRAM_MAX 65515u

struct fixture {
    struct test_memory test;
    struct reassembly reassembly;
    struct wire_ipv4 whole;
    uint8_t data[DATAGRAM_MAX + 8];
    uint64_t now_ns;
};

static int set_up(void **state)
{
    struct fixture *f = malloc(sizeof(*f));
    if (f == NULL) {
        return -1;
    }
    struct rng rng;
    rng_seed(&rng, 1);
    rng_fill(&rng, f->data, sizeof(f->data));
    test_memory_init(&f->test, 0);
    reassembly_init(&f->reassembly, &f->test.memory);
    f->now_ns = 5 * NS_PER_SEC;
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    reassembly_release(&f->reassembly);
    test_memory_check_empty(&f->test);
    assert_int_equal(f->reassembly.bytes, 0);
    assert_int_equal(f->reassembly.datagram_count, 0);
    free(f);
    return 0;
}

/* A piece of the datagram `id`: bytes [start, end) of f->data, the last one if `last`. */
struct piece {
    uint32_t start;
    uint32_t end;
    bool last;
    uint16_t id;
    uint8_t protocol;
    enum wire_ecn ecn;
};

static bool add(struct fixture *f, struct piece piece)
{
    uint8_t packet[WIRE_IPV4_BYTES + DATAGRAM_MAX];
    struct wire_ipv4 ip = {
        .source = SOURCE,
        .target = TARGET,
        .protocol = piece.protocol == 0 ? PROTO_UDP : piece.protocol,
        .ttl = 64,
        .ecn = piece.ecn,
        .id = piece.id,
        .more_fragments = !piece.last,
        .fragment_offset = (uint16_t)piece.start,
    };
    const uint32_t bytes = piece.end - piece.start;
    wire_ipv4_emit(packet, &ip, bytes);
    memcpy(packet + WIRE_IPV4_BYTES, f->data + piece.start, bytes);
    assert_int_equal(wire_ipv4_parse(&ip, packet, WIRE_IPV4_BYTES + bytes), WIRE_OK);
    const bool is_whole = reassembly_add(&f->reassembly, &ip, f->now_ns, &f->whole);
    memset(packet, 0, sizeof(packet)); /* nothing may be kept of it */
    return is_whole;
}

static void check_whole(const struct fixture *f, uint32_t bytes)
{
    assert_int_equal(f->whole.payload_bytes, bytes);
    assert_memory_equal(f->whole.payload, f->data, bytes);
    assert_false(f->whole.more_fragments);
    assert_int_equal(f->whole.fragment_offset, 0);
    assert_int_equal(f->whole.source, SOURCE);
    assert_int_equal(f->whole.target, TARGET);
}

static uint64_t counted(const struct fixture *f, enum reassembly_counter counter)
{
    return f->reassembly.counters[counter];
}

static void test_kernel_fragments_make_the_kernels_ping(void **state)
{
    struct fixture *f = *state;
    static const char *const frames[] = {CAPTURED_FRAGMENT_FIRST, CAPTURED_FRAGMENT_LAST};
    for (int swapped = 0; swapped < 2; swapped++) {
        for (int i = 0; i < 2; i++) {
            uint8_t frame[CAPTURED_BYTES_MAX];
            struct wire_ipv4 ip;
            struct wire_icmp icmp;
            const size_t bytes = captured_bytes(frame, frames[i ^ swapped]) - WIRE_ETHER_BYTES;
            assert_int_equal(wire_ipv4_parse(&ip, frame + WIRE_ETHER_BYTES, bytes), WIRE_OK);
            assert_int_equal(reassembly_add(&f->reassembly, &ip, f->now_ns, &f->whole), i == 1);
            if (i == 1) {
                assert_int_equal(wire_icmp_parse(&icmp, &f->whole), WIRE_OK);
                assert_int_equal(icmp.type, WIRE_ICMP_ECHO);
                assert_int_equal(icmp.body_bytes, 4 + 121);
            }
        }
    }
}

/* Cuts a datagram at random and shuffles the pieces; returns how many. */
static uint32_t cut_and_shuffle(struct piece *pieces, uint32_t bytes, uint16_t id, struct rng *rng)
{
    uint32_t count = 0;
    for (uint32_t start = 0; start < bytes; start = pieces[count++].end) {
        const uint32_t end = start + 8 * (uint32_t)(1 + rng_below(rng, bytes / 80 + 8));
        pieces[count] = (struct piece){
            .start = start, .end = end < bytes ? end : bytes, .last = end >= bytes, .id = id};
    }
    for (uint32_t i = count; i > 1; i--) {
        const uint32_t other = (uint32_t)rng_below(rng, i);
        const struct piece held = pieces[i - 1];
        pieces[i - 1] = pieces[other];
        pieces[other] = held;
    }
    return count;
}

static void test_fragments_in_any_order_make_the_datagram(void **state)
{
    struct fixture *f = *state;
    struct rng rng;
    rng_seed(&rng, 2);
    for (uint16_t run = 0; run < 2000; run++) {
        struct piece pieces[REASSEMBLY_FRAGMENTS_MAX];
        const uint32_t bytes =
            9 + (uint32_t)rng_below(&rng, run % 50 == 0 ? DATAGRAM_MAX - 8 : 500);
        const uint32_t count = cut_and_shuffle(pieces, bytes, run, &rng);
        if (count < 2) {
            continue;
        }
        for (uint32_t i = 0; i < count; i++) {
            assert_int_equal(add(f, pieces[i]), i == count - 1);
        }
        check_whole(f, bytes);
        assert_int_equal(f->reassembly.bytes, 0);
    }
    assert_true(counted(f, REASSEMBLY_COUNTER_reassembled) > 1500);
}

static void test_datagrams_are_told_apart_by_id_and_protocol(void **state)
{
    struct fixture *f = *state;
    assert_false(add(f, (struct piece){.start = 0, .end = 64, .id = 1}));
    assert_false(add(f, (struct piece){.start = 64, .end = 100, .last = true, .id = 2}));
    assert_false(
        add(f, (struct piece){.start = 64, .end = 100, .last = true, .id = 1, .protocol = 1}));
    assert_true(add(f, (struct piece){.start = 64, .end = 100, .last = true, .id = 1}));
    check_whole(f, 100);
}

static void test_datagrams_are_told_apart_by_their_addresses(void **state)
{
    struct fixture *f = *state;
    uint8_t packet[WIRE_IPV4_BYTES + 64] = {0};
    for (uint32_t i = 0; i < 4; i++) {
        struct wire_ipv4 ip = {.source = SOURCE + (i & 1u),
                               .target = TARGET + (i >> 1),
                               .protocol = PROTO_UDP,
                               .more_fragments = true};
        wire_ipv4_emit(packet, &ip, 64);
        assert_int_equal(wire_ipv4_parse(&ip, packet, sizeof(packet)), WIRE_OK);
        assert_false(reassembly_add(&f->reassembly, &ip, f->now_ns, &f->whole));
        assert_int_equal(f->reassembly.datagram_count, i + 1);
    }
}

static void test_the_first_fragments_options_stay(void **state)
{
    struct fixture *f = *state;
    uint8_t packet[24 + 64] = {0x46, 0, 0, 24 + 64, 0, 9, 0x20, 0, 64, PROTO_UDP};
    struct wire_ipv4 ip;
    memset(packet + 12, 10, 8);
    memset(packet + 20, 1, 4);
    memcpy(packet + 24, f->data, 64);
    const uint16_t checksum = wire_sum_finish(wire_sum_add(0, packet, 24));
    memcpy(packet + 10, &checksum, 2);
    assert_int_equal(wire_ipv4_parse(&ip, packet, sizeof(packet)), WIRE_OK);
    assert_false(reassembly_add(&f->reassembly, &ip, f->now_ns, &f->whole));
    ip.more_fragments = false;
    ip.fragment_offset = 64;
    assert_true(reassembly_add(&f->reassembly, &ip, f->now_ns, &f->whole));
    assert_int_equal(f->whole.header_bytes, 24);
    assert_memory_equal(f->whole.header + 20, packet + 20, 4);
    assert_int_equal(f->whole.payload_bytes, 128);
    assert_int_equal(f->whole.id, 9);
}

static void test_time_runs_from_the_first_fragment_and_is_not_prolonged(void **state)
{
    struct fixture *f = *state;
    const uint64_t end_ns = f->now_ns + REASSEMBLY_TIMEOUT_NS;
    assert_int_equal(reassembly_deadline_ns(&f->reassembly), CLOCK_NEVER);
    add(f, (struct piece){.start = 0, .end = 64});
    assert_int_equal(reassembly_deadline_ns(&f->reassembly), end_ns);
    f->now_ns = end_ns - 1;
    add(f, (struct piece){.start = 64, .end = 128});
    assert_int_equal(reassembly_deadline_ns(&f->reassembly), end_ns);
    reassembly_expire(&f->reassembly, end_ns - 1);
    assert_int_equal(f->reassembly.datagram_count, 1);
    reassembly_expire(&f->reassembly, end_ns);
    assert_int_equal(f->reassembly.datagram_count, 0);
    assert_int_equal(counted(f, REASSEMBLY_COUNTER_datagrams_expired), 1);
    f->now_ns = end_ns;
    assert_false(add(f, (struct piece){.start = 128, .end = 200, .last = true}));
}

static void test_a_fragment_that_comes_when_time_is_up_begins_anew(void **state)
{
    struct fixture *f = *state;
    add(f, (struct piece){.start = 0, .end = 64});
    f->now_ns += REASSEMBLY_TIMEOUT_NS;
    assert_false(add(f, (struct piece){.start = 64, .end = 100, .last = true}));
    assert_true(add(f, (struct piece){.start = 0, .end = 64}));
}

static void test_repeated_fragments_do_no_harm(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 3; i++) {
        assert_false(add(f, (struct piece){.start = 64, .end = 128}));
        assert_false(add(f, (struct piece){.start = 128, .end = 150, .last = true}));
    }
    assert_true(add(f, (struct piece){.start = 0, .end = 64}));
    check_whole(f, 150);
    assert_int_equal(counted(f, REASSEMBLY_COUNTER_fragments_repeated), 4);
}

/* The datagram has [64, 128); what overlaps it, or contradicts its end, spoils it. */
static void test_overlap_drops_the_datagram_with_what_is_still_to_come(void **state)
{
    struct fixture *f = *state;
    static const struct piece second[] = {
        {.start = 0, .end = 72},
        {.start = 0, .end = 200},
        {.start = 64, .end = 72},
        {.start = 64, .end = 136},
        {.start = 72, .end = 80},
        {.start = 120, .end = 136},
        {.start = 64, .end = 128, .last = true},
        {.start = 8, .end = 64, .last = true},
        {.start = 32, .end = 100, .last = true},
    };
    for (uint32_t at = 0; at < TABLE_COUNT(second); at++) {
        const uint16_t i = (uint16_t)at;
        struct piece piece = second[at];
        piece.id = i;
        assert_false(add(f, (struct piece){.start = 64, .end = 128, .id = i}));
        assert_false(add(f, piece));
        assert_int_equal(counted(f, REASSEMBLY_COUNTER_datagrams_overlapping), i + 1);
        assert_false(add(f, (struct piece){.start = 0, .end = 64, .id = i}));
        assert_false(add(f, (struct piece){.start = 64, .end = 128, .id = i}));
        assert_false(add(f, (struct piece){.start = 128, .end = 130, .last = true, .id = i}));
        assert_int_equal(counted(f, REASSEMBLY_COUNTER_fragments_late), 3 * (i + 1));
    }
    reassembly_expire(&f->reassembly, f->now_ns + REASSEMBLY_TIMEOUT_NS);
    assert_int_equal(f->reassembly.datagram_count, 0);
    assert_int_equal(counted(f, REASSEMBLY_COUNTER_datagrams_expired), 0);
}

static void test_the_same_place_with_other_bytes_is_an_overlap(void **state)
{
    struct fixture *f = *state;
    assert_false(add(f, (struct piece){.start = 0, .end = 64}));
    f->data[63] ^= 1u;
    assert_false(add(f, (struct piece){.start = 0, .end = 64}));
    assert_int_equal(counted(f, REASSEMBLY_COUNTER_datagrams_overlapping), 1);
}

static void test_a_known_end_cannot_move(void **state)
{
    struct fixture *f = *state;
    static const struct piece second[] = {
        {.start = 128, .end = 136},
        {.start = 128, .end = 130, .last = true},
        {.start = 200, .end = 240, .last = true},
        {.start = 8, .end = 10, .last = true},
        {.start = 8, .end = 64, .last = true},
        {.start = 64, .end = 128},
    };
    for (uint32_t at = 0; at < TABLE_COUNT(second); at++) {
        const uint16_t i = (uint16_t)at;
        struct piece piece = second[at];
        piece.id = i;
        assert_false(add(f, (struct piece){.start = 64, .end = 128, .last = true, .id = i}));
        assert_false(add(f, piece));
        assert_int_equal(counted(f, REASSEMBLY_COUNTER_datagrams_overlapping), i + 1);
    }
}

static void test_fragments_that_no_sender_makes_are_refused(void **state)
{
    struct fixture *f = *state;
    static const struct piece pieces[] = {
        {.start = 0, .end = 0},
        {.start = 64, .end = 64},
        {.start = 64, .end = 64, .last = true},
        {.start = 0, .end = 63},
        {.start = 64, .end = 71},
        {.start = 65512, .end = 65520},
        {.start = 65512, .end = 65516, .last = true},
    };
    for (size_t i = 0; i < TABLE_COUNT(pieces); i++) {
        assert_false(add(f, pieces[i]));
        assert_int_equal(counted(f, REASSEMBLY_COUNTER_fragments_malformed), i + 1);
    }
    assert_int_equal(f->reassembly.datagram_count, 0);
}

/* RFC 1858 section 3, RFC 3128. */
static void test_no_fragment_splits_a_tcp_header(void **state)
{
    struct fixture *f = *state;
    static const struct piece refused[] = {
        {.start = 0, .end = 8, .protocol = WIRE_PROTO_TCP},
        {.start = 0, .end = 16, .protocol = WIRE_PROTO_TCP},
        {.start = 8, .end = 64, .protocol = WIRE_PROTO_TCP},
        {.start = 16, .end = 17, .last = true, .protocol = WIRE_PROTO_TCP},
    };
    for (size_t i = 0; i < TABLE_COUNT(refused); i++) {
        assert_false(add(f, refused[i]));
        assert_int_equal(counted(f, REASSEMBLY_COUNTER_fragments_tiny), i + 1);
    }
    assert_int_equal(f->reassembly.datagram_count, 0);
    assert_false(add(f, (struct piece){.start = 0, .end = 24, .protocol = WIRE_PROTO_TCP}));
    assert_true(
        add(f, (struct piece){.start = 24, .end = 25, .last = true, .protocol = WIRE_PROTO_TCP}));
    assert_false(add(f, (struct piece){.start = 0, .end = 8}));
    assert_true(add(f, (struct piece){.start = 8, .end = 9, .last = true}));
}

static void test_a_datagram_longer_than_65535_bytes_with_its_options_is_dropped(void **state)
{
    struct fixture *f = *state;
    uint8_t packet[24 + 64] = {0x46, 0, 0, 24 + 64, 0, 0, 0x20, 0, 64, PROTO_UDP};
    struct wire_ipv4 ip;
    const uint32_t addresses[] = {__builtin_bswap32(SOURCE), __builtin_bswap32(TARGET)};
    memcpy(packet + 12, addresses, 8);
    const uint16_t checksum = wire_sum_finish(wire_sum_add(0, packet, 24));
    memcpy(packet + 10, &checksum, 2);
    assert_int_equal(wire_ipv4_parse(&ip, packet, sizeof(packet)), WIRE_OK);
    assert_false(reassembly_add(&f->reassembly, &ip, f->now_ns, &f->whole));
    assert_false(add(f, (struct piece){.start = 64, .end = 32768}));
    assert_false(add(f, (struct piece){.start = 32768, .end = 65512, .last = true}));
    assert_int_equal(counted(f, REASSEMBLY_COUNTER_datagrams_too_long), 1);
    assert_int_equal(f->reassembly.datagram_count, 0);
}

/* RFC 3168 section 5.3. */
static void test_one_fragments_congestion_mark_is_the_datagrams(void **state)
{
    struct fixture *f = *state;
    static const struct {
        enum wire_ecn first;
        enum wire_ecn second;
        bool is_whole;
        enum wire_ecn ecn;
    } cases[] = {
        {WIRE_ECN_NOT, WIRE_ECN_NOT, true, WIRE_ECN_NOT},
        {WIRE_ECN_ECT0, WIRE_ECN_ECT0, true, WIRE_ECN_ECT0},
        {WIRE_ECN_ECT1, WIRE_ECN_ECT1, true, WIRE_ECN_ECT1},
        {WIRE_ECN_ECT0, WIRE_ECN_CE, true, WIRE_ECN_CE},
        {WIRE_ECN_CE, WIRE_ECN_ECT0, true, WIRE_ECN_CE},
        {WIRE_ECN_CE, WIRE_ECN_CE, true, WIRE_ECN_CE},
        {WIRE_ECN_CE, WIRE_ECN_NOT, false, WIRE_ECN_NOT},
        {WIRE_ECN_NOT, WIRE_ECN_CE, false, WIRE_ECN_NOT},
    };
    for (size_t i = 0; i < TABLE_COUNT(cases); i++) {
        assert_false(add(f, (struct piece){.start = 0, .end = 64, .ecn = cases[i].first}));
        assert_int_equal(
            add(f, (struct piece){.start = 64, .end = 99, .last = true, .ecn = cases[i].second}),
            cases[i].is_whole);
        assert_true(!cases[i].is_whole || f->whole.ecn == cases[i].ecn);
        assert_int_equal(f->reassembly.datagram_count, 0);
    }
    assert_int_equal(counted(f, REASSEMBLY_COUNTER_datagrams_marked), 2);
}

static void test_of_too_many_datagrams_the_oldest_goes(void **state)
{
    struct fixture *f = *state;
    for (uint16_t i = 0; i <= REASSEMBLY_DATAGRAMS_MAX; i++) {
        assert_false(add(f, (struct piece){.start = 0, .end = 64, .id = i}));
    }
    assert_int_equal(f->reassembly.datagram_count, REASSEMBLY_DATAGRAMS_MAX);
    assert_int_equal(counted(f, REASSEMBLY_COUNTER_datagrams_displaced), 1);
    assert_true(add(f, (struct piece){.start = 64, .end = 99, .last = true, .id = 1}));
    assert_true(add(
        f, (struct piece){.start = 64, .end = 99, .last = true, .id = REASSEMBLY_DATAGRAMS_MAX}));
    assert_false(add(f, (struct piece){.start = 64, .end = 99, .last = true, .id = 0}));
}

static void test_bytes_held_stay_within_their_bound(void **state)
{
    struct fixture *f = *state;
    for (uint16_t i = 0; i < 40; i++) {
        assert_false(add(f, (struct piece){.start = 0, .end = 32768, .id = i}));
        assert_false(add(f, (struct piece){.start = 32768, .end = 65504, .id = i}));
        assert_true(f->reassembly.bytes <= REASSEMBLY_BYTES_MAX);
        assert_true(f->test.memory.bytes <= REASSEMBLY_BYTES_MAX);
    }
    assert_true(counted(f, REASSEMBLY_COUNTER_datagrams_displaced) > 30);
    assert_true(add(f, (struct piece){.start = 65504, .end = 65515, .last = true, .id = 39}));
    check_whole(f, 65515);
}

/* The oldest stays when it is the one that needs room. */
static void test_a_datagram_is_not_displaced_by_its_own_fragments(void **state)
{
    struct fixture *f = *state;
    assert_false(add(f, (struct piece){.start = 0, .end = 64, .id = 0}));
    for (uint16_t i = 1; i <= 8; i++) {
        assert_false(add(f, (struct piece){.start = 0, .end = 64000, .id = i}));
    }
    assert_false(add(f, (struct piece){.start = 64, .end = 64000, .id = 0}));
    assert_true(counted(f, REASSEMBLY_COUNTER_datagrams_displaced) > 0);
    assert_true(add(f, (struct piece){.start = 64000, .end = 65000, .last = true, .id = 0}));
    check_whole(f, 65000);
    assert_true(f->reassembly.bytes <= REASSEMBLY_BYTES_MAX);
}

static void test_a_datagram_in_too_many_fragments_is_dropped(void **state)
{
    struct fixture *f = *state;
    for (uint32_t i = 0; i <= REASSEMBLY_FRAGMENTS_MAX; i++) {
        assert_int_equal(counted(f, REASSEMBLY_COUNTER_datagrams_crumbled), 0);
        assert_false(add(f, (struct piece){.start = 16 * i, .end = 16 * i + 8}));
    }
    assert_int_equal(counted(f, REASSEMBLY_COUNTER_datagrams_crumbled), 1);
    assert_true(f->reassembly.bytes < 1000);
}

static void test_without_memory_fragments_are_dropped_and_counted(void **state)
{
    struct fixture *f = *state;
    for (uint64_t failing = 1; failing <= 4; failing++) {
        f->test.calls_until_failure = failing;
        add(f, (struct piece){.start = 0, .end = 64, .id = (uint16_t)failing});
        assert_false(
            add(f, (struct piece){.start = 64, .end = 99, .last = true, .id = (uint16_t)failing}));
        assert_true(counted(f, REASSEMBLY_COUNTER_no_memory) >= failing);
        f->test.calls_until_failure = 0;
    }
    assert_false(add(f, (struct piece){.start = 0, .end = 64, .id = 9}));
    assert_true(add(f, (struct piece){.start = 64, .end = 99, .last = true, .id = 9}));
}

static void test_random_fragments_keep_every_bound(void **state)
{
    struct fixture *f = *state;
    struct rng rng;
    rng_seed(&rng, 3);
    for (int run = 0; run < 50000; run++) {
        const uint32_t start = (uint32_t)rng_below(&rng, 5) * 16;
        const bool last = start == 64 && rng_below(&rng, 20) != 0;
        const bool is_odd = rng_below(&rng, 30) == 0;
        const uint32_t bytes = is_odd ? (uint32_t)rng_below(&rng, 30) : 16;
        f->now_ns += rng_below(&rng, NS_PER_SEC / 4);
        if (add(f, (struct piece){.start = start,
                                  .end = start + bytes,
                                  .last = last,
                                  .id = (uint16_t)rng_below(&rng, 80)})) {
            check_whole(f, f->whole.payload_bytes);
        }
        assert_true(f->reassembly.datagram_count <= REASSEMBLY_DATAGRAMS_MAX);
        assert_true(f->reassembly.bytes <= REASSEMBLY_BYTES_MAX);
        assert_true(reassembly_deadline_ns(&f->reassembly) > f->now_ns);
    }
    assert_true(counted(f, REASSEMBLY_COUNTER_reassembled) > 100);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_kernel_fragments_make_the_kernels_ping),
        TEST(test_fragments_in_any_order_make_the_datagram),
        TEST(test_datagrams_are_told_apart_by_id_and_protocol),
        TEST(test_datagrams_are_told_apart_by_their_addresses),
        TEST(test_the_first_fragments_options_stay),
        TEST(test_time_runs_from_the_first_fragment_and_is_not_prolonged),
        TEST(test_a_fragment_that_comes_when_time_is_up_begins_anew),
        TEST(test_repeated_fragments_do_no_harm),
        TEST(test_overlap_drops_the_datagram_with_what_is_still_to_come),
        TEST(test_the_same_place_with_other_bytes_is_an_overlap),
        TEST(test_a_known_end_cannot_move),
        TEST(test_fragments_that_no_sender_makes_are_refused),
        TEST(test_no_fragment_splits_a_tcp_header),
        TEST(test_a_datagram_longer_than_65535_bytes_with_its_options_is_dropped),
        TEST(test_one_fragments_congestion_mark_is_the_datagrams),
        TEST(test_of_too_many_datagrams_the_oldest_goes),
        TEST(test_bytes_held_stay_within_their_bound),
        TEST(test_a_datagram_is_not_displaced_by_its_own_fragments),
        TEST(test_a_datagram_in_too_many_fragments_is_dropped),
        TEST(test_without_memory_fragments_are_dropped_and_counted),
        TEST(test_random_fragments_keep_every_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
