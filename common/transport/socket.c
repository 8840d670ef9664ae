#include "transport/socket.h"

#include <errno.h>
#include <linux/filter.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"

static const int option_on = 1;
static const int option_off = 0;
static const int option_minus_one = -1;
static const int option_linger2_default = 0;
static const struct linger option_linger_zero = {.l_onoff = 1, .l_linger = 0};
static const struct linger option_linger_off = {.l_onoff = 0, .l_linger = 0};

/* Half-open Fast Open requests that a listener keeps; the kernel's documentation names no better.
 */
static const int option_fastopen_queue = 1024;

static void list_int(struct socket_option *option, int level, int name, const int *value)
{
    *option = (struct socket_option){level, name, value, sizeof(*value)};
}

socklen_t socket_address_set(union socket_address *address, const struct endpoint *endpoint)
{
    memset(address, 0, sizeof(*address));
    struct sockaddr_storage storage;
    if (endpoint->ip.family == AF_UNSPEC) {
        return 0;
    }
    socklen_t length = endpoint_to_sockaddr(endpoint, &storage);
    ASSERT(length <= sizeof(*address));
    memcpy(address, &storage, length);
    return length;
}

size_t socket_close_options(enum transport_close_how how,
                            struct socket_option list[SOCKET_OPTIONS_MAX])
{
    switch (how) {
    case TRANSPORT_CLOSE_PLAIN:
        return 0;
    case TRANSPORT_CLOSE_RST:
        list[0] = (struct socket_option){SOL_SOCKET, SO_LINGER, &option_linger_zero,
                                         sizeof(option_linger_zero)};
        return 1;
    case TRANSPORT_CLOSE_NO_TIMEWAIT:
        list_int(&list[0], IPPROTO_TCP, TCP_LINGER2, &option_minus_one);
        return 1;
    }
    return 0;
}

size_t socket_connect_options(const struct transport_conn_options *options, bool bound,
                              struct socket_option list[SOCKET_OPTIONS_MAX])
{
    size_t count = socket_close_options(options->close_how, list);
    list_int(&list[count++], IPPROTO_TCP, TCP_NODELAY, &option_on);
    if (bound) {
        list_int(&list[count++], SOL_SOCKET, SO_REUSEADDR, &option_on);
    }
    if (options->quickack_off) {
        list_int(&list[count++], IPPROTO_TCP, TCP_QUICKACK, &option_off);
    }
    if (options->fastopen) {
        list_int(&list[count++], IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &option_on);
    }
    return count;
}

static int set_options(int fd, const struct socket_option *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (setsockopt(fd, list[i].level, list[i].name, list[i].value, list[i].length) != 0) {
            return -errno;
        }
    }
    return 0;
}

int socket_set_close_how(int fd, enum transport_close_how how)
{
    struct socket_option list[SOCKET_OPTIONS_MAX];
    return set_options(fd, list, socket_close_options(how, list));
}

size_t socket_change_options(enum transport_close_how from, enum transport_close_how how,
                             struct socket_option list[SOCKET_OPTIONS_MAX])
{
    if (from == how) {
        return 0;
    }
    size_t count = 0;
    switch (from) {
    case TRANSPORT_CLOSE_PLAIN:
        break;
    case TRANSPORT_CLOSE_RST:
        list[count++] = (struct socket_option){SOL_SOCKET, SO_LINGER, &option_linger_off,
                                               sizeof(option_linger_off)};
        break;
    case TRANSPORT_CLOSE_NO_TIMEWAIT:
        list_int(&list[count++], IPPROTO_TCP, TCP_LINGER2, &option_linger2_default);
        break;
    }
    return count + socket_close_options(how, list + count);
}

int socket_change_close_how(int fd, enum transport_close_how from, enum transport_close_how how)
{
    struct socket_option list[SOCKET_OPTIONS_MAX];
    return set_options(fd, list, socket_change_options(from, how, list));
}

int socket_open_client(const struct flow *flow, const struct transport_conn_options *options,
                       int flags)
{
    struct socket_option list[SOCKET_OPTIONS_MAX];
    union socket_address source;
    socklen_t length = socket_address_set(&source, &flow->source);
    int fd = socket(flow->target.ip.family, SOCK_STREAM | SOCK_CLOEXEC | flags, IPPROTO_TCP);
    if (fd < 0) {
        return -errno;
    }
    int rc = set_options(fd, list, socket_connect_options(options, length != 0, list));
    if (rc == 0 && length != 0 && bind(fd, &source.any, length) != 0) {
        rc = -errno;
    }
    if (rc != 0) {
        close(fd);
        return rc;
    }
    return fd;
}

