/* Loss and congestion: RFC 5681, 6582, 6928; SACK, RFC 2018, 6675, 2883; ECN, RFC 3168.
 *
 * Layer: tests. */
#include <errno.h>

#include "tcp/host_fixture.h"

#define MSS 1460u
#define ECN_MASK 3u
#define ECT_0 2u
#define CE 3u

static const uint8_t zeros[6000];

/* Sends `count` full segments of a connection without timestamps, from 1 on; all must go out. */
static void send_flight(struct fixture *f, uint32_t count)
{
    fixture_write(f, count * MSS);
    for (uint32_t i = 0; i < count; i++) {
        RECV(f, .flags = ACK, .seq = 1u + i * MSS, .ack = 1, .bytes = MSS);
    }
}

static void the_initial_window_is_ten_segments(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* RFC 6928 section 2 */
    established_without_timestamps(&f);
    fixture_write(&f, 20u * MSS);
    assert_int_equal(fixture_drain(&f), 10);
    fixture_end(&f);
}

static void the_initial_window_is_kept_after_one_lost_syn_and_not_after_two(void **state)
{
    (void)state;
    for (uint32_t lost = 1; lost < 3; lost++) {
        struct fixture f;
        fixture_init(&f); /* RFC 6928 section 2 */
        f.peer_timestamps = false;
        syn_sent(&f);
        for (uint32_t i = 0; i < lost; i++) {
            assert_true(fixture_wait(&f, 10u * SEC) != UINT64_MAX);
            RECV(&f, .flags = SYN);
        }
        SEND(&f, .flags = SYN | ACK, .ack = 1, .mss = MSS);
        RECV(&f, .flags = ACK, .seq = 1, .ack = 1);
        fixture_write(&f, 20u * MSS);
        size_t sent = fixture_drain(&f);
        assert_true(lost == 1 ? sent == 10 : sent >= 1 && sent <= 4);
        fixture_end(&f);
    }
}

static void slow_start_grows_by_a_segment_for_each_that_is_acknowledged(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* RFC 5681 section 3.1, MUST-19 */
    established_without_timestamps(&f);
    fixture_write(&f, 60u * MSS);
    assert_int_equal(fixture_drain(&f), 10);
    uint32_t before = fixture_info(&f).cwnd;
    for (uint32_t i = 1; i <= 10; i++) {
        SEND(&f, .flags = ACK, .seq = 1, .ack = 1u + i * MSS);
        assert_int_equal(fixture_drain(&f), 2);
    }
    assert_int_equal(fixture_info(&f).cwnd, before + 10u * MSS);
    fixture_end(&f);
}

static void three_duplicate_acks_send_the_lost_segment_again_without_the_timer(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* RFC 5681 section 3.2 */
    f.peer_sack = false;
    established_without_timestamps(&f);
    send_flight(&f, 8);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1);
    while (fixture_fetch(&f)) {
        assert_true(f.last.seq != 1); /* limited transmit at most (RFC 3042) */
    }
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1);
    RECV(&f, .flags = ACK, .seq = 1, .ack = 1, .bytes = MSS);
    assert_true(fixture_info(&f).ssthresh >= 2u * MSS);
    assert_true(fixture_info(&f).ssthresh <= 6u * MSS);
    fixture_end(&f);
}

