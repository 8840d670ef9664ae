/* The simulator's judge of FWS_TROUBLE (RFC 9293 section 3.8.3, SHLD-9, MUST-47): the application
 * is told of the third time-out in a row and of what a router reports, and of nothing else; once
 * the peer acknowledges something new it is over.
 *
 * Layer: tests. See sim.h. A cause and its telling belong together while SND.UNA stays. What is
 * sent before a closed window is a probe and no retransmission; a window that closes and opens
 * begins the row anew, since the peer answered. */
#include "sim/sim_private.h"

#define R1 3u                            /* time-outs */
#define QUOTED_AT (PACKET_IP_BYTES + 8u) /* in an ICMP error: the packet that it is about */

/* An end with its application, whose handle it still has. */
struct end {
    struct app *app;
    const struct half *half;
    struct fws_info info;
};

static bool end_find(struct sim *sim, const struct flow_ref *ref, struct end *end)
{
    if (ref->flow == FLOW_NONE) {
        return false;
    }
    const struct half *half = &sim->checker.table.flows[ref->flow].half[ref->side];
    struct app *app = &sim->conns[half->app.owner].app[ref->side];
    *end = (struct end){.app = app, .half = half, .info = {.size = sizeof(end->info)}};
    return half->app.known && !half->forgotten && app->handle &&
           fws_info(sim->hosts[half->host].host, app->handle, &end->info) == 0;
}

static struct flow_ref find_quoted(const struct sim *sim, const struct slot *slot)
{
    const uint8_t *quoted = slot->data + QUOTED_AT;
    const uint8_t *ports = quoted + PACKET_IP_BYTES;
    const struct flow_tuple tuple = {packet_get32(quoted + 12), packet_get32(quoted + 16),
                                     packet_get16(ports), packet_get16(ports + 2)};
    return flow_find(&sim->checker.table, &tuple);
}

void trouble_note_arrival(struct sim *sim, const struct slot *slot)
{
    struct end end;
    if (slot->is_icmp) {
        const struct flow_ref quoted = find_quoted(sim, slot);
        if (end_find(sim, &quoted, &end)) {
            end.app->had_icmp = true;
            end.app->icmp_una = end.info.snd_una;
        }
        return;
    }
    const struct flow_ref ref = {slot->checked.ref.flow, 1 - slot->checked.ref.side};
    if (!slot->damaged && slot->checked.packet.window == 0 && end_find(sim, &ref, &end)) {
        end.app->timeouts_sure = 0;
    }
}

static void note_timeout(struct sim *sim, const struct resent *resent)
{
    struct end end;
    bool is_syn = (resent->flags & PACKET_SYN) != 0;
    bool is_answer = is_syn && (resent->flags & PACKET_ACK) != 0;
    if (!end_find(sim, &resent->ref, &end) || end.info.snd_una != resent->seq ||
        (!is_syn && end.info.snd_wnd == 0)) {
        return;
    }
    struct app *app = end.app;
    if (app->timeout_una != resent->seq || app->timeout_is_answer != is_answer) {
        app->timeouts = 0;
        app->timeouts_sure = 0;
    }
    app->timeout_una = resent->seq;
    app->timeout_is_answer = is_answer;
    app->timeouts++;
    app->timeouts_sure++;
    if (app->timeouts_sure == R1 && sim->untold_count < SIM_UNTOLD) {
        sim->untold[sim->untold_count++] = resent->ref;
    }
}

void trouble_note_timers(struct sim *sim)
{
    const struct checker *checker = &sim->checker;
    for (uint32_t i = 0; i < checker->resent_count; i++) {
        note_timeout(sim, &checker->resent[i]);
    }
}

void trouble_judge(struct sim *sim, uint32_t index, uint32_t side, const struct fws_info *info)
{
    struct conn *conn = &sim->conns[index];
    struct app *app = &conn->app[side];
    const struct half *half = &conn_flow(sim, conn)->half[side];
    bool by_time = app->timeouts >= R1 && app->timeout_una == info->snd_una;
    bool by_icmp = app->had_icmp && app->icmp_una == info->snd_una;
    bool is_still = app->told_trouble && app->trouble_una == info->snd_una;
    if (!half->forgotten && !by_time && !by_icmp && !is_still) {
        violate(&sim->violation, RULE_trouble,
                "host %u, conn %u side %u: told of trouble at snd_una iss+%u in state %d; %u "
                "time-outs at iss+%u, soft error %d",
                half->host, index, side, info->snd_una - half->now.iss, (int)info->state,
                app->timeouts, app->timeout_una - half->now.iss, info->soft_error);
    }
    sim->totals.troubles += !is_still;
    app->told_trouble = true;
    app->trouble_una = info->snd_una;
}

static void judge_untold(struct sim *sim, const struct flow_ref *ref)
{
    struct end end;
    if (!end_find(sim, ref, &end) || end.info.state == FWS_STATE_CLOSED ||
        end.info.state == FWS_STATE_TIME_WAIT || end.info.snd_una != end.app->timeout_una) {
        return;
    }
    if (!end.app->told_trouble || end.app->trouble_una != end.info.snd_una) {
        violate(&sim->violation, RULE_trouble,
                "host %u, conn %u side %u: not told of %u time-outs at iss+%u in state %d",
                end.half->host, end.half->app.owner, ref->side, end.app->timeouts,
                end.app->timeout_una - end.half->now.iss, (int)end.info.state);
    }
}

void trouble_judge_missing(struct sim *sim, uint32_t host)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < sim->untold_count; i++) {
        const struct flow_ref ref = sim->untold[i];
        if (sim->checker.table.flows[ref.flow].half[ref.side].host == host) {
            judge_untold(sim, &ref);
        } else {
            sim->untold[kept++] = ref;
        }
    }
    sim->untold_count = kept;
}
