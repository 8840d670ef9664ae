#include "transport/stack_socket.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "link/link.h"

#define FIXED_FDS 2u /* the end's, the listener's */

struct stack_socket {
    struct stack_socket_config config;
    int listen_fd;
    int end_fd; /* eventfd */
    dev_t device;
    ino_t inode; /* of the path, so that no other's is removed */
    bool started;
    pthread_t thread;
    /* The thread's. */
    uint32_t client_count;
    struct pollfd fds[FIXED_FDS + STACK_SOCKET_CLIENTS_MAX];
    struct stack_totals totals;
    struct stack_message message;
};

uint64_t stack_message_counter(const struct stack_message *message, const char *module,
                               const char *name)
{
    for (uint32_t i = 0; i < message->counter_count; i++) {
        const struct stack_message_counter *counter = &message->counters[i];
        if (strcmp(counter->name, name) == 0 && strcmp(counter->module, module) == 0) {
            return counter->value;
        }
    }
    return 0;
}

static size_t message_bytes(uint32_t counter_count)
{
    return offsetof(struct stack_message, counters) +
           counter_count * sizeof(struct stack_message_counter);
}

static void fill_counters(struct stack_message *message, const struct stack_totals *totals)
{
    message->counter_count = 0;
    for (uint32_t i = 0; i < totals->view_count; i++) {
        const struct transport_view *view = &totals->views[i];
        for (size_t k = 0; k < view->counters.count; k++) {
            struct stack_message_counter *counter = &message->counters[message->counter_count++];
            *counter = (struct stack_message_counter){.value = view->counters.values[k]};
            snprintf(counter->module, sizeof(counter->module), "%s", view->module);
            snprintf(counter->name, sizeof(counter->name), "%s", view->counters.infos[k].name);
        }
    }
}

static void fill_message(struct stack_socket *own)
{
    struct stack_totals *totals = &own->totals;
    struct stack_message *message = &own->message;
    stack_board_read(own->config.board, totals);
    *message = (struct stack_message){
        .version = STACK_MESSAGE_VERSION,
        .pid = (uint32_t)getpid(),
        .workers = totals->workers,
        .now_ns = clock_now_ns(),
        .oldest_ns = totals->oldest_ns,
        .two_msl_ns = own->config.two_msl_ns,
        .counts = totals->counts,
        .transitions = totals->transitions,
        .lingering = totals->lingering,
    };
    snprintf(message->program, sizeof(message->program), "%s", own->config.program);
    fill_counters(message, totals);
}

/* Answers a client's packet; returns false when it is gone, or does not read what it asked for. */
static bool answer(struct stack_socket *own, int fd)
{
    char request[16];
    if (recv(fd, request, sizeof(request), MSG_DONTWAIT) <= 0) {
        return false;
    }
    fill_message(own);
    size_t bytes = message_bytes(own->message.counter_count);
    return send(fd, &own->message, bytes, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)bytes;
}

static void take_client(struct stack_socket *own)
{
    int fd = accept4(own->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
        return; /* it has left again, or there are no descriptors: it may try anew */
    }
    if (own->client_count == STACK_SOCKET_CLIENTS_MAX) {
        close(fd);
        return;
    }
    own->fds[FIXED_FDS + own->client_count++] = (struct pollfd){.fd = fd, .events = POLLIN};
}

static void serve_clients(struct stack_socket *own)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < own->client_count; i++) {
        struct pollfd *client = &own->fds[FIXED_FDS + i];
        if (client->revents != 0 && !answer(own, client->fd)) {
            close(client->fd);
        } else {
            own->fds[FIXED_FDS + kept++] = *client;
        }
    }
    own->client_count = kept;
}

static void *run(void *context)
{
    struct stack_socket *own = context;
    pthread_setname_np(pthread_self(), "stack-socket");
    own->fds[0] = (struct pollfd){.fd = own->end_fd, .events = POLLIN};
    own->fds[1] = (struct pollfd){.fd = own->listen_fd, .events = POLLIN};
    while ((own->fds[0].revents & POLLIN) == 0) {
        if (poll(own->fds, FIXED_FDS + own->client_count, -1) < 0) {
            continue; /* a debugger's interruption */
        }
        serve_clients(own);
        if (own->fds[1].revents != 0) {
            take_client(own);
        }
    }
    for (uint32_t i = 0; i < own->client_count; i++) {
        close(own->fds[FIXED_FDS + i].fd);
    }
    return NULL;
}

