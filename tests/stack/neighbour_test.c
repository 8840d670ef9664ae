/* Rules of stack/ether: what goes out, and the neighbours that it goes to, on virtual time. */
#include "stack/ether_fixture.h"

#include <errno.h>

static void test_a_packet_waits_for_its_neighbours_answer(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(send_marked(f, PEER, 1), ETHER_WAITS);
    assert_int_equal(send_marked(f, PEER, 2), ETHER_WAITS);
    expect_request(f, PEER);
    expect_nothing(f);
    receive_reply(f, PEER, &peer_mac);
    expect_packet(f, &peer_mac, 1);
    expect_packet(f, &peer_mac, 2);
    expect_nothing(f);
    assert_int_equal(send_marked(f, PEER, 3), ETHER_SEND);
    check_packet(f, &peer_mac, 3);
    expect_nothing(f);
}

static void test_targets_off_the_link_go_to_the_gateway(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(send_marked(f, FAR, 1), ETHER_WAITS);
    expect_request(f, GATEWAY);
    receive_reply(f, GATEWAY, &other_mac);
    expect_packet(f, &other_mac, 1);
    assert_int_equal(send_marked(f, FAR + 1, 2), ETHER_SEND);
    check_packet(f, &other_mac, 2);
    assert_int_equal(send_marked(f, GATEWAY, 3), ETHER_SEND);
}

static void test_without_a_gateway_only_the_link_can_be_reached(void **state)
{
    struct fixture *f = *state;
    f->ether.config.gateway = 0;
    assert_int_equal(send_marked(f, FAR, 1), ETHER_DROPPED);
    assert_int_equal(counted(f, ETHER_COUNTER_packets_no_route), 1);
    assert_int_equal(send_marked(f, PEER, 1), ETHER_WAITS);
    f->ether.config.prefix_bits = 0; /* everything is on the link */
    assert_int_equal(send_marked(f, FAR, 1), ETHER_WAITS);
    f->ether.config.prefix_bits = 32; /* nothing but ourselves is */
    assert_int_equal(send_marked(f, PEER, 1), ETHER_DROPPED);
}

static void test_packets_that_no_one_station_can_take_are_dropped(void **state)
{
    struct fixture *f = *state;
    static const uint32_t targets[] = {0,           0x00000001,  0xe0000001, 0xefffffff, 0xffffffff,
                                       0xc0000200u, 0xc00002ffu, OURS,       OURS_LAST};
    for (size_t i = 0; i < TABLE_COUNT(targets); i++) {
        assert_int_equal(send_marked(f, targets[i], 1), ETHER_DROPPED);
        assert_int_equal(counted(f, ETHER_COUNTER_packets_no_route), i + 1);
    }
    expect_nothing(f);
}

/* RFC 3021. */
static void test_both_addresses_of_a_31_bit_prefix_are_hosts(void **state)
{
    struct fixture *f = *state;
    f->ether.config.address_last = OURS;
    f->ether.config.prefix_bits = 31;
    assert_int_equal(send_marked(f, OURS + 1, 1), ETHER_WAITS);
    expect_request(f, OURS + 1);
}

/* RFC 1122 section 2.3.2.1: at most one request a second. */
static void test_a_silent_neighbour_is_asked_thrice_a_second_apart_and_given_up(void **state)
{
    struct fixture *f = *state;
    send_marked(f, PEER, 1);
    expect_request(f, PEER);
    for (int ask = 1; ask < 3; ask++) {
        for (int tenth = 0; tenth < 9; tenth++) {
            advance(f, NS_PER_SEC / 10);
            send_marked(f, PEER, 2);
            expect_nothing(f);
        }
        advance(f, NS_PER_SEC / 10 + 10 * NS_PER_MS);
        expect_request(f, PEER);
        expect_nothing(f);
    }
    assert_int_equal(counted(f, ETHER_COUNTER_packets_unanswered), 0);
    advance(f, NS_PER_SEC + 10 * NS_PER_MS);
    expect_nothing(f);
    assert_int_equal(counted(f, ETHER_COUNTER_packets_unanswered), 19);
    assert_int_equal(f->ether.neighbour_count, 0);
    assert_int_equal(ether_deadline_ns(&f->ether), CLOCK_NEVER);
    assert_int_equal(send_marked(f, PEER, 3), ETHER_WAITS); /* and may be asked anew */
    expect_request(f, PEER);
}

/* RFC 1122 section 2.3.2.2: at least the latest packet is saved. */
static void test_of_too_many_waiting_packets_the_oldest_is_dropped(void **state)
{
    struct fixture *f = *state;
    for (uint32_t i = 0; i < ETHER_WAITING_MAX + 5; i++) {
        assert_int_equal(send_marked(f, PEER, (uint8_t)i), ETHER_WAITS);
    }
    assert_int_equal(counted(f, ETHER_COUNTER_packets_queue_full), 5);
    expect_request(f, PEER);
    receive_reply(f, PEER, &peer_mac);
    for (uint32_t i = 5; i < ETHER_WAITING_MAX + 5; i++) {
        expect_packet(f, &peer_mac, (uint8_t)i);
    }
    expect_nothing(f);
}

