/* What the stack engine refuses, each with one clear line, and what it shares a link with: over a
 * veth pair whose one end is the kernel's. */
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
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

static struct transport_stack_config routed(const char *link, const char *first, const char *last)
{
    struct transport_stack_config stack = config_of(first, last);
    stack.probe_off = true;
    if (link != NULL) {
        stack.link_address = ip(link);
    }
    return stack;
}

/* `link` NULL: the range is on the link. */
struct claim_row {
    const char *link, *first, *last;
    const char *common; /* with 10.9.0.20 to .29, or by way of 10.9.0.40 with 10.20.0.0 to .255 */
};

static void try_claim(const struct claim_row *row)
{
    struct transport_stack_config stack = routed(row->link, row->first, row->last);
    struct transport *transport;
    char says[64];
    if (row->common != NULL) {
        snprintf(says, sizeof(says), "%s: another stack on veth1", row->common);
        expect_refused(&stack, EADDRINUSE, says);
        return;
    }
    assert_int_equal(open_stack(&transport, &stack, NULL), 0);
    transport_destroy(transport);
}

static void test_stacks_of_one_interface_have_no_address_in_common(void **state)
{
    (void)state;
    static const struct claim_row rows[] = {
        {NULL, "10.9.0.20", "10.9.0.29", "10.9.0.20"},
        {NULL, "10.9.0.25", "10.9.0.25", "10.9.0.25"},
        {NULL, "10.9.0.2", "10.9.0.20", "10.9.0.20"},
        {NULL, "10.9.0.29", "10.9.0.39", "10.9.0.29"},
        {NULL, "10.9.0.2", "10.9.0.50", "10.9.0.20"},
        {NULL, "10.9.0.40", "10.9.0.40", "10.9.0.40"},
        {"10.9.0.22", "10.30.0.0", "10.30.0.255", "10.9.0.22"},
        {"10.9.0.40", "10.30.0.0", "10.30.0.255", "10.9.0.40"},
        {"10.9.0.41", "10.20.0.255", "10.20.1.255", "10.20.0.255"},
        {"10.9.0.41", "10.9.0.28", "10.9.0.28", "10.9.0.28"},
        {NULL, "10.9.0.2", "10.9.0.19", NULL},
        {NULL, "10.9.0.30", "10.9.0.39", NULL},
        {"10.9.0.41", "10.20.1.0", "10.20.1.255", NULL},
        {"10.9.0.41", "10.9.0.41", "10.9.0.41", NULL},
    };
    struct transport_stack_config near = routed(NULL, "10.9.0.20", "10.9.0.29");
    struct transport_stack_config far = routed("10.9.0.40", "10.20.0.0", "10.20.0.255");
    struct transport *first;
    struct transport *second;
    assert_int_equal(open_stack(&first, &near, NULL), 0);
    assert_int_equal(open_stack(&second, &far, NULL), 0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        try_claim(&rows[i]);
    }
    /* Another interface is another network. */
    struct transport *elsewhere;
    near.interface = VETH_KERNEL;
    assert_int_equal(open_stack(&elsewhere, &near, NULL), 0);
    transport_destroy(elsewhere);
    transport_destroy(second);
    transport_destroy(first);
}

/* A process that has a stack, and says so by a byte. */
static pid_t start_holder(const struct transport_stack_config *stack)
{
    int told[2];
    char byte = 0;
    assert_int_equal(pipe(told), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct transport *transport;
        if (open_stack(&transport, stack, NULL) == 0 && write(told[1], "1", 1) == 1) {
            pause();
        }
        _exit(1);
    }
    close(told[1]);
    assert_int_equal(read(told[0], &byte, 1), 1);
    close(told[0]);
    return child;
}

static void test_a_killed_process_holds_no_addresses(void **state)
{
    (void)state;
    struct transport_stack_config range = routed(NULL, "10.9.0.20", "10.9.0.29");
    struct transport_stack_config one = routed(NULL, "10.9.0.29", "10.9.0.29");
    struct transport *transport;
    pid_t holder = start_holder(&range);
    expect_refused(&one, EADDRINUSE, "10.9.0.29: another stack on veth1");
    assert_int_equal(kill(holder, SIGKILL), 0);
    assert_int_equal(waitpid(holder, NULL, 0), holder);
    assert_int_equal(open_stack(&transport, &one, NULL), 0);
    transport_destroy(transport);
}

/* Of two that start at once at most one has the addresses, whatever their order. */
struct racer {
    const struct transport_stack_config *stack;
    pthread_barrier_t *start;
    struct transport *transport;
    int rc;
};

static void *race(void *argument)
{
    struct racer *racer = argument;
    pthread_barrier_wait(racer->start);
    racer->rc = open_stack(&racer->transport, racer->stack, NULL);
    return NULL;
}

static void test_of_two_that_start_at_once_one_has_the_addresses_at_most(void **state)
{
    (void)state;
    struct transport_stack_config stacks[2] = {routed(NULL, "10.9.0.20", "10.9.0.29"),
                                               routed(NULL, "10.9.0.29", "10.9.0.35")};
    unsigned refused = 0;
    for (unsigned round = 0; round < 20; round++) {
        pthread_barrier_t start;
        struct racer racers[2];
        pthread_t threads[2];
        assert_int_equal(pthread_barrier_init(&start, NULL, 2), 0);
        for (unsigned i = 0; i < 2; i++) {
            racers[i] = (struct racer){.stack = &stacks[i], .start = &start};
            assert_int_equal(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
        }
        for (unsigned i = 0; i < 2; i++) {
            pthread_join(threads[i], NULL);
            refused += racers[i].rc == -EADDRINUSE;
        }
        assert_true(racers[0].rc != 0 || racers[1].rc != 0);
        for (unsigned i = 0; i < 2; i++) {
            if (racers[i].rc == 0) {
                transport_destroy(racers[i].transport);
            }
        }
        pthread_barrier_destroy(&start);
    }
    assert_true(refused >= 20);
}

static void test_a_start_that_is_refused_leaves_an_older_capture_as_it_was(void **state)
{
    (void)state;
    char path[] = "/tmp/finwait-older-XXXXXX";
    char text[16] = "";
    struct transport_stack_config stack = routed(NULL, "10.9.0.20", "10.9.0.29");
    struct transport *first;
    int fd = mkstemp(path);
    assert_int_equal(write(fd, "older", 5), 5);
    assert_int_equal(open_stack(&first, &stack, NULL), 0);
    stack.pcap_path = path;
    expect_refused(&stack, EADDRINUSE, "another stack on veth1");
    assert_int_equal(veth_set_mtu(VETH_KERNEL, 575), 0);
    stack.interface = VETH_KERNEL;
    expect_refused(&stack, EINVAL, "575");
    assert_int_equal(pread(fd, text, sizeof(text), 0), 5);
    assert_string_equal(text, "older");
    transport_destroy(first);
    close(fd);
    unlink(path);
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
        TEST(test_stacks_of_one_interface_have_no_address_in_common),
        TEST(test_a_killed_process_holds_no_addresses),
        TEST(test_of_two_that_start_at_once_one_has_the_addresses_at_most),
        TEST(test_a_start_that_is_refused_leaves_an_older_capture_as_it_was),
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
