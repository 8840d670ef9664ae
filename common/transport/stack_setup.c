/* What the stack engine stands on, opened in order: the link and what lies over it, the host,
 * ether, and the certainty that nobody else has the addresses. */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netpacket/packet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/rng.h"
#include "transport/stack_engine.h"

static void *allocate(void *context, size_t bytes)
{
    (void)context;
    return malloc(bytes);
}

static void release(void *context, void *block, size_t bytes)
{
    (void)context;
    (void)bytes;
    free(block);
}

/* An address that the kernel has too would be answered twice, once by an RST. */
static int refuse_owned(uint32_t first, uint32_t last, struct failure *failure)
{
    char text[IP_TEXT_MAX];
    uint32_t owned;
    int rc = link_kernel_owns(first, last, &owned, failure);
    if (rc <= 0) {
        return rc;
    }
    struct ip_addr address = stack_ip_from(owned);
    return failure_set(failure, EADDRINUSE,
                       "address %s is the kernel's own, which would reset the stack's connections; "
                       "give one of the link's that no interface here has",
                       ip_format(&address, text));
}

bool transport_stack_taken(const struct transport_stack_config *config, struct ip_addr *taken)
{
    struct failure failure;
    uint32_t owned = 0;
    const uint32_t own = stack_ip_of(stack_link_address(config));
    const bool found = link_kernel_owns(own, own, &owned, &failure) > 0 ||
                       link_kernel_owns(stack_ip_of(&config->addresses.first),
                                        stack_ip_of(&config->addresses.last), &owned, &failure) > 0;
    *taken = stack_ip_from(owned);
    return found;
}

static int open_interface(struct stack_engine *engine, const struct transport_stack_config *config,
                          struct failure *failure)
{
    struct link_config link = {
        .kind = config->link,
        .interface = config->interface,
        .address_first = stack_ip_of(&config->addresses.first),
        .address_last = stack_ip_of(&config->addresses.last),
        .worker = config->worker,
        .workers = engine->config.workers,
        .group = config->group,
        .steer = config->steer,
        .receive_slots = config->receive_slots,
        .transmit_slots = config->transmit_slots,
        .blocks = config->blocks,
    };
    uint32_t own = stack_ip_of(stack_link_address(config));
    int rc = refuse_owned(link.address_first, link.address_last, failure);
    if (rc == 0) {
        rc = refuse_owned(own, own, failure);
    }
    return rc != 0 ? rc : link_open(&engine->link, &link, failure);
}

static int open_faults(struct stack_engine *engine, const struct transport_stack_config *config,
                       struct failure *failure)
{
    struct link *over;
    if (config->faults == NULL) {
        return 0;
    }
    int rc = link_faults_open(&over, engine->link, config->faults);
    if (rc != 0) {
        return failure_set(failure, -rc, "the link's faults cannot be as asked for: %s",
                           strerror(-rc));
    }
    engine->link = over;
    return 0;
}

/* Puts the capture over the link and its faults. An older file of the name is lost by that, so it
 * comes when nothing is left that could be refused. */
static int open_capture(struct stack_engine *engine, const struct transport_stack_config *config,
                        struct failure *failure)
{
    struct link *over;
    if (config->pcap_path == NULL) {
        return 0;
    }
    struct link_capture capture = {.path = config->pcap_path,
                                   .snap_bytes = config->pcap_snap_bytes,
                                   .wall_offset_ns = clock_wall_ns() - clock_now_ns()};
    int rc = link_pcap_open(&over, engine->link, &capture, failure);
    if (rc == 0) {
        engine->link = over;
    }
    return rc;
}

/* Has the interface receive frames for a MAC that is not its own, for as long as the descriptor is
 * open. */
static int open_promiscuous(struct stack_engine *engine, const struct link_interface *interface,
                            struct failure *failure)
{
    struct packet_mreq member = {.mr_ifindex = (int)interface->index, .mr_type = PACKET_MR_PROMISC};
    engine->promiscuous_fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (engine->promiscuous_fd < 0 ||
        setsockopt(engine->promiscuous_fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &member,
                   sizeof(member)) != 0) {
        return failure_set(failure, errno,
                           "link %s: it cannot be made to receive for another MAC than its own: "
                           "%s; give the stack the interface's",
                           engine->config.interface, strerror(errno));
    }
    return 0;
}

