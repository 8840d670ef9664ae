/* Config: the ABI's settings, with defaults filled in and ranges checked. */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "stack/host.h"

#define RECORDS_MAX ((UINT32_C(1) << 30) - 1)
#define BUFFER_BYTES_MAX (UINT32_C(1) << 29)
#define MTU_MIN 576u /* RFC 791: every host takes it */
#define RETRIES_MAX 15u
#define LISTENERS_MAX 1024u
#define DAY_NS (86400 * NS_PER_SEC)

void host_struct_in(void *own, size_t own_bytes, const void *theirs, size_t their_bytes)
{
    memset(own, 0, own_bytes);
    memcpy(own, theirs, own_bytes < their_bytes ? own_bytes : their_bytes);
}

void host_struct_out(void *theirs, const void *own, size_t own_bytes)
{
    size_t their_bytes;
    memcpy(&their_bytes, theirs, sizeof(their_bytes));
    size_t known = own_bytes < their_bytes ? own_bytes : their_bytes;
    memcpy((char *)theirs + sizeof(size_t), (const char *)own + sizeof(size_t),
           known > sizeof(size_t) ? known - sizeof(size_t) : 0);
}

static void default_u64(uint64_t *value, uint64_t standard)
{
    *value = *value != 0 ? *value : standard;
}

static void default_u32(uint32_t *value, uint32_t standard)
{
    *value = *value != 0 ? *value : standard;
}

static void fill_defaults(struct fws_config *config)
{
    config->prefix_bits = config->prefix_bits != 0 ? config->prefix_bits : 32;
    config->ttl = config->ttl != 0 ? config->ttl : 64;
    config->port_first = config->port_first != 0 ? config->port_first : 32768;
    config->port_last = config->port_last != 0 ? config->port_last : 60999;
    default_u32(&config->mtu_bytes, 1500);
    config->port_modulus = config->port_modulus != 0 ? config->port_modulus : 1;
    default_u64(&config->time_wait_ns, 60 * NS_PER_SEC);
    default_u64(&config->rto_min_ns, 200 * NS_PER_MS);
    default_u64(&config->rto_initial_ns, NS_PER_SEC);
    default_u64(&config->rto_max_ns, 120 * NS_PER_SEC);
    default_u64(&config->delayed_ack_ns, 40 * NS_PER_MS);
    default_u64(&config->fin_wait_2_ns, 60 * NS_PER_SEC);
    default_u64(&config->challenge_ack_per_sec, 1000);
    default_u32(&config->live_max, 65536);
    default_u32(&config->half_open_max, 65536);
    default_u32(&config->time_wait_max, RECORDS_MAX);
    default_u32(&config->listeners_max, 64);
    default_u32(&config->send_buffer_bytes, 262144);
    default_u32(&config->receive_buffer_bytes, 262144);
    default_u32(&config->syn_retries, 7);
    default_u32(&config->syn_ack_retries, 5);
    default_u32(&config->retries, 15);
    default_u32(&config->initial_window_segments, 10);
}

static bool limits_are_right(const struct fws_config *config)
{
    return config->live_max <= RECORDS_MAX && config->half_open_max <= RECORDS_MAX &&
           config->time_wait_max <= RECORDS_MAX && config->listeners_max <= LISTENERS_MAX &&
           config->send_buffer_bytes <= BUFFER_BYTES_MAX &&
           config->receive_buffer_bytes <= BUFFER_BYTES_MAX && config->syn_retries <= RETRIES_MAX &&
           config->syn_ack_retries <= RETRIES_MAX && config->retries <= 255 &&
           config->initial_window_segments <= 64 && config->port_first <= config->port_last &&
           config->port_residue < config->port_modulus;
}

static bool times_are_right(const struct fws_config *config)
{
    return config->time_wait_ns <= 10 * DAY_NS && config->fin_wait_2_ns <= 10 * DAY_NS &&
           config->rto_min_ns <= config->rto_max_ns &&
           config->rto_initial_ns <= config->rto_max_ns && config->rto_max_ns <= 600 * NS_PER_SEC &&
           config->delayed_ack_ns < 500 * NS_PER_MS;
}

