/* Interfaces: what the kernel says of them. Layer: link; see link.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "link/link.h"

/* Asks one thing of an interface. Returns 0 or -errno. */
static int ask(int fd, unsigned long what, const char *name, struct ifreq *answer)
{
    memset(answer, 0, sizeof(*answer));
    strncpy(answer->ifr_name, name, IFNAMSIZ - 1);
    return ioctl(fd, what, answer) < 0 ? -errno : 0;
}

static int read_facts(int fd, const char *name, struct link_interface *interface,
                      unsigned short *hardware)
{
    struct ifreq answer;
    int error = ask(fd, SIOCGIFINDEX, name, &answer);
    if (error < 0) {
        return error;
    }
    interface->index = (uint32_t)answer.ifr_ifindex;
    error = ask(fd, SIOCGIFHWADDR, name, &answer);
    if (error < 0) {
        return error;
    }
    *hardware = answer.ifr_hwaddr.sa_family;
    memcpy(interface->mac, answer.ifr_hwaddr.sa_data, sizeof(interface->mac));
    error = ask(fd, SIOCGIFMTU, name, &answer);
    if (error < 0) {
        return error;
    }
    interface->mtu_bytes = (uint32_t)answer.ifr_mtu;
    error = ask(fd, SIOCGIFFLAGS, name, &answer);
    interface->up = error == 0 && (answer.ifr_flags & IFF_UP) != 0;
    return error;
}

int link_interface_read(const char *name, struct link_interface *interface, struct failure *failure)
{
    unsigned short hardware = 0;
    int error = -ENODEV;
    if (name[0] != '\0' && strlen(name) < IFNAMSIZ) {
        const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd < 0) {
            return failure_set(failure, errno, "link %s: no socket to ask of it: %s", name,
                               strerror(errno));
        }
        error = read_facts(fd, name, interface, &hardware);
        close(fd);
    }
    if (error == -ENODEV) {
        return failure_set(failure, ENODEV,
                           "link %s: no such interface in this network namespace; ip link lists "
                           "them",
                           name);
    }
    if (error < 0) {
        return failure_set(failure, -error, "link %s: the kernel does not describe it: %s", name,
                           strerror(-error));
    }
    if (hardware != ARPHRD_ETHER) {
        return failure_set(failure, EINVAL,
                           "link %s: not an Ethernet device (its type is %u); use one such as a "
                           "veth, or a tap instead of a tun",
                           name, hardware);
    }
    return 0;
}

int link_kernel_owns(uint32_t address_first, uint32_t address_last, uint32_t *owned,
                     struct failure *failure)
{
    struct ifaddrs *all = NULL;
    if (getifaddrs(&all) < 0) {
        return failure_set(failure, errno, "the kernel does not tell its addresses: %s",
                           strerror(errno));
    }
    int found = 0;
    for (const struct ifaddrs *one = all; one != NULL && found == 0; one = one->ifa_next) {
        if (one->ifa_addr == NULL || one->ifa_addr->sa_family != AF_INET) {
            continue;
        }
        struct sockaddr_in address;
        memcpy(&address, one->ifa_addr, sizeof(address));
        const uint32_t host_order = ntohl(address.sin_addr.s_addr);
        if (host_order >= address_first && host_order <= address_last) {
            *owned = host_order;
            found = 1;
        }
    }
    freeifaddrs(all);
    return found;
}