/* Stores the MAC that the stack is to have. One of its own is the same at each start, so that
 * neighbours need not learn it anew. */
static void choose_mac(struct stack_engine *engine, const struct link_interface *interface)
{
    struct transport_stack_config *config = &engine->config;
    if (config->mac_given) {
        return;
    }
    memcpy(config->mac, interface->mac, sizeof(config->mac));
    if (!config->mac_of_interface) {
        uint64_t word = 0;
        memcpy(&word, interface->mac, sizeof(interface->mac));
        word = rng_mix(word ^ rng_mix(stack_ip_of(stack_link_address(config))));
        memcpy(config->mac, &word, sizeof(config->mac));
        config->mac[0] = (uint8_t)((config->mac[0] & 0xfcu) | 2u);
    }
}

static int open_link(struct stack_engine *engine, const struct transport_stack_config *config,
                     struct failure *failure)
{
    engine->link = config->opened;
    int rc = engine->link != NULL ? 0 : open_interface(engine, config, failure);
    if (rc == 0) {
        rc = open_faults(engine, config, failure);
    }
    if (rc != 0) {
        return rc;
    }
    const struct link_interface *interface = link_interface_of(engine->link);
    if (interface->mtu_bytes < STACK_MTU_MIN) {
        return failure_set(failure, EINVAL,
                           "link %s: its MTU is %u bytes, and IPv4 hosts take %u at least; raise "
                           "it by ip link set mtu",
                           config->interface, interface->mtu_bytes, STACK_MTU_MIN);
    }
    choose_mac(engine, interface);
    if (config->opened == NULL &&
        memcmp(engine->config.mac, interface->mac, sizeof(interface->mac)) != 0) {
        return open_promiscuous(engine, interface, failure);
    }
    return 0;
}

static int fill_seed(uint8_t seed[16], const struct transport_stack_config *config,
                     struct failure *failure)
{
    if (config->seed_given) {
        memcpy(seed, config->seed, 16);
        return 0;
    }
    return getrandom(seed, 16, 0) == 16
               ? 0
               : failure_set(failure, EIO,
                             "the system gives no random numbers for the stack's "
                             "keys: %s",
                             strerror(errno));
}

static struct fws_config host_config(const struct stack_engine *engine)
{
    const struct transport_stack_config *config = &engine->config;
    struct fws_config host = {
        .size = sizeof(host),
        .address.version = 4,
        .address_last.version = 4,
        .mtu_bytes = link_interface_of(engine->link)->mtu_bytes,
        .features_off = config->acks_apart ? FWS_FIN_ACK : 0,
        .now_ns = engine->base.now_ns,
        .rfc1337 = config->rfc1337,
        .time_wait_ns = config->time_wait_ns,
        .rto_min_ns = config->rto_min_ns,
        .rto_initial_ns = config->rto_initial_ns,
        .delayed_ack_ns = config->delayed_ack_ns,
        .fin_wait_2_ns = config->fin_wait_2_ns,
        /* Beside the caller's connections those that close in the background have records. */
        .live_max = engine->base.config.conns_max + STACK_CLOSING_MAX,
        .half_open_max = config->half_open_max,
        .time_wait_max = config->time_wait_max,
        .listeners_max = TRANSPORT_LISTENERS_MAX,
        .send_buffer_bytes = config->send_buffer_bytes,
        .receive_buffer_bytes = config->receive_buffer_bytes,
        .syn_retries = config->syn_retries,
        .syn_ack_retries = config->syn_ack_retries,
        .port_first = config->ports.first,
        .port_last = config->ports.last,
        .syn_cookies = (enum fws_syn_cookies)config->syn_cookies,
    };
    memcpy(host.address.bytes, config->addresses.first.bytes, sizeof(host.address.bytes));
    memcpy(host.address_last.bytes, config->addresses.last.bytes, sizeof(host.address.bytes));
    if (config->steer == LINK_STEER_LOCAL_PORT && config->workers > 1) {
        host.port_modulus = (uint16_t)config->workers;
        host.port_residue = (uint16_t)config->worker;
    }
    return host;
}

