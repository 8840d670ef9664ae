#include "transport/rig_stack.h"

/* cmocka.h asks for these before itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <unistd.h>

#include "transport/veth.h"
#include "wire/wire.h"

#define ROUTER_SLOTS 1024u

struct transport_stack_config rig_stack_looped(struct link **router)
{
    struct link *ends[2];
    assert_int_equal(link_memory_pair(ends, 1500, ROUTER_SLOTS), 0);
    *router = ends[1];
    return (struct transport_stack_config){
        .opened = ends[0],
        .addresses = {{.family = AF_INET, .bytes = {10, 10, 0, 2}},
                      {.family = AF_INET, .bytes = {10, 10, 0, 9}}},
        .link_address = {.family = AF_INET, .bytes = {10, 9, 0, 2}},
        .gateway = {.family = AF_INET, .bytes = {10, 9, 0, 1}},
        .prefix_bits = 24,
        .steer = LINK_STEER_REMOTE_PORT,
        .probe_off = true,
        .time_wait_ns = 1,
    };
}

/* Answers an ARP request for the router, or sends a packet back to where it came from. Returns how
 * long the answer is. */
static uint32_t route(const struct link_frame *frame, uint8_t *answer)
{
    static const struct wire_mac mac = {{2, 0, 0, 0, 0, 9}};
    struct wire_ether ether;
    struct wire_arp arp;
    assert_int_equal(wire_ether_parse(&ether, frame->data, frame->bytes), WIRE_OK);
    struct wire_ether back = {.target = ether.source, .source = mac, .type = ether.type};
    memcpy(answer, frame->data, frame->bytes);
    wire_ether_emit(answer, &back);
    if (ether.type == WIRE_ETHERTYPE_IPV4) {
        return frame->bytes;
    }
    assert_int_equal(wire_arp_parse(&arp, ether.payload, ether.payload_bytes), WIRE_OK);
    struct wire_arp reply = {.operation = WIRE_ARP_REPLY,
                             .sender_mac = mac,
                             .sender_ip = arp.target_ip,
                             .target_mac = arp.sender_mac,
                             .target_ip = arp.sender_ip};
    wire_arp_emit(answer + WIRE_ETHER_BYTES, &reply);
    return arp.target_ip == arp.sender_ip ? 0 : WIRE_ETHER_BYTES + WIRE_ARP_BYTES;
}

void rig_router_run(struct link *router)
{
    struct link_frame frames[LINK_BATCH_MAX];
    struct link_slot slots[LINK_BATCH_MAX];
    size_t room = router != NULL ? link_reserve(router, slots, LINK_BATCH_MAX) : 0;
    if (room == 0) {
        return;
    }
    size_t count = link_receive(router, 0, frames, room);
    size_t sent = 0;
    for (size_t i = 0; i < count; i++) {
        slots[sent].bytes = route(&frames[i], slots[sent].data);
        sent += slots[sent].bytes > 0 ? 1 : 0;
    }
    link_send(router, 0, slots, sent);
    link_release(router);
    assert_int_equal(link_flush(router, 0), 0);
}

struct transport_stack_config rig_stack_on_cable(void)
{
    return (struct transport_stack_config){
        .link = LINK_PACKET,
        .interface = VETH_STACK,
        .addresses = {{.family = AF_INET, .bytes = {10, 9, 0, 2}},
                      {.family = AF_INET, .bytes = {10, 9, 0, 9}}},
        .prefix_bits = 24,
        .probe_off = true,
        .group = (uint32_t)getpid(),
        .steer = LINK_STEER_REMOTE_PORT,
        .receive_slots = 1024,
        .transmit_slots = 512,
    };
}
