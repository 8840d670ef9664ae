#include "server/address.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int try_bind(int fd, const struct endpoint *address)
{
    const int on = 1;
    struct sockaddr_storage name;
    socklen_t length = endpoint_to_sockaddr(address, &name);
    /* TIME_WAIT of an earlier run must not count as taken; a listener does, whatever its options.
     */
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0) {
        return -errno;
    }
    if (address->ip.family == AF_INET6 &&
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) != 0) {
        return -errno;
    }
    return bind(fd, (const struct sockaddr *)&name, length) == 0 ? 0 : -errno;
}

int address_check_free(const struct endpoint *address, struct failure *failure)
{
    if (address->port == 0) {
        return 0;
    }
    int fd = socket(address->ip.family, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);
    if (fd < 0) {
        return failure_set(failure, errno, "cannot open a socket: %s", strerror(errno));
    }
    int rc = try_bind(fd, address);
    close(fd);
    if (rc == -EADDRINUSE) {
        char text[ENDPOINT_TEXT_MAX];
        return failure_set(
            failure, EADDRINUSE,
            "cannot listen on %s: another program does; stop it or choose another port",
            endpoint_format(address, text));
    }
    /* Whatever else is wrong, listening will say in full. */
    return 0;
}
