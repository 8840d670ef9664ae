/* The simulator's view of records: each delivery, what the host says of the connection before and
 * after, held against the segments seen.
 *
 * Layer: tests. See sim.h. TIME_WAIT is followed here, from the last FIN to its end. */
#include "base/clock.h"
#include "sim/sim_private.h"

/* TIME_WAIT may end this much late: a tick of a timer, a batch of packets. */
#define LATE_NS (20 * NS_PER_MS)
/* And a delayed ACK: records count in milliseconds, rounded up. */
#define ACK_LATE_NS (5 * NS_PER_MS)

/* The end that a packet goes to. */
struct target {
    struct conn *conn; /* NULL: none of the plan's */
    struct app *app;
    struct flow *flow;
    struct half *half;
    struct half *peer;
    uint32_t side;
    uint32_t host;
    uint32_t index;
};

static bool target_of(struct sim *sim, const struct slot *slot, struct target *target)
{
    if (slot->damaged || slot->checked.ref.flow == FLOW_NONE) {
        return false;
    }
    uint32_t side = 1 - slot->checked.ref.side;
    struct flow *flow = &sim->checker.table.flows[slot->checked.ref.flow];
    if (flow->conn == FLOW_NONE) {
        return false;
    }
    /* An end may still be in the connection before, whose 4-tuple the other has taken again. */
    const struct half_app *known = &flow->half[side].app;
    uint32_t index = known->known ? known->owner : flow->conn;
    struct conn *conn = &sim->conns[index];
    *target = (struct target){.conn = conn,
                              .app = &conn->app[side],
                              .flow = flow,
                              .half = &flow->half[side],
                              .peer = &flow->half[1 - side],
                              .side = side,
                              .host = flow->half[side].host,
                              .index = index};
    return true;
}

static struct target end_of(struct sim *sim, uint32_t index, uint32_t side)
{
    struct conn *conn = &sim->conns[index];
    struct flow *flow = conn_flow(sim, conn);
    return (struct target){.conn = conn,
                           .app = &conn->app[side],
                           .flow = flow,
                           .half = &flow->half[side],
                           .peer = &flow->half[1 - side],
                           .side = side,
                           .host = flow->half[side].host,
                           .index = index};
}

static bool is_of(const struct target *target)
{
    return target->half->app.known && target->half->app.owner == target->index &&
           !target->half->forgotten;
}

static bool query(struct sim *sim, const struct flow *flow, uint32_t side, struct fws_info *info)
{
    struct fws_endpoint local = endpoint_of(flow->address[side], flow->port[side]);
    struct fws_endpoint remote = endpoint_of(flow->address[1 - side], flow->port[1 - side]);
    *info = (struct fws_info){.size = sizeof(*info)};
    return fws_info_by_tuple(sim->hosts[flow->half[side].host].host, &local, &remote, info) == 0;
}

static bool is_synchronized(enum fws_state state)
{
    return state == FWS_STATE_ESTABLISHED || state == FWS_STATE_FIN_WAIT_1 ||
           state == FWS_STATE_FIN_WAIT_2 || state == FWS_STATE_CLOSE_WAIT ||
           state == FWS_STATE_CLOSING || state == FWS_STATE_LAST_ACK;
}

void watch_before(struct sim *sim, const struct slot *slot, struct watch *watch)
{
    struct target target;
    struct fws_info info;
    *watch = (struct watch){0};
    if (target_of(sim, slot, &target) && query(sim, target.flow, target.side, &info)) {
        watch->had_record = true;
        watch->state = info.state;
    }
}

/* A segment without SYN that makes a record: a SYN cookie came back. When it is not the answer to
 * the SYN-ACK of now, an old one did, and the checker cannot know what the record begins with. A
 * cookie's record is established at once; one that is half-open was made by a SYN of this batch. */
void watch_admit(struct sim *sim, const struct slot *slot, const struct watch *watch)
{
    struct target target;
    struct fws_info info;
    if (watch->had_record || !target_of(sim, slot, &target) ||
        (slot->checked.packet.flags & (PACKET_SYN | PACKET_RST)) ||
        !query(sim, target.flow, target.side, &info) || info.state == FWS_STATE_SYN_RECEIVED) {
        return;
    }
    bool is_awaited = target.half->phase == HALF_PASSIVE && !target.half->confirmed &&
                      target.half->now.peer_instance == target.peer->now.instance &&
                      slot->checked.instance == target.peer->now.instance && !target.app->used;
    if (!is_awaited) {
        checker_forget(target.half);
        target.conn->excuses |= EXCUSE_FAULT;
    }
}

