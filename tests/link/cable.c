#include "link/cable.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "bench/lab/netns.h"
#include "bench/lab/rtnl.h"
#include "wire/wire.h"

#define PATIENCE_MS 5000
#define PROTOCOL_TEST 253u /* RFC 3692: for experiments and testing */
#define NUMBER_AT (WIRE_ETHER_BYTES + WIRE_IPV4_BYTES)
#define FILL_AT (NUMBER_AT + 4)

void cable_make(struct cable *cable)
{
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(unshare(CLONE_NEWNET), 0);
        cable->netns[i] = netns_open_own();
        assert_true(cable->netns[i] >= 0);
    }
    cable_enter(cable, 0);
    const int fd = rtnl_open();
    assert_true(fd >= 0);
    const struct rtnl_veth veth = {
        .name = CABLE_INTERFACE, .peer_name = CABLE_INTERFACE, .peer_netns_fd = cable->netns[1]};
    assert_int_equal(rtnl_add_veth(fd, &veth), 0);
    close(fd);
    cable_set_up(cable, 0, true);
    cable_set_up(cable, 1, true);
}

void cable_close(struct cable *cable)
{
    close(cable->netns[0]);
    close(cable->netns[1]);
}

void cable_enter(const struct cable *cable, int end)
{
    assert_int_equal(netns_enter(cable->netns[end]), 0);
}

static void interface_ask(unsigned long what, const void *request)
{
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(ioctl(fd, what, request), 0);
    close(fd);
}

void cable_set_up(const struct cable *cable, int end, bool up)
{
    struct ifreq request = {.ifr_name = CABLE_INTERFACE, .ifr_flags = up ? IFF_UP : 0};
    cable_enter(cable, end);
    interface_ask(SIOCSIFFLAGS, &request);
}

void cable_give_kernel(const struct cable *cable, int end, const uint8_t *other_mac)
{
    cable_enter(cable, end);
    const int fd = rtnl_open();
    assert_true(fd >= 0);
    const struct rtnl_prefix own = {{AF_INET, {10, 9, 0, (uint8_t)(1 + end)}, 0}, 24};
    assert_int_equal(rtnl_add_address(fd, CABLE_INTERFACE, &own), 0);
    close(fd);
    cable_add_neighbour(cable_address(1 - end), other_mac);
}

void cable_add_neighbour(uint32_t address, const uint8_t *mac)
{
    struct arpreq neighbour = {.arp_flags = ATF_PERM | ATF_COM, .arp_dev = CABLE_INTERFACE};
    const struct sockaddr_in ip = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(address)};
    memcpy(&neighbour.arp_pa, &ip, sizeof(ip));
    neighbour.arp_ha.sa_family = ARPHRD_ETHER;
    memcpy(neighbour.arp_ha.sa_data, mac, 6);
    interface_ask(SIOCSARP, &neighbour);
}

struct link *cable_open(const struct cable *cable, int end, const struct link_config *config)
{
    struct link_config whole = *config;
    struct failure failure = {.text = ""};
    struct link *link = NULL;
    whole.interface = whole.interface == NULL ? CABLE_INTERFACE : whole.interface;
    if (whole.address_first == 0) {
        whole.address_first = whole.address_last = cable_address(end);
    }
    cable_enter(cable, end);
    if (link_open(&link, &whole, &failure) < 0) {
        fail_msg("%s", failure.text);
    }
    return link;
}

bool cable_allows_xdp(void)
{
    struct cable cable;
    struct link *link = NULL;
    const struct link_config config = {.kind = LINK_XDP, .interface = CABLE_INTERFACE};
    cable_make(&cable);
    const int error = link_open(&link, &config, NULL);
    link_destroy(link);
    cable_close(&cable);
    return error != -EPERM;
}

struct link_interface cable_interface(const struct cable *cable, int end)
{
    struct link_interface interface;
    cable_enter(cable, end);
    assert_int_equal(link_interface_read(CABLE_INTERFACE, &interface, NULL), 0);
    return interface;
}

static uint8_t fill_at(uint32_t number, uint32_t place)
{
    return (uint8_t)(number * 31 + place * 7);
}

void frame_write(uint8_t *frame, const struct frame_plan *plan)
{
    struct wire_ether ether = {.source = {{2, 0, 0, 0, 0, 9}}, .type = WIRE_ETHERTYPE_IPV4};
    memcpy(ether.target.bytes, plan->target_mac, 6);
    wire_ether_emit(frame, &ether);
    const struct wire_ipv4 ip = {.source = CABLE_NETWORK + 99,
                                 .target = plan->target_address,
                                 .protocol = PROTOCOL_TEST,
                                 .ttl = 64};
    wire_ipv4_emit(frame + WIRE_ETHER_BYTES, &ip, plan->bytes - NUMBER_AT);
    memcpy(frame + NUMBER_AT, &plan->number, sizeof(plan->number));
    for (uint32_t i = FILL_AT; i < plan->bytes; i++) {
        frame[i] = fill_at(plan->number, i);
    }
}

uint32_t frame_number(const struct link_frame *frame)
{
    uint32_t number = UINT32_MAX;
    if (frame->bytes >= CABLE_FRAME_MIN && frame->data[12] == 8 && frame->data[13] == 0 &&
        frame->data[WIRE_ETHER_BYTES + 9] == PROTOCOL_TEST) {
        memcpy(&number, frame->data + NUMBER_AT, sizeof(number));
    }
    return number;
}

void frame_check(const struct link_frame *frame, const struct frame_plan *plan)
{
    assert_int_equal(frame_number(frame), plan->number);
    assert_int_equal(frame->bytes, plan->bytes);
    assert_memory_equal(frame->data, plan->target_mac, 6);
    for (uint32_t i = FILL_AT; i < plan->bytes; i++) {
        if (frame->data[i] != fill_at(plan->number, i)) {
            fail_msg("frame %u: byte %u is wrong", plan->number, i);
        }
    }
}

uint32_t frame_length(uint32_t number, uint32_t max)
{
    return CABLE_FRAME_MIN + number * 37 % (max - CABLE_FRAME_MIN + 1);
}

bool frame_send(struct link *link, const struct frame_plan *plan, bool flush)
{
    struct link_slot slot;
    if (link_reserve(link, &slot, 1) == 0) {
        return false;
    }
    frame_write(slot.data, plan);
    slot.bytes = plan->bytes;
    link_send(link, clock_now_ns(), &slot, 1);
    if (flush) {
        assert_int_equal(link_flush(link, clock_now_ns()), 0);
    }
    return true;
}

bool link_wait(struct link *link)
{
    int fds[LINK_FDS_MAX];
    struct pollfd polled[LINK_FDS_MAX];
    const size_t count = link_fds(link, fds);
    for (size_t i = 0; i < count; i++) {
        polled[i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
    }
    return poll(polled, count, PATIENCE_MS) > 0;
}

uint32_t drain_in_order(struct link *link, const struct drain *drain)
{
    struct link_frame frames[LINK_BATCH_MAX];
    struct frame_plan plan = drain->plan;
    uint32_t received = 0;
    while (received < drain->wanted) {
        const size_t count = link_receive(link, clock_now_ns(), frames, LINK_BATCH_MAX);
        for (size_t i = 0; i < count; i++) {
            plan.bytes = frame_length(plan.number, drain->length_max);
            frame_check(&frames[i], &plan);
            plan.number++;
        }
        link_release(link);
        received += (uint32_t)count;
        if (count == 0 && !link_wait(link)) {
            break;
        }
    }
    return received;
}

uint64_t link_counter_read(struct link *link, enum link_counter counter)
{
    return link_counters(link).values[counter];
}
