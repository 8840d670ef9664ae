/* Rules of stack/ether: what comes in, and ARP's answers, on virtual time. */
#include "stack/ether_fixture.h"

#include "wire/captured.h"

static void test_every_address_of_ours_is_answered_for_and_no_other(void **state)
{
    struct fixture *f = *state;
    for (uint32_t address = OURS - 2; address <= OURS_LAST + 2; address++) {
        if (address == PEER) {
            continue;
        }
        receive_request(f, PEER, address);
        if (address >= OURS && address <= OURS_LAST) {
            expect_arp(f, &peer_mac,
                       &(struct wire_arp){.operation = WIRE_ARP_REPLY,
                                          .sender_ip = address,
                                          .target_mac = peer_mac,
                                          .target_ip = PEER});
        }
        expect_nothing(f);
    }
    assert_int_equal(counted(f, ETHER_COUNTER_arp_requests_received), 4);
    assert_int_equal(counted(f, ETHER_COUNTER_arp_others), 3);
}

static void test_the_kernels_request_is_answered_as_the_kernel_does(void **state)
{
    struct fixture *f = *state;
    uint8_t request[CAPTURED_BYTES_MAX];
    uint8_t reply[CAPTURED_BYTES_MAX];
    const uint8_t *packet;
    size_t bytes;
    const size_t request_bytes = captured_bytes(request, CAPTURED_ARP_REQUEST);
    const size_t reply_bytes = captured_bytes(reply, CAPTURED_ARP_REPLY);
    assert_false(ether_input(&f->ether, request, request_bytes, &packet, &bytes));
    fetch(f);
    assert_int_equal(f->frame_bytes, reply_bytes);
    assert_memory_equal(f->frame, reply, reply_bytes);
}

/* RFC 826: who asks for us will want an answer, so that its address is worth keeping. */
static void test_who_asks_for_us_is_known_at_once(void **state)
{
    struct fixture *f = *state;
    receive_request(f, PEER, OURS);
    fetch(f);
    assert_int_equal(send_marked(f, PEER, 1), ETHER_SEND);
    check_packet(f, &peer_mac, 1);
}

static void test_packets_between_others_and_unasked_replies_make_no_entry(void **state)
{
    struct fixture *f = *state;
    receive_request(f, PEER, GATEWAY);
    receive_request(f, PEER, PEER); /* gratuitous */
    receive_reply(f, PEER, &peer_mac);
    receive_request(f, FAR, OURS); /* not of this link: answered, not kept */
    fetch(f);
    expect_nothing(f);
    assert_int_equal(f->ether.neighbour_count, 0);
}

static void test_a_gratuitous_packet_updates_what_is_known(void **state)
{
    struct fixture *f = *state;
    meet(f, PEER, &other_mac);
    receive_request(f, PEER, PEER);
    assert_int_equal(send_marked(f, PEER, 1), ETHER_SEND);
    check_packet(f, &peer_mac, 1);
    receive_reply(f, PEER, &other_mac);
    assert_int_equal(send_marked(f, PEER, 2), ETHER_SEND);
    check_packet(f, &other_mac, 2);
    expect_nothing(f);
}

static void test_who_claims_an_address_of_ours_is_counted_and_not_believed(void **state)
{
    struct fixture *f = *state;
    receive_request(f, OURS + 1, OURS + 1);
    assert_int_equal(counted(f, ETHER_COUNTER_arp_conflicts), 1);
    expect_arp(f, &peer_mac,
               &(struct wire_arp){.operation = WIRE_ARP_REPLY,
                                  .sender_ip = OURS + 1,
                                  .target_mac = peer_mac,
                                  .target_ip = OURS + 1});
    receive_reply(f, OURS_LAST, &peer_mac);
    assert_int_equal(counted(f, ETHER_COUNTER_arp_conflicts), 2);
    assert_int_equal(f->ether.neighbour_count, 0);
}