static int name_of(struct sockaddr_un *name, const char *option, const char *path,
                   struct failure *failure)
{
    *name = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (path[0] == '\0' || strlen(path) >= sizeof(name->sun_path)) {
        return failure_set(failure, EINVAL, "%s %s: a socket's path has 1 to %zu bytes", option,
                           path, sizeof(name->sun_path) - 1);
    }
    memcpy(name->sun_path, path, strlen(path) + 1);
    return 0;
}

static int open_local(struct failure *failure)
{
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return fd >= 0 ? fd
                   : failure_set(failure, errno, "cannot open a local socket: %s", strerror(errno));
}

/* Removes a socket that nobody listens on. */
static int remove_stale(const struct sockaddr_un *name, struct failure *failure)
{
    const char *path = name->sun_path;
    struct stat what;
    if (lstat(path, &what) == 0 && !S_ISSOCK(what.st_mode)) {
        return failure_set(failure, EEXIST,
                           "--stack-socket %s: there is something else than a socket; give "
                           "another path",
                           path);
    }
    int fd = open_local(failure);
    if (fd < 0) {
        return fd;
    }
    bool stale =
        connect(fd, (const struct sockaddr *)name, sizeof(*name)) != 0 && errno == ECONNREFUSED;
    close(fd);
    if (!stale) {
        return failure_set(failure, EADDRINUSE,
                           "--stack-socket %s: another program listens there; give another path",
                           path);
    }
    if (unlink(path) != 0) {
        return failure_set(failure, errno,
                           "--stack-socket %s: a socket that nobody listens on is there and cannot "
                           "be removed: %s",
                           path, strerror(errno));
    }
    return 0;
}

/* Binds with mode 0600: the file gets what the descriptor has. */
static int bind_path(int fd, const char *path, struct failure *failure)
{
    struct sockaddr_un name;
    const struct sockaddr *address = (const struct sockaddr *)&name;
    int rc = name_of(&name, "--stack-socket", path, failure);
    if (rc != 0) {
        return rc;
    }
    (void)fchmod(fd, S_IRUSR | S_IWUSR);
    if (bind(fd, address, sizeof(name)) == 0) {
        return 0;
    }
    if (errno == EADDRINUSE) {
        rc = remove_stale(&name, failure);
        if (rc != 0) {
            return rc;
        }
        if (bind(fd, address, sizeof(name)) == 0) {
            return 0;
        }
    }
    const char *advice = errno == ENOENT || errno == ENOTDIR
                             ? "; give a path in a folder that is there"
                         : errno == EACCES || errno == EPERM
                             ? "; rights are given up before, so give a folder whose mode lets "
                               "this user write"
                             : "";
    return failure_set(failure, errno, "--stack-socket %s: cannot be made: %s%s", path,
                       strerror(errno), advice);
}

static int bind_own(void *context, struct failure *failure)
{
    struct stack_socket *own = context;
    return bind_path(own->listen_fd, own->config.path, failure);
}

int stack_socket_open(struct stack_socket **opened, const struct stack_socket_config *config,
                      struct failure *failure)
{
    struct stat made;
    struct stack_socket *own = calloc(1, sizeof(*own));
    if (own == NULL) {
        return failure_set(failure, ENOMEM, "no memory for --stack-socket");
    }
    own->config = *config;
    own->listen_fd = open_local(failure);
    own->end_fd = eventfd(0, EFD_CLOEXEC);
    int rc = own->listen_fd < 0 ? own->listen_fd : 0;
    if (rc == 0 && own->end_fd < 0) {
        rc = failure_set(failure, errno, "no descriptor for --stack-socket: %s", strerror(errno));
    }
    /* What was made without rights can be removed without them, when the run ends. */
    rc = rc != 0 ? rc : link_call_without_rights(bind_own, own, failure);
    if (rc == 0 && (lstat(config->path, &made) != 0 || listen(own->listen_fd, 8) != 0)) {
        rc = failure_set(failure, errno, "--stack-socket %s: cannot listen: %s", config->path,
                         strerror(errno));
    }
    if (rc != 0) {
        stack_socket_close(own);
        return rc;
    }
    own->device = made.st_dev;
    own->inode = made.st_ino;
    *opened = own;
    return 0;
}

