/* Addresses: a listener of another program is found, even one that would let us join its group. */
#include "server/address.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/test.h"

/* Opens a listener on a port that the system chooses, as a server with several workers does. */
static int open_group(struct endpoint *address)
{
    const int on = 1;
    struct sockaddr_storage name;
    struct failure failure;
    assert_int_equal(endpoint_parse(address, "127.0.0.1:1", &failure), 0);
    address->port = 0;
    socklen_t length = endpoint_to_sockaddr(address, &name);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)), 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&name, length), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&name, &length), 0);
    assert_int_equal(endpoint_from_sockaddr(address, (const struct sockaddr *)&name), 0);
    return fd;
}

static void a_group_of_another_program_is_not_joined(void **state)
{
    (void)state;
    struct endpoint address;
    struct failure failure;
    int fd = open_group(&address);
    assert_int_equal(address_check_free(&address, &failure), -EADDRINUSE);
    assert_contains(failure.text, "choose another port");
    close(fd);
    assert_int_equal(address_check_free(&address, &failure), 0);
}

static void any_port_is_free(void **state)
{
    (void)state;
    struct endpoint address;
    struct failure failure;
    assert_int_equal(endpoint_parse(&address, "[::1]:1", &failure), 0);
    address.port = 0;
    assert_int_equal(address_check_free(&address, &failure), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_group_of_another_program_is_not_joined),
        cmocka_unit_test(any_port_is_free),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
