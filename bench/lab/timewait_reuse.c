/* When a 4-tuple in TIME_WAIT may be used again; see timewait.h. Layer: bench/lab. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/failure.h"
#include "socket_stage.h"
#include "timewait.h"

#define PLANNED_PORT 20000
#define DELAY_MS 400
#define DELAY_TEXT "400"
#define DELAY_DEFAULT_MS 1000 /* of kernels without tcp_tw_reuse_delay */
#define POLL_NS (20 * NS_PER_MS)

static const char *const reuse_path = "net/ipv4/tcp_tw_reuse";
static const char *outcome_name(int result)
{
    return result < 0 ? failure_errno_name(-result) : "a connection";
}

/* Opens and closes one connection, the client first, and opens it again at once. */
static void show_planned(struct timewait *timewait, bool timestamps)
{
    struct socket_stage stage;
    const struct dial dial = {.port = PLANNED_PORT, .reuse_address = true};
    if (!timewait_open_stage(timewait, &stage)) {
        return;
    }
    socket_stage_set(&stage, true, "net/ipv4/tcp_timestamps", timestamps ? "1" : "0");
    int error = socket_stage_churn(&stage, &dial, false);
    uint64_t waiting = socket_stage_await_time_wait(&stage.client, 1);
    uint64_t start_ns = clock_now_ns();
    int again = socket_stage_dial(&stage, &dial);
    double took_ms = (double)(clock_now_ns() - start_ns) / (double)NS_PER_MS;
    uint64_t recycled = socket_stage_counter(&stage.client, "TcpExt.TWRecycled");
    bool as_said =
        timestamps ? again >= 0 && recycled == 1 : again == -EADDRNOTAVAIL && recycled == 0;
    timewait_check(timewait, error == 0 && waiting == 1 && as_said,
                   "%s timestamps, tcp_tw_reuse as it comes: the same 4-tuple by bind() gives %s "
                   "after %.2f ms; TWRecycled %" PRIu64,
                   timestamps ? "with" : "without", outcome_name(again), took_ms, recycled);
    if (again >= 0) {
        close(again);
    }
    socket_stage_close(&stage);
}

/* The server closes first; the client's next SYN of that 4-tuple meets the server's TIME_WAIT. */
static void show_syn_at_server(struct timewait *timewait)
{
    struct socket_stage stage;
    const struct dial dial = {.port = PLANNED_PORT, .reuse_address = true};
    if (!timewait_open_stage(timewait, &stage)) {
        return;
    }
    int error = socket_stage_churn(&stage, &dial, true);
    uint64_t before = socket_stage_await_time_wait(&stage.server, 1);
    int client = -1, server = -1;
    int again = socket_stage_open_pair(&stage, &dial, &client, &server);
    uint64_t after = observer_time_wait(&stage.server);
    timewait_check(timewait, error == 0 && again == 0 && before == 1 && after == 0,
                   "a newer SYN that meets TIME_WAIT at the server opens the connection anew (RFC "
                   "6191): %s; TIME_WAIT there %" PRIu64 " before, %" PRIu64 " after",
                   again == 0 ? "accepted" : outcome_name(again), before, after);
    if (again == 0) {
        close(client);
        close(server);
    }
    socket_stage_close(&stage);
}

void timewait_show_timestamps(struct timewait *timewait)
{
    timewait_head("reuse of a 4-tuple", "timestamps tell an old duplicate from a new segment, so "
                                        "that TIME_WAIT may be taken over at once");
    show_planned(timewait, true);
    show_planned(timewait, false);
    show_syn_at_server(timewait);
}

/* One case of an automatic port under tcp_tw_reuse; the range has just one port. */
struct reuse_case {
    const char *reuse;
    bool loopback;
    bool allowed;
};

/* Tries until it works or the time is over; gives the first outcome and when it worked. */
static double dial_until(struct timewait *timewait, const struct socket_stage *stage,
                         const struct dial *dial, uint64_t limit_ns, int *first)
{
    uint64_t start_ns = clock_now_ns();
    bool is_first = true;
    while (clock_now_ns() - start_ns < limit_ns && !timewait->stopped) {
        int fd = socket_stage_dial(stage, dial);
        *first = is_first ? fd : *first;
        is_first = false;
        if (fd >= 0) {
            close(fd);
            return (double)(clock_now_ns() - start_ns) / (double)NS_PER_MS;
        }
        timewait_pause(timewait, POLL_NS);
    }
    return -1;
}

static void show_reuse_case(struct timewait *timewait, const struct reuse_case *reuse)
{
    struct socket_stage stage;
    const struct dial dial = {.port = 0, .loopback = reuse->loopback};
    if (!timewait_open_stage(timewait, &stage)) {
        return;
    }
    int error = socket_stage_set(&stage, true, "net/ipv4/ip_local_port_range", "20000 20000");
    error = error == 0 ? socket_stage_set(&stage, true, reuse_path, reuse->reuse) : error;
    bool has_delay = socket_stage_set(&stage, true, "net/ipv4/tcp_tw_reuse_delay", DELAY_TEXT) == 0;
    double delay_ms = has_delay ? DELAY_MS : DELAY_DEFAULT_MS;
    error = error == 0 ? socket_stage_churn(&stage, &dial, false) : error;
    uint64_t waiting = socket_stage_await_time_wait(&stage.client, 1);
    int first = 0;
    double after_ms =
        dial_until(timewait, &stage, &dial, (uint64_t)(delay_ms * 2.5) * NS_PER_MS, &first);
    bool as_said =
        reuse->allowed ? after_ms >= delay_ms * 0.5 && after_ms <= delay_ms * 2.5 : after_ms < 0;
    char text[64];
    snprintf(text, sizeof(text), after_ms < 0 ? "not within %.0f ms" : "a connection after %.0f ms",
             after_ms < 0 ? delay_ms * 2.5 : after_ms);
    timewait_check(timewait, error == 0 && waiting == 1 && first == -EADDRNOTAVAIL && as_said,
                   "tcp_tw_reuse %s, %s, delay %.0f ms%s: at once %s, then %s", reuse->reuse,
                   reuse->loopback ? "loopback" : "a link", delay_ms,
                   has_delay ? "" : " (fixed in this kernel)", outcome_name(first), text);
    socket_stage_close(&stage);
}

void timewait_show_tw_reuse(struct timewait *timewait)
{
    static const struct reuse_case cases[] = {
        {"0", false, false},
        {"1", false, true},
        {"2", false, false},
        {"2", true, true},
    };
    timewait_head("tcp_tw_reuse", "whether connect() may take a port in TIME_WAIT for the same "
                                  "target: 0 never, 1 after a delay, 2 (the default) on loopback "
                                  "only");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]) && !timewait->stopped; i++) {
        show_reuse_case(timewait, &cases[i]);
    }
}
