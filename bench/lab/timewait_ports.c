/* What running out of ports and of records looks like; see timewait.h. Layer: bench/lab. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/failure.h"
#include "socket_stage.h"
#include "stats.h"
#include "timewait.h"

#define PORT_FIRST 20000
#define PORT_COUNT 8000 /* of an automatic range; the default range has 28,232 */
#define PORT_RANGE "20000 27999"
#define SAMPLE 200 /* connects at the beginning, and at the end, whose time is told */
#define BUCKETS 100
#define BUCKETS_TEXT "100"
#define OVERFLOWS 50

/* Opens and closes one connection; gives what connect() and bind() took, in us. */
static int timed_churn(const struct socket_stage *stage, const struct dial *dial, double *took_us)
{
    int client, server;
    uint64_t start_ns = clock_now_ns();
    int error = socket_stage_open_pair(stage, dial, &client, &server);
    *took_us = (double)(clock_now_ns() - start_ns) / (double)NS_PER_US;
    if (error == 0) {
        socket_stage_close_pair(client, server);
    }
    return error;
}

/* What using up a range of ports showed. */
struct exhaustion {
    uint32_t opened;
    int error; /* of the first that failed */
    double first_us;
    double last_us;
    double failing_us; /* how long a failing attempt takes */
};

/* Opens connections until one fails; with `planned` by ports of our own choice. */
static void use_up(struct timewait *timewait, const struct socket_stage *stage, bool planned,
                   struct exhaustion *result)
{
    double *us = calloc(PORT_COUNT + 1, sizeof(*us));
    memset(result, 0, sizeof(*result));
    if (us == NULL) {
        return;
    }
    while (result->opened <= PORT_COUNT &&
           (result->opened % SAMPLE != 0 || timewait_pause(timewait, 0))) {
        struct dial dial = {.port = 0, .reuse_address = planned};
        if (planned) {
            dial.port = (uint16_t)(PORT_FIRST + result->opened % PORT_COUNT);
        }
        result->error = timed_churn(stage, &dial, &us[result->opened]);
        if (result->error != 0) {
            break;
        }
        result->opened++;
    }
    if (result->opened >= SAMPLE && result->error != 0) {
        result->first_us = stats_median(us, SAMPLE);
        result->last_us = stats_median(us + result->opened - SAMPLE, SAMPLE);
        result->failing_us = us[result->opened];
    }
    free(us);
}

/* Timestamps are off for planned ports, as otherwise each would be taken over from its TIME_WAIT.
 */
static void show_range(struct timewait *timewait, bool planned)
{
    struct socket_stage stage;
    struct exhaustion seen;
    if (!timewait_open_stage(timewait, &stage)) {
        return;
    }
    int error = socket_stage_set(&stage, true, "net/ipv4/ip_local_port_range", PORT_RANGE);
    error = error == 0 ? socket_stage_set(&stage, true, "net/ipv4/tcp_tw_reuse", "0") : error;
    error = error == 0 ? socket_stage_set(&stage, true, "net/ipv4/tcp_timestamps", "0") : error;
    use_up(timewait, &stage, planned, &seen);
    bool ran_out = seen.opened == PORT_COUNT && seen.error == -EADDRNOTAVAIL;
    bool as_said = planned ? seen.last_us < 3 * seen.first_us && seen.failing_us < 3 * seen.first_us
                           : seen.last_us > 2 * seen.first_us;
    timewait_check(timewait, error == 0 && ran_out && as_said,
                   "%s: connect() takes %.0f us on fresh ports, %.0f us on the last %d; attempt "
                   "%" PRIu32 " gives %s in %.0f us",
                   planned ? "planned ports, bound one by one" : "automatic ports", seen.first_us,
                   seen.last_us, SAMPLE, seen.opened + 1, failure_errno_name(-seen.error),
                   seen.failing_us);
    socket_stage_close(&stage);
}

void timewait_show_ports(struct timewait *timewait)
{
    timewait_head("ports that run out", "connect() searches ever longer for a free port, so a "
                                        "client crawls before it fails; planned ports cost the "
                                        "same to the last");
    show_range(timewait, false);
    if (!timewait->stopped) {
        show_range(timewait, true);
    }
}

void timewait_show_buckets(struct timewait *timewait)
{
    struct socket_stage stage;
    const struct dial dial = {.port = 0};
    int error = 0;
    timewait_head("tcp_max_tw_buckets",
                  "beyond it sockets just close: no TIME_WAIT, no error, only "
                  "a counter tells");
    if (!timewait_open_stage(timewait, &stage)) {
        return;
    }
    error = socket_stage_set(&stage, true, "net/ipv4/tcp_max_tw_buckets", BUCKETS_TEXT);
    for (int i = 0; error == 0 && i < BUCKETS + OVERFLOWS; i++) {
        error = socket_stage_churn(&stage, &dial, false);
    }
    uint64_t waiting = socket_stage_await_time_wait(&stage.client, BUCKETS);
    uint64_t overflows = socket_stage_counter(&stage.client, "TcpExt.TCPTimeWaitOverflow");
    timewait_check(timewait,
                   error == 0 && waiting + overflows == BUCKETS + OVERFLOWS && waiting >= BUCKETS &&
                       waiting <= BUCKETS + 1,
                   "tcp_max_tw_buckets %d: %d closes gave %" PRIu64
                   " TIME_WAIT and TCPTimeWaitOverflow %" PRIu64,
                   BUCKETS, BUCKETS + OVERFLOWS, waiting, overflows);
    socket_stage_close(&stage);
}
