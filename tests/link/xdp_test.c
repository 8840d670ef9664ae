/* What is AF_XDP's own: who gets which frames, when the program goes, unfinished checksums, and
 * what is refused. Needs root's rights. */
#include <arpa/inet.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/udp.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "link/cable.h"
#include "tcpstat/namespace.h"
#include "wire/wire.h"

#define PORT 7000
#define OUR_ADDRESS (CABLE_NETWORK + 77) /* at end 1, where the kernel has another */
#define FRAME_BYTES 200u

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103 /* Linux 4.18 */
#endif

struct rig {
    struct cable cable;
    struct link *ends[2]; /* AF_PACKET, AF_XDP */
};

static const struct link_config xdp_config = {
    .kind = LINK_XDP, .address_first = OUR_ADDRESS, .address_last = OUR_ADDRESS};

static int set_up(void **state)
{
    struct rig *rig = *state;
    cable_make(&rig->cable);
    rig->ends[0] = cable_open(&rig->cable, 0, &(struct link_config){.kind = LINK_PACKET});
    rig->ends[1] = cable_open(&rig->cable, 1, &xdp_config);
    return 0;
}

static int tear_down(void **state)
{
    struct rig *rig = *state;
    link_destroy(rig->ends[0]);
    link_destroy(rig->ends[1]);
    cable_close(&rig->cable);
    return 0;
}

static struct frame_plan plan_of(const struct rig *rig, uint32_t number)
{
    return (struct frame_plan){.target_mac = link_interface_of(rig->ends[1])->mac,
                               .target_address = OUR_ADDRESS,
                               .number = number,
                               .bytes = frame_length(number, FRAME_BYTES)};
}

static void pass(const struct rig *rig, uint32_t first, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct frame_plan plan = plan_of(rig, first + i);
        assert_true(frame_send(rig->ends[0], &plan, i + 1 == count));
    }
    const struct drain drain = {
        .plan = plan_of(rig, first), .length_max = FRAME_BYTES, .wanted = count};
    assert_int_equal(drain_in_order(rig->ends[1], &drain), count);
}

/* The program that is attached to the interface; 0: none. */
static uint32_t attached_program(void)
{
    uint32_t id = 0;
    assert_int_equal(bpf_xdp_query_id((int)if_nametoindex(CABLE_INTERFACE), 0, &id), 0);
    return id;
}

static void frames_come_from_a_packet_link_and_go_to_one(void **state)
{
    const struct rig *rig = *state;
    for (uint32_t first = 0; first < 20000; first += 64) {
        pass(rig, first, 64);
    }
    struct frame_plan plan = plan_of(rig, 7);
    plan.target_mac = link_interface_of(rig->ends[0])->mac;
    plan.target_address = cable_address(0);
    assert_true(frame_send(rig->ends[1], &plan, true));
    struct link_frame frame;
    assert_true(link_wait(rig->ends[0]));
    assert_int_equal(link_receive(rig->ends[0], 0, &frame, 1), 1);
    frame_check(&frame, &plan);
    link_release(rig->ends[0]);
}

static void the_kernel_keeps_its_own_addresses(void **state)
{
    const struct rig *rig = *state;
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(PORT), .sin_addr.s_addr = htonl(cable_address(1))};
    cable_give_kernel(&rig->cable, 1, link_interface_of(rig->ends[0])->mac);
    const int server = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(server, (const struct sockaddr *)&address, sizeof(address)), 0);
    cable_give_kernel(&rig->cable, 0, link_interface_of(rig->ends[1])->mac);
    const int client = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(
        sendto(client, "kernel", 6, 0, (const struct sockaddr *)&address, sizeof(address)), 6);
    struct pollfd wait = {.fd = server, .events = POLLIN};
    char got[16];
    assert_int_equal(poll(&wait, 1, 5000), 1);
    assert_int_equal(recv(server, got, sizeof(got), 0), 6);
    close(client);
    close(server);
    pass(rig, 0, 10);
    assert_int_equal(link_counter_read(rig->ends[1], LINK_COUNTER_frames_received), 10);
}