static void test_waiting_packets_stay_within_their_bytes_until_they_are_fetched(void **state)
{
    struct fixture *f = *state;
    const size_t room = ETHER_WAITING_BYTES_MAX / (WIRE_ETHER_BYTES + 65000);
    for (uint32_t i = 0; i < 40; i++) {
        const struct wire_ipv4 ip = {.source = OURS, .target = PEER + 100 * (i % 2), .ttl = 64};
        wire_ipv4_emit(f->frame + WIRE_ETHER_BYTES, &ip, 65000 - WIRE_IPV4_BYTES);
        assert_int_equal(ether_output(&f->ether, f->frame, 65000),
                         i < room ? ETHER_WAITS : ETHER_DROPPED);
    }
    receive_reply(f, PEER, &peer_mac); /* due now, and still held */
    assert_int_equal(send_marked(f, PEER + 100, 1), ETHER_WAITS);
    assert_true(f->ether.waiting_bytes <= ETHER_WAITING_BYTES_MAX);
    size_t bytes = 0;
    while ((f->frame_bytes = ether_fetch(&f->ether, f->frame)) != 0) {
        bytes += f->frame_bytes;
    }
    assert_true(bytes > 8 * 65000 && bytes < 9 * 65000);
}

/* RFC 1122 section 2.3.2.1: out-of-date entries are flushed. */
static void test_an_unused_neighbour_is_forgotten_after_a_minute(void **state)
{
    struct fixture *f = *state;
    meet(f, PEER, &peer_mac);
    advance(f, NEIGHBOUR_LIFETIME_NS - 1);
    assert_int_equal(f->ether.neighbour_count, 1);
    advance(f, 10 * NS_PER_MS);
    assert_int_equal(f->ether.neighbour_count, 0);
    assert_int_equal(counted(f, ETHER_COUNTER_neighbours_expired), 1);
    expect_nothing(f);
    assert_int_equal(ether_deadline_ns(&f->ether), CLOCK_NEVER);
}

static void test_a_neighbour_in_use_is_asked_again_before_its_time_is_up(void **state)
{
    struct fixture *f = *state;
    const struct wire_arp poll = {.operation = WIRE_ARP_REQUEST,
                                  .sender_ip = OURS,
                                  .target_mac = peer_mac,
                                  .target_ip = PEER};
    meet(f, PEER, &peer_mac);
    advance(f, NEIGHBOUR_LIFETIME_NS - NEIGHBOUR_REFRESH_NS - 1);
    assert_int_equal(send_marked(f, PEER, 1), ETHER_SEND);
    expect_nothing(f);
    advance(f, 1);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(send_marked(f, PEER, 2), ETHER_SEND);
    }
    expect_arp(f, &peer_mac, &poll);
    expect_nothing(f);
    receive_reply(f, PEER, &peer_mac);
    advance(f, NEIGHBOUR_REFRESH_NS * 2);
    assert_int_equal(send_marked(f, PEER, 3), ETHER_SEND);
    expect_nothing(f);
    assert_int_equal(counted(f, ETHER_COUNTER_neighbours_expired), 0);
}

static void test_one_in_use_that_does_not_answer_is_asked_for_by_broadcast(void **state)
{
    struct fixture *f = *state;
    meet(f, PEER, &peer_mac);
    uint64_t requests = counted(f, ETHER_COUNTER_arp_requests_sent);
    for (uint64_t second = 0; second < 60; second++) {
        assert_int_equal(send_marked(f, PEER, 1), ETHER_SEND);
        advance(f, NS_PER_SEC);
    }
    assert_int_equal(counted(f, ETHER_COUNTER_neighbours_expired), 1);
    assert_int_equal(counted(f, ETHER_COUNTER_arp_requests_sent) - requests, 15 + 1);
    for (int i = 0; i < 15; i++) {
        fetch(f);
        assert_memory_equal(f->frame, peer_mac.bytes, sizeof(peer_mac.bytes));
    }
    expect_request(f, PEER);
    assert_int_equal(send_marked(f, PEER, 7), ETHER_WAITS);
    expect_nothing(f);
    advance(f, NS_PER_SEC + 10 * NS_PER_MS);
    expect_request(f, PEER);
    receive_reply(f, PEER, &other_mac);
    expect_packet(f, &other_mac, 7);
}

static void test_a_static_neighbour_neither_expires_nor_changes(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(send_marked(f, PEER, 1), ETHER_WAITS);
    expect_request(f, PEER);
    assert_int_equal(ether_add_static(&f->ether, PEER, &other_mac), 0);
    expect_packet(f, &other_mac, 1);
    receive_reply(f, PEER, &peer_mac);
    receive_request(f, PEER, PEER);
    advance(f, 10 * NEIGHBOUR_LIFETIME_NS);
    assert_int_equal(send_marked(f, PEER, 2), ETHER_SEND);
    check_packet(f, &other_mac, 2);
    expect_nothing(f);
    assert_int_equal(ether_add_static(&f->ether, PEER, &peer_mac), 0);
    assert_int_equal(send_marked(f, PEER, 3), ETHER_SEND);
    check_packet(f, &peer_mac, 3);
    assert_int_equal(ether_add_static(&f->ether, GATEWAY, &other_mac), 0);
    assert_int_equal(send_marked(f, FAR, 4), ETHER_SEND);
    check_packet(f, &other_mac, 4);
    assert_int_equal(f->ether.neighbour_count, 0);
}

