#include "server/control.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"

static void stop_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
}

int control_open(struct control *control, struct failure *failure)
{
    sigset_t signals;
    stop_signals(&signals);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    int rc;
    control->signal_fd = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
    if (control->signal_fd < 0) {
        rc = failure_set(failure, errno, "cannot wait for signals: %s", strerror(errno));
        goto err_unblock;
    }
    control->ended_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (control->ended_fd < 0) {
        rc = failure_set(failure, errno, "cannot wait for workers: %s", strerror(errno));
        goto err_close_signals;
    }
    return 0;

err_close_signals:
    close(control->signal_fd);
err_unblock:
    pthread_sigmask(SIG_UNBLOCK, &signals, NULL);
    return rc;
}

void control_close(struct control *control)
{
    sigset_t signals;
    stop_signals(&signals);
    close(control->ended_fd);
    close(control->signal_fd);
    pthread_sigmask(SIG_UNBLOCK, &signals, NULL);
}

static uint32_t read_signals(int fd)
{
    struct signalfd_siginfo info;
    uint32_t count = 0;
    while (read(fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        count++;
    }
    return count;
}

static uint32_t read_ended(int fd)
{
    uint64_t count = 0;
    return read(fd, &count, sizeof(count)) == (ssize_t)sizeof(count) ? (uint32_t)count : 0;
}

int control_wait(struct control *control, uint64_t until_ns, struct control_events *events)
{
    struct pollfd fds[2] = {{.fd = control->signal_fd, .events = POLLIN},
                            {.fd = control->ended_fd, .events = POLLIN}};
    uint64_t now_ns = clock_now_ns();
    uint64_t wait_ns = until_ns > now_ns ? until_ns - now_ns : 0;
    struct timespec wait = {.tv_sec = (time_t)(wait_ns / NS_PER_SEC),
                            .tv_nsec = (long)(wait_ns % NS_PER_SEC)};
    *events = (struct control_events){0};
    int rc = ppoll(fds, 2, until_ns == CLOCK_NEVER ? NULL : &wait, NULL);
    if (rc < 0) {
        /* A debugger or a stop and go interrupts the wait: nothing has come. */
        return errno == EINTR ? 0 : -errno;
    }
    events->signals = read_signals(control->signal_fd);
    events->ended = read_ended(control->ended_fd);
    return 0;
}