static void echoes_of_what_was_sent_again_in_vain_are_no_loss(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* RFC 6582 section 3.2 step 2 and section 4 */
    f.peer_sack = false;
    established_without_timestamps(&f);
    send_flight(&f, 8);
    assert_true(fixture_wait(&f, 10u * SEC) != UINT64_MAX);
    RECV(&f, .flags = ACK, .seq = 1, .ack = 1, .bytes = MSS);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1u + 2u * MSS); /* the ACKs were late, no data lost */
    fixture_drain(&f);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1u + 8u * MSS);
    fixture_drain(&f);
    fixture_write(&f, 3u * MSS);
    uint32_t sent = (uint32_t)fixture_drain(&f);
    assert_true(sent >= 2);
    for (uint32_t i = 0; i < 4; i++) {
        SEND(&f, .flags = ACK, .seq = 1, .ack = 1u + 8u * MSS);
        while (fixture_fetch(&f)) {
            assert_true(f.last.bytes == 0 || f.last.seq > 1u + 8u * MSS);
        }
    }
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1u + 9u * MSS);
    fixture_drain(&f);
    for (uint32_t i = 0; i < 3; i++) {
        SEND(&f, .flags = ACK, .seq = 1, .ack = 1u + 9u * MSS);
    }
    RECV(&f, .flags = ACK, .seq = 1u + 9u * MSS, .ack = 1, .bytes = MSS);
    fixture_end(&f);
}

static void an_ack_with_data_or_another_window_is_no_duplicate(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* RFC 5681 section 2 */
    f.peer_sack = false;
    established_without_timestamps(&f);
    send_flight(&f, 4);
    for (uint32_t i = 0; i < 4; i++) {
        SEND(&f, .flags = ACK, .seq = 1u + i, .ack = 1, .data = "a", .bytes = 1);
    }
    for (uint32_t i = 0; i < 4; i++) {
        f.window = (uint16_t)(60000u - i);
        SEND(&f, .flags = ACK, .seq = 5, .ack = 1);
    }
    while (fixture_fetch(&f)) {
        assert_int_equal(f.last.bytes, 0);
    }
    assert_int_equal(fixture_info(&f).retransmits, 0);
    fixture_end(&f);
}

static void a_partial_ack_sends_the_next_hole_at_once(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* RFC 6582 section 3.2 (3) */
    f.peer_sack = false;
    established_without_timestamps(&f);
    send_flight(&f, 8);
    for (int i = 0; i < 3; i++) {
        SEND(&f, .flags = ACK, .seq = 1, .ack = 1);
    }
    RECV(&f, .flags = ACK, .seq = 1, .ack = 1, .bytes = MSS);
    fixture_drain(&f);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1u + 3u * MSS);
    RECV(&f, .flags = ACK, .seq = 1u + 3u * MSS, .ack = 1, .bytes = MSS);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1u + 8u * MSS); /* a full one ends it */
    fixture_drain(&f);
    assert_true(fixture_info(&f).cwnd <= fixture_info(&f).ssthresh + MSS);
    fixture_end(&f);
}

static void sack_is_used_only_where_both_permit_it(void **state)
{
    (void)state;
    for (int peer = 0; peer < 2; peer++) {
        struct fixture f;
        fixture_init(&f); /* RFC 2018 section 2 */
        f.peer_sack = peer != 0;
        established(&f);
        assert_int_equal(fixture_info(&f).sack, peer);
        SEND(&f, .flags = ACK, .seq = 100, .ack = 1, .data = "abc", .bytes = 3);
        RECV(&f, .flags = ACK, .seq = 1, .ack = 1);
        assert_int_equal(f.last.sack_count, peer);
        fixture_end(&f);
    }
}

static void sack_blocks_tell_the_newest_first(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* RFC 2018 section 4 */
    established(&f);
    const uint32_t starts[] = {100, 300, 200};
    for (size_t i = 0; i < 3; i++) {
        SEND(&f, .flags = ACK, .seq = starts[i], .ack = 1, .data = zeros, .bytes = 50);
        RECV(&f, .flags = ACK, .seq = 1, .ack = 1);
        assert_int_equal(f.last.sack_count, i + 1);
        for (size_t j = 0; j <= i; j++) {
            assert_int_equal(f.last.sack[j].left, starts[i - j]);
            assert_int_equal(f.last.sack[j].right, starts[i - j] + 50);
        }
    }
    SEND(&f, .flags = ACK, .seq = 150, .ack = 1, .data = zeros, .bytes = 50); /* joins two */
    RECV(&f, .flags = ACK, .seq = 1, .ack = 1);
    assert_int_equal(f.last.sack_count, 2);
    assert_int_equal(f.last.sack[0].left, 100);
    assert_int_equal(f.last.sack[0].right, 250);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1, .data = zeros, .bytes = 99);
    RECV(&f, .flags = ACK, .seq = 1, .ack = 250);
    assert_int_equal(f.last.sack_count, 1);
    assert_int_equal(f.last.sack[0].left, 300);
    fixture_end(&f);
}

