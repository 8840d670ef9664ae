/* Keeper and children; see keeper.h. Layer: bench/lab. */
#include "keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "netns.h"

/* How often a group is looked at whose first process has ended. */
#define GROUP_POLL_NS (5 * NS_PER_MS)

/* How often somebody looks whether what is awaited has come. */
#define LOOK_POLL_NS (5 * NS_PER_MS)

/* The exit code of a program that could not be executed, as shells have it. */
#define CODE_NOT_EXECUTED 127

static int code_of_status(int status)
{
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void stop_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGHUP);
}

/* Dies with the parent. `parent_fd` reads as ended when the parent died before the request was
 * made. */
static int die_with_parent(int parent_fd)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) {
        return -errno;
    }
    struct pollfd parent = {.fd = parent_fd, .events = POLLIN};
    return poll(&parent, 1, 0) == 0 ? 0 : -ESRCH;
}

/* Shows the keeper and its children their own PID namespace in /proc, where programs that look
 * themselves up by number find another process otherwise (LeakSanitizer does). A container that
 * hides parts of /proc forbids it; then the old /proc stays, which does for all that the lab itself
 * reads. */
static void mount_own_proc(void)
{
    if (unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0) {
        mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
    }
}

/* The keeper's side of the fork; returns its exit code. */
static int run_as_keeper(int (*body)(struct keeper *keeper, const void *argument),
                         const void *argument, const sigset_t *mask_before, int parent_fd)
{
    struct keeper keeper = {.mask_before = *mask_before};
    sigset_t signals;
    stop_signals(&signals);
    keeper.signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    if (keeper.signal_fd < 0 || die_with_parent(parent_fd) != 0) {
        return CODE_NOT_EXECUTED;
    }
    mount_own_proc();
    int code = body(&keeper, argument);
    close(keeper.signal_fd);
    return code;
}

/* Waits for the keeper. A signal of the terminal reached it too; others are passed on. */
static int wait_for_keeper(pid_t pid)
{
    sigset_t signals;
    stop_signals(&signals);
    sigaddset(&signals, SIGCHLD);
    for (;;) {
        int status;
        if (waitpid(pid, &status, WNOHANG) == pid) {
            return code_of_status(status);
        }
        siginfo_t info;
        if (sigwaitinfo(&signals, &info) > 0 && info.si_signo != SIGCHLD &&
            info.si_code != SI_KERNEL) {
            kill(pid, info.si_signo);
        }
    }
}

/* Forks into a new PID namespace. Not by unshare and fork: that would bar this process from making
 * threads ever after, which LeakSanitizer needs at the end. */
static pid_t fork_into_pid_namespace(void)
{
    struct clone_args arguments = {.flags = CLONE_NEWPID, .exit_signal = SIGCHLD};
    return (pid_t)syscall(SYS_clone3, &arguments, sizeof(arguments));
}

int keeper_run(int (*body)(struct keeper *keeper, const void *argument), const void *argument,
               struct failure *failure)
{
    int error = netns_enter_holder(failure);
    if (error != 0) {
        return error;
    }
    int lifeline[2];
    if (pipe2(lifeline, O_CLOEXEC) != 0) {
        return failure_set(failure, errno, "pipe: %s", strerror(errno));
    }
    /* Blocked before the fork, so that no signal is lost between; SIGCHLD for sigwaitinfo. */
    sigset_t signals, before;
    stop_signals(&signals);
    sigaddset(&signals, SIGCHLD);
    sigprocmask(SIG_BLOCK, &signals, &before);
    pid_t pid = fork_into_pid_namespace();
    if (pid == 0) {
        close(lifeline[1]);
        int body_code = run_as_keeper(body, argument, &before, lifeline[0]);
        close(lifeline[0]);
        return body_code;
    }
    error = pid < 0 ? failure_set(failure, errno, "no PID namespace can be made here: %s",
                                  strerror(errno))
                    : 0;
    close(lifeline[0]);
    int code = error == 0 ? wait_for_keeper(pid) : error;
    close(lifeline[1]);
    return code;
}

/* The child's side of the fork: ends in execvp or tells why not by its errno through the pipe. */
static _Noreturn void execute(const struct child_spec *spec, const struct keeper *keeper,
                              int report_fd)
{
    int error = 0;
    if ((spec->netns_fd >= 0 && setns(spec->netns_fd, CLONE_NEWNET) != 0) ||
        (spec->own_group && setpgid(0, 0) != 0) ||
        (spec->inherited_fd >= 0 && fcntl(spec->inherited_fd, F_SETFD, 0) != 0) ||
        (spec->output_fd >= 0 &&
         (dup2(spec->output_fd, STDOUT_FILENO) < 0 || dup2(spec->output_fd, STDERR_FILENO) < 0)) ||
        (spec->error_fd > 0 && dup2(spec->error_fd, STDERR_FILENO) < 0)) {
        error = errno;
    }
    if (error == 0) {
        sigprocmask(SIG_SETMASK, &keeper->mask_before, NULL);
        /* execvp takes pointers to char for history's sake and changes nothing. */
        execvp(spec->argv[0], (char *const *)(uintptr_t)spec->argv);
        error = errno;
    }
    ssize_t written = write(report_fd, &error, sizeof(error));
    _exit(written == (ssize_t)sizeof(error) ? CODE_NOT_EXECUTED : CODE_NOT_EXECUTED - 1);
}

