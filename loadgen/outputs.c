#include "loadgen/outputs.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Cuts a path down to its folder. Returns 0 or -ENAMETOOLONG. */
static int folder_of(const char *path, char folder[PATH_MAX])
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL) {
        path = ".";
        slash = path + 1;
    } else if (slash == path) {
        slash = path + 1;
    }
    size_t length = (size_t)(slash - path);
    if (length >= PATH_MAX) {
        return -ENAMETOOLONG;
    }
    memcpy(folder, path, length);
    folder[length] = '\0';
    return 0;
}

/* A regular file is replaced, which needs its folder; anything else is written to as it is. */
static int check(const char *path)
{
    struct stat status;
    char folder[PATH_MAX];
    if (path[0] == '\0') {
        return -ENOENT;
    }
    bool is_there = stat(path, &status) == 0;
    if (!is_there && errno != ENOENT) {
        return -errno;
    }
    if (is_there && S_ISDIR(status.st_mode)) {
        return -EISDIR;
    }
    if (is_there && !S_ISREG(status.st_mode)) {
        return access(path, W_OK) == 0 ? 0 : -errno;
    }
    int rc = folder_of(path, folder);
    if (rc == 0 && access(folder, W_OK | X_OK) != 0) {
        rc = -errno;
    }
    return rc;
}

int outputs_check(const char *option, const char *path, struct failure *failure)
{
    if (strcmp(path, "-") == 0) {
        return 0;
    }
    int rc = check(path);
    if (rc != 0) {
        return failure_set(failure, -rc, "%s %s: cannot be written: %s; name a place that can be",
                           option, path, strerror(-rc));
    }
    return 0;
}

int outputs_check_all(const struct loadgen_options *options, struct failure *failure)
{
    int rc = options->json != NULL ? outputs_check("--json", options->json, failure) : 0;
    return rc == 0 && options->hgrm != NULL ? outputs_check("--hgrm", options->hgrm, failure) : rc;
}
