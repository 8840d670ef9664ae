/* rtnetlink requests; see rtnl.h. Layer: bench/lab. */
#include "rtnl.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"

/* The longest request (a veth pair) takes about 150 bytes. */
#define REQUEST_MAX 512

/* A request under construction: `used` bytes, header included. */
struct request {
    _Alignas(NLMSG_ALIGNTO) unsigned char bytes[REQUEST_MAX];
    size_t used;
};

/* Takes zeroed room at the request's end. Requires that there is room: requests are our own. */
static void *request_extend(struct request *request, size_t size)
{
    size_t place = NLMSG_ALIGN(request->used);
    ASSERT(place + NLMSG_ALIGN(size) <= REQUEST_MAX);
    request->used = place + size;
    return &request->bytes[place];
}

static void request_begin(struct request *request, uint16_t type, uint16_t flags)
{
    memset(request, 0, sizeof(*request));
    struct nlmsghdr *header = request_extend(request, sizeof(*header));
    header->nlmsg_type = type;
    header->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags);
}

static void request_put(struct request *request, unsigned short type, const void *value,
                        size_t size)
{
    struct rtattr *attribute = request_extend(request, RTA_LENGTH(size));
    attribute->rta_type = type;
    attribute->rta_len = (unsigned short)RTA_LENGTH(size);
    if (size > 0) {
        memcpy(RTA_DATA(attribute), value, size);
    }
}

/* Begins an attribute that holds others; request_close ends it. */
static size_t request_open(struct request *request, unsigned short type)
{
    size_t place = NLMSG_ALIGN(request->used);
    request_put(request, type, NULL, 0);
    return place;
}

static void request_close(struct request *request, size_t place)
{
    struct rtattr attribute;
    memcpy(&attribute, &request->bytes[place], sizeof(attribute));
    attribute.rta_len = (unsigned short)(request->used - place);
    memcpy(&request->bytes[place], &attribute, sizeof(attribute));
}

/* Sends the request and reads its acknowledgement. */
static int request_send(struct request *request, int fd)
{
    struct nlmsghdr header;
    memcpy(&header, request->bytes, sizeof(header));
    header.nlmsg_len = (uint32_t)request->used;
    memcpy(request->bytes, &header, sizeof(header));
    if (send(fd, request->bytes, request->used, 0) < 0) {
        return -errno;
    }
    struct {
        struct nlmsghdr header;
        struct nlmsgerr verdict;
        unsigned char rest[REQUEST_MAX]; /* an error carries the request */
    } reply;
    ssize_t size = recv(fd, &reply, sizeof(reply), 0);
    if (size < 0) {
        return -errno;
    }
    if ((size_t)size < sizeof(reply.header) + sizeof(reply.verdict) ||
        reply.header.nlmsg_type != NLMSG_ERROR) {
        return -EPROTO;
    }
    return reply.verdict.error;
}

int rtnl_open(void)
{
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    return fd < 0 ? -errno : fd;
}

/* Finds a link's index or -errno. */
static int find_link(const char *link)
{
    unsigned index = if_nametoindex(link);
    return index == 0 ? -errno : (int)index;
}

int rtnl_link_up(int fd, const char *link)
{
    int index = find_link(link);
    if (index < 0) {
        return index;
    }
    struct request request;
    request_begin(&request, RTM_NEWLINK, 0);
    struct ifinfomsg *info = request_extend(&request, sizeof(*info));
    info->ifi_family = AF_UNSPEC;
    info->ifi_index = index;
    info->ifi_flags = IFF_UP;
    info->ifi_change = IFF_UP;
    return request_send(&request, fd);
}

int rtnl_add_veth(int fd, const struct rtnl_veth *veth)
{
    struct request request;
    request_begin(&request, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
    request_extend(&request, sizeof(struct ifinfomsg));
    request_put(&request, IFLA_IFNAME, veth->name, strlen(veth->name) + 1);
    size_t link_info = request_open(&request, IFLA_LINKINFO);
    request_put(&request, IFLA_INFO_KIND, "veth", strlen("veth"));
    size_t data = request_open(&request, IFLA_INFO_DATA);
    size_t peer = request_open(&request, VETH_INFO_PEER);
    request_extend(&request, sizeof(struct ifinfomsg));
    request_put(&request, IFLA_IFNAME, veth->peer_name, strlen(veth->peer_name) + 1);
    request_put(&request, IFLA_NET_NS_FD, &veth->peer_netns_fd, sizeof(veth->peer_netns_fd));
    request_close(&request, peer);
    request_close(&request, data);
    request_close(&request, link_info);
    return request_send(&request, fd);
}

static size_t address_bytes(const struct ip_addr *ip)
{
    return ip->family == AF_INET ? 4 : 16;
}

int rtnl_add_address(int fd, const char *link, const struct rtnl_prefix *prefix)
{
    int index = find_link(link);
    if (index < 0) {
        return index;
    }
    struct request request;
    request_begin(&request, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL);
    struct ifaddrmsg *address = request_extend(&request, sizeof(*address));
    address->ifa_family = prefix->ip.family;
    address->ifa_prefixlen = prefix->bits;
    address->ifa_index = (uint32_t)index;
    request_put(&request, IFA_LOCAL, prefix->ip.bytes, address_bytes(&prefix->ip));
    request_put(&request, IFA_ADDRESS, prefix->ip.bytes, address_bytes(&prefix->ip));
    return request_send(&request, fd);
}

int rtnl_add_route(int fd, const struct rtnl_route *route)
{
    int index = find_link(route->link);
    if (index < 0) {
        return index;
    }
    struct request request;
    request_begin(&request, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL);
    struct rtmsg *message = request_extend(&request, sizeof(*message));
    message->rtm_family = route->to.ip.family;
    message->rtm_dst_len = route->to.bits;
    message->rtm_table = route->local ? RT_TABLE_LOCAL : RT_TABLE_MAIN;
    message->rtm_protocol = RTPROT_STATIC;
    message->rtm_type = route->local ? RTN_LOCAL : RTN_UNICAST;
    message->rtm_scope = route->local ? RT_SCOPE_HOST : RT_SCOPE_UNIVERSE;
    request_put(&request, RTA_DST, route->to.ip.bytes, address_bytes(&route->to.ip));
    request_put(&request, RTA_OIF, &index, sizeof(index));
    if (route->gateway.family != AF_UNSPEC) {
        request_put(&request, RTA_GATEWAY, route->gateway.bytes, address_bytes(&route->gateway));
    }
    return request_send(&request, fd);
}