static void at_most_three_sack_blocks_stand_beside_a_timestamp(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* RFC 2018 section 3 */
    established(&f);
    for (uint32_t i = 1; i < 7; i++) {
        SEND(&f, .flags = ACK, .seq = 100u * i, .ack = 1, .data = zeros, .bytes = 50);
        RECV(&f, .flags = ACK, .seq = 1, .ack = 1);
        assert_int_equal(f.last.sack_count, i < 3 ? i : 3);
        assert_int_equal(f.last.sack[0].left, 100u * i);
    }
    fixture_end(&f);
}

static void a_duplicate_is_told_by_dsack_once(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* RFC 2883 section 4.1 */
    established(&f);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1, .data = zeros, .bytes = 100);
    fixture_wait(&f, SEC);
    fixture_drain(&f);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1, .data = zeros, .bytes = 100);
    RECV(&f, .flags = ACK, .seq = 1, .ack = 101);
    assert_int_equal(f.last.sack_count, 1);
    assert_int_equal(f.last.sack[0].left, 1);
    assert_int_equal(f.last.sack[0].right, 101);
    SEND(&f, .flags = ACK, .seq = 301, .ack = 1, .data = zeros, .bytes = 10);
    RECV(&f, .flags = ACK, .seq = 1, .ack = 101);
    assert_int_equal(f.last.sack_count, 1);
    assert_int_equal(f.last.sack[0].left, 301);
    SEND(&f, .flags = ACK, .seq = 301, .ack = 1, .data = zeros, .bytes = 10);
    RECV(&f, .flags = ACK, .seq = 1, .ack = 101); /* 4.1.2: the block that holds it follows */
    assert_int_equal(f.last.sack_count, 2);
    assert_int_equal(f.last.sack[0].left, 301);
    assert_int_equal(f.last.sack[1].left, 301);
    fixture_end(&f);
}

static void sack_retransmits_the_holes_and_only_them(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* RFC 6675 sections 4 and 5 */
    established_without_timestamps(&f);
    send_flight(&f, 10);
    /* Segments 0 and 2 are lost. */
    struct packet_range held[2] = {{1u + 3u * MSS, 1u + 10u * MSS}, {1u + MSS, 1u + 2u * MSS}};
    for (uint32_t i = 3; i < 10; i++) {
        held[0].right = 1u + (i + 1u) * MSS;
        SEND(&f, .flags = ACK, .seq = 1, .ack = 1, .sack_count = 2, .sack = {held[0], held[1]});
    }
    bool seen[10] = {false};
    for (int i = 0; i < 4 && (fixture_fetch(&f) || fixture_wait(&f, 50u * MS) != UINT64_MAX); i++) {
        assert_int_equal((f.last.seq - 1u) % MSS, 0);
        seen[(f.last.seq - 1u) / MSS] = true;
    }
    for (size_t i = 0; i < 10; i++) {
        assert_int_equal(seen[i], i == 0 || i == 2);
    }
    fixture_end(&f);
}

static void sack_marks_a_loss_when_three_segments_lie_beyond_it(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* RFC 6675 section 4, IsLost: more than (DupThresh - 1) * SMSS */
    established_without_timestamps(&f);
    send_flight(&f, 6);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1, .sack_count = 1,
         .sack = {{1u + MSS, 1u + 3u * MSS}});
    RECV_NOTHING(&f);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1, .sack_count = 1,
         .sack = {{1u + MSS, 1u + 4u * MSS}});
    RECV(&f, .flags = ACK, .seq = 1, .ack = 1, .bytes = MSS);
    fixture_end(&f);
}

