/* What happens to a link around it: interfaces that go down, come back or go for good, rules that
 * let nothing pass, rights given up, devices and addresses that it must not take. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "link/cable.h"
#include "tcpstat/namespace.h"

#define FRAME_BYTES 200u

struct rig {
    struct cable cable;
    struct link *ends[2];
};

static int set_up(void **state)
{
    struct rig *rig = *state;
    cable_make(&rig->cable);
    for (int i = 0; i < 2; i++) {
        rig->ends[i] = cable_open(&rig->cable, i, &(struct link_config){.kind = LINK_PACKET});
    }
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

static struct frame_plan plan_to_second(const struct rig *rig, uint32_t number)
{
    return (struct frame_plan){.target_mac = link_interface_of(rig->ends[1])->mac,
                               .target_address = cable_address(1),
                               .number = number,
                               .bytes = frame_length(number, FRAME_BYTES)};
}

static void queue(const struct rig *rig, uint32_t first, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct frame_plan plan = plan_to_second(rig, first + i);
        assert_true(frame_send(rig->ends[0], &plan, false));
    }
}

static void expect(const struct rig *rig, uint32_t first, uint32_t count)
{
    const struct drain drain = {
        .plan = plan_to_second(rig, first), .length_max = FRAME_BYTES, .wanted = count};
    assert_int_equal(drain_in_order(rig->ends[1], &drain), count);
}

static void what_is_queued_while_the_interface_is_down_leaves_when_it_is_up(void **state)
{
    const struct rig *rig = *state;
    struct link *link = rig->ends[0];
    queue(rig, 0, 10);
    assert_int_equal(link_flush(link, 1), 0);
    expect(rig, 0, 10);
    cable_set_up(&rig->cable, 0, false);
    assert_int_equal(link_flush(link, 2), 0); /* nothing waits, so nothing was tried */
    queue(rig, 10, 10);
    assert_int_equal(link_flush(link, NS_PER_SEC), -ENETDOWN);
    assert_in_range(link_deadline_ns(link), NS_PER_SEC + 1, 2 * NS_PER_SEC);
    assert_int_equal(link_flush(link, 2 * NS_PER_SEC), -ENETDOWN);
    assert_int_equal(link_counter_read(link, LINK_COUNTER_interface_down), 2);
    cable_set_up(&rig->cable, 0, true);
    assert_int_equal(link_flush(link, 3 * NS_PER_SEC), 0);
    assert_true(link_deadline_ns(link) == CLOCK_NEVER);
    expect(rig, 10, 10);
}

/* The calls of a loop that turns every 100 us for a second while the interface is down. */
static uint64_t count_calls_while_down(const struct rig *rig, struct link *link, uint32_t first)
{
    const uint64_t before = link_counter_read(link, LINK_COUNTER_transmit_calls);
    uint64_t now_ns = NS_PER_SEC;
    for (uint32_t turn = 0; turn < 10000; turn++) {
        if (turn < 100) { /* what comes to it meanwhile changes nothing */
            const struct frame_plan plan = plan_to_second(rig, first + turn);
            assert_true(frame_send(link, &plan, false));
        }
        assert_int_equal(link_flush(link, now_ns), -ENETDOWN);
        assert_in_range(link_deadline_ns(link), now_ns + 1, now_ns + NS_PER_SEC / 10);
        now_ns += NS_PER_SEC / 10000;
    }
    return link_counter_read(link, LINK_COUNTER_transmit_calls) - before;
}

static void an_interface_that_is_down_is_asked_again_only_now_and_then(void **state)
{
    const struct rig *rig = *state;
    struct link *link = rig->ends[0];
    cable_set_up(&rig->cable, 0, false);
    const uint64_t calls = count_calls_while_down(rig, link, 0);
    assert_in_range(calls, 10, 110);
    assert_int_equal(link_counter_read(link, LINK_COUNTER_interface_down), calls);
    cable_set_up(&rig->cable, 0, true);
    assert_int_equal(link_flush(link, link_deadline_ns(link)), 0);
    expect(rig, 0, 100);
}

