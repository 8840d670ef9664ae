/* Several workers on one interface: each frame reaches the worker that its port names, whatever
 * else its headers hold. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/rng.h"
#include "link/cable.h"
#include "tcpstat/namespace.h"
#include "wire/wire.h"

#define WORKERS 4u
#define FRAMES 1000u
#define PROTOCOL_UDP 17u
#define MORE_FRAGMENTS 0x2000u
#define ICMP_HEADER 8u
#define FRAME_ROOM 256u

/* One frame for the workers' end. Ports are the packet's, or of an ICMP error its quoted one's. */
struct probe {
    uint8_t protocol;
    uint16_t source_port;
    uint16_t target_port;
    uint16_t fragment; /* the header's field */
    uint8_t option_words;
    int icmp_type; /* -1: not ICMP; else it quotes a packet that the workers' end sent */
    uint16_t quoted_fragment;
    uint8_t quoted_protocol;
};

struct rig {
    struct cable cable;
    struct link *sender; /* at end 0 */
    struct link *workers[WORKERS];
    enum link_steer steer;
    uint8_t mac[6];
};

static void put16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

/* Writes an IPv4 header with its options, without checksums: nothing here verifies them. */
static uint32_t write_ip(uint8_t *at, const struct probe *probe, bool quoted)
{
    const uint32_t header = WIRE_IPV4_BYTES + 4u * probe->option_words;
    memset(at, 1, header); /* options: NOP */
    const struct wire_ipv4 ip = {.source = cable_address(quoted ? 1 : 0),
                                 .target = cable_address(quoted ? 0 : 1),
                                 .protocol = quoted ? probe->quoted_protocol : probe->protocol,
                                 .ttl = 9};
    wire_ipv4_emit(at, &ip, 80);
    at[0] = (uint8_t)(0x40 + header / 4);
    put16(at + 6, quoted ? probe->quoted_fragment : probe->fragment);
    return header;
}

static uint32_t write_probe(uint8_t *frame, const uint8_t *mac, const struct probe *probe)
{
    memset(frame, 0, FRAME_ROOM);
    struct wire_ether ether = {.source = {{2, 0, 0, 0, 0, 9}}, .type = WIRE_ETHERTYPE_IPV4};
    memcpy(ether.target.bytes, mac, 6);
    wire_ether_emit(frame, &ether);
    uint32_t at = WIRE_ETHER_BYTES;
    at += write_ip(frame + at, probe, false);
    if (probe->icmp_type >= 0) {
        frame[at] = (uint8_t)probe->icmp_type;
        at += ICMP_HEADER;
        at += write_ip(frame + at, probe, true);
    }
    put16(frame + at, probe->source_port);
    put16(frame + at + 2, probe->target_port);
    return at + 20;
}

static int open_steered(void **state, enum link_steer steer)
{
    struct rig *rig = calloc(1, sizeof(*rig));
    *state = rig;
    rig->steer = steer;
    cable_make(&rig->cable);
    const struct link_interface facts = cable_interface(&rig->cable, 1);
    memcpy(rig->mac, facts.mac, sizeof(rig->mac));
    rig->sender = cable_open(&rig->cable, 0, &(struct link_config){.kind = LINK_PACKET});
    for (uint32_t i = 0; i < WORKERS; i++) {
        const struct link_config config = {.kind = LINK_PACKET,
                                           .worker = i,
                                           .workers = WORKERS,
                                           .group = (uint32_t)getpid(),
                                           .steer = steer,
                                           .receive_slots = LINK_BATCH_MAX,
                                           .transmit_slots = LINK_BATCH_MAX};
        rig->workers[i] = cable_open(&rig->cable, 1, &config);
    }
    return 0;
}

static int set_up_local(void **state)
{
    return open_steered(state, LINK_STEER_LOCAL_PORT);
}

static int set_up_remote(void **state)
{
    return open_steered(state, LINK_STEER_REMOTE_PORT);
}

static int tear_down(void **state)
{
    struct rig *rig = *state;
    link_destroy(rig->sender);
    for (uint32_t i = 0; i < WORKERS; i++) {
        link_destroy(rig->workers[i]);
    }
    cable_close(&rig->cable);
    free(rig);
    return 0;
}

static void send_probe(const struct rig *rig, const struct probe *probe)
{
    struct link_slot slot;
    assert_int_equal(link_reserve(rig->sender, &slot, 1), 1);
    slot.bytes = write_probe(slot.data, rig->mac, probe);
    link_send(rig->sender, 0, &slot, 1);
    assert_int_equal(link_flush(rig->sender, clock_now_ns()), 0);
}

/* Takes what every worker has by now. A frame is there when its flush returned: a veth's other end
 * receives in the sender's call. But for what the kernel put off, which a later call waits for. */
