/* Listening: passive opens, the queue of connections that wait to be accepted, and what a segment
 * for a listener leads to (RFC 9293 section 3.10.7.2). */
#include <errno.h>

#include "tcp/tcb.h"

/* Bit of a handle that tells a listener from a connection. */
#define HANDLE_LISTENER (UINT32_C(1) << 31)

uint64_t listener_handle(const struct tcp *tcp, uint16_t number)
{
    return (uint64_t)tcp->listeners[number].serial << 32 | HANDLE_LISTENER | number;
}

struct listener *listener_find(struct tcp *tcp, uint64_t handle, uint16_t *number)
{
    uint32_t low = (uint32_t)handle & ~HANDLE_LISTENER;
    if (((uint32_t)handle & HANDLE_LISTENER) == 0 || low >= tcp->config.listeners_max) {
        return NULL;
    }
    *number = (uint16_t)low;
    struct listener *listener = &tcp->listeners[low];
    return listener->in_use && listener->serial == handle >> 32 ? listener : NULL;
}

/* MUST-42: the listener that names the address comes before one for all addresses. */
struct listener *listener_match(struct tcp *tcp, const struct tuple *tuple, uint16_t *number)
{
    struct listener *general = NULL;
    for (uint32_t i = 0; i < tcp->config.listeners_max; i++) {
        struct listener *listener = &tcp->listeners[i];
        if (!listener->in_use || listener->port != tuple->local_port) {
            continue;
        }
        if (listener->ip == tuple->local_ip) {
            *number = (uint16_t)i;
            return listener;
        }
        if (listener->ip == 0) {
            *number = (uint16_t)i;
            general = listener;
        }
    }
    return general;
}

static int find_free(struct tcp *tcp, uint32_t ip, uint16_t port, uint16_t *number)
{
    bool found = false;
    for (uint32_t i = 0; i < tcp->config.listeners_max; i++) {
        const struct listener *listener = &tcp->listeners[i];
        if (listener->in_use && listener->port == port && listener->ip == ip) {
            return -EADDRINUSE;
        }
        if (!listener->in_use && !found) {
            *number = (uint16_t)i;
            found = true;
        }
    }
    return found ? 0 : -ENOBUFS;
}

int tcp_listen(struct tcp *tcp, const struct tcp_local *local, uint32_t backlog,
               const struct tcp_options *options, uint64_t *listener_made)
{
    uint32_t ip = local->ip;
    uint16_t port = local->port;
    if (port == 0 || backlog == 0 || options_check(options) < 0) {
        return -EINVAL;
    }
    if (ip != 0 && (ip < tcp->config.first_ip || ip > tcp->config.last_ip)) {
        return -EADDRNOTAVAIL;
    }
    uint16_t number = 0;
    int error = find_free(tcp, ip, port, &number);
    if (error < 0) {
        return error;
    }
    tcp->serial = tcp->serial == UINT32_MAX ? 1 : tcp->serial + 1;
    bool has_news = tcp->listeners[number].has_news;
    tcp->listeners[number] = (struct listener){
        .ip = ip,
        .port = port,
        .in_use = true,
        .has_news = has_news,
        .serial = tcp->serial,
        .backlog = backlog,
        .accepted = {.first = TCP_NO_RECORD, .last = TCP_NO_RECORD},
        .options = *options,
    };
    tcp->states.n[TCP_STATE_LISTEN]++;
    *listener_made = listener_handle(tcp, number);
    return 0;
}

bool listener_is_full(const struct listener *listener)
{
    return listener->accept_count >= listener->backlog;
}

void listener_enqueue(struct tcp *tcp, struct tcb *tcb)
{
    struct listener *listener = &tcp->listeners[tcb->listener];
    tcb->flags |= TCB_IN_ACCEPT;
    tcb_list_push(tcp, &listener->accepted, tcb);
    listener->accept_count++;
    event_raise_listener(tcp, tcb->listener);
}

static void dequeue(struct tcp *tcp, struct listener *listener, struct tcb *tcb)
{
    tcb_list_remove(tcp, &listener->accepted, tcb);
    tcb->flags &= ~(uint32_t)TCB_IN_ACCEPT;
    tcb->answered = 0;
    listener->accept_count--;
}

int tcp_accept(struct tcp *tcp, uint64_t listener_name, uint64_t *conn)
{
    uint16_t number;
    struct listener *listener = listener_find(tcp, listener_name, &number);
    if (listener == NULL) {
        return -EBADF;
    }
    if (listener->accept_count == 0) {
        return -EAGAIN;
    }
    struct tcb *tcb = tcb_at(tcp, listener->accepted.first);
    dequeue(tcp, listener, tcb);
    *conn = tcb_handle(tcb);
    event_raise(tcp, tcb, 0);
    return 0;
}

void listener_close(struct tcp *tcp, uint16_t number)
{
    struct listener *listener = &tcp->listeners[number];
    while (listener->accept_count > 0) {
        struct tcb *tcb = tcb_at(tcp, listener->accepted.first);
        dequeue(tcp, listener, tcb);
        (void)tcp_abort(tcp, tcb_handle(tcb));
    }
    half_open_drop_listener(tcp, number);
    listener->in_use = false;
    tcp->states.n[TCP_STATE_LISTEN]--;
}

static void listener_syn(struct tcp *tcp, const struct tcp_arrival *arrival, uint16_t number)
{
    tcp_count(tcp, TCP_COUNTER_syns_received);
    if (listener_is_full(&tcp->listeners[number])) {
        tcp_count(tcp, TCP_COUNTER_syns_dropped_backlog);
        return;
    }
    (void)half_open_create(tcp, arrival, number, tcp_isn(tcp, &arrival->tuple), INDEX_NONE);
}

void listener_input(struct tcp *tcp, const struct tcp_arrival *arrival, uint16_t number)
{
    uint8_t flags = arrival->segment->flags;
    if (flags & WIRE_RST) { /* first: check for a RST */
        tcp_count(tcp, TCP_COUNTER_resets_ignored);
        return;
    }
    if (flags & WIRE_ACK) { /* second: check for an ACK; any is bad, but that of a cookie */
        if ((flags & WIRE_SYN) == 0 && half_open_cookie(tcp, arrival, number)) {
            return;
        }
        reply_reset(tcp, arrival);
        return;
    }
    if (flags & WIRE_SYN) { /* third: check for a SYN */
        listener_syn(tcp, arrival, number);
        return;
    }
    tcp_count(tcp, TCP_COUNTER_segments_ignored); /* fourth: other data or control */
}