/* RFC 5227 section 2.1.1: a probe has no sender address. */
static void test_a_probe_for_our_address_is_answered_and_makes_no_entry(void **state)
{
    struct fixture *f = *state;
    receive_request(f, 0, OURS);
    expect_arp(
        f, &peer_mac,
        &(struct wire_arp){.operation = WIRE_ARP_REPLY, .sender_ip = OURS, .target_mac = peer_mac});
    assert_int_equal(f->ether.neighbour_count, 0);
}

/* RFC 5227 section 2.1.1: before an address is taken, whoever has it or wants it is told apart. */
static void test_while_probing_an_answer_is_a_conflict(void **state)
{
    struct fixture *f = *state;
    ether_probe(&f->ether, OURS);
    expect_arp(f, &all, &(struct wire_arp){.operation = WIRE_ARP_REQUEST, .target_ip = OURS});
    receive_reply(f, PEER, &peer_mac);
    assert_int_equal(f->ether.conflict_address, 0);
    receive_reply(f, OURS, &other_mac);
    assert_int_equal(f->ether.conflict_address, OURS);
    assert_mac(&f->ether.conflict_mac, &other_mac);
}

static void test_while_probing_a_probe_for_the_same_is_a_conflict_and_nobody_is_answered(
    void **state)
{
    struct fixture *f = *state;
    ether_probe(&f->ether, OURS);
    fetch(f);
    receive_request(f, PEER, OURS);
    expect_nothing(f);
    assert_int_equal(counted(f, ETHER_COUNTER_arp_conflicts), 0);
    receive_request(f, 0, OURS);
    expect_nothing(f);
    assert_int_equal(f->ether.conflict_address, OURS);
    assert_mac(&f->ether.conflict_mac, &peer_mac);
    ether_announce(&f->ether, OURS);
    fetch(f);
    receive_request(f, 0, OURS);
    fetch(f);
    assert_int_equal(f->frame_bytes, WIRE_ETHER_BYTES + WIRE_ARP_BYTES);
    assert_int_equal(counted(f, ETHER_COUNTER_arp_conflicts), 1);
}

/* Of several workers on one address one answers, and all learn. */
static void test_a_silent_host_learns_who_asks_and_does_not_answer(void **state)
{
    struct fixture *f = *state;
    f->ether.config.silent = true;
    receive_request(f, PEER, OURS);
    expect_nothing(f);
    assert_int_equal(f->ether.neighbour_count, 1);
    assert_int_equal(send_marked(f, PEER, 1), ETHER_SEND);
}

static void test_our_own_frames_and_impossible_senders_are_ignored(void **state)
{
    struct fixture *f = *state;
    const struct wire_mac group = {{3, 0, 0, 0, 0, 1}};
    struct wire_arp arp = {.operation = WIRE_ARP_REQUEST, .sender_ip = PEER, .target_ip = OURS};
    arp.sender_mac = our_mac;
    receive_arp(f, arp, &all);
    arp.sender_mac = group;
    receive_arp(f, arp, &all);
    arp.sender_mac = none;
    receive_arp(f, arp, &all);
    arp.sender_mac = peer_mac;
    arp.operation = 3; /* of another protocol */
    receive_arp(f, arp, &all);
    expect_nothing(f);
    assert_int_equal(f->ether.neighbour_count, 0);
    assert_int_equal(counted(f, ETHER_COUNTER_arp_malformed), 2);
    assert_int_equal(counted(f, ETHER_COUNTER_arp_conflicts), 0);
}

