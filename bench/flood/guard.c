/* Where a flood may go; see guard.h. Layer: bench/flood. */
#include "bench/flood/guard.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "link/link.h"

/* RFC 1918 section 3. */
static const struct ip_range private_blocks[] = {
    {.first = {.family = AF_INET, .bytes = {10, 0, 0, 0}},
     .last = {.family = AF_INET, .bytes = {10, 255, 255, 255}}},
    {.first = {.family = AF_INET, .bytes = {172, 16, 0, 0}},
     .last = {.family = AF_INET, .bytes = {172, 31, 255, 255}}},
    {.first = {.family = AF_INET, .bytes = {192, 168, 0, 0}},
     .last = {.family = AF_INET, .bytes = {192, 168, 255, 255}}},
};

/* Both ends in one block: between two blocks lies the Internet. */
static bool is_private(const struct ip_addr *first, const struct ip_addr *last)
{
    for (size_t i = 0; i < sizeof(private_blocks) / sizeof(private_blocks[0]); i++) {
        if (ip_range_has(&private_blocks[i], first) && ip_range_has(&private_blocks[i], last)) {
            return true;
        }
    }
    return false;
}

int guard_check_addresses(const struct endpoint *target, const struct ip_range *sources,
                          struct failure *failure)
{
    char shown[ENDPOINT_TEXT_MAX], first[IP_TEXT_MAX], last[IP_TEXT_MAX];
    if (!is_private(&target->ip, &target->ip)) {
        return failure_set(failure, EPERM,
                           "--target %s: refused, it is no private IPv4 address; a flood is for "
                           "the lab only, as 10.9.0.1:7000 is",
                           endpoint_format(target, shown));
    }
    if (!is_private(&sources->first, &sources->last)) {
        return failure_set(failure, EPERM,
                           "--sources %s-%s: refused, they are not all of one private IPv4 block; "
                           "replies go there: use such as 10.64.0.0/10",
                           ip_format(&sources->first, first), ip_format(&sources->last, last));
    }
    return 0;
}

/* The kernel's first network namespace alone has the settings of its receive queues; all have that
 * of listening. A container's is the one of its first process. Who may not look at that has the
 * check for a way out still. */
static bool is_private_namespace(void)
{
    struct stat own, first;
    if (access("/proc/sys/net/core/somaxconn", F_OK) != 0 ||
        access("/proc/sys/net/core/netdev_max_backlog", F_OK) == 0 ||
        stat("/proc/thread-self/ns/net", &own) != 0) {
        return false;
    }
    return stat("/proc/1/ns/net", &first) != 0 || own.st_ino != first.st_ino ||
           own.st_dev != first.st_dev;
}

/* Gives field number `index` of a line of tabs, a hexadecimal number; 1 when there is none. */
static unsigned long read_field(const char *line, int index)
{
    for (int i = 0; i < index; i++) {
        line = strchr(line, '\t');
        if (line == NULL) {
            return 1;
        }
        line++;
    }
    return strtoul(line, NULL, 16);
}

/* Tells whether packets could leave by a default route; the lab's namespaces have none. */
static bool has_way_out(void)
{
    char line[512];
    const int target = 1, mask = 7; /* fields of a route */
    FILE *routes = fopen("/proc/thread-self/net/route", "re");
    if (routes == NULL) {
        return true;
    }
    bool found = false;
    while (!found && fgets(line, sizeof(line), routes) != NULL) {
        found = read_field(line, target) == 0 && read_field(line, mask) == 0;
    }
    fclose(routes);
    return found;
}

static bool is_veth(const char *interface)
{
    struct ethtool_drvinfo driver = {.cmd = ETHTOOL_GDRVINFO};
    struct ifreq request = {.ifr_data = (void *)&driver};
    strncpy(request.ifr_name, interface, IFNAMSIZ - 1);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool known = fd >= 0 && ioctl(fd, SIOCETHTOOL, &request) == 0;
    if (fd >= 0) {
        close(fd);
    }
    return known && strcmp(driver.driver, "veth") == 0;
}

int guard_check_place(const char *interface, struct failure *failure)
{
    struct link_interface facts;
    if (!is_private_namespace()) {
        return failure_set(failure, EPERM,
                           "refused: this is the machine's own network namespace; a flood is for "
                           "one that was made for it, as finwait-lab pair or unshare -n make it");
    }
    if (has_way_out()) {
        return failure_set(failure, EPERM,
                           "refused: this network namespace has a default route, a way out; a "
                           "flood is for the lab's, which have none");
    }
    int error = link_interface_read(interface, &facts, failure);
    if (error != 0) {
        return error;
    }
    if (!is_veth(interface)) {
        return failure_set(failure, EPERM,
                           "link %s: refused, it is no veth; a flood goes through a cable between "
                           "two namespaces only",
                           interface);
    }
    return 0;
}