static void arp_is_heard_though_it_goes_to_the_kernel(void **state)
{
    const struct rig *rig = *state;
    struct link_slot slot;
    struct link_frame frame;
    const struct wire_ether ether = {.target = {{255, 255, 255, 255, 255, 255}},
                                     .type = WIRE_ETHERTYPE_ARP};
    const struct wire_arp arp = {.operation = WIRE_ARP_REQUEST, .target_ip = OUR_ADDRESS};
    assert_int_equal(link_reserve(rig->ends[0], &slot, 1), 1);
    wire_ether_emit(slot.data, &ether);
    wire_arp_emit(slot.data + WIRE_ETHER_BYTES, &arp);
    slot.bytes = WIRE_ETHER_BYTES + WIRE_ARP_BYTES;
    link_send(rig->ends[0], 0, &slot, 1);
    assert_int_equal(link_flush(rig->ends[0], 0), 0);
    assert_true(link_wait(rig->ends[1]));
    assert_int_equal(link_receive(rig->ends[1], 0, &frame, 1), 1);
    struct wire_arp heard;
    assert_int_equal(
        wire_arp_parse(&heard, frame.data + WIRE_ETHER_BYTES, frame.bytes - WIRE_ETHER_BYTES),
        WIRE_OK);
    assert_int_equal(heard.target_ip, OUR_ADDRESS);
    link_release(rig->ends[1]);
}

/* A kernel peer leaves the checksum to a device; a whole one of a corrupted segment is no such. */
static void an_unfinished_checksum_of_a_kernel_needs_no_verifying(void **state)
{
    struct rig *rig = *state;
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(PORT), .sin_addr.s_addr = htonl(cable_address(1))};
    struct link_config config = xdp_config;
    config.address_first = config.address_last = cable_address(1);
    link_destroy(rig->ends[1]);
    rig->ends[1] = NULL;
    struct link *link = rig->ends[1] = cable_open(&rig->cable, 1, &config);
    cable_give_kernel(&rig->cable, 0, link_interface_of(link)->mac);
    const int tcp = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    (void)connect(tcp, (const struct sockaddr *)&address, sizeof(address));
    struct link_frame frame;
    struct wire_ipv4 ip;
    struct wire_tcp segment;
    assert_true(link_wait(link));
    assert_int_equal(link_receive(link, 0, &frame, 1), 1);
    assert_int_equal(frame.flags, LINK_CHECKSUM_DONE);
    assert_int_equal(
        wire_ipv4_parse(&ip, frame.data + LINK_ETHER_BYTES, frame.bytes - LINK_ETHER_BYTES),
        WIRE_OK);
    assert_int_not_equal(wire_tcp_parse(&segment, &ip, false), WIRE_OK);
    assert_int_equal(wire_tcp_parse(&segment, &ip, true), WIRE_OK);
    link_release(link);
    close(tcp);
}

/* A program on a veth makes the other end's kernel cut what it would leave to a device. */
static void long_frames_of_a_kernel_come_cut_and_complete(void **state)
{
    const struct rig *rig = *state;
    const int segment_bytes = 1400;
    uint8_t payload[20 * 1400];
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(PORT), .sin_addr.s_addr = htonl(OUR_ADDRESS)};
    cable_give_kernel(&rig->cable, 0, link_interface_of(rig->ends[1])->mac);
    cable_add_neighbour(OUR_ADDRESS, link_interface_of(rig->ends[1])->mac);
    const int udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    memset(payload, 7, sizeof(payload));
    assert_int_equal(setsockopt(udp, SOL_UDP, UDP_SEGMENT, &segment_bytes, sizeof(segment_bytes)),
                     0);
    assert_int_equal(sendto(udp, payload, sizeof(payload), 0, (const struct sockaddr *)&address,
                            sizeof(address)),
                     sizeof(payload));
    close(udp);
    struct link_frame frames[LINK_BATCH_MAX];
    size_t received = 0;
    while (received < 20 && link_wait(rig->ends[1])) {
        const size_t count = link_receive(rig->ends[1], 0, frames, LINK_BATCH_MAX);
        for (size_t i = 0; i < count; i++) {
            assert_int_equal(frames[i].bytes, WIRE_ETHER_BYTES + WIRE_IPV4_BYTES + 8 + 1400);
        }
        link_release(rig->ends[1]);
        received += count;
    }
    assert_int_equal(received, 20);
}

