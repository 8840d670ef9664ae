/* Stack socket: a running stack's states, transitions and counters, read by another process.
 *
 * Layer: L4; part of the transport's public face. The program that has the stack opens a local
 * socket (SOCK_SEQPACKET, mode 0600) and a thread that answers each packet it gets by one struct
 * stack_message, read from the board; so asking costs the workers nothing. Both ends are finwait's
 * on one machine: the message is the struct itself, with a version before all else. */
#ifndef FINWAIT_TRANSPORT_STACK_SOCKET_H
#define FINWAIT_TRANSPORT_STACK_SOCKET_H

#include <stdint.h>

#include "base/failure.h"
#include "base/tcp_state.h"
#include "transport/stack_board.h"

#define STACK_MESSAGE_VERSION "finwait.stack/1"
#define STACK_SOCKET_CLIENTS_MAX 16u

struct stack_message_counter {
    char module[16];
    char name[40];
    uint64_t value;
};

struct stack_message {
    char version[16];
    char program[32];
    uint32_t pid;
    uint32_t workers;
    uint64_t now_ns;    /* clock_now_ns, which all processes of a machine share */
    uint64_t oldest_ns; /* since when what follows may have changed */
    uint64_t two_msl_ns;
    struct tcp_state_counts counts;
    struct tcp_transitions transitions;
    struct transport_lingering lingering;
    uint32_t counter_count;
    struct stack_message_counter counters[STACK_BOARD_VALUES_MAX]; /* so many are sent */
};

/* Finds a counter; 0 when it is not there. */
uint64_t stack_message_counter(const struct stack_message *message, const char *module,
                               const char *name);

struct stack_socket;

struct stack_socket_config {
    const char *path;    /* borrowed until stack_socket_close */
    const char *program; /* likewise */
    uint64_t two_msl_ns;
    struct stack_board *board; /* likewise */
};

/* Binds, without any rights, and listens. A socket at the path that nobody listens on is replaced.
 * Returns 0, or -errno with the text set and the path as it was: -EADDRINUSE when another program
 * listens there, -EEXIST when something else than a socket is there. */
int stack_socket_open(struct stack_socket **opened, const struct stack_socket_config *config,
                      struct failure *failure);

/* Starts to answer, in a thread that inherits the caller's signal mask and rights. Returns 0 or
 * -errno with the text set. */
int stack_socket_start(struct stack_socket *own, struct failure *failure);

/* Ends the thread and removes the socket. NULL is allowed. */
void stack_socket_close(struct stack_socket *own);

/* For the reader: connects, non-blocking. Returns 0, or -errno with the text set, which `option`
 * begins: nothing there, not a socket, another user's, or nobody listens. */
int stack_socket_connect(int *fd, const char *option, const char *path, struct failure *failure);

/* Asks for a message. Returns 0 or -errno. */
int stack_socket_ask(int fd);

/* Takes a message that has come. Returns 0, -EAGAIN (none has), -EPIPE (the program has ended) or
 * -EPROTO (it is not of this version). */
int stack_socket_take(int fd, struct stack_message *message);

#endif