static void count_received(const struct rig *rig, uint32_t *received)
{
    struct link_frame frames[LINK_BATCH_MAX];
    for (uint32_t i = 0; i < WORKERS; i++) {
        received[i] += (uint32_t)link_receive(rig->workers[i], 0, frames, LINK_BATCH_MAX);
        link_release(rig->workers[i]);
    }
}

/* Sends one frame and tells who received it; fails the test when nobody or several did. */
static uint32_t who_receives(const struct rig *rig, const struct probe *probe)
{
    uint32_t received[WORKERS] = {0};
    uint32_t total = 0, who = 0;
    const uint64_t patience_ns = clock_now_ns() + 5 * NS_PER_SEC;
    send_probe(rig, probe);
    while (total == 0 && clock_now_ns() < patience_ns) {
        count_received(rig, received);
        total = received[0] + received[1] + received[2] + received[3];
    }
    assert_int_equal(total, 1);
    while (received[who] == 0) {
        who++;
    }
    return who;
}

static struct probe random_segment(struct rng *rng)
{
    return (struct probe){.protocol = WIRE_PROTO_TCP,
                          .icmp_type = -1,
                          .option_words = (uint8_t)(rng_below(rng, 4) * rng_below(rng, 4)),
                          .source_port = (uint16_t)rng_next(rng),
                          .target_port = (uint16_t)rng_next(rng)};
}

static void segments_reach_the_worker_of_their_port(void **state)
{
    const struct rig *rig = *state;
    struct rng rng;
    rng_seed(&rng, 4);
    for (uint32_t i = 0; i < FRAMES; i++) {
        const struct probe probe = random_segment(&rng);
        const uint16_t port =
            rig->steer == LINK_STEER_LOCAL_PORT ? probe.target_port : probe.source_port;
        assert_int_equal(who_receives(rig, &probe), port % WORKERS);
    }
}

static void icmp_errors_reach_the_worker_of_the_quoted_port(void **state)
{
    static const int types[] = {WIRE_ICMP_UNREACHABLE, WIRE_ICMP_SOURCE_QUENCH, WIRE_ICMP_REDIRECT,
                                WIRE_ICMP_TIME_EXCEEDED, WIRE_ICMP_PARAMETER_PROBLEM};
    const struct rig *rig = *state;
    struct rng rng;
    rng_seed(&rng, 5);
    for (uint32_t i = 0; i < FRAMES; i++) {
        struct probe probe = random_segment(&rng);
        probe.protocol = WIRE_PROTO_ICMP;
        probe.quoted_protocol = WIRE_PROTO_TCP;
        probe.icmp_type = types[i % (sizeof(types) / sizeof(types[0]))];
        const uint16_t port =
            rig->steer == LINK_STEER_LOCAL_PORT ? probe.source_port : probe.target_port;
        assert_int_equal(who_receives(rig, &probe), port % WORKERS);
    }
}

static void what_names_no_port_reaches_the_first(void **state)
{
    const struct rig *rig = *state;
    static const struct probe odd[] = {
        /* Fragments: of the later ones nobody sees the ports, so the first goes with them. */
        {.protocol = WIRE_PROTO_TCP, .icmp_type = -1, .fragment = MORE_FRAGMENTS},
        {.protocol = WIRE_PROTO_TCP, .icmp_type = -1, .fragment = 100},
        {.protocol = WIRE_PROTO_TCP, .icmp_type = -1, .fragment = MORE_FRAGMENTS | 1},
        {.protocol = PROTOCOL_UDP, .icmp_type = -1},
        {.protocol = WIRE_PROTO_ICMP, .icmp_type = WIRE_ICMP_ECHO},
        {.protocol = WIRE_PROTO_ICMP, .icmp_type = WIRE_ICMP_ECHO_REPLY},
        {.protocol = WIRE_PROTO_ICMP, .icmp_type = 13, .quoted_protocol = WIRE_PROTO_TCP},
        {.protocol = WIRE_PROTO_ICMP, .icmp_type = 10, .quoted_protocol = WIRE_PROTO_TCP},
        {.protocol = WIRE_PROTO_ICMP, .icmp_type = 3, .quoted_protocol = PROTOCOL_UDP},
        {.protocol = WIRE_PROTO_ICMP,
         .icmp_type = 3,
         .quoted_protocol = WIRE_PROTO_TCP,
         .quoted_fragment = 7},
    };
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        struct probe probe = odd[i];
        probe.source_port = probe.target_port = 7; /* of worker 3, if it were looked at */
        assert_int_equal(who_receives(rig, &probe), 0);
    }
}