/* Reads the errno of an execution that failed; 0 when the pipe was closed by execvp. */
static int read_report(int fd)
{
    int error = 0;
    ssize_t size = read(fd, &error, sizeof(error));
    return size == (ssize_t)sizeof(error) ? error : 0;
}

int child_start(struct child *child, const struct child_spec *spec, const struct keeper *keeper,
                struct failure *failure)
{
    int report[2];
    *child = (struct child){.pid = 0, .pid_fd = -1};
    if (pipe2(report, O_CLOEXEC) != 0) {
        return failure_set(failure, errno, "pipe: %s", strerror(errno));
    }
    pid_t pid = fork();
    if (pid == 0) {
        /* No PR_SET_PDEATHSIG: the keeper is its PID namespace's first process, so all end with it.
         */
        execute(spec, keeper, report[1]);
    }
    int error = pid < 0 ? errno : 0;
    close(report[1]);
    error = error == 0 ? read_report(report[0]) : error;
    close(report[0]);
    int pid_fd = error == 0 ? pidfd_open(pid, 0) : -1;
    if (error == 0 && pid_fd < 0) {
        error = errno;
        kill(pid, SIGKILL);
    }
    if (error != 0) {
        if (pid > 0) {
            waitpid(pid, NULL, 0);
        }
        return failure_set(failure, error, "%s: cannot be run: %s", spec->argv[0], strerror(error));
    }
    *child = (struct child){.pid = pid, .pid_fd = pid_fd, .own_group = spec->own_group};
    return 0;
}

/* Reaps a child that has ended. */
static bool child_reap(struct child *child)
{
    int status;
    if (!child->ended && waitpid(child->pid, &status, WNOHANG) == child->pid) {
        child->ended = true;
        child->code = code_of_status(status);
    }
    return child->ended;
}

/* Reads one signal, if there is one. */
static bool take_signal(struct keeper *keeper)
{
    struct signalfd_siginfo info;
    if (read(keeper->signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info)) {
        return false;
    }
    keeper->last_signal = (int)info.ssi_signo;
    keeper->from_terminal = info.ssi_code == SI_KERNEL;
    return true;
}

static int poll_timeout_ms(uint64_t deadline_ns)
{
    if (deadline_ns == CLOCK_NEVER) {
        return -1;
    }
    uint64_t now_ns = clock_now_ns();
    uint64_t left_ms =
        deadline_ns > now_ns ? (deadline_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS : 0;
    return left_ms > 60000 ? 60000 : (int)left_ms;
}

enum wait_outcome keeper_wait(struct keeper *keeper, struct child *child, uint64_t deadline_ns)
{
    for (;;) {
        struct pollfd fds[2] = {
            {.fd = keeper->signal_fd, .events = POLLIN},
            {.fd = child == NULL ? -1 : child->pid_fd, .events = POLLIN},
        };
        poll(fds, 2, poll_timeout_ms(deadline_ns));
        if (child != NULL && child_reap(child)) {
            return WAIT_ENDED;
        }
        if (take_signal(keeper)) {
            return WAIT_STOP;
        }
        if (clock_now_ns() >= deadline_ns) {
            return WAIT_TIMEOUT;
        }
    }
}

int keeper_await(struct keeper *keeper, struct child *child, keeper_look_fn look, void *context,
                 uint64_t deadline_ns)
{
    for (;;) {
        int found = look(context);
        if (found != 0) {
            return found < 0 ? found : 0;
        }
        uint64_t now_ns = clock_now_ns();
        if (now_ns >= deadline_ns) {
            return -ETIMEDOUT;
        }
        switch (keeper_wait(keeper, child, now_ns + LOOK_POLL_NS)) {
        case WAIT_ENDED:
            return -ESRCH;
        case WAIT_STOP:
            return -EINTR;
        case WAIT_TIMEOUT:
            break;
        }
    }
}

void child_signal(const struct child *child, int number)
{
    kill(child->own_group ? -child->pid : child->pid, number);
}

/* Tells whether nobody of the child's group is left. A shell ends at once by SIGTERM, while the
 * program that it started may still be at its last report. */
static bool group_gone(const struct child *child)
{
    while (waitpid(-child->pid, NULL, WNOHANG) > 0) {
        /* Orphans of the group are ours to reap. */
    }
    return kill(-child->pid, 0) != 0 && errno == ESRCH;
}

static void group_wait(const struct child *child, uint64_t deadline_ns)
{
    const struct timespec pause = {.tv_nsec = (long)GROUP_POLL_NS};
    while (!group_gone(child) && clock_now_ns() < deadline_ns) {
        nanosleep(&pause, NULL);
    }
    kill(-child->pid, SIGKILL);
}

void child_stop(struct child *child, struct keeper *keeper, uint64_t grace_ns)
{
    if (child->pid == 0) {
        return;
    }
    if (!child_reap(child)) {
        uint64_t deadline_ns = clock_now_ns() + grace_ns;
        child_signal(child, SIGTERM);
        if (keeper_wait(keeper, child, deadline_ns) != WAIT_ENDED) {
            child_signal(child, SIGKILL);
            while (keeper_wait(keeper, child, CLOCK_NEVER) != WAIT_ENDED) {
                /* Nothing but its end is of interest now. */
            }
        }
        if (child->own_group) {
            group_wait(child, deadline_ns);
        }
    }
    close(child->pid_fd);
    child->pid_fd = -1;
}
