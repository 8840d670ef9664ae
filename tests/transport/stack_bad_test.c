/* What the stack engine refuses, each with one clear line, and what it shares a link with: over a
 * veth pair whose one end is the kernel's. */
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/lab/netns.h"
#include "transport/stack_pair.h"
#include "transport/veth.h"

/* Every test has a namespace of its own. */
static int set_up(void **state)
{
    (void)state;
    return unshare(CLONE_NEWNET) == 0 ? veth_lay() : -1;
}

static struct ip_addr ip(const char *text)
{
    struct ip_addr address;
    assert_int_equal(ip_parse(&address, text, NULL), 0);
    return address;
}

static struct transport_stack_config config_of(const char *first, const char *last)
{
    return (struct transport_stack_config){
        .link = LINK_PACKET,
        .interface = VETH_STACK,
        .addresses = {ip(first), ip(last)},
        .prefix_bits = 24,
        .steer = LINK_STEER_REMOTE_PORT,
    };
}

static int open_stack(struct transport **transport, const struct transport_stack_config *stack,
                      struct failure *failure)
{
    struct transport_config config = {
        .engine = TRANSPORT_STACK, .conns_max = 4, .stack = stack, .handler = pair_ignore};
    return transport_open(transport, &config, failure);
}

static void expect_refused(const struct transport_stack_config *stack, int error, const char *says)
{
    struct transport *transport;
    struct failure failure = {.error = 0};
    assert_int_equal(open_stack(&transport, stack, &failure), -error);
    print_message("%s\n", failure.text);
    if (strstr(failure.text, says) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", failure.text, says);
    }
    assert_null(strchr(failure.text, '\n'));
}

static void test_addresses_that_cannot_be_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *first, *last;
        int error;
        const char *says;
    } rows[] = {
        {"fd00::1", "fd00::1", EAFNOSUPPORT, "fd00::1"},
        {"127.0.0.1", "127.0.0.1", EINVAL, "127.0.0.1"},
        {"224.0.0.1", "224.0.0.1", EINVAL, "224.0.0.1"},
        {"0.0.0.0", "0.0.0.0", EINVAL, "0.0.0.0"},
        {"10.9.0.0", "10.9.0.0", EINVAL, "10.9.0.0"},
        {"10.9.0.2", "10.9.0.255", EINVAL, "10.9.0.255"},
        {"10.9.0.2", "10.9.1.9", EINVAL, "10.9.1.9"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct transport_stack_config stack = config_of(rows[i].first, rows[i].last);
        expect_refused(&stack, rows[i].error, rows[i].says);
    }
}

static void test_gateways_prefixes_macs_and_workers_that_cannot_be_are_refused(void **state)
{
    (void)state;
    struct transport_stack_config plain = config_of("10.9.0.2", "10.9.0.2");
    struct transport_stack_config stack = plain;
    stack.gateway = ip("10.8.0.1");
    expect_refused(&stack, EINVAL, "10.8.0.1 is not on the link of 10.9.0.2/24");
    stack.gateway = ip("10.9.0.2");
    expect_refused(&stack, EINVAL, "own address");
    stack = plain;
    stack.prefix_bits = 33;
    expect_refused(&stack, EINVAL, "/33");
    stack = plain;
    stack.mac_given = true;
    stack.mac[0] = 1;
    expect_refused(&stack, EINVAL, "01:00:00:00:00:00");
    stack = plain;
    stack.worker = stack.workers = 2;
    expect_refused(&stack, EINVAL, "worker 2 of 2");
    stack = plain;
    stack.ports = (struct port_range){50000, 50001};
    stack.workers = 3;
    expect_refused(&stack, EINVAL, "50000-50001");
    stack = plain;
    stack.time_wait_ns = UINT64_MAX;
    expect_refused(&stack, EINVAL, "out of its range");
}

static void test_an_interface_that_is_not_there_is_refused(void **state)
{
    (void)state;
    struct transport_stack_config stack = config_of("10.9.0.2", "10.9.0.2");
    stack.interface = "nothere0";
    expect_refused(&stack, ENODEV, "nothere0");
}

static void test_an_interface_that_is_down_is_refused(void **state)
{
    (void)state;
    struct transport_stack_config stack = config_of("10.9.0.2", "10.9.0.2");
    assert_int_equal(veth_set_up(VETH_STACK, false), 0);
    expect_refused(&stack, ENETDOWN, "veth1");
}

static void test_an_address_of_the_kernels_is_refused(void **state)
{
    (void)state;
    struct transport_stack_config stack = config_of("10.9.0.1", "10.9.0.1");
    expect_refused(&stack, EADDRINUSE, "10.9.0.1 is the kernel's own");
    stack = config_of("10.10.0.2", "10.10.0.9"); /* a routed range behind such an address */
    stack.link_address = ip("10.9.0.1");
    expect_refused(&stack, EADDRINUSE, "10.9.0.1 is the kernel's own");
}

static void test_an_mtu_too_small_is_refused(void **state)
{
    (void)state;
    struct transport_stack_config stack = config_of("10.9.0.2", "10.9.0.2");
    assert_int_equal(veth_set_mtu(VETH_STACK, 575), 0);
    expect_refused(&stack, EINVAL, "575");
    assert_int_equal(veth_set_mtu(VETH_STACK, 576), 0);
    struct transport *transport;
    assert_int_equal(open_stack(&transport, &stack, NULL), 0);
    transport_destroy(transport);
}

/* Another stack at the cable's other end, in a thread, which answers ARP until it is told to end.
 */
