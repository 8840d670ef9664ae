/* Calls: the embedding ABI's user calls, translated to TCP's. */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "stack/host.h"

static int ip_of(const struct fws_addr *addr, uint32_t *ip)
{
    if (addr->version == 6) {
        return -EAFNOSUPPORT;
    }
    if (addr->version != 0 && addr->version != 4) {
        return -EINVAL;
    }
    *ip = addr->version == 0 ? 0 : host_ip_of(addr);
    return 0;
}

static struct fws_endpoint endpoint_of(uint32_t ip, uint16_t port)
{
    return (struct fws_endpoint){
        .addr = {.version = 4,
                 .bytes = {(uint8_t)(ip >> 24), (uint8_t)(ip >> 16), (uint8_t)(ip >> 8),
                           (uint8_t)ip}},
        .port = port,
    };
}

static struct tcp_options options_in(const struct fws_options *given)
{
    struct fws_options own = {.size = 0};
    if (given != NULL) {
        host_struct_in(&own, sizeof(own), given, given->size);
    }
    return (struct tcp_options){
        .nodelay = own.nodelay != 0,
        .keep_alive = own.keep_alive != 0,
        .linger_rst = own.linger_rst != 0,
        .quickack = own.quickack != 0,
        .dscp = own.dscp,
        .ttl = own.ttl,
        .mss = own.mss,
        .keep_alive_idle_ns = own.keep_alive_idle_ns,
        .keep_alive_interval_ns = own.keep_alive_interval_ns,
        .keep_alive_probes = own.keep_alive_probes,
        .user_timeout_ns = own.user_timeout_ns,
        .congestion = (enum tcp_congestion)own.congestion,
        .send_buffer_bytes = own.send_buffer_bytes,
        .receive_buffer_bytes = own.receive_buffer_bytes,
        .fin_wait_2_ns = own.fin_wait_2_ns,
        .no_time_wait = own.no_time_wait != 0,
    };
}

int fws_listen(struct fws_host *host, const struct fws_endpoint *local, uint32_t backlog,
               const struct fws_options *options, fws_handle *listener)
{
    uint32_t ip;
    int error = ip_of(&local->addr, &ip);
    if (error < 0) {
        return error;
    }
    struct tcp_options own = options_in(options);
    struct tcp_local at = {.ip = ip, .port = local->port};
    return tcp_listen(host->tcp, &at, backlog, &own, listener);
}

int fws_accept(struct fws_host *host, fws_handle listener, fws_handle *conn)
{
    return tcp_accept(host->tcp, listener, conn);
}

int fws_connect(struct fws_host *host, const struct fws_endpoint *local,
                const struct fws_endpoint *remote, const struct fws_options *options,
                fws_handle *conn)
{
    struct tuple tuple = {.local_port = local->port, .remote_port = remote->port};
    int error = ip_of(&local->addr, &tuple.local_ip);
    if (error == 0) {
        error = ip_of(&remote->addr, &tuple.remote_ip);
    }
    if (error < 0) {
        return error;
    }
    if (tuple.local_ip == 0) {
        tuple.local_ip = host->own_ip;
    }
    struct tcp_options own = options_in(options);
    return tcp_connect(host->tcp, &tuple, &own, conn);
}

void fws_connect_soon(const struct fws_host *host, const struct fws_endpoint *local,
                      const struct fws_endpoint *remote)
{
    struct tuple tuple = {.local_port = local->port, .remote_port = remote->port};
    if (ip_of(&local->addr, &tuple.local_ip) == 0 && ip_of(&remote->addr, &tuple.remote_ip) == 0) {
        tcp_prefetch_index(host->tcp, tcp_hash(host->tcp, &tuple));
    }
}

int64_t fws_send(struct fws_host *host, fws_handle conn, const void *data, size_t bytes,
                 uint32_t flags)
{
    return tcp_send(host->tcp, conn, data, bytes, flags);
}

int64_t fws_recv(struct fws_host *host, fws_handle conn, void *data, size_t bytes)
{
    return tcp_recv(host->tcp, conn, data, bytes);
}

int fws_shutdown(struct fws_host *host, fws_handle conn)
{
    return tcp_shutdown(host->tcp, conn);
}

int fws_close(struct fws_host *host, fws_handle handle)
{
    return tcp_close(host->tcp, handle);
}

int fws_abort(struct fws_host *host, fws_handle conn)
{
    return tcp_abort(host->tcp, conn);
}

int fws_set_options(struct fws_host *host, fws_handle conn, const struct fws_options *options)
{
    struct tcp_options own = options_in(options);
    return tcp_set_options(host->tcp, conn, &own);
}

int fws_get_options(struct fws_host *host, fws_handle conn, struct fws_options *options)
{
    struct tcp_options own;
    int error = tcp_get_options(host->tcp, conn, &own);
    if (error < 0) {
        return error;
    }
    struct fws_options given = {
        .nodelay = own.nodelay,
        .keep_alive = own.keep_alive,
        .linger_rst = own.linger_rst,
        .quickack = own.quickack,
        .dscp = own.dscp,
        .ttl = own.ttl,
        .mss = own.mss,
        .keep_alive_idle_ns = own.keep_alive_idle_ns,
        .keep_alive_interval_ns = own.keep_alive_interval_ns,
        .keep_alive_probes = own.keep_alive_probes,
        .user_timeout_ns = own.user_timeout_ns,
        .congestion = (enum fws_congestion)own.congestion,
        .send_buffer_bytes = own.send_buffer_bytes,
        .receive_buffer_bytes = own.receive_buffer_bytes,
        .fin_wait_2_ns = own.fin_wait_2_ns,
        .no_time_wait = own.no_time_wait,
    };
    host_struct_out(options, &given, sizeof(given));
    return 0;
}

