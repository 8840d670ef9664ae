/* Keeper: the process that holds a run's namespaces and ends with everything in them.
 *
 * Layer: bench/lab. The program forks once: the child, first of its PID namespace, is the keeper
 * and does the work; the parent waits for it and passes signals on. The keeper is killed with its
 * parent, and the kernel kills whatever is left in a PID namespace with its first process; so a
 * SIGKILL to either leaves no process, and with the last process goes the last descriptor of a
 * namespace. Signals are read from a descriptor, not handled, so that no data is global. */
#ifndef FINWAIT_BENCH_LAB_KEEPER_H
#define FINWAIT_BENCH_LAB_KEEPER_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/failure.h"

struct keeper {
    int signal_fd;        /* SIGINT, SIGTERM, SIGHUP */
    sigset_t mask_before; /* of the program's start; given to children */
    int last_signal;
    bool from_terminal; /* the last signal reached all of the foreground group by itself */
};

/* Runs `body` in the keeper process, within a private holder namespace (netns_enter_holder).
 * Returns in both processes, for main to end with: in the keeper what `body` returned, in the
 * parent the keeper's exit code, or 128 + the signal's number when it was killed. Returns -errno
 * with the text set when it could not be started. Requires a single thread. */
int keeper_run(int (*body)(struct keeper *keeper, const void *argument), const void *argument,
               struct failure *failure);

/* A child process in a namespace. */
struct child {
    pid_t pid; /* 0: none */
    int pid_fd;
    bool own_group;
    bool ended;
    int code; /* once ended: exit code, or 128 + the signal's number */
};

struct child_spec {
    const char *const *argv; /* NULL-ended; argv[0] is looked up in PATH */
    int netns_fd;            /* -1: the keeper's own */
    int output_fd;           /* where stdout and stderr go; -1: the keeper's own */
    int error_fd;            /* where stderr goes instead; 0 or -1: nowhere else */
    int inherited_fd;        /* a descriptor that is handed down besides; -1: none */
    bool own_group;          /* the terminal's Ctrl-C does not reach it; the keeper decides */
};

/* Starts a program; it is killed with the keeper. Returns 0, or -errno with the text set and no
 * child. */
int child_start(struct child *child, const struct child_spec *spec, const struct keeper *keeper,
                struct failure *failure);

enum wait_outcome {
    WAIT_ENDED,   /* the child ended */
    WAIT_STOP,    /* a signal asks to stop: keeper->last_signal */
    WAIT_TIMEOUT, /* the deadline came first */
};

/* Waits for a child to end (NULL: for none), a signal or a deadline, whichever is first. */
enum wait_outcome keeper_wait(struct keeper *keeper, struct child *child, uint64_t deadline_ns);

/* Tells whether what somebody waits for has come: 1 when it has, 0 when not yet, -errno when that
 * cannot be told. */
typedef int (*keeper_look_fn)(void *context);

/* Waits until `look` says that it has come, asking every few milliseconds and a last time at the
 * deadline. Returns 0; what `look` said when that is negative; -ETIMEDOUT at the deadline; -ESRCH
 * when the child ended first; -EINTR when a signal asks to stop. */
int keeper_await(struct keeper *keeper, struct child *child, keeper_look_fn look, void *context,
                 uint64_t deadline_ns);

/* Sends a signal to a child, and to its group when that is its own. */
void child_signal(const struct child *child, int number);

/* Ends a child: SIGTERM, and SIGKILL when it lasts longer than `grace_ns` or a further signal to
 * stop comes. Nothing happens to one that has ended or never was. The child's descriptor is closed.
 */
void child_stop(struct child *child, struct keeper *keeper, uint64_t grace_ns);

#endif
