/* The simulator's applications: scripts, one step after the other, and what they are told.
 *
 * Layer: tests. See sim.h. A side without further steps closes. Bytes are compared with the pattern
 * at their position as they are read. */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/rng.h"
#include "sim/sim_private.h"

#define READ_BYTES 65536u

enum step_result {
    STEP_DONE,
    STEP_BLOCKED,
};

struct actor {
    struct sim *sim;
    struct conn *conn;
    struct app *app;
    struct app *peer;
    uint32_t index; /* of the connection */
    uint32_t side;
    uint32_t host;
};

static struct actor actor_of(struct sim *sim, uint32_t index, uint32_t side)
{
    struct conn *conn = &sim->conns[index];
    return (struct actor){.sim = sim,
                          .conn = conn,
                          .app = &conn->app[side],
                          .peer = &conn->app[1 - side],
                          .index = index,
                          .side = side,
                          .host = conn_host(sim, conn, side)};
}

static struct fws_host *host_of(const struct actor *actor)
{
    return actor->sim->hosts[actor->host].host;
}

/* Tells the checker what the application did, while its half is still this connection's. */
static void tell_checker(const struct actor *actor)
{
    struct half_app *known = &conn_flow(actor->sim, actor->conn)->half[actor->side].app;
    if (!known->known || known->owner != actor->index) {
        return;
    }
    known->written = actor->app->sent;
    known->content = actor->app->content;
    known->closed = actor->app->shut;
}

static void note_error(const struct actor *actor, int error)
{
    struct totals *totals = &actor->sim->totals;
    if (actor->app->error) {
        return;
    }
    actor->app->error = error;
    switch (error) {
    case -ECONNRESET:
    case -EPIPE:
        totals->reset++;
        break;
    case -ECONNREFUSED:
        totals->refused++;
        break;
    case -ETIMEDOUT:
        totals->timed_out++;
        break;
    default:
        totals->other_errors++;
        break;
    }
}

static void fail_handle(const struct actor *actor, const char *call, int64_t result)
{
    violate(&actor->sim->violation, RULE_handle, "host %u, conn %u side %u: %s gives %lld",
            actor->host, actor->index, actor->side, call, (long long)result);
}

static void give_up_handle(const struct actor *actor, bool abort)
{
    if (!actor->app->handle) {
        return;
    }
    if (!actor->app->error && (abort || !actor->app->eof)) {
        actor->conn->excuses |= EXCUSE_RUDE;
    }
    bool is_kept = abort || !options_forbid_time_wait(actor->sim, actor->index, actor->side);
    int result = abort ? fws_abort(host_of(actor), actor->app->handle)
                       : fws_close(host_of(actor), actor->app->handle);
    if (result) {
        fail_handle(actor, abort ? "fws_abort" : "fws_close", result);
    }
    actor->app->handle = 0;
    actor->app->shut = true;
    if (abort || actor->app->lingers) {
        actor->app->aborted = true; /* 3.10.5: an abort ends TIME_WAIT too */
    }
    tell_checker(actor);
    if (!is_kept) {
        actor->app->wants_nothing_kept = true;
        watch_closed(actor->sim, actor->index, actor->side);
    }
    conn_judge(actor->sim, actor->index);
}

/* Compares what was read with the peer's stream at this place. */
static bool verify_read(const struct actor *actor, uint32_t bytes)
{
    uint32_t position = actor->app->received;
    uint32_t at = (actor->peer->content + position) % PATTERN_BYTES;
    bool is_same = bytes <= PATTERN_BYTES &&
                   memcmp(actor->sim->scratch, actor->sim->checker.pattern + at, bytes) == 0;
    actor->app->received += bytes;
    actor->sim->totals.bytes += bytes;
    if (!is_same || actor->app->received > actor->peer->sent || actor->app->eof) {
        violate(&actor->sim->violation, RULE_delivered,
                "host %u, conn %u side %u: %u bytes at %u %s; the peer gave %u%s", actor->host,
                actor->index, actor->side, bytes, position, is_same ? "are right" : "differ",
                actor->peer->sent, actor->app->eof ? ", and had ended" : "");
        return false;
    }
    return true;
}

