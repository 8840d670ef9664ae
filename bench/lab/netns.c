/* Private network namespaces; see netns.h. Layer: bench/lab. */
#include "netns.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "offload.h"
#include "rtnl.h"

/* Writes a whole small file of /proc. Returns 0 or -errno. */
static int write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    ssize_t written = write(fd, text, strlen(text));
    int error = written < 0 ? -errno : 0;
    close(fd);
    return error;
}

/* Becomes root of a user namespace: the ids that were ours are 0 inside. */
static int enter_user_namespace(void)
{
    char uid_map[64], gid_map[64];
    snprintf(uid_map, sizeof(uid_map), "0 %u 1", (unsigned)geteuid());
    snprintf(gid_map, sizeof(gid_map), "0 %u 1", (unsigned)getegid());
    if (unshare(CLONE_NEWUSER) != 0) {
        return -errno;
    }
    /* Group ids may be mapped only once setgroups is given up (user_namespaces(7)). */
    int error = write_file("/proc/self/setgroups", "deny");
    error = error == 0 ? write_file("/proc/self/uid_map", uid_map) : error;
    return error == 0 ? write_file("/proc/self/gid_map", gid_map) : error;
}

int netns_enter_holder(struct failure *failure)
{
    if (unshare(CLONE_NEWNET) == 0) {
        return 0;
    }
    /* EPERM is an ordinary user's answer, or root's in a container: a user namespace may still do.
     */
    int error = errno == EPERM ? enter_user_namespace() : -errno;
    if (error == 0 && unshare(CLONE_NEWNET) != 0) {
        error = -errno;
    }
    if (error != 0) {
        return failure_set(failure, -error,
                           "no network namespace can be made here: %s; run as root, or allow user "
                           "namespaces (sysctl user.max_user_namespaces)",
                           strerror(-error));
    }
    return 0;
}

int netns_enter(int netns_fd)
{
    return setns(netns_fd, CLONE_NEWNET) == 0 ? 0 : -errno;
}