struct station {
    struct transport_stack_config stack;
    struct transport *transport;
    atomic_int open; /* 0: not yet, 1: open, -1: failed */
    atomic_bool ends;
};

static void *station_run(void *argument)
{
    struct station *station = argument;
    if (open_stack(&station->transport, &station->stack, NULL) != 0) {
        station->open = -1;
        return NULL;
    }
    station->open = 1;
    while (!station->ends) {
        transport_poll(station->transport, clock_now_ns() + 5 * NS_PER_MS);
    }
    transport_destroy(station->transport);
    return NULL;
}

static void test_an_address_that_another_station_has_is_refused(void **state)
{
    (void)state;
    struct station station = {.stack = config_of("10.9.0.5", "10.9.0.5")};
    struct transport_stack_config stack = config_of("10.9.0.2", "10.9.0.9");
    pthread_t thread;
    station.stack.interface = VETH_KERNEL;
    station.stack.probe_off = true;
    station.stack.mac_given = true;
    memcpy(station.stack.mac, (const uint8_t[]){2, 0, 0, 0, 0, 0x77}, 6);
    assert_int_equal(pthread_create(&thread, NULL, station_run, &station), 0);
    while (station.open == 0) {
        usleep(1000);
    }
    assert_int_equal(station.open, 1);
    expect_refused(&stack, EADDRINUSE, "10.9.0.5: the station 02:00:00:00:00:77");
    station.ends = true;
    pthread_join(thread, NULL);
    struct transport *transport; /* once it has gone, the address is free */
    assert_int_equal(open_stack(&transport, &stack, NULL), 0);
    transport_destroy(transport);
}

static void test_a_second_stack_on_one_interface_is_refused_until_the_first_ends(void **state)
{
    (void)state;
    struct transport_stack_config stack = config_of("10.9.0.2", "10.9.0.2");
    struct transport *first;
    struct transport *second;
    stack.probe_off = true;
    assert_int_equal(open_stack(&first, &stack, NULL), 0);
    expect_refused(&stack, EADDRINUSE, "10.9.0.2: another stack on veth1");
    transport_destroy(first);
    assert_int_equal(open_stack(&second, &stack, NULL), 0);
    transport_destroy(second);
}

/* ARP's entry in the kernel says which MAC the stack has. */
static void expect_mac(const struct transport_stack_config *stack, const char *mac)
{
    struct transport *transport;
    char line[256];
    char seen[64] = "";
    assert_int_equal(open_stack(&transport, stack, NULL), 0);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in target = {.sin_family = AF_INET, .sin_port = htons(9)};
    target.sin_addr.s_addr = htonl(0x0a090002);
    assert_int_equal(sendto(fd, "x", 1, 0, (struct sockaddr *)&target, sizeof(target)), 1);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(transport_poll(transport, clock_now_ns() + 5 * NS_PER_MS), 0);
    }
    FILE *file = fopen("/proc/net/arp", "r");
    assert_non_null(file);
    while (fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, "10.9.0.2 ", 9) == 0) {
            assert_int_equal(sscanf(line, "%*s %*s %*s %63s", seen), 1);
        }
    }
    fclose(file);
    close(fd);
    transport_destroy(transport);
    if (mac != NULL) {
        assert_string_equal(seen, mac);
    } else {
        assert_int_equal(strtoul(seen, NULL, 16) & 3, 2); /* locally administered, of one station */
    }
}

static void test_the_stack_has_a_mac_of_its_own_the_interfaces_or_the_one_given(void **state)
{
    (void)state;
    struct transport_stack_config stack = config_of("10.9.0.2", "10.9.0.2");
    struct link_interface interface;
    char own[18];
    stack.probe_off = true;
    assert_int_equal(link_interface_read(VETH_STACK, &interface, NULL), 0);
    const uint8_t *mac = interface.mac;
    snprintf(own, sizeof(own), "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3],
             mac[4], mac[5]);
    expect_mac(&stack, NULL);
    stack.mac_of_interface = true;
    expect_mac(&stack, own);
    stack.mac_given = true;
    memcpy(stack.mac, (const uint8_t[]){2, 0, 0, 0, 0, 0x55}, 6);
    expect_mac(&stack, "02:00:00:00:00:55");
}

static void test_auto_never_takes_the_stack(void **state)
{
    (void)state;
    enum transport_engine chosen;
    struct failure failure;
    assert_int_equal(transport_choose(TRANSPORT_AUTO, &chosen, 0, &failure), 0);
    assert_true(chosen != TRANSPORT_STACK);
    assert_int_equal(transport_choose(TRANSPORT_STACK, &chosen, 0, &failure), 0);
    assert_int_equal(chosen, TRANSPORT_STACK);
    assert_string_equal(transport_engine_name(chosen), "stack");
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(test_addresses_that_cannot_be_are_refused),
        TEST(test_gateways_prefixes_macs_and_workers_that_cannot_be_are_refused),
        TEST(test_an_interface_that_is_not_there_is_refused),
        TEST(test_an_interface_that_is_down_is_refused),
        TEST(test_an_address_of_the_kernels_is_refused),
        TEST(test_an_mtu_too_small_is_refused),
        TEST(test_an_address_that_another_station_has_is_refused),
        TEST(test_a_second_stack_on_one_interface_is_refused_until_the_first_ends),
        TEST(test_the_stack_has_a_mac_of_its_own_the_interfaces_or_the_one_given),
        TEST(test_auto_never_takes_the_stack),
    };
    struct failure failure;
    if (netns_enter_holder(&failure) != 0) {
        print_message("%s: skipped\n", failure.text);
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
