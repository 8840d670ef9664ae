#include "tcpstat/netns.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"

#define NETNS_PATH "/proc/thread-self/ns/net"

int netns_open(struct failure *failure)
{
    const int fd = open(NETNS_PATH, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return failure_set(failure, errno, "%s cannot be opened: %s", NETNS_PATH, strerror(errno));
    }
    return fd;
}

int netns_enter(int netns_fd)
{
    struct stat there;
    struct stat here;
    if (fstat(netns_fd, &there) < 0 || stat(NETNS_PATH, &here) < 0) {
        return -errno;
    }
    if (there.st_ino == here.st_ino && there.st_dev == here.st_dev) {
        return -ENOENT;
    }
    const int back_fd = open(NETNS_PATH, O_RDONLY | O_CLOEXEC);
    if (back_fd < 0) {
        /* Not to be taken for "there already". */
        return errno == ENOENT ? -EIO : -errno;
    }
    if (setns(netns_fd, CLONE_NEWNET) < 0) {
        const int error = -errno;
        close(back_fd);
        return error;
    }
    return back_fd;
}

void netns_leave(int back_fd)
{
    if (back_fd < 0) {
        return;
    }
    /* Who could leave a namespace may come back to it. */
    const int error = setns(back_fd, CLONE_NEWNET);
    ASSERT(error == 0);
    close(back_fd);
}

int netns_call(int netns_fd, int (*make)(void *context), void *context)
{
    const int back_fd = netns_enter(netns_fd);
    if (back_fd < 0 && back_fd != -ENOENT) {
        return back_fd;
    }
    const int outcome = make(context);
    netns_leave(back_fd);
    return outcome;
}
