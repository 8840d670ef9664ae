/* The counters' text, as several kernels write it, and the real files. */
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "tcpstat/counters.h"
#include "tcpstat/counters_text.h"
#include "tcpstat/guard_page.h"
#include "tcpstat/namespace.h"

#define SOCKSTAT                                                                                   \
    "sockets: used 290\n"                                                                          \
    "TCP: inuse 5 orphan 1 tw 2 alloc 7 mem 3\n"                                                   \
    "UDP: inuse 1 mem 2\n"

/* An old kernel, without OutRsts and what came after it; and one with a field more. */
#define SNMP_OLD                                                                                   \
    "Ip: Forwarding DefaultTTL\n"                                                                  \
    "Ip: 2 64\n"                                                                                   \
    "Icmp: InMsgs\n"                                                                               \
    "Icmp: 9\n"                                                                                    \
    "Tcp: MaxConn ActiveOpens\n"                                                                   \
    "Tcp: -1 13\n"
#define SNMP_NEW                                                                                   \
    "Ip: Forwarding DefaultTTL OutTransmits\n"                                                     \
    "Ip: 2 64 359\n"                                                                               \
    "Tcp: NewField MaxConn ActiveOpens OutRsts\n"                                                  \
    "Tcp: 1 -1 18446744073709551615 2\n"

#define TEXT_MAX_BYTES 16384

static const char *const snmp_lines[] = {"Ip", "Tcp", NULL};
static const struct counters_file sockstat = {"sockstat", COUNTERS_INLINE, "sockstat.", NULL};
static const struct counters_file snmp = {"snmp", COUNTERS_PAIRED, "", snmp_lines};

/* What the tests of texts share. */
struct fixture {
    struct counters_layout layout;
    struct guard_page guard;
};

/* Reads one file's text, which ends at a guard page, as a layout and its values. */
static int read_text(struct fixture *fixture, const struct counters_file *file, const char *text,
                     uint64_t *values)
{
    const char *copy = guard_page_copy(&fixture->guard, text, strlen(text));
    fixture->layout = (struct counters_layout){0};
    counters_layout_add(&fixture->layout, file, copy, strlen(text));
    counters_layout_finish(&fixture->layout);
    return counters_values_read(file, copy, strlen(text), values, TCPSTAT_COUNTERS_MAX);
}

static void assert_value(const struct fixture *fixture, const uint64_t *values, const char *name,
                         uint64_t expected)
{
    const int index = counters_layout_find(&fixture->layout, name);
    if (index < 0) {
        fail_msg("%s is not there", name);
    }
    assert_true(values[index] == expected);
}

static void test_sockstat_names_are_line_and_field(void **state)
{
    struct fixture *fixture = *state;
    uint64_t values[TCPSTAT_COUNTERS_MAX];
    assert_int_equal(read_text(fixture, &sockstat, SOCKSTAT, values), 8);
    assert_value(fixture, values, "sockstat.TCP.tw", 2);
    assert_value(fixture, values, "sockstat.TCP.mem", 3);
    assert_value(fixture, values, "sockstat.UDP.mem", 2);
    assert_value(fixture, values, "sockstat.sockets.used", 290);
}

static void test_only_wanted_lines_are_taken(void **state)
{
    struct fixture *fixture = *state;
    uint64_t values[TCPSTAT_COUNTERS_MAX];
    assert_int_equal(read_text(fixture, &snmp, SNMP_OLD, values), 4);
    assert_value(fixture, values, "Ip.DefaultTTL", 64);
    assert_value(fixture, values, "Tcp.ActiveOpens", 13);
    assert_value(fixture, values, "Tcp.MaxConn", UINT64_MAX);
    assert_int_equal(counters_layout_find(&fixture->layout, "Icmp.InMsgs"), -ENOENT);
}

static void test_names_resolve_whatever_the_kernel_adds_or_lacks(void **state)
{
    struct fixture *fixture = *state;
    uint64_t values[TCPSTAT_COUNTERS_MAX];
    assert_int_equal(read_text(fixture, &snmp, SNMP_OLD, values), 4);
    assert_int_equal(counters_layout_find(&fixture->layout, "Tcp.OutRsts"), -ENOENT);
    assert_int_equal(read_text(fixture, &snmp, SNMP_NEW, values), 7);
    assert_value(fixture, values, "Tcp.OutRsts", 2);
    assert_value(fixture, values, "Tcp.ActiveOpens", UINT64_MAX);
    assert_value(fixture, values, "Tcp.NewField", 1);
    assert_value(fixture, values, "Ip.OutTransmits", 359);
}

/* Whatever is cut off, what remains is read within bounds, and a line of names without values is
 * none. */
static void test_text_that_is_cut_gives_fewer_fields(void **state)
{
    struct fixture *fixture = *state;
    uint64_t values[TCPSTAT_COUNTERS_MAX];
    for (size_t length = 0; length < strlen(SNMP_NEW); length++) {
        char text[512] = SNMP_NEW;
        text[length] = '\0';
        const int count = read_text(fixture, &snmp, text, values);
        assert_true(count <= 7);
        assert_true(count == -EPROTO || count <= (int)fixture->layout.count);
    }
    assert_int_equal(read_text(fixture, &snmp, "Tcp: ActiveOpens\n", values), 0);
    assert_int_equal(fixture->layout.count, 0);
}

