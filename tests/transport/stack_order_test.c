/* The stack engine and frames that come in one batch: what a peer sent in an order is handled in
 * that order. The peer is made of frames, at the other end of a link in memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "link/link.h"
#include "transport/stack.h"
#include "transport/transport.h"
#include "wire/wire.h"

#define OWN_IP 0x0a090002u
#define PEER_IP 0x0a090001u
#define OWN_PORT 7000
#define PEER_PORT 5000
#define PEER_ISS 1000u
#define CONNS_MAX 8
#define BATCH_MAX 8
#define TURNS 4 /* as many as an answer takes, the question for the peer's MAC included */

static const struct wire_mac peer_mac = {{2, 0, 0, 0, 0, 9}};

struct fixture {
    struct transport *transport;
    struct link *peer;
    struct wire_mac own_mac;
    struct wire_tcp last; /* the newest segment that the stack sent */
    uint32_t resets_seen;
    uint32_t accepted;
    uint32_t failed;
    int error; /* of the last FAILED */
    uint64_t received_bytes;
};

static void on_event(void *context, const struct transport_event *event)
{
    struct fixture *fixture = context;
    if (event->type == TRANSPORT_ACCEPTED) {
        fixture->accepted++;
    } else if (event->type == TRANSPORT_DATA) {
        fixture->received_bytes += event->buffer.size;
        transport_buffer_release(fixture->transport, event->conn, &event->buffer);
    } else if (event->type == TRANSPORT_FAILED) {
        fixture->failed++;
        fixture->error = event->error;
        (void)transport_close(fixture->transport, event->conn, TRANSPORT_CLOSE_PLAIN);
    }
}

static void put_frames(struct fixture *fixture, const struct wire_tcp *segments, size_t count)
{
    struct link_slot slots[BATCH_MAX];
    const struct wire_ether ether = {
        .target = fixture->own_mac, .source = peer_mac, .type = WIRE_ETHERTYPE_IPV4};
    static const uint8_t text[] = "0123456789abcdef";
    assert_int_equal(link_reserve(fixture->peer, slots, count), count);
    for (size_t i = 0; i < count; i++) {
        struct wire_ipv4 ip = {
            .source = PEER_IP, .target = OWN_IP, .protocol = WIRE_PROTO_TCP, .ttl = 64};
        struct wire_payload payload = {.first = text, .first_bytes = segments[i].payload_bytes};
        wire_ether_emit(slots[i].data, &ether);
        slots[i].bytes = WIRE_ETHER_BYTES + wire_tcp_emit(slots[i].data + WIRE_ETHER_BYTES, &ip,
                                                          &segments[i], &payload);
    }
    link_send(fixture->peer, 0, slots, count);
    assert_int_equal(link_flush(fixture->peer, 0), 0);
}

/* Answers an ARP request, or notes a segment. */
static void take_frame(struct fixture *fixture, const struct link_frame *frame)
{
    struct wire_ether ether;
    struct wire_ipv4 ip;
    struct wire_arp arp;
    assert_int_equal(wire_ether_parse(&ether, frame->data, frame->bytes), WIRE_OK);
    fixture->own_mac = ether.source;
    if (ether.type == WIRE_ETHERTYPE_IPV4) {
        assert_int_equal(wire_ipv4_parse(&ip, ether.payload, ether.payload_bytes), WIRE_OK);
        assert_int_equal(wire_tcp_parse(&fixture->last, &ip, false), WIRE_OK);
        fixture->resets_seen += (fixture->last.flags & WIRE_RST) != 0;
        return;
    }
    assert_int_equal(wire_arp_parse(&arp, ether.payload, ether.payload_bytes), WIRE_OK);
    struct link_slot slot;
    if (arp.target_ip != PEER_IP || link_reserve(fixture->peer, &slot, 1) != 1) {
        return;
    }
    const struct wire_ether back = {
        .target = ether.source, .source = peer_mac, .type = WIRE_ETHERTYPE_ARP};
    const struct wire_arp reply = {.operation = WIRE_ARP_REPLY,
                                   .sender_mac = peer_mac,
                                   .sender_ip = PEER_IP,
                                   .target_mac = arp.sender_mac,
                                   .target_ip = arp.sender_ip};
    wire_ether_emit(slot.data, &back);
    wire_arp_emit(slot.data + WIRE_ETHER_BYTES, &reply);
    slot.bytes = WIRE_ETHER_BYTES + WIRE_ARP_BYTES;
    link_send(fixture->peer, 0, &slot, 1);
    assert_int_equal(link_flush(fixture->peer, 0), 0);
}

static void run(struct fixture *fixture)
{
    struct link_frame frames[LINK_BATCH_MAX];
    for (unsigned turn = 0; turn < TURNS; turn++) {
        assert_int_equal(transport_poll(fixture->transport, 0), 0);
        size_t count = link_receive(fixture->peer, 0, frames, LINK_BATCH_MAX);
        for (size_t i = 0; i < count; i++) {
            take_frame(fixture, &frames[i]);
        }
        link_release(fixture->peer);
    }
}

/* The peer sends segments in one batch, and both sides answer until it is quiet. */
static void exchange(struct fixture *fixture, const struct wire_tcp *segments, size_t count)
{
    put_frames(fixture, segments, count);
    run(fixture);
}

static struct wire_tcp segment(uint8_t flags, uint32_t seq, uint32_t ack)
{
    return (struct wire_tcp){.source_port = PEER_PORT,
                             .target_port = OWN_PORT,
                             .seq = seq,
                             .ack = ack,
                             .flags = flags,
                             .window = 64240};
}