static void a_time_out_forgets_what_was_sacked(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* RFC 2018 section 8: the receiver may have let it go; 6675 5.1 */
    established_without_timestamps(&f);
    send_flight(&f, 3);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1, .sack_count = 1,
         .sack = {{1u + MSS, 1u + 3u * MSS}});
    fixture_wait(&f, 2u * SEC);
    RECV(&f, .flags = ACK, .seq = 1, .ack = 1, .bytes = MSS);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1u + MSS); /* it did */
    if (!fixture_fetch(&f)) {
        assert_true(fixture_wait(&f, 5u * SEC) != UINT64_MAX);
        assert_true(fixture_fetch(&f));
    }
    assert_int_equal(f.last.seq, 1u + MSS);
    fixture_end(&f);
}

static void sack_blocks_that_lie_are_ignored(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    established_without_timestamps(&f);
    send_flight(&f, 4);
    const struct packet_range lies[] = {
        {1u + 9u * MSS, 1u + 12u * MSS}, /* beyond SND.NXT */
        {1u + 3u * MSS, 1u + MSS},       /* turned around */
        {1u + MSS, 1u + MSS},            /* empty */
        {(uint32_t)-9000, (uint32_t)-5000},
    };
    for (size_t i = 0; i < TABLE_COUNT(lies); i++) {
        SEND(&f, .flags = ACK, .seq = 1, .ack = 1, .data = zeros, .bytes = 1, .sack_count = 1,
             .sack = {lies[i]});
    }
    fixture_pass(&f, 100u * MS);
    fixture_drain(&f);
    assert_int_equal(fixture_info(&f).retransmits, 0);
    assert_int_equal(fixture_info(&f).snd_una, f.iss + 1u);
    STATE(&f, FWS_STATE_ESTABLISHED);
    fixture_end(&f);
}

static void ecn_is_asked_for_only_when_set_and_granted_when_asked(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* RFC 3168 section 6.1.1, SHLD-8 */
    syn_sent(&f);
    fixture_end(&f);
    fixture_init(&f);
    f.config.ecn = 1;
    assert_int_equal(fixture_connect(&f), 0);
    RECV(&f, .flags = SYN | ECE | CWR);
    assert_int_equal(f.last.tos & ECN_MASK, 0);
    SEND(&f, .flags = SYN | ACK, .ack = 1, .mss = MSS);
    RECV(&f, .flags = ACK, .seq = 1, .ack = 1);
    assert_int_equal(fixture_info(&f).ecn, 0);
    fixture_end(&f);
    fixture_init(&f);
    listening(&f);
    SEND(&f, .flags = SYN | ECE | CWR, .mss = MSS);
    RECV(&f, .flags = SYN | ACK | ECE, .ack = 1);
    assert_int_equal(f.last.tos & ECN_MASK, 0);
    fixture_end(&f);
}

/* A connection of the host's that agreed on ECN, without timestamps. */
static void established_with_ecn(struct fixture *f)
{
    f->config.ecn = 1;
    assert_int_equal(fixture_connect(f), 0);
    RECV(f, .flags = SYN | ECE | CWR);
    SEND(f, .flags = SYN | ACK | ECE, .ack = 1, .mss = MSS);
    RECV(f, .flags = ACK, .seq = 1, .ack = 1);
    assert_int_equal(fixture_info(f).ecn, 1);
}

