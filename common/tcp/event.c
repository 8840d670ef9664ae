/* Events: what the user is told, and when. A handle is in the event list when something became true
 * that was not reported, or was made true anew (more bytes to read). */
#include "tcp/tcb.h"

void tcb_list_push(struct tcp *tcp, struct tcb_list *list, struct tcb *tcb)
{
    tcb->link_prev = list->last;
    tcb->link_next = TCP_NO_RECORD;
    if (list->last == TCP_NO_RECORD) {
        list->first = tcb->index;
    } else {
        tcb_at(tcp, list->last)->link_next = tcb->index;
    }
    list->last = tcb->index;
}

void tcb_list_remove(struct tcp *tcp, struct tcb_list *list, struct tcb *tcb)
{
    if (tcb->link_prev == TCP_NO_RECORD) {
        list->first = tcb->link_next;
    } else {
        tcb_at(tcp, tcb->link_prev)->link_next = tcb->link_next;
    }
    if (tcb->link_next == TCP_NO_RECORD) {
        list->last = tcb->link_prev;
    } else {
        tcb_at(tcp, tcb->link_next)->link_prev = tcb->link_prev;
    }
    tcb->link_next = tcb->link_prev = TCP_NO_RECORD;
}

/* The user's position in the sequence space is behind rcv_nxt by what is queued (and by the FIN,
 * which is no byte). */
bool event_urgent_is_ahead(const struct tcb *tcb)
{
    uint32_t read_to = tcb->rcv_nxt - tcb->rcv.count - (tcb_has(tcb, TCB_FIN_RECEIVED) ? 1u : 0u);
    return tcb->extra != NULL && tcb->extra->rcv_urgent && seq_gt(tcb->extra->rcv_up, read_to);
}

static bool is_writable(const struct tcp *tcp, const struct tcb *tcb)
{
    return (tcb->state == TCP_STATE_ESTABLISHED || tcb->state == TCP_STATE_CLOSE_WAIT) &&
           !tcb_has(tcb, TCB_FIN_QUEUED) && tcb->snd.count < options_send_limit(tcp, tcb);
}

static bool is_sent(const struct tcb *tcb)
{
    return tcb_has(tcb, TCB_SYN_ACKED) && tcb->snd.count == 0 && tcb->snd_una == tcb->snd_nxt &&
           (!tcb_has(tcb, TCB_FIN_QUEUED) || tcb_has(tcb, TCB_FIN_SENT)) && tcb->error == 0;
}

uint32_t event_ready(const struct tcp *tcp, const struct tcb *tcb)
{
    uint32_t ready = 0;
    if (tcb->rcv.count > 0 || tcb_has(tcb, TCB_FIN_RECEIVED) || tcb->error != 0) {
        ready |= TCP_READABLE;
    }
    if (is_writable(tcp, tcb)) {
        ready |= TCP_WRITABLE;
    }
    if (tcb_has(tcb, TCB_FIN_RECEIVED)) {
        ready |= TCP_PEER_FIN;
    }
    if (event_urgent_is_ahead(tcb)) {
        ready |= TCP_URGENT;
    }
    if (tcb->error != 0) {
        ready |= TCP_ERROR;
    }
    if (is_sent(tcb)) {
        ready |= TCP_SENT;
    }
    if (tcb->state == TCP_STATE_TIME_WAIT || tcb->state == TCP_STATE_CLOSED) {
        ready |= TCP_DONE;
    } else if (tcb->extra != NULL && tcb->extra->trouble) {
        ready |= TCP_TROUBLE;
    }
    return ready;
}

/* Eight bits hold the nine: TCP_ACCEPTABLE is a listener's alone, and lends its place. */
uint8_t event_bits(uint32_t ready)
{
    return (uint8_t)(ready | ready >> 8);
}

/* A connection that waits to be accepted has no handle yet; tcp_accept raises what has become true
 * by then. */
void event_raise(struct tcp *tcp, struct tcb *tcb, uint32_t bits)
{
    tcb->reported &= (uint8_t)~event_bits(bits);
    if (!tcb_has(tcb, TCB_IN_EVENTS | TCB_ORPHAN | TCB_IN_ACCEPT)) {
        tcb->flags |= TCB_IN_EVENTS;
        tcb_list_push(tcp, &tcp->events, tcb);
    }
}

/* MUST-47, SHLD-9: what the user may want to know of a connection that goes on. */
void event_raise_trouble(struct tcp *tcp, struct tcb *tcb)
{
    struct tcb_extra *extra = tcb_need_extra(tcp, tcb);
    if (extra != NULL) {
        extra->trouble = true;
        event_raise(tcp, tcb, TCP_TROUBLE);
    }
}

void event_forget(struct tcp *tcp, struct tcb *tcb)
{
    if (tcb_has(tcb, TCB_IN_EVENTS)) {
        tcb->flags &= ~(uint32_t)TCB_IN_EVENTS;
        tcb_list_remove(tcp, &tcp->events, tcb);
    }
}

void event_raise_listener(struct tcp *tcp, uint16_t number)
{
    struct listener *listener = &tcp->listeners[number];
    if (!listener->has_news) {
        listener->has_news = true;
        tcp->listeners_with_news++;
    }
}

static bool poll_listeners(struct tcp *tcp, struct tcp_event *event)
{
    for (uint16_t number = 0; tcp->listeners_with_news > 0 && number < tcp->config.listeners_max;
         number++) {
        struct listener *listener = &tcp->listeners[number];
        if (!listener->has_news) {
            continue;
        }
        listener->has_news = false;
        tcp->listeners_with_news--;
        if (listener->in_use && listener->accept_count > 0) {
            *event = (struct tcp_event){.handle = listener_handle(tcp, number),
                                        .user = listener->user,
                                        .ready = TCP_ACCEPTABLE};
            return true;
        }
    }
    return false;
}

bool tcp_poll(struct tcp *tcp, struct tcp_event *event)
{
    if (poll_listeners(tcp, event)) {
        return true;
    }
    while (tcp->events.first != TCP_NO_RECORD) {
        struct tcb *tcb = tcb_at(tcp, tcp->events.first);
        event_forget(tcp, tcb);
        uint32_t ready = event_ready(tcp, tcb);
        bool is_news = (event_bits(ready) & ~(uint32_t)tcb->reported) != 0;
        tcb->reported = event_bits(ready);
        if (is_news) {
            *event = (struct tcp_event){
                .handle = tcb_handle(tcb), .user = tcb->user, .ready = ready, .error = tcb->error};
            return true;
        }
    }
    return false;
}
