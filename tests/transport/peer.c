/* Raw sockets as peers of the transport under test. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/addr.h"
#include "transport/rig.h"

static void set_patience(int fd)
{
    struct timeval patience = {.tv_sec = (time_t)(RIG_PATIENCE_NS / NS_PER_SEC)};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)), 0);
}

static int peer_socket(const struct endpoint *address)
{
    int fd = socket(address->ip.family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    set_patience(fd);
    return fd;
}

int peer_listen(struct endpoint *address)
{
    struct sockaddr_storage name;
    int fd = peer_socket(address);
    socklen_t length = endpoint_to_sockaddr(address, &name);
    assert_int_equal(bind(fd, (struct sockaddr *)&name, length), 0);
    assert_int_equal(listen(fd, 64), 0);
    *address = peer_name(fd, false);
    return fd;
}

int peer_accept(int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    assert_true(fd >= 0);
    set_patience(fd);
    return fd;
}

int peer_connect(const struct endpoint *target)
{
    struct sockaddr_storage name;
    int fd = peer_socket(target);
    socklen_t length = endpoint_to_sockaddr(target, &name);
    assert_int_equal(connect(fd, (struct sockaddr *)&name, length), 0);
    return fd;
}

void peer_send(int fd, const void *data, size_t bytes)
{
    assert_int_equal(send(fd, data, bytes, MSG_NOSIGNAL), (ssize_t)bytes);
}

void peer_expect(int fd, const void *data, size_t bytes)
{
    char got[4096];
    size_t done = 0;
    while (done < bytes) {
        size_t want = bytes - done < sizeof(got) ? bytes - done : sizeof(got);
        ssize_t n = recv(fd, got, want, 0);
        assert_true(n > 0);
        assert_memory_equal(got, (const char *)data + done, (size_t)n);
        done += (size_t)n;
    }
}

ssize_t peer_recv(int fd, void *data, size_t bytes)
{
    ssize_t n = recv(fd, data, bytes, 0);
    return n >= 0 ? n : -errno;
}

struct endpoint peer_name(int fd, bool remote)
{
    struct sockaddr_storage name;
    struct endpoint endpoint;
    socklen_t length = sizeof(name);
    int rc = remote ? getpeername(fd, (struct sockaddr *)&name, &length)
                    : getsockname(fd, (struct sockaddr *)&name, &length);
    assert_int_equal(rc, 0);
    assert_int_equal(endpoint_from_sockaddr(&endpoint, (struct sockaddr *)&name), 0);
    return endpoint;
}
