/* Where the programs are and run; see place.h. Layer: bench/lab. */
#include "place.h"

#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "base/cpu.h"

static int find_bin_dir(struct place *place, const char *bin_dir)
{
    if (bin_dir != NULL) {
        int length = snprintf(place->bin_dir, sizeof(place->bin_dir), "%s", bin_dir);
        return length < (int)sizeof(place->bin_dir) ? 0 : -ENAMETOOLONG;
    }
    /* Not by /proc/self/exe, which in a chroot tells the path outside of it once the keeper has a
     * mount namespace of its own. */
    char self[PATH_MAX];
    if (realpath((const char *)getauxval(AT_EXECFN), self) == NULL) {
        return -errno;
    }
    snprintf(place->bin_dir, sizeof(place->bin_dir), "%s", dirname(self));
    return 0;
}

/* The client gets the first CPU that is ours and the server the second; or both get both. */
static void choose_cpus(struct place *place, enum place_layout layout)
{
    struct cpu_list allowed;
    unsigned first = 0, second = 0;
    if (cpu_list_allowed(&allowed) == 0 && allowed.count > 0) {
        first = allowed.cpus[0];
        second = allowed.cpus[allowed.count > 1 ? 1 : 0];
    }
    snprintf(place->client_cpus, PLACE_CPUS_MAX, "%u", first);
    snprintf(place->server_cpus, PLACE_CPUS_MAX, "%u", second);
    if (layout == PLACE_PAIR && first != second) {
        snprintf(place->client_cpus, PLACE_CPUS_MAX, "%u,%u", first, second);
        memcpy(place->server_cpus, place->client_cpus, PLACE_CPUS_MAX);
    }
}

int place_find(struct place *place, const char *bin_dir, enum place_layout layout,
               struct failure *failure)
{
    memset(place, 0, sizeof(*place));
    int error = find_bin_dir(place, bin_dir);
    if (error != 0) {
        return failure_set(failure, -error, "--bin-dir: %s", strerror(-error));
    }
    choose_cpus(place, layout);
    return 0;
}

int place_check_program(const struct place *place, const char *program, struct failure *failure)
{
    char path[PATH_MAX];
    int length = snprintf(path, sizeof(path), "%s/%s", place->bin_dir, program);
    int error = length >= (int)sizeof(path) ? ENAMETOOLONG : 0;
    if (error == 0 && access(path, X_OK) != 0) {
        error = errno;
    }
    return error == 0 ? 0
                      : failure_set(failure, error,
                                    "--bin-dir %s: %s is not there to be run: %s; build it, or "
                                    "name the folder it is in",
                                    place->bin_dir, program, strerror(error));
}