/* With faults over it the link may be full while they hold more: they wait for the link's time. */
static void faults_over_an_interface_that_is_down_wait_for_it(void **state)
{
    struct rig *rig = *state;
    struct link *over = NULL;
    cable_set_up(&rig->cable, 0, false);
    assert_int_equal(link_faults_open(&over, rig->ends[0], &(struct link_faults){.seed = 1}), 0);
    rig->ends[0] = over;
    for (uint32_t i = 0; i < 2 * LINK_BATCH_MAX; i++) {
        const struct frame_plan plan = plan_to_second(rig, i);
        assert_true(frame_send(over, &plan, false));
    }
    const uint64_t now_ns = clock_now_ns(); /* as frame_send has it */
    assert_int_equal(link_flush(over, now_ns), -ENETDOWN);
    assert_in_range(link_deadline_ns(over), now_ns + 1, now_ns + NS_PER_SEC);
    cable_set_up(&rig->cable, 0, true);
    /* The first empties the link below, and so makes room for the rest, which is due at once. */
    for (int turn = 0; turn < 2; turn++) {
        assert_int_equal(link_flush(over, now_ns + NS_PER_SEC), 0);
        assert_true(link_deadline_ns(over) <= now_ns || turn == 1);
    }
    assert_true(link_deadline_ns(over) == CLOCK_NEVER);
    expect(rig, 0, 2 * LINK_BATCH_MAX);
}

