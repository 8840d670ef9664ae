/* Owners by /proc: the tables give each socket's inode, and every descriptor of every process that
 * may be read gives the inode's process.
 *
 * A socket that several processes hold (a server's children have its listener) is given to the one
 * with the highest pid: the youngest, as a rule, and not the parent that only handed it on. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tcpstat/owners_names.h"
#include "tcpstat/owners_walk.h"
#include "tcpstat/procfs_reader.h"
#include "tcpstat/source.h"

#define PASSES_MAX 3
#define PAGE_BYTES 4096
#define HOLDINGS_FIRST 1024

enum { TABLE_V4, TABLE_V6, TABLE_COUNT };

/* A socket's descriptor that a process holds. */
struct holding {
    uint64_t inode;
    uint32_t pid;
    uint64_t cgroup_id;
};

struct procfs_owners {
    struct owners owners; /* first: a pointer to it is a pointer to this */
    int fds[TABLE_COUNT]; /* negative: not there */
    struct procfs_reader *readers[TABLE_COUNT];
    struct holding *holdings; /* ascending by inode, then by pid */
    size_t holding_count;
    size_t holding_capacity;
    uint32_t processes_closed; /* whose descriptors may not be read */
    char missing[FAILURE_TEXT_MAX];
};

static int add_holding(struct procfs_owners *owners, const struct holding *holding)
{
    if (owners->holding_count == owners->holding_capacity) {
        const size_t capacity =
            owners->holding_capacity == 0 ? HOLDINGS_FIRST : 2 * owners->holding_capacity;
        struct holding *holdings = realloc(owners->holdings, capacity * sizeof(*holdings));
        if (holdings == NULL) {
            return -ENOMEM;
        }
        owners->holdings = holdings;
        owners->holding_capacity = capacity;
    }
    owners->holdings[owners->holding_count++] = *holding;
    return 0;
}

/* Adds a process's sockets. A process that ended meanwhile, or that is another user's, has none to
 * show. */
static int add_process(struct procfs_owners *owners, uint32_t pid)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%" PRIu32 "/fd", pid);
    DIR *folder = opendir(path);
    if (folder == NULL) {
        owners->processes_closed += errno == EACCES || errno == EPERM;
        return 0;
    }
    struct holding holding = {.pid = pid};
    int error = 0;
    for (struct dirent *entry = readdir(folder); entry != NULL && error == 0;
         entry = readdir(folder)) {
        char target[64];
        const ssize_t bytes = readlinkat(dirfd(folder), entry->d_name, target, sizeof(target) - 1);
        if (bytes <= 0) {
            continue;
        }
        target[bytes] = '\0';
        if (strncmp(target, "socket:[", 8) != 0) {
            continue;
        }
        if (holding.cgroup_id == 0) {
            holding.cgroup_id = owners_read_cgroup(pid);
        }
        holding.inode = strtoull(target + 8, NULL, 10);
        error = add_holding(owners, &holding);
    }
    closedir(folder);
    return error;
}

static int compare_holdings(const void *a, const void *b)
{
    const struct holding *left = a;
    const struct holding *right = b;
    if (left->inode != right->inode) {
        return left->inode < right->inode ? -1 : 1;
    }
    return left->pid < right->pid ? -1 : left->pid > right->pid;
}

static int find_holdings(struct procfs_owners *owners)
{
    owners->holding_count = 0;
    owners->processes_closed = 0;
    DIR *folder = opendir("/proc");
    if (folder == NULL) {
        return -errno;
    }
    int error = 0;
    for (struct dirent *entry = readdir(folder); entry != NULL && error == 0;
         entry = readdir(folder)) {
        if (isdigit((unsigned char)entry->d_name[0])) {
            error = add_process(owners, (uint32_t)strtoul(entry->d_name, NULL, 10));
        }
    }
    closedir(folder);
    if (owners->holding_count > 1) {
        qsort(owners->holdings, owners->holding_count, sizeof(*owners->holdings), compare_holdings);
    }
    return error;
}

/* Finds the last holding of an inode. */
static const struct holding *find_holding(const struct procfs_owners *owners, uint64_t inode)
{
    size_t low = 0;
    size_t high = owners->holding_count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (owners->holdings[middle].inode <= inode) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    const bool is_found = low > 0 && owners->holdings[low - 1].inode == inode;
    return is_found ? &owners->holdings[low - 1] : NULL;
}

/* What the visitor needs. */
struct visit {
    struct procfs_owners *owners;
    const struct owners_request *request;
    struct owners_result *result;
};

static int visit_row(void *context, const struct procfs_row *row)
{
    const struct visit *visit = context;
    struct owners_socket socket = {
        .state = row->state,
        .is_record = row->is_record,
        .is_request = row->state == TCP_STATE_SYN_RECEIVED && row->inode == 0,
        .local = row->local,
        .remote = row->remote,
        .rest_ns = row->is_record ? row->timer_ticks * PROCFS_TICK_NS : 0,
    };
    const struct holding *holding =
        row->inode == 0 ? NULL : find_holding(visit->owners, row->inode);
    if (holding != NULL) {
        socket.pid = holding->pid;
        socket.cgroup_id = holding->cgroup_id;
    }
    return owners_rows_add(visit->result, &visit->owners->owners.index, visit->request, &socket);
}