static void test_only_ipv4_frames_for_our_station_become_packets(void **state)
{
    struct fixture *f = *state;
    const struct wire_mac group = {{1, 0, 0x5e, 0, 0, 1}};
    const struct {
        const struct wire_mac *target;
        uint16_t type;
        bool taken;
    } cases[] = {
        {&our_mac, 0x0800, true},    {&our_mac, 0x86dd, false},   {&our_mac, 0x002e, false},
        {&other_mac, 0x0800, false}, {&all, 0x0800, false},       {&group, 0x0800, false},
        {&group, 0x0806, false},     {&other_mac, 0x0806, false},
    };
    for (size_t i = 0; i < TABLE_COUNT(cases); i++) {
        uint8_t frame[64] = {0};
        const uint8_t *packet = NULL;
        size_t bytes = 0;
        wire_ether_emit(frame, &(struct wire_ether){.target = *cases[i].target,
                                                    .source = peer_mac,
                                                    .type = cases[i].type});
        assert_int_equal(ether_input(&f->ether, frame, sizeof(frame), &packet, &bytes),
                         cases[i].taken);
        assert_ptr_equal(packet, cases[i].taken ? frame + WIRE_ETHER_BYTES : NULL);
        assert_int_equal(bytes, cases[i].taken ? 50 : 0);
    }
    assert_int_equal(counted(f, ETHER_COUNTER_frames_not_ours), 5);
    assert_int_equal(counted(f, ETHER_COUNTER_frames_other_type), 2);
}

static void test_truncated_frames_are_counted(void **state)
{
    struct fixture *f = *state;
    uint8_t frame[CAPTURED_BYTES_MAX];
    const size_t whole = captured_bytes(frame, CAPTURED_ARP_REQUEST);
    for (size_t cut = 0; cut < whole; cut++) {
        const uint8_t *packet;
        size_t bytes;
        uint8_t *copy = malloc(cut == 0 ? 1 : cut); /* its end is a sanitizer's red zone */
        assert_non_null(copy);
        memcpy(copy, frame, cut);
        assert_false(ether_input(&f->ether, copy, cut, &packet, &bytes));
        free(copy);
    }
    assert_int_equal(counted(f, ETHER_COUNTER_frames_short), WIRE_ETHER_BYTES);
    assert_int_equal(counted(f, ETHER_COUNTER_arp_malformed), WIRE_ARP_BYTES);
    expect_nothing(f);
}

static void test_an_announcement_names_our_address_twice(void **state)
{
    struct fixture *f = *state;
    ether_announce(&f->ether, OURS + 1);
    expect_arp(f, &all,
               &(struct wire_arp){
                   .operation = WIRE_ARP_REQUEST, .sender_ip = OURS + 1, .target_ip = OURS + 1});
}

static void test_arp_frames_that_nobody_fetches_stay_within_their_bound(void **state)
{
    struct fixture *f = *state;
    for (uint32_t i = 0; i < ETHER_ARP_MAX + 10; i++) {
        receive_request(f, PEER, OURS);
    }
    assert_int_equal(counted(f, ETHER_COUNTER_frames_not_fetched), 10);
    for (uint32_t i = 0; i < ETHER_ARP_MAX; i++) {
        fetch(f);
        assert_int_not_equal(f->frame_bytes, 0);
    }
    expect_nothing(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_every_address_of_ours_is_answered_for_and_no_other),
        TEST(test_the_kernels_request_is_answered_as_the_kernel_does),
        TEST(test_who_asks_for_us_is_known_at_once),
        TEST(test_packets_between_others_and_unasked_replies_make_no_entry),
        TEST(test_a_gratuitous_packet_updates_what_is_known),
        TEST(test_who_claims_an_address_of_ours_is_counted_and_not_believed),
        TEST(test_a_probe_for_our_address_is_answered_and_makes_no_entry),
        TEST(test_while_probing_an_answer_is_a_conflict),
        TEST(test_while_probing_a_probe_for_the_same_is_a_conflict_and_nobody_is_answered),
        TEST(test_a_silent_host_learns_who_asks_and_does_not_answer),
        TEST(test_our_own_frames_and_impossible_senders_are_ignored),
        TEST(test_only_ipv4_frames_for_our_station_become_packets),
        TEST(test_truncated_frames_are_counted),
        TEST(test_an_announcement_names_our_address_twice),
        TEST(test_arp_frames_that_nobody_fetches_stay_within_their_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
