/* Sockets as both of the kernel's engines set them up: listeners, options, the steering program.
 *
 * Layer: L4, private to common/transport. Plain calls without state; each returns 0 or a
 * descriptor, or -errno. Every socket is close-on-exec; `flags` is SOCK_NONBLOCK or 0 (io_uring
 * waits on sockets by itself, but never on one that is non-blocking). */
#ifndef FINWAIT_TRANSPORT_SOCKET_H
#define FINWAIT_TRANSPORT_SOCKET_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "base/sockopt.h"
#include "transport/transport.h"

#define SOCKET_OPTIONS_MAX 8

/* An address as the kernel takes it, in the size that TCP needs. */
union socket_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/* Converts; returns the length, 0 for an address that is not given. */
socklen_t socket_address_set(union socket_address *address, const struct endpoint *endpoint);

/* Lists the options of a connection that is to be opened (`bound`: from a source address or port
 * that was planned); returns how many. */
size_t socket_connect_options(const struct transport_conn_options *options, bool bound,
                              struct socket_option list[SOCKET_OPTIONS_MAX]);

/* Lists the options that make close() act as `how`; returns how many (0 for PLAIN). */
size_t socket_close_options(enum transport_close_how how,
                            struct socket_option list[SOCKET_OPTIONS_MAX]);

/* Opens a listener with everything that accepted sockets inherit. Stores the bound address. Returns
 * the descriptor or -errno with the text set. */
int socket_listen(struct endpoint *address, const struct transport_listen_options *options,
                  int flags, struct failure *failure);

/* Opens a client's socket, sets its options and binds it to the flow's source where one is given.
 * Returns the descriptor or -errno. */
int socket_open_client(const struct flow *flow, const struct transport_conn_options *options,
                       int flags);

/* Lists the options that make close() act as `how` on a socket that was set up to act as `from`; returns
 * how many (0 when they are the same). */
size_t socket_change_options(enum transport_close_how from, enum transport_close_how how,
                             struct socket_option list[SOCKET_OPTIONS_MAX]);

/* Makes close() of this descriptor, which was set up to act as `from`, act as `how`. Returns 0 or
 * -errno. */
int socket_change_close_how(int fd, enum transport_close_how from, enum transport_close_how how);

/* Makes close() of this descriptor act as `how`. Returns 0 or -errno. */
int socket_set_close_how(int fd, enum transport_close_how how);

#endif