/* Attaches to the listeners' SO_REUSEPORT group a program that gives a connection to the listener
 * of the CPU that its SYN came in on: listeners join in the list's order, so that index i belongs
 * to CPU i of the list. A CPU that is not in the list is spread by remainder. */
static int steer_by_cpu(int fd, const struct cpu_list *cpus)
{
    struct sock_filter code[2 * 256 + 4];
    unsigned short n = 0;
    uint32_t count = cpus->count < 256 ? cpus->count : 256;
    code[n++] =
        (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_CPU));
    for (uint32_t i = 0; i < count; i++) {
        code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, cpus->cpus[i], 0, 1);
        code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, i);
    }
    code[n++] = (struct sock_filter)BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, cpus->count);
    code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_A, 0);
    struct sock_fprog program = {.len = n, .filter = code};
    if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof(program)) != 0) {
        return -errno;
    }
    return 0;
}

/* Lists what a listener gives on to the sockets that it accepts, and its own options. */
static size_t listen_options(const struct transport_listen_options *options, const int *defer_sec,
                             struct socket_option list[SOCKET_OPTIONS_MAX])
{
    size_t count = socket_close_options(options->conn.close_how, list);
    list_int(&list[count++], IPPROTO_TCP, TCP_NODELAY, &option_on);
    list_int(&list[count++], SOL_SOCKET, SO_REUSEADDR, &option_on);
    if (options->steer_cpus != NULL) {
        list_int(&list[count++], SOL_SOCKET, SO_REUSEPORT, &option_on);
    }
    if (options->conn.fastopen) {
        list_int(&list[count++], IPPROTO_TCP, TCP_FASTOPEN, &option_fastopen_queue);
    }
    if (*defer_sec > 0) {
        list_int(&list[count++], IPPROTO_TCP, TCP_DEFER_ACCEPT, defer_sec);
    }
    return count;
}

static int bind_and_listen(int fd, struct endpoint *address,
                           const struct transport_listen_options *options)
{
    union socket_address name;
    socklen_t length = socket_address_set(&name, address);
    if (name.any.sa_family == AF_INET6) {
        /* Without this, [::]:p and 0.0.0.0:p could not both be given. */
        if (setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &option_on, sizeof(option_on)) != 0) {
            return -errno;
        }
    }
    if (bind(fd, &name.any, length) != 0 || listen(fd, (int)options->backlog) != 0) {
        return -errno;
    }
    /* listen() begins the acknowledging state anew, so that an earlier setting would be lost; from
     * a listener every connection takes it over before its first segment. */
    if (options->conn.quickack_off &&
        setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &option_off, sizeof(option_off)) != 0) {
        return -errno;
    }
    if (options->steer_cpus != NULL && options->steer_cpus->count > 1) {
        int rc = steer_by_cpu(fd, options->steer_cpus);
        if (rc != 0) {
            return rc;
        }
    }
    length = sizeof(name);
    if (getsockname(fd, &name.any, &length) != 0) {
        return -errno;
    }
    return endpoint_from_sockaddr(address, &name.any);
}

static int listen_failed(struct failure *failure, int error, const struct endpoint *address)
{
    char text[ENDPOINT_TEXT_MAX];
    endpoint_format(address, text);
    switch (error) {
    case EADDRINUSE:
        return failure_set(failure, error,
                           "cannot listen on %s: another socket has this address; "
                           "stop its program or choose another port",
                           text);
    case EADDRNOTAVAIL:
        return failure_set(failure, error,
                           "cannot listen on %s: no interface of this host has the "
                           "address",
                           text);
    case EACCES:
        return failure_set(failure, error,
                           "cannot listen on %s: not permitted; ports below 1024 need "
                           "CAP_NET_BIND_SERVICE",
                           text);
    default:
        return failure_set(failure, error, "cannot listen on %s: %s", text, strerror(error));
    }
}

int socket_listen(struct endpoint *address, const struct transport_listen_options *options,
                  int flags, struct failure *failure)
{
    struct socket_option list[SOCKET_OPTIONS_MAX];
    int defer_sec = (int)((options->defer_accept_ns + NS_PER_SEC - 1) / NS_PER_SEC);
    int fd = socket(address->ip.family, SOCK_STREAM | SOCK_CLOEXEC | flags, IPPROTO_TCP);
    if (fd < 0) {
        return listen_failed(failure, errno, address);
    }
    int rc = set_options(fd, list, listen_options(options, &defer_sec, list));
    if (rc == 0) {
        rc = bind_and_listen(fd, address, options);
    }
    if (rc != 0) {
        close(fd);
        return listen_failed(failure, -rc, address);
    }
    return fd;
}