static void note_eof(const struct actor *actor)
{
    if (!actor->peer->shut || actor->app->received != actor->peer->sent) {
        violate(&actor->sim->violation, RULE_fin_delivered,
                "host %u, conn %u side %u: the end after %u bytes, the peer gave %u and %s",
                actor->host, actor->index, actor->side, actor->app->received, actor->peer->sent,
                actor->peer->shut ? "closed" : "did not close");
    }
    actor->app->eof = true;
    int64_t again = fws_recv(host_of(actor), actor->app->handle, actor->sim->scratch, 1);
    if (again != 0 && again != -ECONNRESET && again != -ETIMEDOUT) {
        violate(&actor->sim->violation, RULE_fin_delivered,
                "host %u, conn %u: %lld after the end was read", actor->host, actor->index,
                (long long)again);
    }
}

/* Reads at most `want` bytes. Returns how many, 0 at the end, or a negative errno. */
static int64_t read_some(const struct actor *actor, uint32_t want)
{
    uint32_t room = want < READ_BYTES ? want : READ_BYTES;
    room = room < PATTERN_BYTES ? room : PATTERN_BYTES;
    int64_t got = fws_recv(host_of(actor), actor->app->handle, actor->sim->scratch, room);
    if (got > (int64_t)room) {
        fail_handle(actor, "fws_recv", got);
        return -EIO;
    }
    if (got > 0) {
        return verify_read(actor, (uint32_t)got) ? got : -EIO;
    }
    if (got == 0) {
        note_eof(actor);
    } else if (got != -EAGAIN && got != -ENOTCONN) {
        note_error(actor, (int)got);
    }
    return got;
}

static enum step_result step_recv(const struct actor *actor, uint64_t total)
{
    while (actor->app->received < total && !actor->app->eof) {
        int64_t got = read_some(actor, (uint32_t)(total - actor->app->received));
        if (got < 0) {
            return got == -EAGAIN || got == -ENOTCONN ? STEP_BLOCKED : STEP_DONE;
        }
    }
    return STEP_DONE;
}

static void mark_urgent(const struct actor *actor, uint32_t flags)
{
    struct half_app *known = &conn_flow(actor->sim, actor->conn)->half[actor->side].app;
    if ((flags & FWS_SEND_URGENT) && known->known && known->owner == actor->index) {
        known->urgent = actor->app->sent;
    }
}

/* Sends the step's bytes. A full buffer reads along, so that two that send do not block for ever.
 */
static enum step_result step_send(const struct actor *actor, const struct entry *call)
{
    struct app *app = actor->app;
    while (app->step_sent < call->arg) {
        uint32_t at = (app->content + app->sent) % PATTERN_BYTES;
        uint64_t left = call->arg - app->step_sent;
        uint32_t bytes = left < PATTERN_BYTES ? (uint32_t)left : PATTERN_BYTES;
        uint32_t flags = call->op == CALL_URGENT ? FWS_SEND_URGENT
                         : call->op == CALL_MORE ? FWS_SEND_MORE
                                                 : 0;
        int64_t took =
            fws_send(host_of(actor), app->handle, actor->sim->checker.pattern + at, bytes, flags);
        if (took > (int64_t)bytes || took == 0) {
            fail_handle(actor, "fws_send", took);
            return STEP_DONE;
        }
        if (took == -EAGAIN || took == -ENOTCONN || took == -ENOMEM) {
            if (!app->eof) {
                (void)read_some(actor, READ_BYTES);
            }
            return app->error ? STEP_DONE : STEP_BLOCKED;
        }
        if (took < 0) {
            note_error(actor, (int)took);
            return STEP_DONE;
        }
        app->sent += (uint32_t)took;
        app->step_sent += (uint32_t)took;
        tell_checker(actor);
        mark_urgent(actor, flags);
    }
    app->step_sent = 0;
    return STEP_DONE;
}

static enum step_result step_wait(const struct actor *actor, uint64_t until_ns)
{
    struct app *app = actor->app;
    if (until_ns <= actor->sim->now_ns) {
        app->wake_ns = 0;
        return STEP_DONE;
    }
    if (app->wake_ns != until_ns) {
        app->wake_ns = until_ns;
        heap_push(&actor->sim->heap, (struct heap_event){.at_ns = until_ns,
                                                         .kind = EVENT_APP,
                                                         .index = actor->index * 2 + actor->side});
    }
    return STEP_BLOCKED;
}