/* A pending error makes poll return at once; a loop that receives in vain must get rid of it. */
static void a_receiver_waits_again_after_its_interface_went_down(void **state)
{
    const struct rig *rig = *state;
    struct link *link = rig->ends[1];
    int fds[LINK_FDS_MAX];
    cable_set_up(&rig->cable, 1, false);
    const size_t count = link_fds(link, fds);
    bool waits = false;
    for (int turn = 0; turn < 200 && !waits; turn++) {
        struct pollfd polled[LINK_FDS_MAX];
        struct link_frame frame;
        for (size_t i = 0; i < count; i++) {
            polled[i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
        }
        waits = poll(polled, count, 0) == 0;
        assert_int_equal(link_receive(link, 0, &frame, 1), 0);
        link_release(link);
    }
    assert_true(waits);
    assert_int_equal(link_counter_read(link, LINK_COUNTER_interface_down), 1);
    cable_set_up(&rig->cable, 1, true);
    queue(rig, 0, 5);
    assert_int_equal(link_flush(rig->ends[0], 0), 0);
    expect(rig, 0, 5);
}

static void an_interface_that_is_gone_is_down(void **state)
{
    const struct rig *rig = *state;
    close(rig->cable.netns[1]);
    link_destroy(rig->ends[1]); /* the last that held that end's namespace, but for us: */
    cable_enter(&rig->cable, 0);
    /* The veth pair goes with its namespace, which the kernel takes down in its own time. */
    const uint64_t patience_ns = clock_now_ns() + 10 * NS_PER_SEC;
    while (if_nametoindex(CABLE_INTERFACE) != 0 && clock_now_ns() < patience_ns) {
        poll(NULL, 0, 1);
    }
    assert_int_equal(if_nametoindex(CABLE_INTERFACE), 0);
    struct link_slot slot;
    assert_int_equal(link_reserve(rig->ends[0], &slot, 1), 1);
    memset(slot.data, 1, 60);
    slot.bytes = 60;
    link_send(rig->ends[0], 0, &slot, 1);
    assert_int_equal(link_flush(rig->ends[0], 0), -ENETDOWN);
}

static int tear_down_first(void **state)
{
    struct rig *rig = *state;
    link_destroy(rig->ends[0]);
    close(rig->cable.netns[0]);
    return 0;
}

static void set_mtu(const struct rig *rig, int mtu_bytes)
{
    cable_enter(&rig->cable, 0);
    struct ifreq request = {.ifr_name = CABLE_INTERFACE, .ifr_mtu = mtu_bytes};
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(ioctl(fd, SIOCSIFMTU, &request), 0);
    close(fd);
}

static void frames_too_long_for_a_smaller_mtu_are_counted_and_block_nothing(void **state)
{
    const struct rig *rig = *state;
    set_mtu(rig, 600);
    struct frame_plan plan = plan_to_second(rig, 0);
    plan.bytes = 1000;
    assert_true(frame_send(rig->ends[0], &plan, false));
    queue(rig, 1, 3);
    assert_int_equal(link_flush(rig->ends[0], 0), 0);
    expect(rig, 1, 3);
    assert_int_equal(link_counter_read(rig->ends[0], LINK_COUNTER_transmit_refused_bytes), 1000);
}

/* A program that is started tells whether it has any capability: inheritable, permitted, effective,
 * ambient. */
#define HAS_NO_RIGHTS "test $(grep -cE '^Cap(Inh|Prm|Eff|Amb):.0+$' /proc/self/status) = 4"

/* The child of the next test. Ends as a program of its own, or returns what was wrong. */
static int use_link_without_rights(const struct rig *rig)
{
    struct failure failure = {.text = ""};
    struct link *another;
    const struct link_config config = {.interface = CABLE_INTERFACE};
    cable_enter(&rig->cable, 0);
    if (link_drop_rights(&failure) != 0) {
        return 2;
    }
    if (link_open(&another, &config, &failure) != -EPERM ||
        strstr(failure.text, "CAP_NET_RAW") == NULL) {
        return 3;
    }
    const struct frame_plan plan = plan_to_second(rig, 3);
    if (!frame_send(rig->ends[0], &plan, false) || link_flush(rig->ends[0], 0) != 0) {
        return 4;
    }
    execlp("sh", "sh", "-c", HAS_NO_RIGHTS, NULL);
    return 5;
}

static void a_link_is_used_but_not_opened_without_rights(void **state)
{
    const struct rig *rig = *state;
    int status = -1;
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        _exit(use_link_without_rights(rig));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    expect(rig, 3, 1);
}

static int open_first(void *context, struct failure *failure)
{
    struct link **opened = context;
    return link_open(opened, &(struct link_config){.interface = CABLE_INTERFACE}, failure);
}

static void a_call_without_rights_leaves_its_caller_with_them(void **state)
{
    const struct rig *rig = *state;
    struct failure failure = {.text = ""};
    struct link *link;
    cable_enter(&rig->cable, 0);
    assert_int_equal(link_call_without_rights(open_first, &link, &failure), -EPERM);
    assert_non_null(strstr(failure.text, "CAP_NET_RAW"));
    assert_int_equal(open_first(&link, &failure), 0);
    link_destroy(link);
}

static void refused(const char *interface, int error, const char *text)
{
    struct failure failure = {.text = ""};
    struct link *link;
    const struct link_config config = {.interface = interface};
    assert_int_equal(link_open(&link, &config, &failure), -error);
    assert_non_null(strstr(failure.text, interface));
    assert_non_null(strstr(failure.text, text));
}

static void devices_that_carry_no_ethernet_are_refused(void **state)
{
    (void)state;
    refused("lo", EINVAL, "not an Ethernet device");
    const int tun = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
    struct ifreq request = {.ifr_name = "tun0", .ifr_flags = IFF_TUN | IFF_NO_PI};
    if (tun < 0 || ioctl(tun, TUNSETIFF, &request) < 0) {
        skip(); /* no right to open it, or no such driver */
    }
    refused("tun0", EINVAL, "not an Ethernet device");
    close(tun);
}

static void a_link_is_not_opened_on_an_interface_that_is_down(void **state)
{
    const struct rig *rig = *state;
    cable_set_up(&rig->cable, 1, false);
    refused(CABLE_INTERFACE, ENETDOWN, "ip link set");
}

static void an_address_that_the_kernel_owns_is_found(void **state)
{
    const struct rig *rig = *state;
    uint32_t owned = 0;
    cable_enter(&rig->cable, 0);
    assert_int_equal(link_kernel_owns(0, UINT32_MAX, &owned, NULL), 0); /* lo is down */
    cable_give_kernel(&rig->cable, 0, link_interface_of(rig->ends[1])->mac);
    assert_int_equal(link_kernel_owns(CABLE_NETWORK, CABLE_NETWORK + 255, &owned, NULL), 1);
    assert_int_equal(owned, cable_address(0));
    assert_int_equal(link_kernel_owns(owned, owned, &owned, NULL), 1);
    assert_int_equal(link_kernel_owns(owned + 1, UINT32_MAX, &owned, NULL), 0);
    assert_int_equal(link_kernel_owns(0, owned - 1, &owned, NULL), 0);
}

int main(void)
{
    if (!namespace_enter_or_tell()) {
        return EXIT_SKIPPED;
    }
    struct rig rig = {.ends = {NULL, NULL}};
#define LINK_TEST(test) cmocka_unit_test_prestate_setup_teardown(test, set_up, tear_down, &rig)
    const struct CMUnitTest tests[] = {
        LINK_TEST(what_is_queued_while_the_interface_is_down_leaves_when_it_is_up),
        LINK_TEST(an_interface_that_is_down_is_asked_again_only_now_and_then),
        LINK_TEST(faults_over_an_interface_that_is_down_wait_for_it),
        LINK_TEST(a_receiver_waits_again_after_its_interface_went_down),
        LINK_TEST(frames_too_long_for_a_smaller_mtu_are_counted_and_block_nothing),
        LINK_TEST(a_link_is_used_but_not_opened_without_rights),
        LINK_TEST(a_call_without_rights_leaves_its_caller_with_them),
        LINK_TEST(devices_that_carry_no_ethernet_are_refused),
        LINK_TEST(a_link_is_not_opened_on_an_interface_that_is_down),
        LINK_TEST(an_address_that_the_kernel_owns_is_found),
        cmocka_unit_test_prestate_setup_teardown(an_interface_that_is_gone_is_down, set_up,
                                                 tear_down_first, &rig),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