/* Makes the host, and the tables that its counters are shown by. */
static int open_host(struct stack_engine *engine, struct failure *failure)
{
    struct fws_config config = host_config(engine);
    int rc = fill_seed(config.seed, &engine->config, failure);
    if (rc != 0) {
        return rc;
    }
    rc = fws_host_create(&engine->host, &config);
    if (rc != 0) {
        return failure_set(failure, -rc, "the stack cannot be made with these settings: %s",
                           rc == -EINVAL ? "a time or a limit is out of its range" : strerror(-rc));
    }
    size_t count = fws_counters(engine->host, NULL, 0);
    engine->host_counter_count = count;
    engine->host_counters = calloc(count, sizeof(*engine->host_counters));
    engine->host_infos = calloc(count, sizeof(*engine->host_infos));
    engine->host_values = calloc(count, sizeof(*engine->host_values));
    if (engine->host_counters == NULL || engine->host_infos == NULL ||
        engine->host_values == NULL) {
        return failure_set(failure, ENOMEM, "no memory for the stack's counters");
    }
    (void)fws_counters(engine->host, engine->host_counters, count);
    for (size_t i = 0; i < count; i++) {
        engine->host_infos[i] =
            (struct counter_info){engine->host_counters[i].name, engine->host_counters[i].help};
    }
    return 0;
}

static void open_ether(struct stack_engine *engine)
{
    const struct transport_stack_config *config = &engine->config;
    uint32_t own = stack_ip_of(stack_link_address(config));
    bool is_routed = config->link_address.family != AF_UNSPEC;
    struct ether_config ether = {
        .address_first = own,
        .address_last = is_routed ? own : stack_ip_of(&config->addresses.last),
        .prefix_bits = config->prefix_bits,
        .gateway = config->gateway.family == AF_INET ? stack_ip_of(&config->gateway) : 0,
        .silent = config->worker != 0, /* ARP reaches every worker: one answers */
    };
    memcpy(ether.mac.bytes, config->mac, sizeof(ether.mac.bytes));
    engine->memory = (struct memory){.allocate = allocate, .release = release};
    ether_init(&engine->ether, &ether, &engine->memory, engine->base.now_ns);
}

