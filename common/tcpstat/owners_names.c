#include "tcpstat/owners_names.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tcpstat/cgroups.h"
#include "tcpstat/source.h"

/* A file handle of kernfs is its node's 64-bit id (FILEID_KERNFS in linux/exportfs.h). */
#define HANDLE_KERNFS 0xfe

static int read_proc(uint32_t pid, const char *name, char *text, size_t size)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%" PRIu32 "/%s", pid, name);
    return source_read_text(path, text, size);
}

int owners_read_comm(uint32_t pid, char comm[OWNERS_COMM_MAX])
{
    char text[64];
    const int error = read_proc(pid, "comm", text, sizeof(text));
    if (error < 0) {
        comm[0] = '\0';
        return error;
    }
    text[strcspn(text, "\n")] = '\0';
    snprintf(comm, OWNERS_COMM_MAX, "%.*s", OWNERS_COMM_MAX - 1, text);
    return 0;
}

uint64_t owners_read_cgroup(uint32_t pid)
{
    char text[CGROUP_PATH_MAX];
    const char *mount = cgroup_mount();
    if (mount == NULL || read_proc(pid, "cgroup", text, sizeof(text)) < 0) {
        return 0;
    }
    /* The line of version 2 is "0::/path", the first or the last. */
    char *line = strncmp(text, "0::", 3) == 0 ? text : strstr(text, "\n0::");
    if (line == NULL) {
        return 0;
    }
    line = strchr(line, '/');
    if (line == NULL) {
        return 0;
    }
    line[strcspn(line, "\n")] = '\0';
    char path[CGROUP_PATH_MAX + 32];
    snprintf(path, sizeof(path), "%s%s", mount, line);
    struct stat info;
    return stat(path, &info) == 0 ? info.st_ino : 0;
}

/* Opens a cgroup's directory by its id alone, which root may. Returns the descriptor or -errno. */
static int open_cgroup(const char *mount, uint64_t id)
{
    const int mount_fd = open(mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (mount_fd < 0) {
        return -errno;
    }
    union {
        struct file_handle handle;
        char bytes[sizeof(struct file_handle) + sizeof(uint64_t)];
    } space = {.handle = {.handle_bytes = sizeof(id), .handle_type = HANDLE_KERNFS}};
    memcpy(space.bytes + sizeof(struct file_handle), &id, sizeof(id));
    const int fd = open_by_handle_at(mount_fd, &space.handle, O_PATH | O_CLOEXEC);
    const int error = fd < 0 ? -errno : 0;
    close(mount_fd);
    return fd < 0 ? error : fd;
}

void owners_name_cgroup(uint64_t id, char *name, size_t size)
{
    snprintf(name, size, "cgroup %" PRIu64, id);
    const char *mount = cgroup_mount();
    const int fd = mount == NULL ? -ENOENT : open_cgroup(mount, id);
    if (fd < 0) {
        return;
    }
    char link[64];
    char path[CGROUP_PATH_MAX];
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    const ssize_t bytes = readlink(link, path, sizeof(path) - 1);
    close(fd);
    const size_t mount_length = strlen(mount);
    if (bytes < (ssize_t)mount_length || strncmp(path, mount, mount_length) != 0) {
        return;
    }
    path[bytes] = '\0';
    snprintf(name, size, "%s", path[mount_length] == '\0' ? "/" : path + mount_length);
}
