/* Listeners and processes: made, bound to CPUs, ended and waited for by the parent. */
#include <errno.h>
#include <linux/filter.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "floor.h"

#define PROCESSES_MAX (2u * FLOOR_CLIENTS_MAX)
#define NS_PER_SEC 1000000000u
/* A client that was told to stop ends within a turn of its loop. */
#define GRACE_NS (2ull * NS_PER_SEC)
#define GRACE_STEP_NS 1000000u

struct processes {
    const struct floor_options *options;
    struct floor_share *share;
    int listeners[FLOOR_CPUS];
    uint32_t listener_count;
    pid_t clients[FLOOR_CLIENTS_MAX]; /* 0: has been waited for */
    uint32_t client_count;
    pid_t servers[FLOOR_CLIENTS_MAX];
    uint32_t server_count;
    uint64_t client_cpu_ns;
    uint64_t server_cpu_ns;
};

static int fail(int error, const char *what)
{
    fprintf(stderr, "finwait-floor: %s: %s\n", what, strerror(error));
    return -error;
}

static int listener_open(const struct floor_options *options)
{
    const int on = 1;
    struct sockaddr_in address = floor_target(options);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);
    if (fd < 0) {
        return fail(errno, "socket");
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
    if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) != 0 ||
        listen(fd, FLOOR_BACKLOG) != 0) {
        int rc = fail(errno, "cannot listen");
        close(fd);
        return rc;
    }
    return fd;
}

/* Gives each connection to the listener of the CPU that its SYN came in on: the listeners joined
 * their group in the order of the CPUs. */
static int steer_by_cpu(int fd)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_CPU)),
        BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, FLOOR_CPUS),
        BPF_STMT(BPF_RET | BPF_A, 0),
    };
    struct sock_fprog program = {.len = sizeof(code) / sizeof(code[0]), .filter = code};
    if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof(program)) != 0) {
        return fail(errno, "cannot steer connections by CPU");
    }
    return 0;
}

static int listeners_open(struct processes *processes)
{
    uint32_t count = processes->options->layout == FLOOR_PAIR ? FLOOR_CPUS : 1;
    for (uint32_t i = 0; i < count; i++) {
        int fd = listener_open(processes->options);
        if (fd < 0) {
            return fd;
        }
        processes->listeners[processes->listener_count++] = fd;
    }
    return count > 1 ? steer_by_cpu(processes->listeners[0]) : 0;
}

static int child_prepare(uint32_t cpu, pid_t parent)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (sched_setaffinity(0, sizeof(set), &set) != 0) {
        return fail(errno, "cannot bind a process to its CPU");
    }
    /* The parent tells its children when to end, so that a signal from a terminal is its alone;
     * and when it is killed, they must not stay behind. */
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_DFL);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    return getppid() == parent ? 0 : -ECHILD;
}

/* Starts one process on a CPU; returns its id or -errno. */
static pid_t spawn(const struct floor_task *task, uint32_t cpu)
{
    static const char *const names[] = {"server", "client"};
    bool is_client = task->listener < 0;
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid < 0) {
        return fail(errno, "fork");
    }
    if (pid > 0) {
        return pid;
    }
    int rc = child_prepare(cpu, parent);
    if (rc == 0 && task->options->mode == FLOOR_URING) {
        rc = is_client ? floor_uring_client(task) : floor_uring_server(task);
    } else if (rc == 0) {
        rc = is_client ? floor_blocking_client(task) : floor_blocking_server(task);
    }
    if (rc != 0) {
        fail(-rc, names[is_client]);
    }
    _exit(rc == 0 ? 0 : 1);
}

/* Starts what belongs on one CPU: server and client, or one of them. */
static int spawn_on(struct processes *processes, uint32_t cpu, bool servers, bool clients)
{
    const struct floor_options *options = processes->options;
    uint32_t each = options->mode == FLOOR_URING ? 1 : options->in_flight;
    struct floor_task task = {.options = options, .share = processes->share};
    for (uint32_t i = 0; servers && i < each; i++) {
        task.listener = processes->listeners[processes->listener_count > 1 ? cpu : 0];
        pid_t pid = spawn(&task, cpu);
        if (pid < 0) {
            return pid;
        }
        processes->servers[processes->server_count++] = pid;
    }
    for (uint32_t i = 0; clients && i < each; i++) {
        task.listener = -1;
        task.client = processes->client_count;
        pid_t pid = spawn(&task, cpu);
        if (pid < 0) {
            return pid;
        }
        processes->clients[processes->client_count++] = pid;
    }
    return 0;
}

