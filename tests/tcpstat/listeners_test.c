/* Listeners of a namespace of the test's own: queue, backlog and drops. */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "tcpstat/listeners.h"
#include "tcpstat/namespace.h"

static int open_listener(const char *text, int backlog)
{
    struct endpoint endpoint;
    struct sockaddr_storage address;
    assert_int_equal(endpoint_parse(&endpoint, text, NULL), 0);
    const socklen_t length = endpoint_to_sockaddr(&endpoint, &address);
    const int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, length), 0);
    assert_int_equal(listen(fd, backlog), 0);
    return fd;
}

/* Begins a connection without waiting for it: a full queue would keep it. */
static int begin_connect(const char *text)
{
    struct endpoint endpoint;
    struct sockaddr_storage address;
    assert_int_equal(endpoint_parse(&endpoint, text, NULL), 0);
    const socklen_t length = endpoint_to_sockaddr(&endpoint, &address);
    const int fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    (void)connect(fd, (const struct sockaddr *)&address, length);
    return fd;
}

static struct tcpstat_listeners *open_all(void)
{
    struct tcpstat_listeners *listeners;
    struct failure failure;
    assert_int_equal(tcpstat_listeners_open(&listeners, &failure), 0);
    return listeners;
}

static void test_queue_backlog_and_drops_of_every_listener_fullest_first(void **state)
{
    (void)state;
    struct tcpstat_listeners *listeners = open_all();
    uint32_t count;
    assert_int_equal(tcpstat_listeners_read(listeners), 0);
    tcpstat_listeners_get(listeners, &count);
    assert_int_equal(count, 0);
    int fds[8] = {open_listener("[::1]:7001", 9), open_listener("127.0.0.1:7000", 2)};
    for (int i = 2; i < 8; i++) {
        fds[i] = begin_connect("127.0.0.1:7000");
    }
    assert_int_equal(tcpstat_listeners_read(listeners), 0);
    const struct tcpstat_listener *items = tcpstat_listeners_get(listeners, &count);
    assert_int_equal(count, 2);
    struct endpoint first;
    endpoint_parse(&first, "127.0.0.1:7000", NULL);
    assert_true(endpoint_equal(&items[0].local, &first));
    assert_int_equal(items[0].queued, 3); /* one more than the backlog */
    assert_int_equal(items[1].local.port, 7001);
    assert_int_equal(items[1].queued, 0);
    if (strcmp(tcpstat_listeners_method(listeners), "sock_diag") == 0) {
        assert_true(items[0].has_backlog && items[0].has_drops);
        assert_int_equal(items[0].backlog, 2);
        assert_int_equal(items[0].drops, 3);
        assert_int_equal(items[1].backlog, 9);
        assert_int_equal(items[1].drops, 0);
    }
    for (int i = 0; i < 8; i++) {
        close(fds[i]);
    }
    tcpstat_listeners_close(listeners);
}

static void test_many_listeners_are_all_there(void **state)
{
    (void)state;
    struct tcpstat_listeners *listeners = open_all();
    int fds[300];
    for (int i = 0; i < 300; i++) {
        char text[32];
        snprintf(text, sizeof(text), "127.0.0.1:%d", 8000 + i);
        fds[i] = open_listener(text, 1);
    }
    uint32_t count;
    for (int round = 0; round < 2; round++) {
        assert_int_equal(tcpstat_listeners_read(listeners), 0);
        const struct tcpstat_listener *items = tcpstat_listeners_get(listeners, &count);
        assert_int_equal(count, 300);
        for (uint32_t i = 0; i < count; i++) {
            assert_int_equal(items[i].local.port, 8000 + i);
        }
    }
    for (int i = 0; i < 300; i++) {
        close(fds[i]);
    }
    tcpstat_listeners_close(listeners);
}

int main(void)
{
    if (namespace_enter() < 0) {
        return 77; /* skipped: no network namespace can be made here */
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_queue_backlog_and_drops_of_every_listener_fullest_first),
        cmocka_unit_test(test_many_listeners_are_all_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
