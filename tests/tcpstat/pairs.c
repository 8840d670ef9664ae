#include "tcpstat/pairs.h"

#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static struct sockaddr_in address_of(uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
}

int pair_listen(uint16_t port, int backlog)
{
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const struct sockaddr_in address = address_of(port);
    const int yes = 1;
    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)), 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, backlog), 0);
    return fd;
}

int pair_connect(uint16_t port)
{
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const struct sockaddr_in address = address_of(port);
    assert_true(fd >= 0);
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
        const int error = -errno;
        close(fd);
        return error;
    }
    return fd;
}

struct pair pair_open(int listener, uint16_t port)
{
    struct pair pair = {.client = pair_connect(port)};
    assert_true(pair.client >= 0);
    pair.server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    assert_true(pair.server >= 0);
    return pair;
}

void pair_close(struct pair pair)
{
    char byte;
    close(pair.client);
    /* The FIN has come when the end of the stream is read: the server is then in CLOSE_WAIT. */
    assert_int_equal(read(pair.server, &byte, 1), 0);
    close(pair.server);
}