static void only_new_data_is_sent_as_ecn_capable(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* RFC 3168 sections 6.1.4 and 6.1.5 */
    established_with_ecn(&f);
    assert_int_equal(f.last.tos & ECN_MASK, 0); /* the pure ACK */
    fixture_write(&f, 10);
    RECV(&f, .flags = ACK, .seq = 1, .ack = 1, .bytes = 10);
    assert_int_equal(f.last.tos & ECN_MASK, ECT_0);
    assert_true(fixture_wait(&f, 10u * SEC) != UINT64_MAX);
    assert_true(fixture_fetch(&f));
    assert_int_equal(f.last.seq, 1);
    assert_int_equal(f.last.tos & ECN_MASK, 0);
    fixture_end(&f);
}

static void a_mark_is_echoed_until_cwr(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* RFC 3168 section 6.1.3 */
    f.config.features_off = FWS_DELAYED_ACK;
    established_with_ecn(&f);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1, .data = zeros, .bytes = 10, .tos = CE);
    RECV(&f, .flags = ACK | ECE, .seq = 1, .ack = 11);
    SEND(&f, .flags = ACK, .seq = 11, .ack = 1, .data = zeros, .bytes = 10, .tos = ECT_0);
    RECV(&f, .flags = ACK | ECE, .seq = 1, .ack = 21);
    SEND(&f, .flags = ACK | CWR, .seq = 21, .ack = 1, .data = zeros, .bytes = 10, .tos = ECT_0);
    RECV(&f, .flags = ACK, .seq = 1, .ack = 31);
    fixture_end(&f);
}

static void an_echo_reduces_the_window_once_a_flight_and_is_answered_by_cwr(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* RFC 3168 section 6.1.2 */
    established_with_ecn(&f);
    fixture_write(&f, 40u * MSS);
    assert_int_equal(fixture_drain(&f), 10);
    uint32_t before = fixture_info(&f).cwnd;
    SEND(&f, .flags = ACK | ECE, .seq = 1, .ack = 1u + MSS);
    uint32_t after = fixture_info(&f).cwnd;
    assert_true(after < before && after >= 2u * MSS);
    fixture_drain(&f);
    SEND(&f, .flags = ACK | ECE, .seq = 1, .ack = 1u + 2u * MSS);
    assert_true(fixture_info(&f).cwnd + MSS >= after);
    bool cwr = (f.last.flags & CWR) != 0;
    for (uint32_t i = 3; i <= 10; i++) {
        SEND(&f, .flags = ACK, .seq = 1, .ack = 1u + i * MSS);
        while (fixture_fetch(&f)) {
            cwr = cwr || (f.last.flags & CWR) != 0;
        }
    }
    assert_true(cwr);
    fixture_end(&f);
}

static void ecn_is_agreed_on_by_both_ends_that_open_at_once(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* RFC 3168 section 6.1.1 */
    f.config.ecn = 1;
    assert_int_equal(fixture_connect(&f), 0);
    RECV(&f, .flags = SYN | ECE | CWR);
    SEND(&f, .flags = SYN | ECE | CWR, .mss = 1460);
    RECV(&f, .flags = SYN | ACK | ECE, .ack = 1);
    fixture_end(&f);
}

static void a_syn_without_ecn_forbids_marks_but_not_their_echo(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* RFC 3168 section 6.1.1: "has sent no non-ECN-setup SYN" */
    f.config.ecn = 1;
    f.config.features_off = FWS_DELAYED_ACK;
    assert_int_equal(fixture_connect(&f), 0);
    RECV(&f, .flags = SYN | ECE | CWR);
    fixture_pass(&f, SEC + 10u * MS);
    RECV(&f, .flags = SYN);
    SEND(&f, .flags = SYN | ACK | ECE, .ack = 1, .mss = 1460); /* the answer to the first */
    RECV(&f, .flags = ACK, .seq = 1, .ack = 1);
    fixture_write(&f, 10);
    RECV(&f, .flags = ACK, .seq = 1, .ack = 1, .bytes = 10);
    assert_int_equal(f.last.tos & 3u, 0);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 11, .data = "marked", .bytes = 6, .tos = 3);
    RECV(&f, .flags = ACK | ECE, .seq = 11, .ack = 7);
    fixture_end(&f);
}