int fws_set_user(struct fws_host *host, fws_handle handle, uint64_t user)
{
    return tcp_set_user(host->tcp, handle, user);
}

size_t fws_poll(struct fws_host *host, struct fws_event *events, size_t max)
{
    size_t count = 0;
    struct tcp_event event;
    while (count < max && tcp_poll(host->tcp, &event)) {
        events[count++] = (struct fws_event){.handle = event.handle,
                                             .user = event.user,
                                             .ready = event.ready,
                                             .error = -event.error};
    }
    return count;
}

int64_t fws_ready(struct fws_host *host, fws_handle handle)
{
    return tcp_ready(host->tcp, handle);
}

static void info_out(struct fws_info *info, const struct tcp_info *own)
{
    struct fws_info given = {
        .state = (enum fws_state)own->state,
        .local = endpoint_of(own->tuple.local_ip, own->tuple.local_port),
        .remote = endpoint_of(own->tuple.remote_ip, own->tuple.remote_port),
        .snd_una = own->snd_una,
        .snd_nxt = own->snd_nxt,
        .snd_wnd = own->snd_wnd,
        .rcv_nxt = own->rcv_nxt,
        .rcv_wnd = own->rcv_wnd,
        .cwnd = own->cwnd,
        .ssthresh = own->ssthresh,
        .srtt_ns = own->srtt_us * NS_PER_US,
        .rttvar_ns = own->rttvar_us * NS_PER_US,
        .rto_ns = own->rto_us * NS_PER_US,
        .mss = own->mss,
        .retransmits = own->retransmits,
        .send_queued = own->send_queued,
        .receive_queued = own->receive_queued,
        .out_of_order = own->out_of_order,
        .urgent_ahead = own->urgent_ahead,
        .timestamps = own->timestamps,
        .sack = own->sack,
        .window_scaling = own->window_scaling,
        .ecn = own->ecn,
        .snd_wscale = own->snd_wscale,
        .rcv_wscale = own->rcv_wscale,
        .error = -own->error,
        .soft_error = -own->soft_error,
        .expires_ns = own->expires_ns,
    };
    host_struct_out(info, &given, sizeof(given));
}

int fws_info(struct fws_host *host, fws_handle handle, struct fws_info *info)
{
    struct tcp_info own;
    int error = tcp_info(host->tcp, handle, &own);
    if (error == 0) {
        info_out(info, &own);
    }
    return error;
}

int fws_info_by_tuple(struct fws_host *host, const struct fws_endpoint *local,
                      const struct fws_endpoint *remote, struct fws_info *info)
{
    struct tuple tuple = {.local_port = local->port, .remote_port = remote->port};
    struct tcp_info own;
    if (ip_of(&local->addr, &tuple.local_ip) < 0 || ip_of(&remote->addr, &tuple.remote_ip) < 0 ||
        tcp_info_by_tuple(host->tcp, &tuple, &own) < 0) {
        return -ENOENT;
    }
    info_out(info, &own);
    return 0;
}

void fws_census(const struct fws_host *host, struct fws_census *census)
{
    struct tcp_census own;
    tcp_census(host->tcp, &own);
    struct fws_census given = {
        .live_records = own.live_records,
        .half_open_records = own.half_open_records,
        .time_wait_records = own.time_wait_records,
        .index_entries = own.index_entries,
        .timers_armed = own.timers_armed,
        .buffer_bytes = own.buffer_bytes,
        .memory_bytes = host->memory.bytes,
        .live_memory_bytes = own.live_memory_bytes,
        .half_open_memory_bytes = own.half_open_memory_bytes,
        .time_wait_memory_bytes = own.time_wait_memory_bytes,
        .index_memory_bytes = own.index_memory_bytes,
    };
    memcpy(given.states, own.states.n, sizeof(given.states));
    memcpy(given.transitions, own.transitions.n, sizeof(given.transitions));
    host_struct_out(census, &given, sizeof(given));
}

static size_t append_counters(struct fws_counter *counters, size_t max, size_t count,
                              struct counter_view view)
{
    for (size_t i = 0; i < view.count; i++, count++) {
        if (count < max) {
            counters[count] = (struct fws_counter){
                .name = view.infos[i].name, .help = view.infos[i].help, .value = view.values[i]};
        }
    }
    return count;
}

size_t fws_counters(const struct fws_host *host, struct fws_counter *counters, size_t max)
{
    size_t count = append_counters(counters, max, 0,
                                   (struct counter_view){.infos = host_counter_infos,
                                                         .values = host->counters,
                                                         .count = HOST_COUNTER_COUNT});
    /* The first verdict is WIRE_OK, which is no drop. */
    count = append_counters(counters, max, count,
                            (struct counter_view){.infos = wire_verdict_infos + 1,
                                                  .values = host->verdicts + 1,
                                                  .count = WIRE_VERDICT_COUNT - 1});
    count = append_counters(counters, max, count,
                            (struct counter_view){.infos = reassembly_counter_infos,
                                                  .values = host->reassembly.counters,
                                                  .count = REASSEMBLY_COUNTER_COUNT});
    return append_counters(counters, max, count, tcp_counters(host->tcp));
}
