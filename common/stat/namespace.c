#include "stat/namespace.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool is_number(const char *text)
{
    return text[0] != '\0' && text[strspn(text, "0123456789")] == '\0';
}

static void make_path(const char *name, char path[PATH_MAX])
{
    if (strchr(name, '/') != NULL) {
        snprintf(path, PATH_MAX, "%s", name);
    } else if (is_number(name)) {
        snprintf(path, PATH_MAX, "/proc/%s/ns/net", name);
    } else {
        snprintf(path, PATH_MAX, "/run/netns/%s", name);
    }
}

/* Enters the user namespace that a process lives in, which gives its owner every right there. */
static int enter_user_namespace(const char *pid)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "/proc/%s/ns/user", pid);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    const int error = setns(fd, CLONE_NEWUSER) < 0 ? -errno : 0;
    close(fd);
    return error;
}

static int open_namespace(const char *name, struct failure *failure)
{
    char path[PATH_MAX];
    make_path(name, path);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        return fd;
    }
    if (errno == EACCES || errno == EPERM) {
        return failure_set(failure, errno,
                           "--netns %s: %s may not be opened; run as root, or with CAP_SYS_PTRACE",
                           name, path);
    }
    if (is_number(name)) {
        return failure_set(failure, EINVAL, "--netns %s: there is no process of this id", name);
    }
    return failure_set(failure, EINVAL,
                       "--netns %s: there is no such namespace (%s: %s); use a path, a process's "
                       "id, or a name of `ip netns`",
                       name, path, strerror(errno));
}

int namespace_enter_named(const char *name, struct failure *failure)
{
    const int fd = open_namespace(name, failure);
    if (fd < 0) {
        return fd;
    }
    int error = setns(fd, CLONE_NEWNET) < 0 ? -errno : 0;
    if (error == -EPERM && is_number(name) && enter_user_namespace(name) == 0) {
        error = setns(fd, CLONE_NEWNET) < 0 ? -errno : 0;
    }
    close(fd);
    if (error == -EPERM) {
        return failure_set(failure, EPERM,
                           "--netns %s: to enter it needs CAP_SYS_ADMIN; run as root", name);
    }
    if (error == -EINVAL) {
        return failure_set(failure, EINVAL, "--netns %s: this is no network namespace", name);
    }
    return error < 0 ? failure_set(failure, -error, "--netns %s: cannot be entered: %s", name,
                                   strerror(-error))
                     : 0;
}
