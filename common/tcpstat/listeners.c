/* What both sources share is here; the two differ in how a list is read. */
#include "tcpstat/listeners.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/tcp_state.h"
#include "tcpstat/procfs_reader.h"
#include "tcpstat/source.h"

#define LISTENERS_FIRST 32
#define DIAG_BUFFER_BYTES 32768 /* the kernel fills dumps up to this */
#define PROCFS_PAGE_BYTES 4096

/* Ends a pass of /proc/net/tcp behind the last listener; no errno of a read. */
#define PASS_ENOUGH (-ECANCELED)

static const uint8_t families[] = {AF_INET, AF_INET6};
static const char *const table_names[] = {"tcp", "tcp6"};

#define FAMILY_COUNT 2

struct tcpstat_listeners {
    struct mnl_socket *socket; /* NULL: by procfs */
    uint32_t sequence;
    int fds[FAMILY_COUNT];
    struct procfs_reader *readers[FAMILY_COUNT];
    struct tcpstat_listener *items;
    uint32_t count;
    uint32_t capacity;
};

static int add(struct tcpstat_listeners *listeners, const struct tcpstat_listener *item)
{
    if (listeners->count == listeners->capacity) {
        const uint32_t capacity =
            listeners->capacity == 0 ? LISTENERS_FIRST : listeners->capacity * 2;
        struct tcpstat_listener *grown = realloc(listeners->items, capacity * sizeof(*grown));
        if (grown == NULL) {
            return -ENOMEM;
        }
        listeners->items = grown;
        listeners->capacity = capacity;
    }
    listeners->items[listeners->count++] = *item;
    return 0;
}

static struct endpoint diag_local(const struct inet_diag_msg *message)
{
    struct endpoint local = {.port = ntohs(message->id.idiag_sport)};
    local.ip.family = message->idiag_family;
    memcpy(local.ip.bytes, message->id.idiag_src, message->idiag_family == AF_INET6 ? 16 : 4);
    return local;
}

static int on_attribute(const struct nlattr *attribute, void *context)
{
    struct tcpstat_listener *item = context;
    if (mnl_attr_get_type(attribute) == INET_DIAG_SKMEMINFO &&
        mnl_attr_get_payload_len(attribute) > SK_MEMINFO_DROPS * sizeof(uint32_t)) {
        const uint32_t *memory = mnl_attr_get_payload(attribute);
        item->drops = memory[SK_MEMINFO_DROPS];
        item->has_drops = true;
    }
    return MNL_CB_OK;
}

static int on_message(const struct nlmsghdr *header, void *context)
{
    struct tcpstat_listeners *listeners = context;
    const struct inet_diag_msg *message = mnl_nlmsg_get_payload(header);
    if (mnl_nlmsg_get_payload_len(header) < sizeof(*message) ||
        message->idiag_state != TCP_STATE_LISTEN) {
        return MNL_CB_OK;
    }
    struct tcpstat_listener item = {
        .local = diag_local(message),
        .queued = message->idiag_rqueue,
        .backlog = message->idiag_wqueue,
        .has_backlog = true,
    };
    mnl_attr_parse(header, sizeof(*message), on_attribute, &item);
    const int error = add(listeners, &item);
    if (error < 0) {
        errno = -error;
        return MNL_CB_ERROR;
    }
    return MNL_CB_OK;
}

static int ask_diag(struct tcpstat_listeners *listeners, uint8_t family)
{
    char buffer[256];
    struct nlmsghdr *header = mnl_nlmsg_put_header(buffer);
    header->nlmsg_type = SOCK_DIAG_BY_FAMILY;
    header->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    header->nlmsg_seq = ++listeners->sequence;
    struct inet_diag_req_v2 *request = mnl_nlmsg_put_extra_header(header, sizeof(*request));
    request->sdiag_family = family;
    request->sdiag_protocol = IPPROTO_TCP;
    request->idiag_ext = 1 << (INET_DIAG_SKMEMINFO - 1);
    request->idiag_states = 1u << TCP_STATE_LISTEN;
    return mnl_socket_sendto(listeners->socket, header, header->nlmsg_len) < 0 ? -errno : 0;
}

static int read_diag(struct tcpstat_listeners *listeners, uint32_t family)
{
    int error = ask_diag(listeners, families[family]);
    if (error < 0) {
        return error;
    }
    char buffer[DIAG_BUFFER_BYTES];
    for (;;) {
        const ssize_t bytes = mnl_socket_recvfrom(listeners->socket, buffer, sizeof(buffer));
        if (bytes < 0) {
            return -errno;
        }
        const int step =
            mnl_cb_run(buffer, (size_t)bytes, listeners->sequence,
                       mnl_socket_get_portid(listeners->socket), on_message, listeners);
        if (step == MNL_CB_ERROR) {
            /* A listener came or went between two parts of the dump: the list is still good. */
            return errno == EINTR ? 0 : -errno;
        }
        if (step == MNL_CB_STOP) {
            return 0;
        }
    }
}

