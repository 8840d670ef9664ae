/* The commands `run` and `pair`; see run.h. Layer: bench/lab. */
#include "run.h"

#include <errno.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "netns.h"
#include "relay.h"

#define PROGRAM "finwait-lab"
#define CODE_LAB_FAILED 125 /* as env and timeout have it: the command itself was not run */
#define RELAY_POLL_NS (5 * NS_PER_MS)

/* At a terminal the user's command shares our process group, so that it may read from it and Ctrl-C
 * reaches it; elsewhere it has one of its own, so that a signal to us can be passed on to all of
 * it. */
static bool wants_own_group(void)
{
    return !isatty(STDIN_FILENO);
}

/* Waits for the user's command, passing on the signals that it did not get itself, and what another
 * one says (NULL: nothing). */
static int await_command(struct keeper *keeper, struct child *child, struct relay *relay)
{
    for (;;) {
        uint64_t turn_ns = relay == NULL ? CLOCK_NEVER : clock_now_ns() + RELAY_POLL_NS;
        enum wait_outcome outcome = keeper_wait(keeper, child, turn_ns);
        relay_pass_on(relay);
        if (outcome == WAIT_ENDED) {
            break;
        }
        if (outcome == WAIT_STOP && (child->own_group || !keeper->from_terminal)) {
            child_signal(child, keeper->last_signal);
        }
    }
    close(child->pid_fd);
    return child->code;
}

int run_in_namespace(struct keeper *keeper, const struct run_options *options)
{
    struct netns_tuning tuning = {.hash_entries = options->hash_entries,
                                  .time_wait_max = options->time_wait_max};
    struct failure failure;
    int netns_fd = netns_make(&tuning, &failure);
    if (netns_fd < 0) {
        log_line(PROGRAM, "%s", failure.text);
        return CODE_LAB_FAILED;
    }
    struct child_spec spec = {.argv = (const char *const *)options->command,
                              .netns_fd = netns_fd,
                              .output_fd = -1,
                              .inherited_fd = -1,
                              .own_group = wants_own_group()};
    struct child child;
    int error = child_start(&child, &spec, keeper, &failure);
    close(netns_fd);
    if (error != 0) {
        log_line(PROGRAM, "%s", failure.text);
        return CODE_LAB_FAILED;
    }
    return await_command(keeper, &child, NULL);
}

/* Tells whether a socket listens in the namespace that is observed. */
static int look_for_listener(void *context)
{
    const struct observer *observer = context;
    struct tcp_state_counts counts;
    int error = observer_count(observer, &counts);
    return error != 0 ? error : counts.n[TCP_STATE_LISTEN] > 0;
}

int run_await_listener(struct keeper *keeper, struct child *server, struct observer *observer,
                       uint64_t deadline_ns)
{
    return keeper_await(keeper, server, look_for_listener, observer, deadline_ns);
}

static int start_shell(struct child *child, const char *command, const struct child_spec *spec,
                       const struct keeper *keeper)
{
    const char *const argv[] = {"/bin/sh", "-c", command, NULL};
    struct child_spec shell = *spec;
    struct failure failure;
    shell.argv = argv;
    int error = child_start(child, &shell, keeper, &failure);
    if (error != 0) {
        log_line(PROGRAM, "%s", failure.text);
    }
    return error;
}

/* Tells whether a server that the kernel knows nothing of has said that it listens. */
static int look_for_phrase(void *context)
{
    return relay_pass_on(context);
}

/* Waits for a server of the kernel's: a socket listens. */
static int await_counted(struct keeper *keeper, const struct pair_options *options,
                         const struct netns_pair *pair, struct child *server)
{
    struct failure failure;
    struct observer observer;
    if (observer_open(&observer, pair->server_fd, &failure) != 0) {
        log_line(PROGRAM, "%s", failure.text);
        return -failure.error;
    }
    int error =
        run_await_listener(keeper, server, &observer, clock_now_ns() + options->listen_wait_ns);
    observer_close(&observer);
    return error;
}