int netns_open_own(void)
{
    int fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

/* Tunes the namespace that the thread is in. An ordinary user's namespace lacks some of these files
 * on older kernels, and a container may mount /proc/sys read-only; the runs work without. */
static void tune_own(const struct netns_tuning *tuning)
{
    char time_wait_max[32];
    snprintf(time_wait_max, sizeof(time_wait_max), "%" PRIu64, tuning->time_wait_max);
    write_file("/proc/sys/net/ipv4/tcp_max_tw_buckets", time_wait_max);
    if (tuning->rfc1337) {
        write_file("/proc/sys/net/ipv4/tcp_rfc1337", "1");
    }
    write_file("/proc/sys/net/ipv4/tcp_max_syn_backlog", "65536");
    write_file("/proc/sys/net/ipv4/ip_local_port_range", "1024 65535");
    write_file("/proc/sys/net/core/somaxconn", "65535");
    const char *const *wanted = tuning->congestion_controls;
    while (wanted != NULL && *wanted != NULL &&
           write_file("/proc/sys/net/ipv4/tcp_congestion_control", *wanted) != 0) {
        wanted++;
    }
}

static int raise_loopback(void)
{
    int fd = rtnl_open();
    if (fd < 0) {
        return fd;
    }
    int error = rtnl_link_up(fd, "lo");
    close(fd);
    return error;
}

/* Works in the holder: the table's size is read from the namespace in which the new one is made. */
static int make_namespace(const struct netns_tuning *tuning)
{
    char entries[32];
    snprintf(entries, sizeof(entries), "%" PRIu64, tuning->hash_entries);
    /* Older kernels (before 6.1) lack it: then all namespaces share the host's table. */
    write_file("/proc/sys/net/ipv4/tcp_child_ehash_entries", entries);
    if (unshare(CLONE_NEWNET) != 0) {
        return -errno;
    }
    tune_own(tuning);
    int error = raise_loopback();
    return error == 0 ? netns_open_own() : error;
}

int netns_make(const struct netns_tuning *tuning, struct failure *failure)
{
    int holder_fd = netns_open_own();
    if (holder_fd < 0) {
        return failure_set(failure, -holder_fd, "/proc/thread-self/ns/net: %s",
                           strerror(-holder_fd));
    }
    int made = make_namespace(tuning);
    int error = netns_enter(holder_fd);
    close(holder_fd);
    if (made >= 0 && error != 0) {
        close(made);
        made = error;
    }
    if (made < 0) {
        return failure_set(failure, -made, "a network namespace could not be made: %s",
                           strerror(-made));
    }
    return made;
}

static const struct rtnl_prefix server_prefix = {{AF_INET, {10, 9, 0, 1}, 0}, 24};
static const struct rtnl_prefix client_prefix = {{AF_INET, {10, 9, 0, 2}, 0}, 24};
static const struct rtnl_prefix sources_prefix = {{AF_INET, {10, 10, 0, 0}, 0}, 16};

/* Addresses and routes of one end's kernel, and the link up. */
static int address_end(int fd, bool is_client)
{
    const struct rtnl_prefix *own = is_client ? &client_prefix : &server_prefix;
    struct rtnl_route sources = {.to = sources_prefix, .link = "lo", .local = true};
    if (!is_client) {
        sources = (struct rtnl_route){
            .to = sources_prefix, .gateway = client_prefix.ip, .link = NETNS_LINK};
    }
    int error = rtnl_add_address(fd, NETNS_LINK, own);
    error = error == 0 ? rtnl_link_up(fd, NETNS_LINK) : error;
    return error == 0 ? rtnl_add_route(fd, &sources) : error;
}

/* Sets one end up; the thread is in its namespace. */
static int configure_end(const struct netns_tuning *tuning, bool is_client)
{
    int fd = rtnl_open();
    if (fd < 0) {
        return fd;
    }
    int error = tuning->offloads_off ? offloads_turn_off(NETNS_LINK) : 0;
    if (tuning->ipv4_only) {
        write_file("/proc/sys/net/ipv6/conf/" NETNS_LINK "/disable_ipv6", "1");
    }
    if (is_client ? tuning->client_bare : tuning->server_bare) {
        error = error == 0 ? rtnl_link_up(fd, NETNS_LINK) : error;
    } else {
        error = error == 0 ? address_end(fd, is_client) : error;
    }
    close(fd);
    return error;
}

static int add_veth(int peer_netns_fd)
{
    struct rtnl_veth veth = {
        .name = NETNS_LINK, .peer_name = NETNS_LINK, .peer_netns_fd = peer_netns_fd};
    int fd = rtnl_open();
    if (fd < 0) {
        return fd;
    }
    int error = rtnl_add_veth(fd, &veth);
    close(fd);
    return error;
}

/* Joins the two; leaves the thread in one of them when it fails, which the caller mends. */
static int join_pair(const struct netns_pair *pair, const struct netns_tuning *tuning)
{
    int error = netns_enter(pair->client_fd);
    error = error == 0 ? add_veth(pair->server_fd) : error;
    error = error == 0 ? configure_end(tuning, true) : error;
    error = error == 0 ? netns_enter(pair->server_fd) : error;
    return error == 0 ? configure_end(tuning, false) : error;
}

static int join_and_return(const struct netns_pair *pair, const struct netns_tuning *tuning)
{
    int holder_fd = netns_open_own();
    if (holder_fd < 0) {
        return holder_fd;
    }
    int error = join_pair(pair, tuning);
    int returned = netns_enter(holder_fd);
    close(holder_fd);
    return error == 0 ? returned : error;
}

int netns_pair_make(struct netns_pair *pair, const struct netns_tuning *tuning,
                    struct failure *failure)
{
    *pair = (struct netns_pair){.client_fd = -1, .server_fd = -1};
    int error = netns_make(tuning, failure);
    if (error < 0) {
        return error;
    }
    pair->client_fd = error;
    error = netns_make(tuning, failure);
    if (error < 0) {
        goto err_close_pair;
    }
    pair->server_fd = error;
    error = join_and_return(pair, tuning);
    if (error != 0) {
        failure_set(failure, -error, "a veth pair could not be made: %s", strerror(-error));
        goto err_close_pair;
    }
    return 0;

err_close_pair:
    netns_pair_close(pair);
    return error;
}

void netns_pair_close(struct netns_pair *pair)
{
    if (pair->client_fd >= 0) {
        close(pair->client_fd);
    }
    if (pair->server_fd >= 0) {
        close(pair->server_fd);
    }
    *pair = (struct netns_pair){.client_fd = -1, .server_fd = -1};
}
