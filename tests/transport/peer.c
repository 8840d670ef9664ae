/* Raw sockets as peers of the transport under test. */
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
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

/* io_uring without DEFER_TASKRUN interrupts whatever blocks in its thread: every call here goes on.
 */
int peer_accept(int listener)
{
    int fd;
    do {
        fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    } while (fd < 0 && errno == EINTR);
    assert_true(fd >= 0);
    set_patience(fd);
    return fd;
}

/* Waits for the end of a connect that was interrupted, and goes on in the background. */
static int finish_connect(int fd)
{
    struct pollfd wait = {.fd = fd, .events = POLLOUT};
    int error = 0;
    socklen_t length = sizeof(error);
    while (poll(&wait, 1, (int)(RIG_PATIENCE_NS / NS_PER_MS)) < 0 && errno == EINTR) {
    }
    assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length), 0);
    return error;
}

int peer_connect(const struct endpoint *target)
{
    struct sockaddr_storage name;
    int fd = peer_socket(target);
    socklen_t length = endpoint_to_sockaddr(target, &name);
    int error = connect(fd, (struct sockaddr *)&name, length) == 0 ? 0 : errno;
    if (error == EINTR) {
        error = finish_connect(fd);
    }
    assert_int_equal(error, 0);
    return fd;
}

void peer_send(int fd, const void *data, size_t bytes)
{
    size_t done = 0;
    while (done < bytes) {
        ssize_t n = send(fd, (const char *)data + done, bytes - done, MSG_NOSIGNAL);
        assert_true(n > 0 || errno == EINTR);
        done += n > 0 ? (size_t)n : 0;
    }
}

void peer_expect(int fd, const void *data, size_t bytes)
{
    char got[4096];
    size_t done = 0;
    while (done < bytes) {
        size_t want = bytes - done < sizeof(got) ? bytes - done : sizeof(got);
        ssize_t n = peer_recv(fd, got, want);
        assert_true(n > 0);
        assert_memory_equal(got, (const char *)data + done, (size_t)n);
        done += (size_t)n;
    }
}

ssize_t peer_recv(int fd, void *data, size_t bytes)
{
    ssize_t n;
    do {
        n = recv(fd, data, bytes, 0);
    } while (n < 0 && errno == EINTR);
    return n >= 0 ? n : -errno;
}

void peer_nonblocking(int fd)
{
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
}

void peer_reset(int fd)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
    assert_int_equal(close(fd), 0);
}

void peer_wait_delivered(int fd)
{
    uint64_t end_ns = clock_now_ns() + RIG_PATIENCE_NS;
    int unacknowledged = 1;
    while (unacknowledged > 0 && clock_now_ns() < end_ns) {
        assert_int_equal(ioctl(fd, SIOCOUTQ, &unacknowledged), 0);
        usleep(100);
    }
    assert_int_equal(unacknowledged, 0);
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