static void a_quoted_first_fragment_still_names_its_worker(void **state)
{
    const struct rig *rig = *state;
    const struct probe probe = {.protocol = WIRE_PROTO_ICMP,
                                .icmp_type = WIRE_ICMP_UNREACHABLE,
                                .quoted_protocol = WIRE_PROTO_TCP,
                                .quoted_fragment = MORE_FRAGMENTS,
                                .source_port = 7,
                                .target_port = 7};
    assert_int_equal(who_receives(rig, &probe), 3);
}

static void a_frame_cut_short_reaches_the_first(void **state)
{
    const struct rig *rig = *state;
    struct link_slot slot;
    uint32_t received[WORKERS] = {0};
    const struct probe probe = {
        .protocol = WIRE_PROTO_TCP, .icmp_type = -1, .source_port = 7, .target_port = 7};
    assert_int_equal(link_reserve(rig->sender, &slot, 1), 1);
    (void)write_probe(slot.data, rig->mac, &probe);
    slot.bytes = WIRE_ETHER_BYTES + WIRE_IPV4_BYTES;
    link_send(rig->sender, 0, &slot, 1);
    assert_int_equal(link_flush(rig->sender, clock_now_ns()), 0);
    assert_true(link_wait(rig->workers[0]));
    count_received(rig, received);
    assert_int_equal(received[0], 1);
}

static void every_worker_hears_arp(void **state)
{
    const struct rig *rig = *state;
    struct link_slot slot;
    assert_int_equal(link_reserve(rig->sender, &slot, 1), 1);
    const struct wire_ether ether = {.target = {{255, 255, 255, 255, 255, 255}},
                                     .type = WIRE_ETHERTYPE_ARP};
    const struct wire_arp arp = {.operation = WIRE_ARP_REQUEST};
    wire_ether_emit(slot.data, &ether);
    wire_arp_emit(slot.data + WIRE_ETHER_BYTES, &arp);
    slot.bytes = WIRE_ETHER_BYTES + WIRE_ARP_BYTES;
    link_send(rig->sender, 0, &slot, 1);
    assert_int_equal(link_flush(rig->sender, clock_now_ns()), 0);
    uint32_t received[WORKERS] = {0};
    for (uint32_t i = 0; i < WORKERS; i++) {
        assert_true(link_wait(rig->workers[i]));
    }
    count_received(rig, received);
    for (uint32_t i = 0; i < WORKERS; i++) {
        assert_int_equal(received[i], 1);
    }
}

static void workers_keep_their_places_over_down_and_up(void **state)
{
    const struct rig *rig = *state;
    for (int i = 0; i < 3; i++) {
        cable_set_up(&rig->cable, 1, false);
        cable_set_up(&rig->cable, 1, true);
    }
    segments_reach_the_worker_of_their_port(state);
}

static void segments_of_a_kernel_reach_the_worker_of_their_port(void **state)
{
    const struct rig *rig = *state;
    cable_give_kernel(&rig->cable, 0, rig->mac);
    for (uint16_t i = 0; i < 64; i++) {
        const int tcp = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        const struct sockaddr_in from = {.sin_family = AF_INET,
                                         .sin_port = htons((uint16_t)(20000 + i)),
                                         .sin_addr.s_addr = htonl(cable_address(0))};
        const struct sockaddr_in to = {.sin_family = AF_INET,
                                       .sin_port = htons((uint16_t)(30000 + i / 8)),
                                       .sin_addr.s_addr = htonl(cable_address(1))};
        assert_int_equal(bind(tcp, (const struct sockaddr *)&from, sizeof(from)), 0);
        (void)connect(tcp, (const struct sockaddr *)&to, sizeof(to)); /* sends the SYN */
        const uint32_t port = rig->steer == LINK_STEER_LOCAL_PORT ? 30000u + i / 8 : 20000u + i;
        uint32_t received[WORKERS] = {0};
        assert_true(link_wait(rig->workers[port % WORKERS]));
        count_received(rig, received);
        assert_int_equal(received[port % WORKERS], 1);
        close(tcp);
    }
}

int main(void)
{
    if (!namespace_enter_or_tell()) {
        return EXIT_SKIPPED;
    }
    /* The last two change the interfaces, so they come last. */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(segments_reach_the_worker_of_their_port),
        cmocka_unit_test(icmp_errors_reach_the_worker_of_the_quoted_port),
        cmocka_unit_test(what_names_no_port_reaches_the_first),
        cmocka_unit_test(a_quoted_first_fragment_still_names_its_worker),
        cmocka_unit_test(a_frame_cut_short_reaches_the_first),
        cmocka_unit_test(every_worker_hears_arp),
        cmocka_unit_test(workers_keep_their_places_over_down_and_up),
        cmocka_unit_test(segments_of_a_kernel_reach_the_worker_of_their_port),
    };
    const int by_local = cmocka_run_group_tests_name("local port", tests, set_up_local, tear_down);
    return by_local + cmocka_run_group_tests_name("remote port", tests, set_up_remote, tear_down);
}