static bool fail(struct sim *sim, const struct target *target, enum rule rule,
                 const struct fws_info *info)
{
    return violate(
        &sim->violation, rule,
        "host %u, conn %u side %u: state %d, was %u; snd_una iss+%u snd_nxt iss+%u rcv_nxt irs+%u "
        "wnd %u, before una iss+%u nxt irs+%u edge irs+%u; FIN sent %d, FIN came %d, app closed "
        "%d; last FIN %lld us, expires %lld us, now %llu us",
        target->host, target->index, target->side, (int)info->state, target->app->state,
        info->snd_una - target->half->now.iss, info->snd_nxt - target->half->now.iss,
        info->rcv_nxt - target->half->now.irs, info->rcv_wnd,
        target->app->snd_una - target->half->now.iss, target->app->rcv_nxt - target->half->now.irs,
        target->app->edge - target->half->now.irs, target->half->fin_sent,
        half_has_fin(target->half), target->app->shut, (long long)(target->app->last_fin_ns / 1000),
        (long long)(info->expires_ns / 1000), (unsigned long long)(sim->now_ns / 1000));
}

/* SND.UNA, RCV.NXT and the right edge, as the host tells them. */
static bool check_numbers(struct sim *sim, const struct target *target, const struct fws_info *info)
{
    struct app *app = target->app;
    uint32_t edge = info->rcv_nxt + info->rcv_wnd;
    bool is_new = app->instance != target->half->now.instance || !is_synchronized(app->state);
    if (seq_distance(info->snd_una, info->snd_nxt) > 0 ||
        (!is_new && seq_distance(info->snd_una, app->snd_una) < 0)) {
        return fail(sim, target, RULE_snd_una, info);
    }
    if (!is_new && seq_distance(info->rcv_nxt, app->rcv_nxt) < 0) {
        return fail(sim, target, RULE_rcv_nxt, info);
    }
    if (!is_new && !half_has_fin(target->half) && seq_distance(edge, app->edge) < 0) {
        return fail(sim, target, RULE_edge_info, info);
    }
    app->snd_una = info->snd_una;
    app->rcv_nxt = info->rcv_nxt;
    app->edge = edge;
    return true;
}

/* What segments and calls have shown must fit the state. */
static bool check_state(struct sim *sim, const struct target *target, const struct fws_info *info)
{
    const struct half *half = target->half;
    bool shut = target->app->shut;
    bool fits = true;
    switch (info->state) {
    case FWS_STATE_ESTABLISHED:
        fits = !shut && !half->fin_sent;
        break;
    case FWS_STATE_CLOSE_WAIT:
        fits = !half->fin_sent && half_has_fin(half);
        break;
    case FWS_STATE_FIN_WAIT_1:
        fits = shut;
        break;
    case FWS_STATE_FIN_WAIT_2:
        fits = shut && half->fin_sent;
        break;
    case FWS_STATE_TIME_WAIT:
        fits = half->fin_sent && half_has_fin(half);
        break;
    case FWS_STATE_CLOSING: /* the own FIN may still stand behind data that is queued */
    case FWS_STATE_LAST_ACK:
        fits = shut && half_has_fin(half);
        break;
    case FWS_STATE_SYN_SENT:
    case FWS_STATE_SYN_RECEIVED:
        break;
    case FWS_STATE_NONE:
    case FWS_STATE_CLOSED:
    case FWS_STATE_LISTEN:
        fits = false; /* no 4-tuple has a record in these */
        break;
    }
    return fits || fail(sim, target, RULE_state_wire, info);
}

static void queue_time_wait(struct sim *sim, const struct target *target, uint64_t at_ns,
                            bool must_be_over)
{
    heap_push(&sim->heap, (struct heap_event){.at_ns = at_ns,
                                              .kind = EVENT_TIME_WAIT,
                                              .index = target->index * 2 + target->side,
                                              .word = must_be_over});
}

