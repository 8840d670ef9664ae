/* Who gets the TIME_WAIT, and what it keeps a server from; see timewait.h. Layer: bench/lab. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/failure.h"
#include "socket_stage.h"
#include "timewait.h"

static const struct netns_tuning tuning = {
    .hash_entries = 1 << 16, .time_wait_max = 1 << 20, .ipv4_only = true};

bool timewait_open_stage(struct timewait *timewait, struct socket_stage *stage)
{
    struct failure failure;
    if (socket_stage_open(stage, &tuning, &failure) != 0) {
        timewait_check(timewait, false, "%s", failure.text);
        return false;
    }
    return true;
}

static const char *errno_name(int result)
{
    return result < 0 ? failure_errno_name(-result) : "0";
}

static void show_close_by_fin(struct timewait *timewait, const struct socket_stage *stage)
{
    const struct dial dial = {.port = 0};
    int error = socket_stage_churn(stage, &dial, false);
    uint64_t client = socket_stage_await_time_wait(&stage->client, 1);
    uint64_t server = observer_time_wait(&stage->server);
    timewait_check(timewait, error == 0 && client == 1 && server == 0,
                   "the client closes first by FIN: %" PRIu64 " TIME_WAIT at the client, %" PRIu64
                   " at the server",
                   client, server);
    error = socket_stage_churn(stage, &dial, true);
    server = socket_stage_await_time_wait(&stage->server, 1);
    client = observer_time_wait(&stage->client);
    timewait_check(timewait, error == 0 && client == 1 && server == 1,
                   "the server closes first: %" PRIu64
                   " TIME_WAIT at the server now, still %" PRIu64 " at the client",
                   server, client);
}

static void show_close_by_rst(struct timewait *timewait, const struct socket_stage *stage)
{
    const struct dial dial = {.port = 0};
    const struct linger linger = {.l_onoff = 1, .l_linger = 0};
    uint64_t rsts_before = socket_stage_counter(&stage->client, "Tcp.OutRsts");
    uint64_t before = observer_time_wait(&stage->client) + observer_time_wait(&stage->server);
    int client, server, seen = 0;
    int error = socket_stage_open_pair(stage, &dial, &client, &server);
    if (error == 0) {
        char byte;
        setsockopt(client, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
        close(client);
        seen = recv(server, &byte, 1, 0) < 0 ? errno : 0;
        close(server);
    }
    uint64_t rsts = socket_stage_counter(&stage->client, "Tcp.OutRsts") - rsts_before;
    uint64_t after = observer_time_wait(&stage->client) + observer_time_wait(&stage->server);
    timewait_check(timewait, error == 0 && seen == ECONNRESET && rsts == 1 && after == before,
                   "closed with linger 0: %" PRIu64 " RST sent, the peer reads %s, %" PRIu64
                   " TIME_WAIT more at either end",
                   rsts, failure_errno_name(seen), after - before);
}

void timewait_show_sides(struct timewait *timewait)
{
    struct socket_stage stage;
    timewait_head("who waits",
                  "TIME_WAIT is at the end that sent the first FIN, whoever that is; a "
                  "reset leaves none");
    if (timewait_open_stage(timewait, &stage)) {
        show_close_by_fin(timewait, &stage);
        show_close_by_rst(timewait, &stage);
        socket_stage_close(&stage);
    }
}

void timewait_show_restart(struct timewait *timewait)
{
    struct socket_stage stage;
    const struct dial dial = {.port = 0};
    timewait_head("a restarted server", "its own TIME_WAIT keeps its port from it, unless it asks "
                                        "with SO_REUSEADDR");
    if (!timewait_open_stage(timewait, &stage)) {
        return;
    }
    int error = socket_stage_churn(&stage, &dial, true);
    uint64_t waiting = socket_stage_await_time_wait(&stage.server, 1);
    close(stage.listener);
    stage.listener = socket_stage_listen(&stage, false);
    timewait_check(timewait, error == 0 && waiting == 1 && stage.listener == -EADDRINUSE,
                   "%" PRIu64 " TIME_WAIT at the server: bind() without SO_REUSEADDR says %s",
                   waiting, errno_name(stage.listener));
    if (stage.listener >= 0) {
        close(stage.listener);
    }
    stage.listener = socket_stage_listen(&stage, true);
    timewait_check(timewait, stage.listener >= 0,
                   "bind() with SO_REUSEADDR says %s, and it listens", errno_name(stage.listener));
    socket_stage_close(&stage);
}
