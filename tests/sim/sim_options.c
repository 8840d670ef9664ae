/* The simulator's applications: options of connections, from their opening or set later.
 *
 * Layer: tests. See sim.h. What is asked for is noted where the judges look. */
#include "base/clock.h"
#include "sim/sim_private.h"

#define OWN_TTL 33
#define OWN_DSCP 10
#define OWN_BUFFER_BYTES 3000

void options_fill(struct fws_options *options, uint32_t bits, uint64_t user_timeout_ns)
{
    options->nodelay = (bits & OPTION_NODELAY) != 0;
    options->keep_alive = (bits & OPTION_KEEP_ALIVE) != 0;
    options->keep_alive_idle_ns = 5 * NS_PER_SEC;
    options->keep_alive_interval_ns = NS_PER_SEC;
    options->keep_alive_probes = 5;
    options->linger_rst = (bits & OPTION_LINGER) != 0;
    options->quickack = (bits & OPTION_QUICKACK) != 0;
    options->congestion = (bits & OPTION_NEWRENO) ? FWS_CONGESTION_NEWRENO : FWS_CONGESTION_DEFAULT;
    options->mss = (bits & OPTION_SMALL_MSS) ? 400 : 0;
    options->user_timeout_ns = user_timeout_ns;
    options->no_time_wait = (bits & OPTION_NO_TIME_WAIT) != 0;
    options->ttl = (bits & OPTION_MARKS) ? OWN_TTL : 0;
    options->dscp = (bits & OPTION_MARKS) ? OWN_DSCP : 0;
    options->send_buffer_bytes = (bits & OPTION_BUFFERS) ? OWN_BUFFER_BYTES : 0;
    options->receive_buffer_bytes = (bits & OPTION_BUFFERS) ? OWN_BUFFER_BYTES : 0;
    options->fin_wait_2_ns = (bits & OPTION_FIN_WAIT_2) ? 300 * NS_PER_MS : 0;
}

void options_note(struct sim *sim, uint32_t index, uint32_t side, uint32_t bits)
{
    struct app *app = &sim->conns[index].app[side];
    struct half_app *known = &conn_flow(sim, &sim->conns[index])->half[side].app;
    app->options = bits;
    app->lingers = (bits & OPTION_LINGER) != 0;
    if (known->known && known->owner == index) {
        known->ttl = (bits & OPTION_MARKS) ? OWN_TTL : 0;
        known->dscp = (bits & OPTION_MARKS) ? OWN_DSCP : 0;
    }
}

bool options_forbid_time_wait(struct sim *sim, uint32_t index, uint32_t side)
{
    const struct app *app = &sim->conns[index].app[side];
    struct fws_host *host = sim->hosts[conn_host(sim, &sim->conns[index], side)].host;
    struct fws_info info = {.size = sizeof(info)};
    return (app->options & OPTION_NO_TIME_WAIT) && fws_info(host, app->handle, &info) == 0 &&
           info.state != FWS_STATE_TIME_WAIT && info.state != FWS_STATE_CLOSED;
}
