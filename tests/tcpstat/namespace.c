#include "tcpstat/namespace.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static int write_text(const char *path, const char *text)
{
    const int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    const int error = write(fd, text, strlen(text)) < 0 ? -errno : 0;
    close(fd);
    return error;
}

/* Maps root inside to the user outside, as `unshare -r` does. */
static int map_ids(uid_t uid, gid_t gid)
{
    char text[64];
    int error = write_text("/proc/self/setgroups", "deny");
    if (error < 0 && error != -ENOENT) {
        return error;
    }
    snprintf(text, sizeof(text), "0 %u 1", uid);
    error = write_text("/proc/self/uid_map", text);
    if (error < 0) {
        return error;
    }
    snprintf(text, sizeof(text), "0 %u 1", gid);
    return write_text("/proc/self/gid_map", text);
}

static int raise_loopback(void)
{
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -errno;
    }
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    const int error = ioctl(fd, SIOCSIFFLAGS, &request) < 0 ? -errno : 0;
    close(fd);
    return error;
}

int namespace_enter(void)
{
    const uid_t uid = getuid();
    const gid_t gid = getgid();
    if (unshare(CLONE_NEWNET) < 0) {
        if (errno != EPERM || unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0) {
            return -errno;
        }
        const int error = map_ids(uid, gid);
        if (error < 0) {
            return error;
        }
    }
    return raise_loopback();
}

int namespace_set_sysctl(const char *name, const char *value)
{
    char path[128];
    snprintf(path, sizeof(path), "/proc/sys/%s", name);
    return write_text(path, value);
}

bool namespace_enter_or_tell(void)
{
    const int error = namespace_enter();
    if (error < 0) {
        fprintf(stderr, "skipped: no network namespace: %s\n", strerror(-error));
    }
    return error == 0;
}
