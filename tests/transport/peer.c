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

static bool is_stack(const struct rig *rig)
{
    return rig->variant->engine == TRANSPORT_STACK && rig->transport != NULL;
}

/* Polls the stack until the peer's descriptor is ready. The kernel's engines need no help. */
static void help(struct rig *rig, int fd, short events)
{
    struct pollfd wait = {.fd = fd, .events = events};
    if (is_stack(rig)) {
        RIG_UNTIL(rig, poll(&wait, 1, 0) > 0);
    }
}

/* Waits for the end of a connect that was interrupted, or goes on in the background. */
static int finish_connect(struct rig *rig, int fd)
{
    struct pollfd wait = {.fd = fd, .events = POLLOUT};
    int error = 0;
    socklen_t length = sizeof(error);
    help(rig, fd, POLLOUT);
    while (poll(&wait, 1, (int)(RIG_PATIENCE_NS / NS_PER_MS)) < 0 && errno == EINTR) {
    }
    assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length), 0);
    return error;
}

static void set_blocking(int fd, bool blocking)
{
    assert_int_equal(fcntl(fd, F_SETFL, blocking ? 0 : O_NONBLOCK), 0);
}

static int connect_socket(struct rig *rig, int fd, const struct endpoint *target)
{
    struct sockaddr_storage name;
    socklen_t length = endpoint_to_sockaddr(target, &name);
    set_blocking(fd, !is_stack(rig));
    int error = connect(fd, (struct sockaddr *)&name, length) == 0 ? 0 : errno;
    if (error == EINTR || error == EINPROGRESS) {
        error = finish_connect(rig, fd);
    }
    set_blocking(fd, true);
    return error;
}

int peer_connect(struct rig *rig, const struct endpoint *target)
{
    int fd = peer_socket(target);
    assert_int_equal(connect_socket(rig, fd, target), 0);
    return fd;
}

int peer_try_connect(struct rig *rig, const struct endpoint *target)
{
    int fd = peer_socket(target);
    int error = connect_socket(rig, fd, target);
    close(fd);
    return -error;
}

void peer_send(struct rig *rig, int fd, const void *data, size_t bytes)
{
    int flags = MSG_NOSIGNAL | (is_stack(rig) ? MSG_DONTWAIT : 0);
    size_t done = 0;
    while (done < bytes) {
        ssize_t n = send(fd, (const char *)data + done, bytes - done, flags);
        if (n < 0 && errno == EAGAIN) {
            help(rig, fd, POLLOUT);
            continue;
        }
        assert_true(n > 0 || errno == EINTR);
        done += n > 0 ? (size_t)n : 0;
    }
}

void peer_expect(struct rig *rig, int fd, const void *data, size_t bytes)
{
    char got[4096];
    size_t done = 0;
    while (done < bytes) {
        size_t want = bytes - done < sizeof(got) ? bytes - done : sizeof(got);
        ssize_t n = peer_recv(rig, fd, got, want);
        assert_true(n > 0);
        assert_memory_equal(got, (const char *)data + done, (size_t)n);
        done += (size_t)n;
    }
}

ssize_t peer_recv(struct rig *rig, int fd, void *data, size_t bytes)
{
    ssize_t n;
    help(rig, fd, POLLIN);
    do {
        n = recv(fd, data, bytes, 0);
    } while (n < 0 && errno == EINTR);
    return n >= 0 ? n : -errno;
}

void peer_nonblocking(int fd)
{
    set_blocking(fd, false);
}

void peer_reset(int fd)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
    assert_int_equal(close(fd), 0);
}

void peer_wait_delivered(const struct rig *rig, int fd)
{
    if (is_stack(rig)) {
        return; /* it is in the link's ring: veth delivers within the sender's call */
    }
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