static void follow_time_wait(struct sim *sim, const struct target *target, const struct slot *slot,
                             const struct fws_info *info)
{
    struct app *app = target->app;
    const struct packet *packet = &slot->checked.packet;
    uint64_t time_wait_ns = sim->hosts[target->host].time_wait_ns;
    bool is_present = slot->checked.instance == target->half->now.peer_instance;
    if (app->state != FWS_STATE_TIME_WAIT || app->instance != target->half->now.instance) {
        app->last_fin_ns = sim->now_ns;
        app->last_any_ns = sim->now_ns;
        app->aborted = false;
        queue_time_wait(sim, target, sim->now_ns + time_wait_ns - 1, false);
    } else if (!(packet->flags & PACKET_RST)) {
        app->last_any_ns = sim->now_ns;
        if (is_present && (packet->flags & PACKET_FIN)) {
            app->last_fin_ns = sim->now_ns;
            sim->totals.fins_answered++;
            if (target->half->sent_empty == 0) {
                fail(sim, target, RULE_fin_unanswered, info);
                return;
            }
        }
    }
    if (info->expires_ns < app->last_fin_ns + time_wait_ns) {
        fail(sim, target, RULE_time_wait_short, info);
    } else if (info->expires_ns > app->last_any_ns + time_wait_ns + LATE_NS) {
        fail(sim, target, RULE_time_wait_long, info);
    }
}

void watch_time_wait(struct sim *sim, uint32_t conn_side, bool must_be_over)
{
    struct target target = end_of(sim, conn_side / 2, conn_side & 1);
    struct fws_info info;
    if ((target.half->app.known && target.half->app.owner != target.index) ||
        target.app->state != FWS_STATE_TIME_WAIT ||
        target.app->instance != target.half->now.instance) {
        return;
    }
    uint64_t time_wait_ns = sim->hosts[target.host].time_wait_ns;
    uint64_t due_ns = must_be_over ? target.app->last_any_ns + time_wait_ns + LATE_NS
                                   : target.app->last_fin_ns + time_wait_ns - 1;
    if (due_ns > sim->now_ns) {
        queue_time_wait(sim, &target, due_ns, must_be_over);
        return;
    }
    if (must_be_over) {
        host_advance(sim, target.host);
        host_settle(sim, target.host);
    }
    bool has_record =
        query(sim, target.flow, target.side, &info) && info.state == FWS_STATE_TIME_WAIT;
    if (has_record && must_be_over) {
        fail(sim, &target, RULE_time_wait_long, &info);
    } else if (!has_record && target.app->aborted) {
        target.app->state = FWS_STATE_NONE;
    } else if (!has_record && !must_be_over && target.app->last_fin_ns < sim->now_ns) {
        fail(sim, &target, RULE_time_wait_short, &info);
    } else if (!must_be_over) {
        queue_time_wait(sim, &target, target.app->last_any_ns + time_wait_ns + LATE_NS, true);
    }
}

/* Counts challenge ACKs: an ACK that answers a SYN or an RST in a synchronized state. The host's
 * second need not begin when ours does, so that twice the bound may fall into one of ours. */
static void count_challenge(struct sim *sim, const struct target *target, const struct slot *slot,
                            const struct watch *watch)
{
    if (!(slot->checked.packet.flags & (PACKET_SYN | PACKET_RST)) ||
        !is_synchronized(watch->state) || target->half->sent_empty == 0 ||
        target->half->arrived != 1) {
        return;
    }
    struct sim_host *host = &sim->hosts[target->host];
    uint64_t second = sim->now_ns / NS_PER_SEC;
    uint64_t bound = sim->plan->hosts[target->host][HOST_challenge_per_sec];
    host->challenges = host->challenge_second == second ? host->challenges + 1 : 1;
    host->challenge_second = second;
    if (host->challenges > 2 * (bound ? bound : 1000)) {
        violate(&sim->violation, RULE_challenge_rate, "host %u: %llu challenge ACKs in a second",
                target->host, (unsigned long long)host->challenges);
    }
}

/* TIME_WAIT that a delivery ended: by an RST, by a SYN (RFC 6191), or not at all. */
static void check_ended(struct sim *sim, const struct target *target, const struct slot *slot)
{
    struct fws_info none = {.state = FWS_STATE_NONE};
    bool ignores_rst = sim->plan->hosts[target->host][HOST_rfc1337] != 0;
    uint8_t flags = slot->checked.packet.flags;
    bool by_rst = target->half->arrived_rst > 0 && !ignores_rst; /* in the same batch */
    uint64_t over_ns = target->app->last_fin_ns + sim->hosts[target->host].time_wait_ns;
    if (target->app->state == FWS_STATE_TIME_WAIT && !target->app->aborted && !by_rst &&
        !(flags & PACKET_SYN) && target->app->instance == target->half->now.instance &&
        sim->now_ns < over_ns) {
        fail(sim, target, RULE_time_wait_short, &none);
    }
}

/* How long the host may keep an ACK back: not at all, for what this run says; else as its config
 * has it, and a tick. */