static void set_options(const struct actor *actor, const struct entry *call)
{
    struct fws_options options = {.size = sizeof(options)};
    int result = fws_get_options(host_of(actor), actor->app->handle, &options);
    if (result) {
        fail_handle(actor, "fws_get_options", result);
        return;
    }
    options_fill(&options, (uint32_t)call->arg, call->arg2);
    if (call->arg2 || (call->arg & (OPTION_LINGER | OPTION_KEEP_ALIVE))) {
        actor->conn->excuses |= EXCUSE_TIMEOUT;
    }
    result = fws_set_options(host_of(actor), actor->app->handle, &options);
    if (result) {
        fail_handle(actor, "fws_set_options", result);
    }
    options_note(actor->sim, actor->index, actor->side, (uint32_t)call->arg);
}

static void shut(const struct actor *actor)
{
    int result = fws_shutdown(host_of(actor), actor->app->handle);
    if (result == 0) {
        actor->app->shut = true;
        tell_checker(actor);
    } else if (result != -ENOTCONN) {
        fail_handle(actor, "fws_shutdown", result);
    }
}

static enum step_result step_run(const struct actor *actor, const struct entry *call)
{
    switch ((enum call_op)call->op) {
    case CALL_SEND:
    case CALL_URGENT:
    case CALL_MORE:
        return step_send(actor, call);
    case CALL_RECV:
        return step_recv(actor, call->arg);
    case CALL_EOF:
        return step_recv(actor, UINT32_MAX);
    case CALL_WAIT:
        return step_wait(actor, actor->app->wake_ns ? actor->app->wake_ns
                                                    : actor->sim->now_ns + call->arg);
    case CALL_UNTIL:
        return step_wait(actor, conn_entry(actor->sim, actor->conn)->at_ns + call->arg +
                                    actor->sim->plan->settings[PLAN_start_ns]);
    case CALL_SHUTDOWN:
        shut(actor);
        return STEP_DONE;
    case CALL_CLOSE:
        give_up_handle(actor, false);
        return STEP_DONE;
    case CALL_ABORT:
        give_up_handle(actor, true);
        return STEP_DONE;
    case CALL_OPTIONS:
        set_options(actor, call);
        return STEP_DONE;
    case CALL_OP_COUNT:
        break;
    }
    return STEP_DONE;
}

/* At the run's end: what is there is read, then the handle is given up. */
static void finish(const struct actor *actor)
{
    actor->conn->excuses |= EXCUSE_END;
    while (actor->app->handle && !actor->app->eof && read_some(actor, READ_BYTES) > 0) {
    }
    give_up_handle(actor, false);
}

/* Notices an error that no step would see, as a program that polls does. */
static void notice_error(const struct actor *actor)
{
    int64_t ready = fws_ready(host_of(actor), actor->app->handle);
    if (ready < 0) {
        fail_handle(actor, "fws_ready", ready);
    } else if ((ready & FWS_ERROR) && !actor->app->error) {
        while (read_some(actor, READ_BYTES) > 0) {
        }
    }
}

void app_run(struct sim *sim, uint32_t conn, uint32_t side)
{
    struct actor actor = actor_of(sim, conn, side);
    struct app *app = actor.app;
    if (app->handle && !sim->ending) {
        notice_error(&actor);
    }
    while (app->handle && sim->violation.rule == RULE_NONE) {
        if (sim->ending) {
            finish(&actor);
        } else if (app->error || app->step == app->step_end) {
            give_up_handle(&actor, false);
        } else {
            const struct entry *call = &sim->plan->entries[sim->calls[app->step]];
            if (step_run(&actor, call) == STEP_BLOCKED) {
                return;
            }
            app->step++;
            app->wake_ns = 0;
        }
    }
}

void app_end(struct sim *sim, uint32_t conn)
{
    for (uint32_t side = 0; side < 2; side++) {
        if (sim->conns[conn].app[side].handle) {
            app_run(sim, conn, side);
        }
    }
}
