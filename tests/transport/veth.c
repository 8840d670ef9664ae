#include "transport/veth.h"

#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/lab/netns.h"
#include "bench/lab/rtnl.h"

static int ask(const char *name, unsigned long what, struct ifreq *request)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    strncpy(request->ifr_name, name, IFNAMSIZ - 1);
    int rc = ioctl(fd, what, request) == 0 ? 0 : -errno;
    close(fd);
    return rc;
}

int veth_set_up(const char *name, bool up)
{
    struct ifreq request = {.ifr_flags = up ? IFF_UP : 0};
    return ask(name, SIOCSIFFLAGS, &request);
}

int veth_set_mtu(const char *name, int bytes)
{
    struct ifreq request = {.ifr_mtu = bytes};
    return ask(name, SIOCSIFMTU, &request);
}

int veth_lay(void)
{
    static const struct rtnl_prefix kernel = {{.family = AF_INET, .bytes = {10, 9, 0, 1}}, 24};
    int here = netns_open_own();
    int fd = rtnl_open();
    int rc = here < 0 ? here : fd < 0 ? fd : 0;
    struct rtnl_veth veth = {.name = VETH_KERNEL, .peer_name = VETH_STACK, .peer_netns_fd = here};
    rc = rc != 0 ? rc : rtnl_add_veth(fd, &veth);
    rc = rc != 0 ? rc : rtnl_add_address(fd, VETH_KERNEL, &kernel);
    rc = rc != 0 ? rc : rtnl_link_up(fd, VETH_KERNEL);
    rc = rc != 0 ? rc : rtnl_link_up(fd, VETH_STACK);
    close(fd);
    close(here);
    return rc;
}
