/* A run of the server: workers started one after another, watched by the main thread, stopped by
 * signals.
 *
 * Layer: server. Owner: main; its thread is the only one that touches the struct, but for the
 * workers, which own their parts while they run. */
#ifndef FINWAIT_SERVER_SERVER_H
#define FINWAIT_SERVER_SERVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>

#include "base/addr.h"
#include "base/cli.h"
#include "base/failure.h"
#include "exporter/exporter.h"
#include "report/result.h"
#include "server/control.h"
#include "server/options.h"
#include "server/series.h"
#include "server/worker.h"
#include "tcpstat/tcpstat.h"
#include "transport/quota.h"
#include "transport/stack_alarm.h"
#include "transport/stack_socket.h"

struct server {
    const struct server_options *options; /* borrowed */
    struct echo_config echo;
    enum transport_engine engine;
    struct failure engine_why; /* its text says why `auto` took epoll; empty otherwise */
    struct endpoint addresses[CLI_LIST_MAX]; /* with the ports that the system chose */
    struct transport_quota quota;            /* the workers' common conns_max */
    struct control control;
    struct stack_board *board;   /* NULL: not the stack */
    struct stack_socket *socket; /* NULL: none */
    struct stack_totals *stack;  /* room for what the board says: the main thread's */
    struct stack_alarm alarm;    /* as `stack` */
    struct worker *workers;
    uint32_t worker_count; /* started */
    uint32_t ended_count;
    uint32_t signal_count;
    bool lingering_cut;        /* stack: a signal ended the wait for TIME_WAIT, after the drain */
    struct watch *watch;       /* NULL without --states and --metrics */
    struct exporter *exporter; /* NULL without --metrics; reads workers and watch in its thread */
    uint64_t start_ns;
    uint64_t start_wall_ns;
    uint64_t start_memory_bytes; /* 0: not known */
    struct rusage start_usage;
    struct series series;
    struct result result; /* its series grows while the server runs */
};

/* Chooses the engine and starts the workers. Options and response file are borrowed until
 * server_destroy. Returns 0 when all workers listen, or -errno with the text set and nothing left
 * behind. */
int server_start(struct server *server, const struct server_options *options,
                 const struct respond_file *respond, struct failure *failure);

/* Says where the server listens and on what: "127.0.0.1:7000 (uring, 2 workers)". */
void server_describe(const struct server *server, char *text, size_t size);

/* Serves until signals or a broken engine end it, and all workers have ended. Returns 0 when a
 * signal ended it and the drain was not cut short; -ECANCELED after a second signal; else -errno of
 * what broke. With an error the text is set. */
int server_run(struct server *server, struct failure *failure);

/* Reads what the stack's workers have published, and warns, once each, of who else has the stack's
 * addresses. Requires a board. */
void server_read_stack(struct server *server);

/* Frees everything. Requires that server_run has returned. */
void server_destroy(struct server *server);

#endif
