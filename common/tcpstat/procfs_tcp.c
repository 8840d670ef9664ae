/* The census over /proc/net/tcp and tcp6: slow, and there on every Linux; the others are checked by
 * it.
 *
 * Layer: tcpstat (L1). One thread at a time; the reader's buffers are kept from run to run. */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "tcpstat/census.h"
#include "tcpstat/procfs_reader.h"
#include "tcpstat/source.h"
#include "tcpstat/stability.h"

/* A spoilt pass needs a growing table whose last page was full, one in 24 or so; three in a row are
 * one in 14,000. */
#define PASSES_MAX 3

#define PAGE_BYTES_MAX 65536

enum { TABLE_V4, TABLE_V6, TABLE_COUNT };

static const char *const table_names[TABLE_COUNT] = {"tcp", "tcp6"};
static const uint8_t table_families[TABLE_COUNT] = {AF_INET, AF_INET6};

struct procfs_census {
    struct census census; /* first: a pointer to it is a pointer to this */
    struct procfs_reader *readers[TABLE_COUNT];
    int fds[TABLE_COUNT]; /* negative: not there */
    struct stability *stability;
};

/* What the visitor needs. */
struct visit {
    const struct census_request *request;
    struct census_result *result;
};

static ssize_t read_table(void *context, void *buffer, size_t size, uint64_t offset)
{
    const int *fd = context;
    return source_read(*fd, buffer, size, offset);
}

static int visit_row(void *context, const struct procfs_row *row)
{
    const struct visit *visit = context;
    const struct census_socket socket = {
        .family = row->local.ip.family,
        .state = row->state,
        .local_port = row->local.port,
        .remote_port = row->remote.port,
        .local = &row->local.ip,
        .remote = &row->remote.ip,
        .times = 1,
    };
    return census_result_add(visit->result, visit->request, &socket);
}

/* Reads one family's table and adds what the pass met to the stamp. */
static int count_table(struct procfs_census *census, uint32_t table, struct visit *visit)
{
    if (census->readers[table] == NULL) {
        return 0;
    }
    procfs_reader_set_cancel(census->readers[table], visit->request->cancel);
    struct procfs_pass pass;
    const struct procfs_visitor visitor = {.visit = visit_row, .context = visit};
    const int error = procfs_reader_pass(census->readers[table], visitor, &pass);
    struct census_stamp *stamp = &visit->result->stamp;
    stamp->rows += pass.rows;
    stamp->rows_repeated += pass.repeated;
    stamp->lines_malformed += pass.malformed;
    stamp->lines_truncated += pass.truncated;
    return error;
}

/* Reads both tables once. A family's spoilt pass does not keep the other from being read, so that
 * the last of several has everything. Returns -EAGAIN when one was spoilt. */
static int count_once(struct procfs_census *census, struct visit *visit)
{
    const int reset = census_result_reset(visit->result, visit->request);
    if (reset < 0) {
        return reset;
    }
    int outcome = 0;
    for (uint32_t table = 0; table < TABLE_COUNT; table++) {
        const int error = count_table(census, table, visit);
        if (error < 0 && error != -EAGAIN) {
            return error;
        }
        if (error < 0) {
            outcome = error;
        }
    }
    return outcome;
}

static int procfs_run(struct census *base, const struct census_request *request,
                      struct census_result *result)
{
    struct procfs_census *census = (struct procfs_census *)base;
    struct visit visit = {.request = request, .result = result};
    stability_begin(census->stability);
    uint32_t passes = 0;
    int error;
    do {
        error = count_once(census, &visit);
        passes++;
    } while (error == -EAGAIN && passes < PASSES_MAX);
    if (error < 0 && error != -EAGAIN) {
        return error;
    }
    struct census_stamp *stamp = &result->stamp;
    stamp->repeats_remain = error == -EAGAIN;
    stamp->passes = passes;
    stamp->stability = stability_end(census->stability);
    return 0;
}

static void procfs_close(struct census *base)
{
    struct procfs_census *census = (struct procfs_census *)base;
    stability_close(census->stability);
    for (uint32_t table = 0; table < TABLE_COUNT; table++) {
        procfs_reader_destroy(census->readers[table]);
        source_close(census->fds[table]);
    }
    free(census);
}

static const struct census_ops procfs_ops = {
    .method = "procfs",
    .run = procfs_run,
    .close = procfs_close,
};

/* The kernel's page, which its seq_file buffers have; a huge one is read in smaller steps, which
 * costs a read at the end. */
static size_t page_bytes(void)
{
    const long bytes = sysconf(_SC_PAGESIZE);
    return bytes <= 0 || bytes > PAGE_BYTES_MAX ? PAGE_BYTES_MAX : (size_t)bytes;
}

static int open_table(struct procfs_census *census, uint32_t table)
{
    census->fds[table] = source_open_net(table_names[table]);
    if (census->fds[table] == -ENOENT && table == TABLE_V6) {
        return 0; /* a kernel without IPv6 */
    }
    if (census->fds[table] < 0) {
        return census->fds[table];
    }
    const struct procfs_reader_config config = {
        .family = table_families[table],
        .page_bytes = page_bytes(),
        .source = {.read = read_table, .context = &census->fds[table]},
    };
    return procfs_reader_create(&census->readers[table], &config);
}

int census_open_procfs(struct census **census, struct failure *failure)
{
    struct procfs_census *opened = calloc(1, sizeof(*opened));
    if (opened == NULL) {
        return failure_set(failure, ENOMEM, "no memory for a census");
    }
    opened->census.ops = &procfs_ops;
    opened->fds[TABLE_V4] = -ENOENT;
    opened->fds[TABLE_V6] = -ENOENT;
    int error = stability_open(&opened->stability, failure);
    if (error < 0) {
        procfs_close(&opened->census);
        return error;
    }
    for (uint32_t table = 0; table < TABLE_COUNT; table++) {
        error = open_table(opened, table);
        if (error < 0) {
            procfs_close(&opened->census);
            return failure_set(failure, -error, "/proc/net/%s cannot be opened: %s",
                               table_names[table], strerror(-error));
        }
    }
    *census = &opened->census;
    return 0;
}
