/* Offloads; see offload.h. Layer: bench/lab. */
#include "offload.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

struct offload {
    const char *name;
    uint32_t get;
    uint32_t set;
};

/* Segmentation stands on scatter-gather and that on checksums: from the top down. */
static const struct offload offloads[] = {
    {"gro", ETHTOOL_GGRO, ETHTOOL_SGRO},
    {"gso", ETHTOOL_GGSO, ETHTOOL_SGSO},
    {"tso", ETHTOOL_GTSO, ETHTOOL_STSO},
    {"sg", ETHTOOL_GSG, ETHTOOL_SSG},
    {"tx-checksum", ETHTOOL_GTXCSUM, ETHTOOL_STXCSUM},
    {"rx-checksum", ETHTOOL_GRXCSUM, ETHTOOL_SRXCSUM},
};
#define OFFLOAD_COUNT (sizeof(offloads) / sizeof(offloads[0]))

/* Asks the link one thing; `value` goes in and comes out. */
static int ask(int fd, const char *link, uint32_t command, uint32_t *value)
{
    struct ethtool_value request = {.cmd = command, .data = *value};
    struct ifreq name;
    memset(&name, 0, sizeof(name));
    snprintf(name.ifr_name, sizeof(name.ifr_name), "%s", link);
    name.ifr_data = (void *)&request;
    if (ioctl(fd, SIOCETHTOOL, &name) != 0) {
        return -errno;
    }
    *value = request.data;
    return 0;
}

int offloads_turn_off(const char *link)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -errno;
    }
    int error = 0;
    for (size_t i = 0; error == 0 && i < OFFLOAD_COUNT; i++) {
        uint32_t off = 0;
        error = ask(fd, link, offloads[i].set, &off);
        /* A device that has none of a kind has it off for good. */
        error = error == -EOPNOTSUPP ? 0 : error;
    }
    close(fd);
    return error;
}

void offloads_describe(const char *link, char text[OFFLOAD_TEXT_MAX])
{
    size_t used = 0;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    for (size_t i = 0; fd >= 0 && i < OFFLOAD_COUNT; i++) {
        uint32_t value = 0;
        if (ask(fd, link, offloads[i].get, &value) == 0 && used < OFFLOAD_TEXT_MAX) {
            used += (size_t)snprintf(text + used, OFFLOAD_TEXT_MAX - used, "%s%s %s",
                                     used == 0 ? "" : ", ", offloads[i].name,
                                     value != 0 ? "on" : "off");
        }
    }
    if (used == 0) {
        snprintf(text, OFFLOAD_TEXT_MAX, "unknown");
    }
    if (fd >= 0) {
        close(fd);
    }
}