static bool choices_are_right(const struct fws_config *config)
{
    return config->prefix_bits <= 32 && config->mtu_bytes >= MTU_MIN &&
           config->mtu_bytes <= UINT16_MAX && config->syn_cookies <= FWS_COOKIES_OFF &&
           config->congestion <= FWS_CONGESTION_CUBIC;
}

uint32_t host_ip_of(const struct fws_addr *addr)
{
    return (uint32_t)addr->bytes[0] << 24 | (uint32_t)addr->bytes[1] << 16 |
           (uint32_t)addr->bytes[2] << 8 | addr->bytes[3];
}

static bool is_on(const struct fws_config *config, enum fws_feature feature)
{
    return (config->features_off & (uint32_t)feature) == 0;
}

static void translate(struct tcp_config *tcp, const struct fws_config *config)
{
    uint32_t ip = host_ip_of(&config->address);
    uint32_t host_bits = config->prefix_bits == 32 ? 0 : UINT32_MAX >> config->prefix_bits;
    bool has_last = config->address_last.version != 0;
    *tcp = (struct tcp_config){
        .first_ip = has_last ? ip : ip & ~host_bits,
        .last_ip = has_last ? host_ip_of(&config->address_last) : ip | host_bits,
        .mtu_bytes = config->mtu_bytes,
        .ttl = config->ttl,
        .rfc1337 = config->rfc1337 != 0,
        .ecn = config->ecn != 0,
        .timestamps = is_on(config, FWS_TIMESTAMPS),
        .sack = is_on(config, FWS_SACK),
        .window_scaling = is_on(config, FWS_WINDOW_SCALING),
        .path_mtu = is_on(config, FWS_PATH_MTU),
        .delayed_ack = is_on(config, FWS_DELAYED_ACK),
        .fin_ack = is_on(config, FWS_FIN_ACK),
        .now_ns = config->now_ns,
        .time_wait_ns = config->time_wait_ns == FWS_TIME_WAIT_NONE ? 0 : config->time_wait_ns,
        .rto_min_ns = config->rto_min_ns,
        .rto_initial_ns = config->rto_initial_ns,
        .rto_max_ns = config->rto_max_ns,
        .delayed_ack_ns = config->delayed_ack_ns,
        .fin_wait_2_ns = config->fin_wait_2_ns,
        .challenge_ack_per_sec = config->challenge_ack_per_sec,
        .live_max = config->live_max,
        .half_open_max = config->half_open_max,
        .time_wait_max = config->time_wait_max,
        .listeners_max = config->listeners_max,
        .send_buffer_bytes = config->send_buffer_bytes,
        .receive_buffer_bytes = config->receive_buffer_bytes,
        .syn_retries = config->syn_retries,
        .syn_ack_retries = config->syn_ack_retries,
        .retries = config->retries,
        .initial_window_segments = config->initial_window_segments,
        .port_first = config->port_first,
        .port_last = config->port_last,
        .port_modulus = config->port_modulus,
        .port_residue = config->port_residue,
        .syn_cookies = (enum tcp_cookies)config->syn_cookies,
        .congestion = (enum tcp_congestion)config->congestion,
        .iss_offset = config->iss_offset,
        .timestamp_offset = config->timestamp_offset,
    };
    memcpy(tcp->seed, config->seed, sizeof(tcp->seed));
}

int host_config_read(struct tcp_config *tcp, struct fws_config *config)
{
    if (config->address.version == 6 || config->address_last.version == 6) {
        return -EAFNOSUPPORT;
    }
    fill_defaults(config);
    uint32_t ip = host_ip_of(&config->address);
    uint32_t last_ip = host_ip_of(&config->address_last);
    if (config->address_last.version != 0 &&
        (config->address_last.version != 4 || last_ip < ip || last_ip >> 28 >= 14)) {
        return -EINVAL;
    }
    if (config->address.version != 4 || ip == 0 || ip >> 28 >= 14 || !limits_are_right(config) ||
        !times_are_right(config) || !choices_are_right(config)) {
        return -EINVAL;
    }
    if ((config->allocator.allocate == NULL) != (config->allocator.release == NULL)) {
        return -EINVAL;
    }
    translate(tcp, config);
    return 0;
}