static void test_strangers_do_not_displace_whom_we_talk_to(void **state)
{
    struct fixture *f = *state;
    widen(f);
    meet(f, PEER, &other_mac);
    for (uint32_t i = 0; i < 3 * ETHER_NEIGHBOURS_MAX; i++) {
        receive_request(f, 0xc0010001u + i, OURS);
        fetch(f);
    }
    assert_int_equal(f->ether.neighbour_count, ETHER_NEIGHBOURS_MAX);
    assert_int_equal(counted(f, ETHER_COUNTER_neighbours_not_learned),
                     2 * ETHER_NEIGHBOURS_MAX + 1);
    assert_int_equal(send_marked(f, PEER, 1), ETHER_SEND);
    check_packet(f, &other_mac, 1);
    for (uint32_t i = 0; i < ETHER_NEIGHBOURS_MAX - 1;
         i++) { /* those that were learned are there */
        assert_int_equal(send_marked(f, 0xc0010001u + i, 1), ETHER_SEND);
    }
}

static void test_a_new_target_displaces_the_neighbour_not_heard_of_for_longest(void **state)
{
    struct fixture *f = *state;
    widen(f);
    for (uint32_t i = 0; i < ETHER_NEIGHBOURS_MAX; i++) {
        meet(f, 0xc0010000u + i, &peer_mac);
    }
    receive_reply(f, 0xc0010000u, &peer_mac); /* the first is heard of again */
    meet(f, 0xc0020000u, &other_mac);
    assert_int_equal(counted(f, ETHER_COUNTER_neighbours_displaced), 1);
    assert_int_equal(send_marked(f, 0xc0010000u, 1), ETHER_SEND);
    assert_int_equal(send_marked(f, 0xc0010002u, 1), ETHER_SEND);
    assert_int_equal(send_marked(f, 0xc0010001u, 1), ETHER_WAITS);
}

static void test_a_full_table_does_not_lead_to_more_than_a_request_a_second(void **state)
{
    struct fixture *f = *state;
    widen(f);
    for (uint32_t i = 0; i < 3 * ETHER_NEIGHBOURS_MAX; i++) {
        const enum ether_sent sent = send_marked(f, 0xc0010000u + i, 1);
        assert_int_equal(sent, i < ETHER_NEIGHBOURS_MAX ? ETHER_WAITS : ETHER_DROPPED);
    }
    assert_int_equal(counted(f, ETHER_COUNTER_arp_requests_sent), ETHER_NEIGHBOURS_MAX);
    assert_int_equal(counted(f, ETHER_COUNTER_neighbours_refused), 2 * ETHER_NEIGHBOURS_MAX);
}

static void test_without_memory_packets_are_dropped_and_counted(void **state)
{
    struct fixture *f = *state;
    for (uint64_t failing = 1; failing <= 3; failing++) {
        f->test.calls_until_failure = failing;
        send_marked(f, PEER + 10 * (uint32_t)failing, 1);
        receive_request(f, PEER, OURS);
        assert_true(counted(f, ETHER_COUNTER_no_memory) >= failing);
        assert_true(failing > 1 || ether_add_static(&f->ether, GATEWAY, &peer_mac) == -ENOMEM);
    }
    f->test.calls_until_failure = 0;
    while (ether_fetch(&f->ether, f->frame) != 0) {
    }
    meet(f, PEER + 5, &peer_mac);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_packet_waits_for_its_neighbours_answer),
        TEST(test_targets_off_the_link_go_to_the_gateway),
        TEST(test_without_a_gateway_only_the_link_can_be_reached),
        TEST(test_packets_that_no_one_station_can_take_are_dropped),
        TEST(test_both_addresses_of_a_31_bit_prefix_are_hosts),
        TEST(test_a_silent_neighbour_is_asked_thrice_a_second_apart_and_given_up),
        TEST(test_of_too_many_waiting_packets_the_oldest_is_dropped),
        TEST(test_waiting_packets_stay_within_their_bytes_until_they_are_fetched),
        TEST(test_an_unused_neighbour_is_forgotten_after_a_minute),
        TEST(test_a_neighbour_in_use_is_asked_again_before_its_time_is_up),
        TEST(test_one_in_use_that_does_not_answer_is_asked_for_by_broadcast),
        TEST(test_a_static_neighbour_neither_expires_nor_changes),
        TEST(test_strangers_do_not_displace_whom_we_talk_to),
        TEST(test_a_new_target_displaces_the_neighbour_not_heard_of_for_longest),
        TEST(test_a_full_table_does_not_lead_to_more_than_a_request_a_second),
        TEST(test_without_memory_packets_are_dropped_and_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