/* The peer's first three bytes. */
static struct wire_tcp three_bytes(uint32_t ack)
{
    struct wire_tcp data = segment(WIRE_ACK | WIRE_PSH, PEER_ISS + 1, ack);
    data.payload_bytes = 3;
    return data;
}

/* Opens a stack that listens and has one connection; the peer's next byte is PEER_ISS + 1. Returns
 * the number that acknowledges all that the stack has sent. */
static uint32_t open_established(struct fixture *fixture)
{
    struct link *ends[2];
    struct failure failure;
    uint32_t listener;
    struct ip_addr own = {.family = AF_INET, .bytes = {10, 9, 0, 2}};
    struct endpoint address = {.ip = own, .port = OWN_PORT};
    const struct transport_listen_options options = {.backlog = CONNS_MAX};
    memset(fixture, 0, sizeof(*fixture));
    assert_int_equal(link_memory_pair(ends, 1500, 64), 0);
    fixture->peer = ends[1];
    const struct transport_stack_config stack = {.opened = ends[0],
                                                 .addresses = {own, own},
                                                 .prefix_bits = 24,
                                                 .probe_off = true,
                                                 .steer = LINK_STEER_REMOTE_PORT};
    const struct transport_config config = {.engine = TRANSPORT_STACK,
                                            .conns_max = CONNS_MAX,
                                            .listens = true,
                                            .stack = &stack,
                                            .handler = on_event,
                                            .context = fixture};
    if (transport_open(&fixture->transport, &config, &failure) != 0) {
        fail_msg("%s", failure.text);
    }
    assert_int_equal(transport_listen(fixture->transport, &address, &options, &listener, &failure),
                     0);
    run(fixture); /* it announces its address, and so its MAC */
    struct wire_tcp syn = segment(WIRE_SYN, PEER_ISS, 0);
    exchange(fixture, &syn, 1);
    assert_int_equal(fixture->last.flags, WIRE_SYN | WIRE_ACK);
    const uint32_t ack = fixture->last.seq + 1;
    struct wire_tcp established = segment(WIRE_ACK, PEER_ISS + 1, ack);
    exchange(fixture, &established, 1);
    assert_int_equal(fixture->accepted, 1);
    return ack;
}

static void close_fixture(struct fixture *fixture)
{
    transport_destroy(fixture->transport);
    link_destroy(fixture->peer);
}

/* Behind the reset the 4-tuple is free: the SYN opens its next incarnation. Handled before the
 * reset it would get a challenge ACK, and nothing else. What was sent before the reset is read. */
static void test_a_syn_behind_a_reset_opens_the_next_connection(void **state)
{
    (void)state;
    struct fixture fixture;
    uint32_t ack = open_established(&fixture);
    const struct wire_tcp batch[] = {
        three_bytes(ack),
        segment(WIRE_RST | WIRE_ACK, PEER_ISS + 4, ack),
        segment(WIRE_SYN, PEER_ISS + 100000, 0),
    };
    exchange(&fixture, batch, 3);
    assert_int_equal(fixture.received_bytes, 3);
    assert_int_equal(fixture.failed, 1);
    assert_int_equal(fixture.error, ECONNRESET);
    assert_int_equal(fixture.last.flags, WIRE_SYN | WIRE_ACK);
    assert_int_equal(fixture.last.ack, PEER_ISS + 100001);
    struct wire_tcp established = segment(WIRE_ACK, PEER_ISS + 100001, fixture.last.seq + 1);
    exchange(&fixture, &established, 1);
    assert_int_equal(fixture.accepted, 2);
    close_fixture(&fixture);
}

/* Two lives of one 4-tuple in one batch, and another reset behind: each meets what stood there. */
static void test_resets_and_syns_in_turn_are_handled_in_turn(void **state)
{
    (void)state;
    struct fixture fixture;
    uint32_t ack = open_established(&fixture);
    const struct wire_tcp batch[] = {
        segment(WIRE_RST | WIRE_ACK, PEER_ISS + 1, ack),
        segment(WIRE_SYN, PEER_ISS + 100000, 0),
        segment(WIRE_RST, PEER_ISS + 100001, 0),
        segment(WIRE_SYN, PEER_ISS + 200000, 0),
    };
    exchange(&fixture, batch, 4);
    assert_int_equal(fixture.failed, 1);
    assert_int_equal(fixture.last.flags, WIRE_SYN | WIRE_ACK);
    assert_int_equal(fixture.last.ack, PEER_ISS + 200001);
    close_fixture(&fixture);
}

/* A segment behind the reset of its connection finds none, and is answered so. */
static void test_data_behind_a_reset_are_refused(void **state)
{
    (void)state;
    struct fixture fixture;
    uint32_t ack = open_established(&fixture);
    const struct wire_tcp batch[] = {segment(WIRE_RST | WIRE_ACK, PEER_ISS + 1, ack),
                                     three_bytes(ack)};
    exchange(&fixture, batch, 2);
    assert_int_equal(fixture.failed, 1);
    assert_int_equal(fixture.received_bytes, 0);
    assert_int_equal(fixture.resets_seen, 1);
    close_fixture(&fixture);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_syn_behind_a_reset_opens_the_next_connection),
        cmocka_unit_test(test_resets_and_syns_in_turn_are_handled_in_turn),
        cmocka_unit_test(test_data_behind_a_reset_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