static ssize_t read_table(void *context, void *buffer, size_t size, uint64_t offset)
{
    const int *fd = context;
    return source_read(*fd, buffer, size, offset);
}

/* The kernel gives all listeners first, so the first other socket ends the pass. */
static int visit_row(void *context, const struct procfs_row *row)
{
    if (row->state != TCP_STATE_LISTEN) {
        return PASS_ENOUGH;
    }
    const struct tcpstat_listener item = {.local = row->local, .queued = row->rx_queue_bytes};
    return add(context, &item);
}

static int read_procfs(struct tcpstat_listeners *listeners, uint32_t family)
{
    if (listeners->readers[family] == NULL) {
        return 0;
    }
    struct procfs_pass pass;
    const struct procfs_visitor visitor = {.visit = visit_row, .context = listeners};
    const int error = procfs_reader_pass(listeners->readers[family], visitor, &pass);
    return error == PASS_ENOUGH ? 0 : error;
}

static int compare(const void *a, const void *b)
{
    const struct tcpstat_listener *left = a;
    const struct tcpstat_listener *right = b;
    if (left->queued != right->queued) {
        return left->queued > right->queued ? -1 : 1;
    }
    if (left->drops != right->drops) {
        return left->drops > right->drops ? -1 : 1;
    }
    if (left->local.port != right->local.port) {
        return left->local.port < right->local.port ? -1 : 1;
    }
    return ip_compare(&left->local.ip, &right->local.ip);
}

int tcpstat_listeners_read(struct tcpstat_listeners *listeners)
{
    listeners->count = 0;
    for (uint32_t family = 0; family < FAMILY_COUNT; family++) {
        const int error = listeners->socket != NULL ? read_diag(listeners, family)
                                                    : read_procfs(listeners, family);
        if (error < 0) {
            return error;
        }
    }
    if (listeners->count > 0) {
        qsort(listeners->items, listeners->count, sizeof(*listeners->items), compare);
    }
    return 0;
}

const struct tcpstat_listener *tcpstat_listeners_get(const struct tcpstat_listeners *listeners,
                                                     uint32_t *count)
{
    *count = listeners->count;
    return listeners->items;
}

const char *tcpstat_listeners_method(const struct tcpstat_listeners *listeners)
{
    return listeners->socket != NULL ? "sock_diag" : "procfs";
}

static int open_table(struct tcpstat_listeners *listeners, uint32_t family)
{
    listeners->fds[family] = source_open_net(table_names[family]);
    if (listeners->fds[family] == -ENOENT && families[family] == AF_INET6) {
        return 0; /* a kernel without IPv6 */
    }
    if (listeners->fds[family] < 0) {
        return listeners->fds[family];
    }
    const struct procfs_reader_config config = {
        .family = families[family],
        .page_bytes = PROCFS_PAGE_BYTES,
        .source = {.read = read_table, .context = &listeners->fds[family]},
    };
    return procfs_reader_create(&listeners->readers[family], &config);
}

/* Opens sock_diag and tries it once: the socket can be there and the dump not (a kernel without
 * tcp_diag, a filter of system calls). */
static bool open_diag(struct tcpstat_listeners *listeners)
{
    listeners->socket = mnl_socket_open2(NETLINK_SOCK_DIAG, SOCK_CLOEXEC);
    if (listeners->socket == NULL) {
        return false;
    }
    if (mnl_socket_bind(listeners->socket, 0, MNL_SOCKET_AUTOPID) == 0 &&
        read_diag(listeners, 0) == 0) {
        return true;
    }
    mnl_socket_close(listeners->socket);
    listeners->socket = NULL;
    return false;
}

int tcpstat_listeners_open(struct tcpstat_listeners **listeners, struct failure *failure)
{
    struct tcpstat_listeners *opened = calloc(1, sizeof(*opened));
    if (opened == NULL) {
        return failure_set(failure, ENOMEM, "no memory for the listeners");
    }
    opened->fds[0] = opened->fds[1] = -1;
    if (!open_diag(opened)) {
        for (uint32_t family = 0; family < FAMILY_COUNT; family++) {
            const int error = open_table(opened, family);
            if (error < 0) {
                tcpstat_listeners_close(opened);
                return failure_set(failure, -error, "/proc/net/%s cannot be opened: %s",
                                   table_names[family], strerror(-error));
            }
        }
    }
    *listeners = opened;
    return 0;
}

void tcpstat_listeners_close(struct tcpstat_listeners *listeners)
{
    if (listeners == NULL) {
        return;
    }
    if (listeners->socket != NULL) {
        mnl_socket_close(listeners->socket);
    }
    for (uint32_t family = 0; family < FAMILY_COUNT; family++) {
        procfs_reader_destroy(listeners->readers[family]);
        source_close(listeners->fds[family]);
    }
    free(listeners->items);
    free(listeners);
}
