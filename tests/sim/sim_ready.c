/* The simulator's judge of events: what the host says of a connection must hold when it says so.
 *
 * Layer: tests. See sim.h. */
#include "sim/sim_private.h"

static bool is_over(enum fws_state state)
{
    return state == FWS_STATE_TIME_WAIT || state == FWS_STATE_CLOSED || state == FWS_STATE_NONE;
}

static bool has_peer_fin(enum fws_state state)
{
    return is_over(state) || state == FWS_STATE_CLOSE_WAIT || state == FWS_STATE_CLOSING ||
           state == FWS_STATE_LAST_ACK;
}

static bool is_true(const struct fws_event *event, const struct fws_info *info, bool peer_shut)
{
    uint32_t ready = event->ready;
    bool has_more = info->receive_queued > 0 || (ready & (FWS_PEER_FIN | FWS_ERROR));
    return !((ready & FWS_READABLE) && !has_more) &&
           !((ready & FWS_SENT) && info->send_queued > 0) &&
           !((ready & FWS_PEER_FIN) && !(peer_shut && has_peer_fin(info->state))) &&
           !((ready & FWS_DONE) && !is_over(info->state)) &&
           !((ready & FWS_WRITABLE) && info->state != FWS_STATE_ESTABLISHED &&
             info->state != FWS_STATE_CLOSE_WAIT) &&
           !((ready & FWS_URGENT) && info->urgent_ahead == 0) &&
           !((ready & FWS_TROUBLE) && is_over(info->state)) &&
           ((ready & FWS_ERROR) != 0) == (event->error < 0) && event->error <= 0 &&
           !(ready & FWS_ACCEPTABLE);
}

void judge_ready(struct sim *sim, uint32_t index, uint32_t side, const struct fws_event *event)
{
    const struct conn *conn = &sim->conns[index];
    uint32_t host = conn_host(sim, conn, side);
    struct fws_info info = {.size = sizeof(info)};
    int result = fws_info(sim->hosts[host].host, event->handle, &info);
    if (result || !is_true(event, &info, conn->app[1 - side].shut)) {
        violate(&sim->violation, RULE_readiness,
                "host %u, conn %u side %u: ready %03x error %d, but info gives %d, state %d, %u "
                "to read, %u to send; the peer closed %d",
                host, index, side, event->ready, event->error, result, (int)info.state,
                info.receive_queued, info.send_queued, conn->app[1 - side].shut);
    } else if (event->ready & FWS_TROUBLE) {
        trouble_judge(sim, index, side, &info);
    }
}
