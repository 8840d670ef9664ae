/* AF_PACKET links whose peer is the kernel of the other namespace: checksums that it leaves to a
 * device, and frames of up to 64 KiB that it leaves to one to cut. The argument chooses the ring:
 * "slots" or "blocks". */
#include <arpa/inet.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/udp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "link/cable.h"
#include "tcpstat/namespace.h"
#include "wire/wire.h"

#define PORT 7000
#define HEADERS (WIRE_ETHER_BYTES + WIRE_IPV4_BYTES + 8u)
#define LONG_BYTES 60000u
#define SEGMENT_BYTES 1400

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103 /* Linux 4.18 */
#endif

struct rig {
    struct cable cable;
    struct link *link; /* at end 1; the kernel has end 0 */
    int udp;           /* the kernel's */
    bool blocks;
};

static struct sockaddr_in target(void)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(PORT), .sin_addr.s_addr = htonl(cable_address(1))};
}

static int set_up(void **state)
{
    struct rig *rig = *state;
    cable_make(&rig->cable);
    const struct link_interface facts = cable_interface(&rig->cable, 1);
    cable_give_kernel(&rig->cable, 0, facts.mac);
    const struct link_config config = {.kind = LINK_PACKET, .blocks = rig->blocks};
    rig->link = cable_open(&rig->cable, 1, &config);
    cable_enter(&rig->cable, 0);
    rig->udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_true(rig->udp >= 0);
    const struct sockaddr_in address = target();
    assert_int_equal(connect(rig->udp, (const struct sockaddr *)&address, sizeof(address)), 0);
    return 0;
}

static int tear_down(void **state)
{
    struct rig *rig = *state;
    link_destroy(rig->link);
    close(rig->udp);
    cable_close(&rig->cable);
    return 0;
}

/* Sends a datagram whose bytes are all `fill`; a long one goes as one frame to be cut later. */
static void kernel_sends(const struct rig *rig, uint8_t fill, uint32_t bytes)
{
    static const int cut = SEGMENT_BYTES, whole = 0;
    uint8_t payload[LONG_BYTES];
    memset(payload, fill, bytes);
    assert_int_equal(setsockopt(rig->udp, SOL_UDP, UDP_SEGMENT,
                                bytes > SEGMENT_BYTES ? &cut : &whole, sizeof(int)),
                     0);
    assert_int_equal(send(rig->udp, payload, bytes, 0), bytes);
}

static void check_datagram(const struct link_frame *frame, uint8_t fill, uint32_t bytes)
{
    assert_int_equal(frame->bytes, HEADERS + bytes);
    for (uint32_t i = 0; i < bytes; i++) {
        if (frame->data[HEADERS + i] != fill) {
            fail_msg("byte %u of datagram %u is %u", i, fill, frame->data[HEADERS + i]);
        }
    }
}

static void an_unfinished_checksum_needs_no_verifying(void **state)
{
    const struct rig *rig = *state;
    struct link_frame frame;
    kernel_sends(rig, 1, 100);
    assert_true(link_wait(rig->link));
    assert_int_equal(link_receive(rig->link, 0, &frame, 1), 1);
    check_datagram(&frame, 1, 100);
    assert_int_equal(frame.flags, LINK_CHECKSUM_DONE);
    link_release(rig->link);
    assert_int_equal(link_counter_read(rig->link, LINK_COUNTER_checksums_done), 1);
}

static void a_tcp_segment_without_its_checksum_parses_only_by_the_flag(void **state)
{
    const struct rig *rig = *state;
    cable_enter(&rig->cable, 0);
    const int tcp = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const struct sockaddr_in address = target();
    (void)connect(tcp, (const struct sockaddr *)&address, sizeof(address));
    struct link_frame frame;
    assert_true(link_wait(rig->link));
    assert_int_equal(link_receive(rig->link, 0, &frame, 1), 1);
    assert_int_equal(frame.flags, LINK_CHECKSUM_DONE);
    struct wire_ipv4 ip;
    struct wire_tcp segment;
    assert_int_equal(
        wire_ipv4_parse(&ip, frame.data + LINK_ETHER_BYTES, frame.bytes - LINK_ETHER_BYTES),
        WIRE_OK);
    assert_int_not_equal(wire_tcp_parse(&segment, &ip, false), WIRE_OK);
    assert_int_equal(wire_tcp_parse(&segment, &ip, true), WIRE_OK);
    assert_int_equal(segment.target_port, PORT);
    link_release(rig->link);
    close(tcp);
}

static void a_finished_checksum_is_left_to_be_verified(void **state)
{
    const struct rig *rig = *state;
    struct ethtool_value off = {.cmd = ETHTOOL_STXCSUM, .data = 0};
    struct ifreq request = {.ifr_name = CABLE_INTERFACE, .ifr_data = (char *)&off};
    assert_int_equal(ioctl(rig->udp, SIOCETHTOOL, &request), 0);
    struct link_frame frame;
    kernel_sends(rig, 2, 100);
    assert_true(link_wait(rig->link));
    assert_int_equal(link_receive(rig->link, 0, &frame, 1), 1);
    check_datagram(&frame, 2, 100);
    assert_int_equal(frame.flags, 0);
    link_release(rig->link);
}