static int open_descriptors(struct stack_engine *engine, struct failure *failure)
{
    int fds[LINK_FDS_MAX];
    size_t count = link_fds(engine->link, fds);
    engine->wake_fd = engine->base.config.wake_fd;
    if (engine->wake_fd == 0) {
        engine->wake_fd = eventfd(0, EFD_CLOEXEC);
    }
    if (engine->wake_fd < 0) {
        return failure_set(failure, errno, "no descriptor to be woken by: %s", strerror(errno));
    }
    engine->fds[0] = (struct pollfd){.fd = engine->wake_fd, .events = POLLIN};
    for (size_t i = 0; i < count; i++) {
        engine->fds[1 + i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
    }
    engine->fd_count = 1 + count;
    return 0;
}

/* RFC 5227 asks for 3 probes, 1 to 2 s apart: made for hosts that come and go on large networks. On
 * a link that was set up for the purpose a tenth will do. */
#define PROBES 3u
#define PROBE_INTERVAL_NS (70 * NS_PER_MS)
#define CLAIMED_MAX 256u /* addresses that are probed and announced */

static uint32_t claimed_count(const struct stack_engine *engine)
{
    const struct ether_config *ether = &engine->ether.config;
    uint32_t count = ether->address_last - ether->address_first;
    return count < CLAIMED_MAX ? count + 1 : CLAIMED_MAX;
}

/* Lets ARP go to and fro until `end_ns`; packets that come are early and dropped. */
static int exchange_arp(struct stack_engine *engine, uint64_t end_ns, struct failure *failure)
{
    struct link_frame frames[LINK_BATCH_MAX];
    for (uint64_t now_ns; (now_ns = clock_now_ns()) < end_ns;) {
        const uint8_t *packet;
        size_t bytes;
        stack_pump_send(engine, now_ns);
        int rc = stack_pump_wait(engine, end_ns, now_ns);
        if (rc != 0) {
            return failure_set(failure, -rc, "cannot wait for the link: %s", strerror(-rc));
        }
        now_ns = clock_now_ns();
        stack_pump_advance(engine, now_ns);
        size_t count = link_receive(engine->link, now_ns, frames, LINK_BATCH_MAX);
        for (size_t i = 0; i < count; i++) {
            (void)ether_input(&engine->ether, frames[i].data, frames[i].bytes, &packet, &bytes);
        }
        link_release(engine->link);
    }
    return 0;
}

/* Asks for every address, up to CLAIMED_MAX, and refuses to go on where somebody answers. */
static int probe_addresses(struct stack_engine *engine, struct failure *failure)
{
    struct ether *ether = &engine->ether;
    for (uint32_t probe = 0; probe < PROBES && ether->conflict_address == 0; probe++) {
        for (uint32_t i = 0; i < claimed_count(engine); i++) {
            ether_probe(ether, ether->config.address_first + i);
        }
        int rc = exchange_arp(engine, clock_now_ns() + PROBE_INTERVAL_NS, failure);
        if (rc != 0) {
            return rc;
        }
    }
    if (ether->conflict_address == 0) {
        return 0;
    }
    char text[IP_TEXT_MAX];
    struct ip_addr address = stack_ip_from(ether->conflict_address);
    const uint8_t *mac = ether->conflict_mac.bytes;
    return failure_set(failure, EADDRINUSE,
                       "address %s: the station %02x:%02x:%02x:%02x:%02x:%02x on the link has it; "
                       "give one that is free",
                       ip_format(&address, text), mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
}

/* Worker 0 speaks for all. */
static int claim_addresses(struct stack_engine *engine, const struct transport_stack_config *config,
                           struct failure *failure)
{
    if (config->worker != 0) {
        return 0;
    }
    int rc = config->opened == NULL ? stack_claim_take(engine, failure) : 0;
    return rc == 0 && !config->probe_off ? probe_addresses(engine, failure) : rc;
}

static void announce_addresses(struct stack_engine *engine)
{
    if (engine->config.worker != 0) {
        return;
    }
    for (uint32_t i = 0; i < claimed_count(engine); i++) {
        ether_announce(&engine->ether, engine->ether.config.address_first + i);
    }
    stack_pump_send(engine, clock_now_ns());
}

int stack_setup_open(struct stack_engine *engine, const struct transport_stack_config *config,
                     struct failure *failure)
{
    engine->config = *config;
    engine->config.workers = config->workers != 0 ? config->workers : 1;
    engine->promiscuous_fd = engine->lock_fd = engine->wake_fd = -1;
    int rc = transport_stack_check(config, failure);
    if (rc != 0) {
        link_destroy(config->opened);
        return rc;
    }
    rc = open_link(engine, config, failure);
    if (rc == 0) {
        rc = open_host(engine, failure);
    }
    if (rc == 0) {
        open_ether(engine);
        rc = open_descriptors(engine, failure);
    }
    if (rc == 0) {
        rc = claim_addresses(engine, config, failure);
    }
    rc = rc != 0 ? rc : open_capture(engine, config, failure);
    if (rc == 0) {
        announce_addresses(engine);
    }
    return rc;
}

static void close_if_open(int fd)
{
    if (fd >= 0) {
        close(fd);
    }
}

void stack_setup_close(struct stack_engine *engine)
{
    if (engine->memory.allocate != NULL) {
        ether_release(&engine->ether);
    }
    fws_host_destroy(engine->host);
    link_destroy(engine->link);
    free(engine->host_counters);
    free(engine->host_infos);
    free(engine->host_values);
    close_if_open(engine->promiscuous_fd);
    close_if_open(engine->lock_fd);
    if (engine->base.config.wake_fd == 0) {
        close_if_open(engine->wake_fd);
    }
}