int stack_socket_start(struct stack_socket *own, struct failure *failure)
{
    int rc = -pthread_create(&own->thread, NULL, run, own);
    if (rc != 0) {
        return failure_set(failure, -rc, "cannot start a thread: %s", strerror(-rc));
    }
    own->started = true;
    return 0;
}

void stack_socket_close(struct stack_socket *own)
{
    struct stat there;
    if (own == NULL) {
        return;
    }
    if (own->started) {
        (void)eventfd_write(own->end_fd, 1);
        pthread_join(own->thread, NULL);
    }
    if (own->inode != 0 && lstat(own->config.path, &there) == 0 && there.st_dev == own->device &&
        there.st_ino == own->inode) {
        (void)unlink(own->config.path);
    }
    if (own->listen_fd >= 0) {
        close(own->listen_fd);
    }
    if (own->end_fd >= 0) {
        close(own->end_fd);
    }
    free(own);
}

/* Looks at the path first: what connect() says of it would not tell these apart. */
static int check_path(const char *option, const char *path, struct failure *failure)
{
    struct stat what;
    if (stat(path, &what) != 0) {
        return failure_set(failure, errno,
                           "%s %s: %s; give the path of a running program's --stack-socket", option,
                           path, errno == ENOENT ? "nothing is there" : strerror(errno));
    }
    if (!S_ISSOCK(what.st_mode)) {
        return failure_set(failure, ENOTSOCK,
                           "%s %s: not a socket; give the path of a running program's "
                           "--stack-socket",
                           option, path);
    }
    if (geteuid() != 0 && what.st_uid != geteuid()) {
        return failure_set(failure, EPERM,
                           "%s %s: it is user %u's, and what it says could not be trusted; ask as "
                           "that user or as root",
                           option, path, what.st_uid);
    }
    return 0;
}

int stack_socket_connect(int *fd, const char *option, const char *path, struct failure *failure)
{
    struct sockaddr_un name;
    int rc = name_of(&name, option, path, failure);
    rc = rc != 0 ? rc : check_path(option, path, failure);
    if (rc != 0) {
        return rc;
    }
    *fd = open_local(failure);
    if (*fd < 0) {
        return *fd;
    }
    if (connect(*fd, (const struct sockaddr *)&name, sizeof(name)) == 0) {
        return 0;
    }
    rc = failure_set(failure, errno, "%s %s: %s", option, path,
                     errno == ECONNREFUSED
                         ? "nobody listens there any more; is its program still running?"
                         : strerror(errno));
    close(*fd);
    *fd = -1;
    return rc;
}

int stack_socket_ask(int fd)
{
    return send(fd, "?", 1, MSG_DONTWAIT | MSG_NOSIGNAL) == 1 ? 0 : -errno;
}

int stack_socket_take(int fd, struct stack_message *message)
{
    ssize_t bytes = recv(fd, message, sizeof(*message), MSG_DONTWAIT);
    if (bytes < 0) {
        return errno == EINTR ? -EAGAIN : errno == ECONNRESET ? -EPIPE : -errno;
    }
    if (bytes == 0) {
        return -EPIPE;
    }
    bool is_whole =
        (size_t)bytes >= message_bytes(0) &&
        memcmp(message->version, STACK_MESSAGE_VERSION, sizeof(STACK_MESSAGE_VERSION)) == 0 &&
        message->counter_count <= STACK_BOARD_VALUES_MAX &&
        (size_t)bytes == message_bytes(message->counter_count);
    if (!is_whole) {
        return -EPROTO;
    }
    for (uint32_t i = 0; i < message->counter_count; i++) {
        struct stack_message_counter *counter = &message->counters[i];
        counter->module[sizeof(counter->module) - 1] = '\0';
        counter->name[sizeof(counter->name) - 1] = '\0';
    }
    message->program[sizeof(message->program) - 1] = '\0';
    return 0;
}
