#include "loadgen/payload.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/rng.h"

int payload_make(struct payload *payload, uint64_t size, uint64_t seed)
{
    ASSERT(size <= PAYLOAD_BYTES_MAX);
    struct rng rng;
    size_t total = (size_t)size + PAYLOAD_OFFSETS;
    *payload = (struct payload){
        .bytes = malloc(total), .size = size, .offset_count = PAYLOAD_OFFSETS, .seed = seed};
    if (payload->bytes == NULL) {
        return -ENOMEM;
    }
    rng_seed(&rng, seed);
    rng_fill(&rng, payload->bytes, total);
    return 0;
}

static int read_whole(FILE *file, struct payload *payload, const char *path, struct failure *failure)
{
    size_t size = fread(payload->bytes, 1, PAYLOAD_BYTES_MAX + 1, file);
    if (ferror(file)) {
        return failure_set(failure, EIO, "--send %s: reading it failed", path);
    }
    if (size == 0) {
        return failure_set(failure, EINVAL, "--send %s: the file is empty; give a request to send",
                           path);
    }
    if (size > PAYLOAD_BYTES_MAX) {
        return failure_set(failure, EFBIG, "--send %s: the file is over 16 MiB; send less", path);
    }
    payload->size = size;
    return 0;
}

int payload_load(struct payload *payload, const char *path, struct failure *failure)
{
    *payload = (struct payload){.offset_count = 1};
    FILE *file = fopen(path, "rbe");
    if (file == NULL) {
        return failure_set(failure, errno, "--send %s: %s", path, strerror(errno));
    }
    payload->bytes = malloc(PAYLOAD_BYTES_MAX + 1);
    int rc = -ENOMEM;
    if (payload->bytes == NULL) {
        failure_set(failure, ENOMEM, "--send %s: no memory for it", path);
        goto err_close;
    }
    rc = read_whole(file, payload, path, failure);
    if (rc != 0) {
        payload_destroy(payload);
    } else {
        uint8_t *fitting = realloc(payload->bytes, payload->size);
        payload->bytes = fitting != NULL ? fitting : payload->bytes;
    }
err_close:
    fclose(file);
    return rc;
}

void payload_destroy(struct payload *payload)
{
    free(payload->bytes);
    payload->bytes = NULL;
}

uint32_t payload_offset(const struct payload *payload, uint64_t conn_index, uint64_t echo)
{
    if (payload->offset_count == 1) {
        return 0;
    }
    uint64_t mixed = rng_mix(rng_mix(conn_index ^ payload->seed) + echo);
    return (uint32_t)(mixed % payload->offset_count);
}

bool payload_matches(const struct payload *payload, uint32_t offset, uint64_t received,
                     const void *data, size_t count)
{
    ASSERT(received + count <= payload->size);
    return memcmp(payload_at(payload, offset) + received, data, count) == 0;
}
