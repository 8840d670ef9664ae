#include "stack/ether_fixture.h"

const struct wire_mac our_mac = {{2, 0, 0, 0, 0, 2}};
const struct wire_mac peer_mac = {{2, 0, 0, 0, 0, 1}};
const struct wire_mac other_mac = {{2, 0, 0, 0, 0, 9}};
const struct wire_mac all = {{255, 255, 255, 255, 255, 255}};
const struct wire_mac none = {{0}};

int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    if (f == NULL) {
        return -1;
    }
    const struct ether_config config = {.mac = our_mac,
                                        .address_first = OURS,
                                        .address_last = OURS_LAST,
                                        .prefix_bits = 24,
                                        .gateway = GATEWAY};
    test_memory_init(&f->test, 0);
    f->now_ns = 100 * NS_PER_SEC;
    ether_init(&f->ether, &config, &f->test.memory, f->now_ns);
    *state = f;
    return 0;
}

int tear_down(void **state)
{
    struct fixture *f = *state;
    ether_release(&f->ether);
    test_memory_check_empty(&f->test);
    assert_int_equal(f->ether.waiting_bytes, 0);
    assert_int_equal(f->ether.arp_count, 0);
    assert_int_equal(f->ether.neighbour_count, 0);
    free(f);
    return 0;
}

uint64_t counted(const struct fixture *f, enum ether_counter counter)
{
    return f->ether.counters[counter];
}

void assert_mac(const struct wire_mac *got, const struct wire_mac *expected)
{
    assert_memory_equal(got->bytes, expected->bytes, sizeof(got->bytes));
}

/* Sends a packet of 20 bytes and a mark to `target`. */
enum ether_sent send_marked(struct fixture *f, uint32_t target, uint8_t mark)
{
    const struct wire_ipv4 ip = {.source = OURS, .target = target, .protocol = 6, .ttl = 64};
    uint8_t *packet = f->frame + WIRE_ETHER_BYTES;
    memset(f->frame, 0xa5, WIRE_ETHER_BYTES);
    wire_ipv4_emit(packet, &ip, 1);
    packet[WIRE_IPV4_BYTES] = mark;
    f->frame_bytes = WIRE_ETHER_BYTES + WIRE_IPV4_BYTES + 1;
    return ether_output(&f->ether, f->frame, WIRE_IPV4_BYTES + 1);
}

void fetch(struct fixture *f)
{
    memset(f->frame, 0, 100);
    f->frame_bytes = ether_fetch(&f->ether, f->frame);
}

void expect_nothing(struct fixture *f)
{
    fetch(f);
    assert_int_equal(f->frame_bytes, 0);
}

/* Requires that the frame at hand is our packet with this mark, to this station. */
void check_packet(const struct fixture *f, const struct wire_mac *to, uint8_t mark)
{
    struct wire_ether ether;
    assert_int_equal(wire_ether_parse(&ether, f->frame, f->frame_bytes), WIRE_OK);
    assert_int_equal(ether.type, WIRE_ETHERTYPE_IPV4);
    assert_mac(&ether.target, to);
    assert_mac(&ether.source, &our_mac);
    assert_int_equal(ether.payload_bytes, WIRE_IPV4_BYTES + 1);
    assert_int_equal(ether.payload[WIRE_IPV4_BYTES], mark);
}

void expect_packet(struct fixture *f, const struct wire_mac *to, uint8_t mark)
{
    fetch(f);
    check_packet(f, to, mark);
}

/* Fetches a frame, which must be an ARP packet of ours to `to`. */
void expect_arp(struct fixture *f, const struct wire_mac *to, const struct wire_arp *arp)
{
    struct wire_ether ether;
    struct wire_arp got;
    fetch(f);
    assert_int_equal(f->frame_bytes, WIRE_ETHER_BYTES + WIRE_ARP_BYTES);
    assert_int_equal(wire_ether_parse(&ether, f->frame, f->frame_bytes), WIRE_OK);
    assert_int_equal(ether.type, WIRE_ETHERTYPE_ARP);
    assert_mac(&ether.target, to);
    assert_mac(&ether.source, &our_mac);
    assert_int_equal(wire_arp_parse(&got, ether.payload, ether.payload_bytes), WIRE_OK);
    assert_int_equal(got.operation, arp->operation);
    assert_mac(&got.sender_mac, &our_mac);
    assert_int_equal(got.sender_ip, arp->sender_ip);
    assert_mac(&got.target_mac, &arp->target_mac);
    assert_int_equal(got.target_ip, arp->target_ip);
}

void expect_request(struct fixture *f, uint32_t target)
{
    expect_arp(
        f, &all,
        &(struct wire_arp){.operation = WIRE_ARP_REQUEST, .sender_ip = OURS, .target_ip = target});
}

/* An ARP packet comes in. */
void receive_arp(struct fixture *f, struct wire_arp arp, const struct wire_mac *to)
{
    uint8_t frame[WIRE_ETHER_BYTES + WIRE_ARP_BYTES];
    const uint8_t *packet;
    size_t bytes;
    const struct wire_ether ether = {
        .target = *to, .source = arp.sender_mac, .type = WIRE_ETHERTYPE_ARP};
    wire_ether_emit(frame, &ether);
    wire_arp_emit(frame + WIRE_ETHER_BYTES, &arp);
    assert_false(ether_input(&f->ether, frame, sizeof(frame), &packet, &bytes));
}

void receive_reply(struct fixture *f, uint32_t sender, const struct wire_mac *mac)
{
    receive_arp(f,
                (struct wire_arp){.operation = WIRE_ARP_REPLY,
                                  .sender_mac = *mac,
                                  .sender_ip = sender,
                                  .target_mac = our_mac,
                                  .target_ip = OURS},
                &our_mac);
}

void receive_request(struct fixture *f, uint32_t sender, uint32_t target)
{
    receive_arp(f,
                (struct wire_arp){.operation = WIRE_ARP_REQUEST,
                                  .sender_mac = peer_mac,
                                  .sender_ip = sender,
                                  .target_ip = target},
                &all);
}

void advance(struct fixture *f, uint64_t by_ns)
{
    f->now_ns += by_ns;
    ether_advance(&f->ether, f->now_ns);
}

/* Makes a neighbour known. */
void meet(struct fixture *f, uint32_t address, const struct wire_mac *mac)
{
    assert_int_equal(send_marked(f, address, 0), ETHER_WAITS);
    expect_request(f, address);
    receive_reply(f, address, mac);
    expect_packet(f, mac, 0);
    expect_nothing(f);
}

void widen(struct fixture *f)
{
    f->ether.config.prefix_bits = 8; /* room for many neighbours */
}