static void test_a_value_that_is_no_number_is_an_error(void **state)
{
    struct fixture *fixture = *state;
    uint64_t values[TCPSTAT_COUNTERS_MAX];
    assert_int_equal(read_text(fixture, &snmp, "Tcp: A B\nTcp: 1 x\n", values), -EPROTO);
    assert_int_equal(read_text(fixture, &sockstat, "TCP: inuse -\n", values), -EPROTO);
}

static void test_fields_beyond_the_table_are_counted(void **state)
{
    struct fixture *fixture = *state;
    char text[TEXT_MAX_BYTES];
    size_t length = (size_t)snprintf(text, sizeof(text), "sockets:");
    for (int i = 0; i < TCPSTAT_COUNTERS_MAX + 5; i++) {
        length += (size_t)snprintf(text + length, sizeof(text) - length, " field%d %d", i, i);
    }
    snprintf(text + length, sizeof(text) - length, "\n");
    uint64_t values[TCPSTAT_COUNTERS_MAX];
    assert_int_equal(read_text(fixture, &sockstat, text, values), TCPSTAT_COUNTERS_MAX + 5);
    assert_int_equal(fixture->layout.count, TCPSTAT_COUNTERS_MAX);
    assert_int_equal(fixture->layout.left_out, 5);
    assert_value(fixture, values, "sockstat.sockets.field383", 383);
}

/* Opens a connection to nowhere: one SYN, answered by a reset. */
static void connect_refused(void)
{
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(7000), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), -1);
    assert_int_equal(errno, ECONNREFUSED);
    close(fd);
}

static void test_deltas_of_the_real_files_are_exact(void **state)
{
    (void)state;
    struct failure failure;
    struct tcpstat_counters *counters;
    assert_int_equal(tcpstat_counters_open(&counters, &failure), 0);
    assert_int_equal(tcpstat_counters_left_out(counters), 0);
    const int active_opens = tcpstat_counters_find(counters, "Tcp.ActiveOpens");
    const int attempt_fails = tcpstat_counters_find(counters, "Tcp.AttemptFails");
    const int resets = tcpstat_counters_find(counters, "Tcp.OutRsts");
    assert_true(active_opens >= 0 && attempt_fails >= 0 && resets >= 0);
    struct tcpstat_counters_snapshot before;
    struct tcpstat_counters_snapshot after;
    assert_int_equal(tcpstat_counters_read(counters, &before), 0);
    for (int i = 0; i < 7; i++) {
        connect_refused();
    }
    assert_int_equal(tcpstat_counters_read(counters, &after), 0);
    assert_int_equal(tcpstat_counters_delta(&before, &after, active_opens), 7);
    assert_int_equal(tcpstat_counters_delta(&before, &after, attempt_fails), 7);
    assert_int_equal(tcpstat_counters_delta(&before, &after, resets), 7);
    assert_int_equal(tcpstat_counters_delta(&before, &after, -ENOENT), 0);
    assert_true(after.taken_ns > before.taken_ns);
    tcpstat_counters_close(counters);
}

static void test_every_real_field_resolves_to_itself(void **state)
{
    (void)state;
    struct failure failure;
    struct tcpstat_counters *counters;
    assert_int_equal(tcpstat_counters_open(&counters, &failure), 0);
    const uint32_t count = tcpstat_counters_count(counters);
    assert_true(count > 100);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(tcpstat_counters_find(counters, tcpstat_counters_name(counters, i)), i);
    }
    tcpstat_counters_close(counters);
}

static void test_the_cap_of_time_wait_is_read(void **state)
{
    (void)state;
    uint64_t buckets;
    assert_int_equal(namespace_set_sysctl("net/ipv4/tcp_max_tw_buckets", "12345"), 0);
    assert_int_equal(tcpstat_read_time_wait_max(&buckets), 0);
    assert_int_equal(buckets, 12345);
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    guard_page_map(&fixture->guard, TEXT_MAX_BYTES);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    guard_page_unmap(&fixture->guard);
    free(fixture);
    return 0;
}

int main(void)
{
    if (!namespace_enter_or_tell()) {
        return EXIT_SKIPPED;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sockstat_names_are_line_and_field),
        cmocka_unit_test(test_only_wanted_lines_are_taken),
        cmocka_unit_test(test_names_resolve_whatever_the_kernel_adds_or_lacks),
        cmocka_unit_test(test_text_that_is_cut_gives_fewer_fields),
        cmocka_unit_test(test_a_value_that_is_no_number_is_an_error),
        cmocka_unit_test(test_fields_beyond_the_table_are_counted),
        cmocka_unit_test(test_deltas_of_the_real_files_are_exact),
        cmocka_unit_test(test_every_real_field_resolves_to_itself),
        cmocka_unit_test(test_the_cap_of_time_wait_is_read),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