static void begin_again(struct visit *visit)
{
    const uint64_t taken_ns = visit->result->taken_ns;
    owners_rows_begin(visit->result, &visit->owners->owners.index); /* has its memory already */
    visit->result->taken_ns = taken_ns;
    if (visit->request->tuples != NULL) {
        tuples_use_reset(visit->request->tuples, taken_ns);
    }
}

static int walk_tables(struct visit *visit)
{
    const struct procfs_visitor visitor = {.visit = visit_row, .context = visit};
    begin_again(visit);
    int outcome = 0;
    for (uint32_t table = 0; table < TABLE_COUNT; table++) {
        struct procfs_pass pass;
        if (visit->owners->readers[table] == NULL) {
            continue;
        }
        const int error = procfs_reader_pass(visit->owners->readers[table], visitor, &pass);
        if (error < 0 && error != -EAGAIN) {
            return error;
        }
        outcome = error < 0 ? error : outcome;
    }
    return outcome;
}

static void say_what_is_missing(struct procfs_owners *owners)
{
    const char *rights = owners->processes_closed == 0 ? "" : " and descriptors of other users";
    snprintf(owners->missing, sizeof(owners->missing),
             "owners by procfs: sockets without a descriptor%s have no owner (TIME_WAIT, orphans, "
             "io_uring's direct ones), and no ages; needs BPF: CAP_BPF and CAP_PERFMON",
             rights);
    owners->owners.missing = owners->missing;
}

static int procfs_walk(struct owners *base, const struct owners_request *request,
                       struct owners_result *result)
{
    struct procfs_owners *owners = (struct procfs_owners *)base;
    struct visit visit = {.owners = owners, .request = request, .result = result};
    int error = find_holdings(owners);
    if (error < 0) {
        return error;
    }
    for (int pass = 0; pass < PASSES_MAX; pass++) {
        error = walk_tables(&visit);
        if (error != -EAGAIN) {
            break;
        }
    }
    say_what_is_missing(owners);
    return error == -EAGAIN ? 0 : error; /* a repeat in each pass: the count is a little high */
}

static bool procfs_name_pid(struct owners *owners, uint32_t pid, char comm[OWNERS_COMM_MAX])
{
    (void)owners;
    return owners_read_comm(pid, comm) == 0;
}

static void procfs_close(struct owners *base)
{
    struct procfs_owners *owners = (struct procfs_owners *)base;
    for (uint32_t table = 0; table < TABLE_COUNT; table++) {
        procfs_reader_destroy(owners->readers[table]);
        source_close(owners->fds[table]);
    }
    free(owners->holdings);
    free(owners);
}

static const struct owners_ops procfs_ops = {
    .method = "procfs",
    .walk = procfs_walk,
    .name_pid = procfs_name_pid,
    .close = procfs_close,
};

static ssize_t read_table(void *context, void *buffer, size_t size, uint64_t offset)
{
    const int *fd = context;
    return source_read(*fd, buffer, size, offset);
}

static int open_table(struct procfs_owners *owners, uint32_t table)
{
    static const char *const names[TABLE_COUNT] = {"tcp", "tcp6"};
    static const uint8_t families[TABLE_COUNT] = {AF_INET, AF_INET6};
    owners->fds[table] = source_open_net(names[table]);
    if (owners->fds[table] == -ENOENT && table == TABLE_V6) {
        return 0; /* a kernel without IPv6 */
    }
    if (owners->fds[table] < 0) {
        return owners->fds[table];
    }
    const long page_bytes = sysconf(_SC_PAGESIZE);
    const struct procfs_reader_config config = {
        .family = families[table],
        .page_bytes = page_bytes > 0 ? (size_t)page_bytes : PAGE_BYTES,
        .source = {.read = read_table, .context = &owners->fds[table]},
    };
    return procfs_reader_create(&owners->readers[table], &config);
}

int owners_open_procfs(struct owners **owners, struct failure *failure)
{
    struct procfs_owners *opened = calloc(1, sizeof(*opened));
    if (opened == NULL) {
        return failure_set(failure, ENOMEM, "no memory for owners");
    }
    opened->owners.ops = &procfs_ops;
    opened->fds[TABLE_V4] = -ENOENT;
    opened->fds[TABLE_V6] = -ENOENT;
    for (uint32_t table = 0; table < TABLE_COUNT; table++) {
        const int error = open_table(opened, table);
        if (error < 0) {
            procfs_close(&opened->owners);
            return failure_set(failure, -error, "the table of sockets cannot be opened: %s",
                               strerror(-error));
        }
    }
    say_what_is_missing(opened);
    *owners = &opened->owners;
    return 0;
}