static int spawn_all(struct processes *processes)
{
    bool pair = processes->options->layout == FLOOR_PAIR;
    bool servers = processes->options->role != FLOOR_CLIENT_ONLY;
    bool clients = processes->options->role != FLOOR_SERVER_ONLY;
    int rc = spawn_on(processes, 1, servers, pair && clients);
    return rc == 0 ? spawn_on(processes, 0, pair && servers, clients) : rc;
}

/* Takes in a process that has ended, adding its CPU time. Returns whether one had. */
static bool reap(pid_t *pid, uint64_t *cpu_ns, int flags, int *status)
{
    struct rusage usage;
    *status = 0;
    if (*pid == 0 || wait4(*pid, status, flags, &usage) != *pid) {
        return false;
    }
    uint64_t usec = (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
    uint64_t sec = (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec);
    *cpu_ns += sec * NS_PER_SEC + usec * 1000;
    *pid = 0;
    return true;
}

static void pause_ns(uint64_t ns)
{
    struct timespec time = {.tv_sec = (time_t)(ns / NS_PER_SEC),
                            .tv_nsec = (long)(ns % NS_PER_SEC)};
    nanosleep(&time, NULL);
}

/* Waits for the clients to end by themselves. Returns 0, or -errno when one failed or did not. */
static int clients_join(struct processes *processes)
{
    uint32_t left = processes->client_count;
    int rc = 0;
    for (uint64_t waited = 0; left > 0 && waited < GRACE_NS; waited += GRACE_STEP_NS) {
        for (uint32_t i = 0; i < processes->client_count; i++) {
            int status;
            if (reap(&processes->clients[i], &processes->client_cpu_ns, WNOHANG, &status)) {
                left--;
                rc = status == 0 ? rc : -EIO;
            }
        }
        pause_ns(left > 0 ? GRACE_STEP_NS : 0);
    }
    return left > 0 ? fail(ETIMEDOUT, "a client did not end: is the server there?") : rc;
}

static void kill_all(pid_t *pids, uint32_t count, uint64_t *cpu_ns)
{
    int status;
    for (uint32_t i = 0; i < count; i++) {
        if (pids[i] != 0) {
            kill(pids[i], SIGKILL);
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        reap(&pids[i], cpu_ns, 0, &status);
    }
}

/* Tells whether a server ended though nobody asked it to. */
static bool server_lost(struct processes *processes)
{
    int status;
    for (uint32_t i = 0; i < processes->server_count; i++) {
        if (reap(&processes->servers[i], &processes->server_cpu_ns, WNOHANG, &status)) {
            return true;
        }
    }
    return false;
}

/* Sleeps for the duration, or without clients until a signal; a signal ends either. */
static void wait_for_end(const struct processes *processes, const sigset_t *signals)
{
    if (processes->client_count == 0) {
        (void)sigwaitinfo(signals, NULL);
        return;
    }
    uint64_t ns = processes->options->duration_ns;
    struct timespec time = {.tv_sec = (time_t)(ns / NS_PER_SEC),
                            .tv_nsec = (long)(ns % NS_PER_SEC)};
    (void)sigtimedwait(signals, NULL, &time);
}

static void result_add(struct floor_result *result, const struct processes *processes)
{
    for (uint32_t i = 0; i < processes->client_count; i++) {
        const struct floor_counts *counts = &processes->share->clients[i];
        result->sum.completed += counts->completed;
        result->sum.failed += counts->failed;
        if (counts->elapsed_ns > result->sum.elapsed_ns) {
            result->sum.elapsed_ns = counts->elapsed_ns;
        }
    }
    result->client_cpu_ns = processes->client_cpu_ns;
    result->server_cpu_ns = processes->server_cpu_ns;
}

static int run(struct processes *processes, const sigset_t *signals)
{
    int rc = processes->options->role == FLOOR_CLIENT_ONLY ? 0 : listeners_open(processes);
    if (rc == 0) {
        rc = spawn_all(processes);
    }
    if (rc == 0) {
        wait_for_end(processes, signals);
        atomic_store(&processes->share->stop, true);
        rc = clients_join(processes);
    }
    if (rc == 0 && server_lost(processes)) {
        rc = fail(EIO, "a server ended early");
    }
    kill_all(processes->clients, processes->client_count, &processes->client_cpu_ns);
    kill_all(processes->servers, processes->server_count, &processes->server_cpu_ns);
    for (uint32_t i = 0; i < processes->listener_count; i++) {
        close(processes->listeners[i]);
    }
    return rc;
}

int floor_run(const struct floor_options *options, struct floor_result *result)
{
    struct processes processes = {.options = options};
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    processes.share = mmap(NULL, sizeof(*processes.share), PROT_READ | PROT_WRITE,
                           MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (processes.share == MAP_FAILED) {
        return fail(errno, "mmap");
    }
    int rc = run(&processes, &signals);
    result_add(result, &processes);
    munmap(processes.share, sizeof(*processes.share));
    return rc;
}
