/* Replay: gives a fuzz target its corpus without libFuzzer: every input as it is, cut at every
 * length, and in seeded mutations.
 *
 * Layer: tests. The target runs in a child process, which leaves word of what it is at in shared
 * memory; when it dies, the parent prints how to run that one input alone. */
#include "fuzz/fuzz.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/rng.h"

#define INPUT_MAX 65536u
#define PATH_MAX_BYTES 1024u
#define CUTS_MAX 256u     /* lengths that are tried of one input */
#define MUTATED_MAX 4096u /* longer inputs are only replayed and cut */
#define CHANGES_MAX 6u    /* in one mutation */

struct options {
    uint64_t mutations; /* of each input */
    uint64_t only;      /* the one mutation to run; 0: all */
};

/* What the child is at. */
struct progress {
    char path[PATH_MAX_BYTES];
    uint64_t mutation; /* 0: the input as it is, or cut */
    uint64_t cut;
    uint64_t input_count;
    uint64_t run_count;
};

/* Runs a copy of its own, so that a sanitizer sees a step beyond its end. */
static void run(const uint8_t *bytes, size_t count, struct progress *progress)
{
    uint8_t *copy = malloc(count == 0 ? 1 : count);
    if (copy == NULL) {
        abort();
    }
    memcpy(copy, bytes, count);
    LLVMFuzzerTestOneInput(copy, count);
    free(copy);
    progress->run_count++;
}

/* Changes one thing; returns the new length. */
static size_t change(uint8_t *bytes, size_t count, struct rng *rng)
{
    static const uint8_t telling[] = {0, 1, 2, 4, 5, 8, 10, 0x0f, 0x7f, 0x80, 0xf0, 0xff};
    const size_t at = count == 0 ? 0 : rng_below(rng, count);
    const size_t length = 1 + rng_below(rng, 16);
    switch (count == 0 ? 5 : rng_below(rng, 6)) {
    case 0:
        bytes[at] ^= (uint8_t)(1u << rng_below(rng, 8));
        return count;
    case 1:
        bytes[at] = telling[rng_below(rng, sizeof(telling))];
        return count;
    case 2:
        bytes[at] = (uint8_t)rng_next(rng);
        return count;
    case 3:
        return at; /* cut off */
    case 4: {      /* take a part out */
        const size_t gone = length < count - at ? length : count - at;
        memmove(bytes + at, bytes + at + gone, count - at - gone);
        return count - gone;
    }
    default: /* put random bytes in, or repeat what stands there */
        if (count + length > MUTATED_MAX) {
            return count;
        }
        memmove(bytes + at + length, bytes + at, count - at);
        if (rng_below(rng, 2) == 0) {
            rng_fill(rng, bytes + at, length);
        }
        return count + length;
    }
}

static void run_mutation(const uint8_t *bytes, size_t count, uint64_t mutation,
                         struct progress *progress)
{
    uint8_t mutated[MUTATED_MAX] = {0};
    struct rng rng;
    rng_seed(&rng, mutation);
    memcpy(mutated, bytes, count);
    progress->mutation = mutation;
    for (uint64_t changes = 1 + rng_below(&rng, CHANGES_MAX); changes > 0; changes--) {
        count = change(mutated, count, &rng);
    }
    run(mutated, count, progress);
    progress->mutation = 0;
}

static void replay_bytes(const uint8_t *bytes, size_t count, const struct options *options,
                         struct progress *progress)
{
    const size_t step = count / CUTS_MAX + 1;
    for (size_t cut = 0; options->only == 0 && cut <= count; cut += step) {
        progress->cut = cut;
        run(bytes, cut, progress);
    }
    progress->cut = count;
    if (options->only == 0) {
        run(bytes, count, progress);
    }
    if (count > MUTATED_MAX) {
        return;
    }
    for (uint64_t mutation = 1; mutation <= options->mutations; mutation++) {
        if (options->only == 0 || options->only == mutation) {
            run_mutation(bytes, count, mutation, progress);
        }
    }
}

static int replay_file(const char *path, const struct options *options, struct progress *progress)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        return -errno;
    }
    uint8_t *bytes = malloc(INPUT_MAX);
    if (bytes == NULL) {
        fclose(file);
        return -ENOMEM;
    }
    const size_t count = fread(bytes, 1, INPUT_MAX, file);
    fclose(file);
    snprintf(progress->path, sizeof(progress->path), "%s", path);
    progress->input_count++;
    replay_bytes(bytes, count, options, progress);
    free(bytes);
    return 0;
}

/* Replays a file, or every file of a folder. */
static int replay_path(const char *path, const struct options *options, struct progress *progress)
{
    DIR *folder = opendir(path);
    if (folder == NULL) {
        return replay_file(path, options, progress);
    }
    int error = 0;
    const struct dirent *entry;
    while (error == 0 && (entry = readdir(folder)) != NULL) {
        char file[PATH_MAX_BYTES];
        if (entry->d_name[0] == '.') {
            continue;
        }
        if (snprintf(file, sizeof(file), "%s/%s", path, entry->d_name) >= (int)sizeof(file)) {
            error = -ENAMETOOLONG;
            break;
        }
        error = replay_file(file, options, progress);
    }
    closedir(folder);
    return error;
}

static int replay_all(char *const *paths, const struct options *options, struct progress *progress)
{
    for (; *paths != NULL; paths++) {
        const int error = replay_path(*paths, options, progress);
        if (error < 0) {
            fprintf(stderr, "replay: %s: %s\n", *paths, strerror(-error));
            return EXIT_FAILURE;
        }
    }
    printf("replay: %llu inputs, %llu runs\n", (unsigned long long)progress->input_count,
           (unsigned long long)progress->run_count);
    fflush(stdout);
    return progress->input_count == 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* Runs everything in a child and tells where it died. */
static int supervise(char *const *paths, const struct options *options, struct progress *progress)
{
    int status;
    const pid_t child = fork();
    if (child == 0) {
        exit(replay_all(paths, options, progress));
    }
    if (child < 0 || waitpid(child, &status, 0) < 0) {
        perror("replay");
        return EXIT_FAILURE;
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS) {
        return EXIT_SUCCESS;
    }
    fprintf(stderr, "replay: failed at %s, its first %llu bytes\n", progress->path,
            (unsigned long long)progress->cut);
    if (progress->mutation != 0) {
        fprintf(stderr, "replay: mutated; alone: --only %llu %s\n",
                (unsigned long long)progress->mutation, progress->path);
    }
    return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    struct options options = {0};
    int at = 1;
    for (; at + 1 < argc && argv[at][0] == '-'; at += 2) {
        const uint64_t value = strtoull(argv[at + 1], NULL, 10);
        if (strcmp(argv[at], "--mutations") == 0) {
            options.mutations = value;
        } else if (strcmp(argv[at], "--only") == 0) {
            options.only = value;
            options.mutations = value;
        } else {
            break;
        }
    }
    if (at >= argc || argv[at][0] == '-') {
        fprintf(stderr, "usage: %s [--mutations N | --only MUTATION] FILE|FOLDER...\n", argv[0]);
        return EXIT_FAILURE;
    }
    struct progress *progress =
        mmap(NULL, sizeof(*progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (progress == MAP_FAILED) {
        perror("replay");
        return EXIT_FAILURE;
    }
    return supervise(argv + at, &options, progress);
}