static void a_window_probe_is_not_ecn_capable(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* RFC 3168 section 6.1.6 */
    established_with_ecn(&f);
    SEND(&f, .flags = ACK | ZERO_WINDOW, .seq = 1, .ack = 1);
    fixture_write(&f, 10);
    RECV_NOTHING(&f);
    assert_true(fixture_wait(&f, 10u * SEC) != UINT64_MAX);
    RECV(&f, .flags = ACK, .seq = 1, .ack = 1, .bytes = 1);
    assert_int_equal(f.last.tos & ECN_MASK, 0);
    fixture_end(&f);
}

/* Whatever reduced the window, the next new data says so, and echoes of the same flight reduce
 * nothing more. */
static void a_loss_is_answered_by_cwr_too(void **state)
{
    (void)state;
    for (uint32_t by_timer = 0; by_timer < 2; by_timer++) {
        struct fixture f;
        fixture_init(&f); /* RFC 3168 section 6.1.2 */
        established_with_ecn(&f);
        send_flight(&f, 8);
        if (by_timer) {
            assert_true(fixture_wait(&f, 10u * SEC) != UINT64_MAX);
        } else {
            for (uint32_t i = 0; i < 3; i++) {
                SEND(&f, .flags = ACK | ECE, .seq = 1, .ack = 1);
            }
        }
        fixture_drain(&f);
        SEND(&f, .flags = ACK | ECE, .seq = 1, .ack = 1u + 8u * MSS);
        uint32_t cwnd = fixture_info(&f).cwnd;
        fixture_write(&f, MSS);
        RECV(&f, .flags = ACK | CWR, .seq = 1u + 8u * MSS, .ack = 1, .bytes = MSS);
        assert_true(fixture_info(&f).cwnd >= cwnd);
        fixture_end(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_initial_window_is_ten_segments),
        cmocka_unit_test(the_initial_window_is_kept_after_one_lost_syn_and_not_after_two),
        cmocka_unit_test(slow_start_grows_by_a_segment_for_each_that_is_acknowledged),
        cmocka_unit_test(three_duplicate_acks_send_the_lost_segment_again_without_the_timer),
        cmocka_unit_test(echoes_of_what_was_sent_again_in_vain_are_no_loss),
        cmocka_unit_test(an_ack_with_data_or_another_window_is_no_duplicate),
        cmocka_unit_test(a_partial_ack_sends_the_next_hole_at_once),
        cmocka_unit_test(sack_is_used_only_where_both_permit_it),
        cmocka_unit_test(sack_blocks_tell_the_newest_first),
        cmocka_unit_test(at_most_three_sack_blocks_stand_beside_a_timestamp),
        cmocka_unit_test(a_duplicate_is_told_by_dsack_once),
        cmocka_unit_test(sack_retransmits_the_holes_and_only_them),
        cmocka_unit_test(sack_marks_a_loss_when_three_segments_lie_beyond_it),
        cmocka_unit_test(a_time_out_forgets_what_was_sacked),
        cmocka_unit_test(sack_blocks_that_lie_are_ignored),
        cmocka_unit_test(ecn_is_asked_for_only_when_set_and_granted_when_asked),
        cmocka_unit_test(only_new_data_is_sent_as_ecn_capable),
        cmocka_unit_test(a_mark_is_echoed_until_cwr),
        cmocka_unit_test(an_echo_reduces_the_window_once_a_flight_and_is_answered_by_cwr),
        cmocka_unit_test(ecn_is_agreed_on_by_both_ends_that_open_at_once),
        cmocka_unit_test(a_syn_without_ecn_forbids_marks_but_not_their_echo),
        cmocka_unit_test(a_window_probe_is_not_ecn_capable),
        cmocka_unit_test(a_loss_is_answered_by_cwr_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