static void a_finished_checksum_is_left_to_be_verified(void **state)
{
    const struct rig *rig = *state;
    const struct wire_ipv4 ip = {
        .source = 1, .target = OUR_ADDRESS, .protocol = WIRE_PROTO_TCP, .ttl = 9};
    struct wire_ether ether = {.type = WIRE_ETHERTYPE_IPV4};
    memcpy(ether.target.bytes, link_interface_of(rig->ends[1])->mac, 6);
    for (uint16_t port = 1; port <= 100; port++) {
        const struct wire_tcp segment = {.source_port = port, .target_port = PORT};
        struct link_slot slot;
        struct link_frame frame;
        assert_int_equal(link_reserve(rig->ends[0], &slot, 1), 1);
        wire_ether_emit(slot.data, &ether);
        slot.bytes =
            WIRE_ETHER_BYTES + wire_tcp_emit(slot.data + WIRE_ETHER_BYTES, &ip, &segment, NULL);
        link_send(rig->ends[0], 0, &slot, 1);
        assert_int_equal(link_flush(rig->ends[0], 0), 0);
        assert_true(link_wait(rig->ends[1]));
        assert_int_equal(link_receive(rig->ends[1], 0, &frame, 1), 1);
        assert_int_equal(frame.flags, 0);
        link_release(rig->ends[1]);
    }
}

static void the_program_goes_with_its_link(void **state)
{
    struct rig *rig = *state;
    cable_enter(&rig->cable, 1);
    assert_int_not_equal(attached_program(), 0);
    link_destroy(rig->ends[1]);
    rig->ends[1] = NULL;
    assert_int_equal(attached_program(), 0);
}

static void the_program_goes_with_a_process_that_is_killed(void **state)
{
    struct rig *rig = *state;
    int ready[2], status;
    link_destroy(rig->ends[1]);
    rig->ends[1] = NULL;
    cable_enter(&rig->cable, 1);
    assert_int_equal(attached_program(), 0);
    assert_int_equal(pipe(ready), 0);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct link *link;
        struct link_config config = xdp_config;
        config.interface = CABLE_INTERFACE;
        const char told = link_open(&link, &config, NULL) == 0 ? 'y' : 'n';
        (void)!write(ready[1], &told, 1);
        for (;;) {
            pause();
        }
    }
    char told = 0;
    assert_int_equal(read(ready[0], &told, 1), 1);
    const uint32_t attached = attached_program();
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, &status, 0), child);
    close(ready[0]);
    close(ready[1]);
    assert_int_equal(told, 'y');
    assert_int_not_equal(attached, 0);
    /* The last descriptor is closed by the process's end; what follows is the kernel's deferred
     * work. */
    const uint64_t patience_ns = clock_now_ns() + 5 * NS_PER_SEC;
    while (attached_program() != 0 && clock_now_ns() < patience_ns) {
        poll(NULL, 0, 1);
    }
    assert_int_equal(attached_program(), 0);
    rig->ends[1] = cable_open(&rig->cable, 1, &xdp_config);
    pass(rig, 0, 10);
}

static void a_link_works_on_after_its_interface_was_down(void **state)
{
    const struct rig *rig = *state;
    struct link *link = rig->ends[1];
    struct frame_plan plan = plan_of(rig, 7);
    plan.target_mac = link_interface_of(rig->ends[0])->mac;
    plan.target_address = cable_address(0);
    pass(rig, 0, 10);
    cable_set_up(&rig->cable, 1, false);
    assert_true(frame_send(link, &plan, false));
    assert_int_equal(link_flush(link, NS_PER_SEC), -ENETDOWN);
    assert_in_range(link_deadline_ns(link), NS_PER_SEC + 1, 2 * NS_PER_SEC);
    assert_int_equal(link_counter_read(link, LINK_COUNTER_interface_down), 1);
    cable_set_up(&rig->cable, 1, true);
    assert_int_equal(link_flush(link, 2 * NS_PER_SEC), 0);
    struct link_frame frame;
    assert_true(link_wait(rig->ends[0]));
    assert_int_equal(link_receive(rig->ends[0], 0, &frame, 1), 1);
    frame_check(&frame, &plan);
    link_release(rig->ends[0]);
    pass(rig, 10, 10);
}