static uint64_t ack_bound_ns(const struct sim *sim, const struct target *target,
                             const struct fws_info *info)
{
    const uint64_t *fields = sim->plan->hosts[target->host];
    bool has_fin = info->state != FWS_STATE_ESTABLISHED && info->state != FWS_STATE_FIN_WAIT_1 &&
                   info->state != FWS_STATE_FIN_WAIT_2;
    bool data_waits = (fields[HOST_features_off] & FWS_DELAYED_ACK) == 0 &&
                      (target->app->options & OPTION_QUICKACK) == 0;
    bool fin_waits = (fields[HOST_features_off] & FWS_FIN_ACK) != 0;
    bool is_at_once = info->state == FWS_STATE_TIME_WAIT || (has_fin ? !fin_waits : !data_waits);
    uint64_t delay_ns = fields[HOST_delayed_ack_ns] ? fields[HOST_delayed_ack_ns] : 40 * NS_PER_MS;
    return is_at_once ? 0 : delay_ns + ACK_LATE_NS;
}

/* RFC 9293 3.8.6.3 (MUST-58): an ACK is not kept back for long; a FIN's is sent at once unless the
 * host was made to wait for the close that is likely to follow. */
static bool follow_ack(struct sim *sim, const struct target *target, const struct fws_info *info)
{
    struct app *app = target->app;
    uint32_t acked = target->half->ack_max;
    if (!target->half->irs_known || acked == info->rcv_nxt) {
        app->owed_ns = 0;
        return true;
    }
    uint64_t bound_ns = ack_bound_ns(sim, target, info);
    bool is_new = app->owed_ns == 0 || app->instance != target->half->now.instance ||
                  seq_distance(acked, app->owed_nxt) >= 0;
    if (is_new && bound_ns == 0) {
        return fail(sim, target, RULE_ack_late, info);
    }
    if (is_new) {
        app->owed_ns = sim->now_ns;
        app->owed_nxt = info->rcv_nxt;
        heap_push(&sim->heap, (struct heap_event){.at_ns = sim->now_ns + bound_ns,
                                                  .kind = EVENT_ACK,
                                                  .index = target->index * 2 + target->side});
    }
    return true;
}

void watch_ack(struct sim *sim, uint32_t conn_side)
{
    struct target target = end_of(sim, conn_side / 2, conn_side & 1);
    struct app *app = target.app;
    struct fws_info info;
    if (app->owed_ns == 0 || !is_of(&target) || app->instance != target.half->now.instance ||
        !query(sim, target.flow, target.side, &info) || !is_synchronized(info.state) ||
        seq_distance(target.half->ack_max, app->owed_nxt) >= 0 ||
        app->owed_ns + ack_bound_ns(sim, &target, &info) > sim->now_ns) {
        return;
    }
    fail(sim, &target, RULE_ack_late, &info);
}

/* Behind a close that wants no TIME_WAIT: nothing is kept once our FIN is acknowledged. */
static bool check_kept(struct sim *sim, const struct target *target, const struct fws_info *info)
{
    bool is_kept = info->state == FWS_STATE_TIME_WAIT || info->state == FWS_STATE_FIN_WAIT_2;
    return !(is_kept && target->app->wants_nothing_kept) ||
           fail(sim, target, RULE_time_wait_unwanted, info);
}

void watch_closed(struct sim *sim, uint32_t index, uint32_t side)
{
    struct target target = end_of(sim, index, side);
    struct fws_info info;
    if (is_of(&target) && query(sim, target.flow, side, &info)) {
        (void)check_kept(sim, &target, &info);
    }
}

static void judge(struct sim *sim, const struct target *target, const struct slot *slot,
                  const struct fws_info *info)
{
    bool is_live = is_synchronized(info->state);
    if (!check_state(sim, target, info) || !check_kept(sim, target, info) ||
        (is_live && !check_numbers(sim, target, info))) {
        return;
    }
    if ((is_live || info->state == FWS_STATE_TIME_WAIT) && !follow_ack(sim, target, info)) {
        return;
    }
    if (info->state == FWS_STATE_TIME_WAIT) {
        follow_time_wait(sim, target, slot, info);
    }
    target->app->state = (uint8_t)info->state;
    target->app->instance = target->half->now.instance;
}

void watch_after(struct sim *sim, const struct slot *slot, const struct watch *watch)
{
    struct target target;
    struct fws_info info;
    if (!target_of(sim, slot, &target) || target.half->forgotten) {
        return;
    }
    count_challenge(sim, &target, slot, watch);
    if (!query(sim, target.flow, target.side, &info)) {
        check_ended(sim, &target, slot);
        target.app->state = FWS_STATE_NONE;
    } else if (target.half->phase != HALF_CLOSED) {
        judge(sim, &target, slot, &info);
    }
}
