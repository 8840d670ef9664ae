#include "tcpstat/cgroups.h"

#include <errno.h>
#include <fts.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#define IDS_FIRST 64

/* Where systemd mounts the hierarchy of version 2: alone, or beside version 1's. */
static const char *const mounts[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};

#define MOUNT_COUNT (sizeof(mounts) / sizeof(mounts[0]))

const char *cgroup_mount(void)
{
    for (size_t i = 0; i < MOUNT_COUNT; i++) {
        struct statfs info;
        if (statfs(mounts[i], &info) == 0 && info.f_type == CGROUP2_SUPER_MAGIC) {
            return mounts[i];
        }
    }
    return NULL;
}

/* Counts the names of a path below the mount: "/a/b" has two. */
static uint32_t count_names(const char *path)
{
    uint32_t count = 0;
    while (*path != '\0') {
        path += strspn(path, "/");
        count += *path != '\0';
        path += strcspn(path, "/");
    }
    return count;
}

int cgroup_find(struct cgroup *cgroup, const char *path, struct failure *failure)
{
    const char *mount = cgroup_mount();
    if (mount == NULL) {
        return failure_set(failure, ENOTSUP,
                           "\"%.100s\": no hierarchy of cgroups of version 2 is mounted here, by "
                           "which sockets would be told apart",
                           path);
    }
    const size_t length = strlen(mount);
    const bool is_full = strncmp(path, mount, length) == 0;
    const char *within = is_full ? path + length : path;
    const int written = snprintf(cgroup->folder, sizeof(cgroup->folder), "%s%s%s", mount,
                                 within[0] == '/' || within[0] == '\0' ? "" : "/", within);
    struct stat info;
    struct statfs system;
    const bool is_there = written < (int)sizeof(cgroup->folder) && strstr(within, "..") == NULL &&
                          stat(cgroup->folder, &info) == 0 && S_ISDIR(info.st_mode) &&
                          statfs(cgroup->folder, &system) == 0 &&
                          system.f_type == CGROUP2_SUPER_MAGIC;
    if (!is_there) {
        return failure_set(failure, EINVAL,
                           "\"%.100s\": there is no such cgroup; use a path below %s, such as "
                           "/system.slice",
                           path, mount);
    }
    cgroup->id = info.st_ino;
    cgroup->level = count_names(within);
    return 0;
}

static int compare_ids(const void *a, const void *b)
{
    const uint64_t left = *(const uint64_t *)a;
    const uint64_t right = *(const uint64_t *)b;
    return left < right ? -1 : left > right;
}

bool cgroup_set_has(const struct cgroup_set *set, uint64_t id)
{
    return set->count > 0 &&
           bsearch(&id, set->ids, set->count, sizeof(*set->ids), compare_ids) != NULL;
}

static int append(struct cgroup_set *set, uint64_t id)
{
    if (set->count == set->capacity) {
        const uint32_t capacity = set->capacity == 0 ? IDS_FIRST : 2 * set->capacity;
        uint64_t *ids = realloc(set->ids, capacity * sizeof(*ids));
        if (ids == NULL) {
            return -ENOMEM;
        }
        set->ids = ids;
        set->capacity = capacity;
    }
    set->ids[set->count++] = id;
    return 0;
}

/* Sorts the ids and drops those that are there twice. */
static void settle(struct cgroup_set *set)
{
    if (set->count == 0) {
        return;
    }
    qsort(set->ids, set->count, sizeof(*set->ids), compare_ids);
    uint32_t kept = 1;
    for (uint32_t i = 1; i < set->count; i++) {
        if (set->ids[i] != set->ids[kept - 1]) {
            set->ids[kept++] = set->ids[i];
        }
    }
    set->count = kept;
}

int cgroup_set_read(struct cgroup_set *set, const char *folder)
{
    char path[CGROUP_PATH_MAX];
    if (snprintf(path, sizeof(path), "%s", folder) >= (int)sizeof(path)) {
        return -ENAMETOOLONG;
    }
    char *const roots[] = {path, NULL};
    FTS *tree = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    if (tree == NULL) {
        return -errno;
    }
    int error = 0;
    for (FTSENT *entry = fts_read(tree); entry != NULL && error == 0; entry = fts_read(tree)) {
        if (entry->fts_info == FTS_D) {
            error = append(set, entry->fts_statp->st_ino);
        }
    }
    fts_close(tree);
    settle(set);
    return error;
}

void cgroup_set_free(struct cgroup_set *set)
{
    free(set->ids);
    *set = (struct cgroup_set){0};
}