/* What was vouched for on the way is not what arrives any more. */
static void a_frame_corrupted_by_intent_is_left_to_be_verified(void **state)
{
    struct rig *rig = *state;
    struct link *inner = rig->link;
    struct link_frame frame;
    assert_int_equal(link_faults_open(&rig->link, inner, &(struct link_faults){.corruption = 1}),
                     0);
    kernel_sends(rig, 3, 100);
    assert_true(link_wait(rig->link));
    assert_int_equal(link_receive(rig->link, 0, &frame, 1), 1);
    assert_int_equal(frame.flags, 0);
    link_release(rig->link);
}

/* Receives datagrams `first`.. of which every third is long, each whole and in order; returns how
 * many came before a patient wait ended. */
static uint32_t receive_mixed(const struct rig *rig, uint32_t first, uint32_t wanted)
{
    struct link_frame frames[LINK_BATCH_MAX];
    uint32_t received = 0;
    while (received < wanted && link_wait(rig->link)) {
        const size_t count = link_receive(rig->link, 0, frames, LINK_BATCH_MAX);
        for (size_t i = 0; i < count; i++, received++) {
            const uint32_t number = first + received;
            check_datagram(&frames[i], (uint8_t)number, number % 3 == 0 ? LONG_BYTES : 200);
        }
        link_release(rig->link);
    }
    return received;
}

static void frames_longer_than_a_slot_come_whole_and_in_order(void **state)
{
    const struct rig *rig = *state;
    for (uint32_t first = 0; first < 240; first += 12) {
        for (uint32_t i = 0; i < 12; i++) {
            kernel_sends(rig, (uint8_t)(first + i), (first + i) % 3 == 0 ? LONG_BYTES : 200);
        }
        assert_int_equal(receive_mixed(rig, first, 12), 12);
    }
    assert_int_equal(link_counter_read(rig->link, LINK_COUNTER_receive_truncated), 0);
    assert_int_equal(link_counter_read(rig->link, LINK_COUNTER_receive_copied),
                     rig->blocks ? 0 : 80);
}

static uint32_t lost_frames(const struct rig *rig)
{
    return (uint32_t)(link_counter_read(rig->link, LINK_COUNTER_receive_truncated) +
                      link_counter_read(rig->link, LINK_COUNTER_receive_ring_full));
}

/* How many of a burst of 64 the socket may keep depends on the user's rights, and how many fit into
 * blocks on how many of these time out half full; each frame is given whole or counted. */
static void a_burst_of_long_frames_is_given_whole_or_counted(void **state)
{
    const struct rig *rig = *state;
    for (uint32_t i = 0; i < 64; i++) {
        kernel_sends(rig, 7, LONG_BYTES);
    }
    struct link_frame frames[LINK_BATCH_MAX];
    uint32_t received = 0;
    while (received + lost_frames(rig) < 64 && link_wait(rig->link)) {
        const size_t count = link_receive(rig->link, 0, frames, LINK_BATCH_MAX);
        for (size_t i = 0; i < count; i++) {
            check_datagram(&frames[i], 7, LONG_BYTES);
        }
        received += (uint32_t)count;
        link_release(rig->link);
    }
    assert_true(received >= 3);
    assert_int_equal(received + lost_frames(rig), 64);
    kernel_sends(rig, 9, 10); /* there is room again, and nothing else came */
    assert_true(link_wait(rig->link));
    assert_int_equal(link_receive(rig->link, 0, frames, LINK_BATCH_MAX), 1);
    check_datagram(&frames[0], 9, 10);
    link_release(rig->link);
}

int main(int argc, char **argv)
{
    if (argc != 2 || (strcmp(argv[1], "slots") != 0 && strcmp(argv[1], "blocks") != 0)) {
        fprintf(stderr, "usage: %s slots|blocks\n", argv[0]);
        return EXIT_FAILURE;
    }
    if (!namespace_enter_or_tell()) {
        return EXIT_SKIPPED;
    }
    struct rig rig = {.blocks = strcmp(argv[1], "blocks") == 0};
#define LINK_TEST(test) cmocka_unit_test_prestate_setup_teardown(test, set_up, tear_down, &rig)
    const struct CMUnitTest tests[] = {
        LINK_TEST(an_unfinished_checksum_needs_no_verifying),
        LINK_TEST(a_tcp_segment_without_its_checksum_parses_only_by_the_flag),
        LINK_TEST(a_finished_checksum_is_left_to_be_verified),
        LINK_TEST(a_frame_corrupted_by_intent_is_left_to_be_verified),
        LINK_TEST(frames_longer_than_a_slot_come_whole_and_in_order),
        LINK_TEST(a_burst_of_long_frames_is_given_whole_or_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