/* Says why the server is not there to be used, and gives the code to exit with. */
static int report_no_listener(int error, const struct keeper *keeper, const struct child *server)
{
    if (error == -EINTR) {
        return 128 + keeper->last_signal;
    }
    if (error == -ESRCH) {
        log_line(PROGRAM, "the server ended with code %d before it listened", server->code);
    } else if (error == -ETIMEDOUT) {
        log_line(PROGRAM, "the server does not listen; give it longer with --wait");
    } else {
        log_line(PROGRAM, "the server's sockets cannot be counted: errno %d", -error);
    }
    return CODE_LAB_FAILED;
}

/* What a pair's server is run with. */
struct pair_server {
    struct child child;
    struct relay *relay; /* NULL: the kernel knows when it listens */
};

/* Runs the client once the server listens; returns the exit code. */
static int run_client(struct keeper *keeper, const struct pair_options *options,
                      const struct netns_pair *pair, struct pair_server *server)
{
    int error = server->relay == NULL
                    ? await_counted(keeper, options, pair, &server->child)
                    : keeper_await(keeper, &server->child, look_for_phrase, server->relay,
                                   clock_now_ns() + options->listen_wait_ns);
    if (error != 0) {
        relay_pass_on(server->relay);
        return report_no_listener(error, keeper, &server->child);
    }
    struct child_spec spec = {.netns_fd = pair->client_fd,
                              .output_fd = -1,
                              .inherited_fd = -1,
                              .own_group = wants_own_group()};
    struct child client;
    if (start_shell(&client, options->client, &spec, keeper) != 0) {
        return CODE_LAB_FAILED;
    }
    return await_command(keeper, &client, server->relay);
}

static int run_both(struct keeper *keeper, const struct pair_options *options,
                    const struct netns_pair *pair, struct relay *relay)
{
    struct child_spec spec = {.netns_fd = pair->server_fd,
                              .output_fd = -1,
                              .error_fd = relay == NULL ? -1 : relay->write_fd,
                              .inherited_fd = -1,
                              .own_group = true};
    struct pair_server server = {.relay = relay};
    int code = CODE_LAB_FAILED;
    if (start_shell(&server.child, options->server, &spec, keeper) == 0) {
        relay_close_writer(relay);
        code = run_client(keeper, options, pair, &server);
        bool ended_before = server.child.ended;
        child_stop(&server.child, keeper, options->grace_ns);
        relay_pass_on(relay);
        /* A server without a handler ends by our own SIGTERM: that is no failure of it. */
        bool by_our_signal = !ended_before && server.child.code == 128 + SIGTERM;
        code = code == 0 && !by_our_signal ? server.child.code : code;
    }
    return code;
}

int run_in_pair(struct keeper *keeper, const struct pair_options *options)
{
    enum pair_bare bare = (enum pair_bare)options->bare;
    bool server_bare = bare == PAIR_BARE_SERVER || bare == PAIR_BARE_BOTH;
    struct netns_tuning tuning = {.hash_entries = options->hash_entries,
                                  .time_wait_max = options->time_wait_max,
                                  .client_bare = bare == PAIR_BARE_CLIENT || bare == PAIR_BARE_BOTH,
                                  .server_bare = server_bare};
    struct failure failure;
    struct netns_pair pair;
    struct relay relay;
    if (netns_pair_make(&pair, &tuning, &failure) != 0) {
        log_line(PROGRAM, "%s", failure.text);
        return CODE_LAB_FAILED;
    }
    int code = CODE_LAB_FAILED;
    if (!server_bare) {
        code = run_both(keeper, options, &pair, NULL);
    } else if (relay_open(&relay, "listening on", &failure) == 0) {
        code = run_both(keeper, options, &pair, &relay);
        relay_close(&relay);
    } else {
        log_line(PROGRAM, "%s", failure.text);
    }
    netns_pair_close(&pair);
    return code;
}
