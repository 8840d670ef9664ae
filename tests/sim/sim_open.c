/* The simulator's applications: how connections begin, and what is said of them at their end.
 *
 * Layer: tests. See sim.h. */
#include <errno.h>

#include "sim/sim_private.h"

static void adopt(struct sim *sim, uint32_t index, uint32_t side, fws_handle handle,
                  uint32_t options)
{
    struct app *app = &sim->conns[index].app[side];
    struct half *half = &conn_flow(sim, &sim->conns[index])->half[side];
    app->handle = handle;
    app->used = true;
    half->app = (struct half_app){.known = true, .owner = index, .content = app->content};
    options_note(sim, index, side, options);
    int result = fws_set_user(sim->hosts[half->host].host, handle, (uint64_t)index * 2 + side + 1);
    if (result) {
        violate(&sim->violation, RULE_handle, "fws_set_user of a new handle: %d", result);
    }
}

static bool is_expected_refusal(int result)
{
    return result == -EADDRINUSE || result == -ENOBUFS || result == -EADDRNOTAVAIL;
}

/* Finds or makes the connection's flow, which becomes this connection's from here on. */
static bool take_flow(struct sim *sim, uint32_t index, uint16_t local_port)
{
    struct conn *conn = &sim->conns[index];
    const struct entry *entry = conn_entry(sim, conn);
    struct flow_tuple tuple = {conn_address(sim, index, 0), conn_address(sim, index, 1), local_port,
                               entry->peer_port};
    struct flow_ref ref = flow_add(&sim->checker.table, &tuple);
    struct flow *flow = &sim->checker.table.flows[ref.flow];
    if (ref.side != 0) {
        return violate(&sim->violation, RULE_handle,
                       "the plan connects one 4-tuple from both ends; conn %u", index);
    }
    conn->flow = ref.flow;
    flow->half[0].host = entry->host;
    flow->half[1].host = entry->peer;
    if (flow->conn != FLOW_NONE) {
        conn->excuses |= EXCUSE_REUSED;
        if (flow->conn != index) {
            sim->conns[flow->conn].excuses |= EXCUSE_REUSED;
        }
    }
    flow->conn = index;
    return true;
}

void app_start(struct sim *sim, uint32_t index, uint32_t side)
{
    struct conn *conn = &sim->conns[index];
    const struct entry *entry = conn_entry(sim, conn);
    uint32_t host = conn_host(sim, conn, side);
    uint16_t from_port = side ? entry->peer_port : entry->port;
    uint16_t to_port = side ? entry->port : entry->peer_port;
    struct fws_endpoint local = endpoint_of(conn_address(sim, index, side), from_port);
    struct fws_endpoint remote = endpoint_of(conn_address(sim, index, 1 - side), to_port);
    fws_handle handle = 0;
    host_advance(sim, host);
    if (side == 1 && (conn->app[1].used || !conn->started)) {
        return;
    }
    struct fws_options options = {.size = sizeof(options)};
    uint32_t bits = (uint32_t)entry->arg2 & OPTION_OPENING;
    options_fill(&options, bits, 0);
    if (index & 1) {
        fws_connect_soon(sim->hosts[host].host, &local, &remote); /* which changes nothing */
    }
    int result =
        fws_connect(sim->hosts[host].host, &local, &remote, bits ? &options : NULL, &handle);
    if (side == 0) {
        sim->totals.conns++;
    }
    if (result) {
        sim->totals.refused_locally++;
        conn->excuses |= EXCUSE_LIMIT;
        if (from_port == 0) {
            judge_port(sim, host, result, 0);
        }
        if (!is_expected_refusal(result)) {
            violate(&sim->violation, RULE_handle, "host %u, conn %u: fws_connect gives %d", host,
                    index, result);
        }
        return;
    }
    struct fws_info info = {.size = sizeof(info)};
    result = fws_info(sim->hosts[host].host, handle, &info);
    if (result || (from_port && info.local.port != from_port) || info.local.port == 0) {
        violate(&sim->violation, RULE_handle,
                "host %u, conn %u: fws_info after connect: %d, port "
                "%u of %u",
                host, index, result, info.local.port, from_port);
        return;
    }
    if (from_port == 0) {
        judge_port(sim, host, 0, info.local.port);
    }
    if (side == 0) {
        conn->started = true;
        if (!take_flow(sim, index, info.local.port)) {
            return;
        }
        net_inject_ghosts(sim, conn);
    }
    adopt(sim, index, side, handle, bits);
    app_run(sim, index, side);
    host_settle(sim, host);
}

/* Tells whose connection was accepted; FLOW_NONE: nobody's, a stray. */
static uint32_t owner_of(struct sim *sim, const struct fws_info *info)
{
    struct flow_tuple tuple = {packet_get32(info->local.addr.bytes),
                               packet_get32(info->remote.addr.bytes), info->local.port,
                               info->remote.port};
    struct flow_ref ref = flow_find(&sim->checker.table, &tuple);
    if (ref.flow == FLOW_NONE) {
        return FLOW_NONE;
    }
    const struct flow *flow = &sim->checker.table.flows[ref.flow];
    const struct half *own = &flow->half[ref.side];
    const struct half *opener = &flow->half[1 - ref.side];
    bool is_present =
        own->now.peer_instance == opener->now.instance && opener->phase == HALF_ACTIVE;
    if (!is_present || own->forgotten || ref.side != 1 ||
        sim->conns[opener->opened_by].app[1].used) {
        sim->conns[flow->conn].excuses |= EXCUSE_FAULT;
        return FLOW_NONE;
    }
    /* Not the flow's newest: that one may have given up before its SYN went out. */
    return opener->opened_by;
}

void app_accept(struct sim *sim, uint32_t index)
{
    const struct entry *entry = &sim->plan->entries[index];
    uint32_t host = entry->host;
    struct fws_host *of = sim->hosts[host].host;
    while (sim->violation.rule == RULE_NONE) {
        fws_handle handle = 0;
        int result = fws_accept(of, sim->listeners[index], &handle);
        if (result == -EAGAIN) {
            return;
        }
        struct fws_info info = {.size = sizeof(info)};
        if (result || (result = fws_info(of, handle, &info)) != 0) {
            violate(&sim->violation, RULE_handle, "host %u: fws_accept or fws_info gives %d", host,
                    result);
            return;
        }
        uint32_t conn = owner_of(sim, &info);
        if (conn == FLOW_NONE) {
            sim->totals.strays++;
            (void)fws_abort(of, handle);
            continue;
        }
        adopt(sim, conn, 1, handle, entry->nth & OPTION_OPENING);
        app_run(sim, conn, 1);
    }
}

void conn_judge(struct sim *sim, uint32_t index)
{
    struct conn *conn = &sim->conns[index];
    const struct app *app = conn->app;
    if (app[0].handle || app[1].handle || conn->judged || !app[0].used) {
        return;
    }
    if (!app[1].used && !app[0].error && !conn->excuses) {
        return; /* closed before the other side took it: its turn will come */
    }
    conn->judged = true;
    int error = app[0].error ? app[0].error : app[1].error;
    if (!error && app[1].used) {
        sim->totals.completed++;
        return;
    }
    sim->totals.peer_gone += error != 0;
    uint32_t excuses = conn->excuses | sim->run_excuses;
    bool has_listener = (sim->always_listen >> conn_entry(sim, conn)->peer) & 1u;
    if (error && !excuses && has_listener) {
        violate(&sim->violation, RULE_spurious_error,
                "conn %u: errors %d and %d, but nothing disturbed it", index, app[0].error,
                app[1].error);
    }
}