static void refused(const struct link_config *config, int error, const char *text)
{
    struct failure failure = {.text = ""};
    struct link *link;
    struct link_config whole = *config;
    whole.interface = CABLE_INTERFACE;
    whole.kind = LINK_XDP;
    assert_int_equal(link_open(&link, &whole, &failure), -error);
    assert_non_null(strstr(failure.text, "xdp:" CABLE_INTERFACE));
    assert_non_null(strstr(failure.text, text));
}

/* The kernel frees a queue only some time after its socket was closed. */
static void an_interface_is_opened_again_at_once(void **state)
{
    struct rig *rig = *state;
    for (int i = 0; i < 10; i++) {
        link_destroy(rig->ends[1]);
        rig->ends[1] = NULL;
        rig->ends[1] = cable_open(&rig->cable, 1, &xdp_config);
    }
    pass(rig, 0, 10);
}

static void several_workers_are_refused(void **state)
{
    const struct rig *rig = *state;
    cable_enter(&rig->cable, 0);
    refused(&(struct link_config){.workers = 2}, ENOTSUP, "packet:" CABLE_INTERFACE);
}

static void a_second_link_on_the_same_interface_is_refused(void **state)
{
    const struct rig *rig = *state;
    cable_enter(&rig->cable, 1);
    refused(&(struct link_config){.workers = 1}, EBUSY, "packet:" CABLE_INTERFACE);
    pass(rig, 0, 10);
}

static void frames_longer_than_a_page_are_refused(void **state)
{
    struct rig *rig = *state;
    struct ifreq request = {.ifr_name = CABLE_INTERFACE, .ifr_mtu = 9000};
    link_destroy(rig->ends[1]); /* a veth does not let its MTU outgrow the other end's program */
    rig->ends[1] = NULL;
    cable_enter(&rig->cable, 0);
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(ioctl(fd, SIOCSIFMTU, &request), 0);
    close(fd);
    refused(&(struct link_config){.workers = 1}, ENOTSUP, "9000");
}

static int refused_without_rights(void)
{
    struct failure failure = {.text = ""};
    struct link *link;
    const struct link_config config = {.kind = LINK_XDP, .interface = CABLE_INTERFACE};
    return link_drop_rights(NULL) == 0 && link_open(&link, &config, &failure) == -EPERM &&
                   strstr(failure.text, "CAP_") != NULL
               ? 0
               : 1;
}

static void without_rights_the_missing_one_is_named(void **state)
{
    const struct rig *rig = *state;
    int status = -1;
    cable_enter(&rig->cable, 0);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        _exit(refused_without_rights());
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

int main(void)
{
    if (!namespace_enter_or_tell()) {
        return EXIT_SKIPPED;
    }
    if (!cable_allows_xdp()) {
        fprintf(stderr, "skipped: no right to load an XDP program\n");
        return EXIT_SKIPPED;
    }
    struct rig rig = {.ends = {NULL, NULL}};
#define LINK_TEST(test) cmocka_unit_test_prestate_setup_teardown(test, set_up, tear_down, &rig)
    const struct CMUnitTest tests[] = {
        LINK_TEST(frames_come_from_a_packet_link_and_go_to_one),
        LINK_TEST(the_kernel_keeps_its_own_addresses),
        LINK_TEST(arp_is_heard_though_it_goes_to_the_kernel),
        LINK_TEST(an_unfinished_checksum_of_a_kernel_needs_no_verifying),
        LINK_TEST(long_frames_of_a_kernel_come_cut_and_complete),
        LINK_TEST(a_finished_checksum_is_left_to_be_verified),
        LINK_TEST(the_program_goes_with_its_link),
        LINK_TEST(the_program_goes_with_a_process_that_is_killed),
        LINK_TEST(a_link_works_on_after_its_interface_was_down),
        LINK_TEST(an_interface_is_opened_again_at_once),
        LINK_TEST(several_workers_are_refused),
        LINK_TEST(a_second_link_on_the_same_interface_is_refused),
        LINK_TEST(frames_longer_than_a_page_are_refused),
        LINK_TEST(without_rights_the_missing_one_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
