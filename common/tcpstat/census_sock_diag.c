/* The census by sock_diag: the kernel sends one message a socket over netlink, and leaves out what
 * the filters of ports and states leave out; addresses are looked at here.
 *
 * Layer: tcpstat (L1). The request is the first version's (TCPDIAG_GETSOCK), since it alone gives
 * both families in one walk; the second version's takes a walk for each. The kernel gives a
 * FIN_WAIT_2 that is kept as a TIME_WAIT record as FIN_WAIT_2, and a request socket as SYN_RECV.
 * The census owns its netlink socket, which belongs to the namespace that it was made in. */
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <stdlib.h>

#include "base/assert.h"
#include "tcpstat/census.h"
#include "tcpstat/diag_filter.h"
#include "tcpstat/kernel_census.h"
#include "tcpstat/netns.h"

/* The kernel sends as much at once as the reader last asked for, up to this. */
#define RECEIVE_BYTES 32768

#define REQUEST_BYTES                                                                              \
    (sizeof(struct nlmsghdr) + sizeof(struct inet_diag_req) + sizeof(struct nlattr) +              \
     DIAG_FILTER_OPS_MAX * sizeof(struct inet_diag_bc_op))

/* Every state of ours and, beyond them, the request sockets' (TCP_NEW_SYN_RECV). Not the bit after
 * it, which asks for sockets that are bound and nothing else. */
#define STATES_ALL ((UINT32_C(1) << (TCP_STATE_COUNT + 1)) - 2)

struct diag_census {
    struct kernel_census kernel; /* first: a pointer to it is a pointer to this */
    struct mnl_socket *socket;   /* NULL: given up within a dump, to be made anew */
    uint32_t sequence;
    bool is_interrupted; /* the kernel said that the table changed during the dump */
    struct diag_filter filter;
    _Alignas(struct nlmsghdr) char request[REQUEST_BYTES];
    _Alignas(struct nlmsghdr) char received[RECEIVE_BYTES];
};

/* What a dump's messages are added to. */
struct dump {
    const struct census_request *request;
    struct census_result *result;
};

static int make_socket(void *context)
{
    struct diag_census *census = context;
    census->socket = mnl_socket_open2(NETLINK_SOCK_DIAG, SOCK_CLOEXEC);
    return census->socket == NULL ? -errno : 0;
}

static void close_socket(struct diag_census *census)
{
    if (census->socket != NULL) {
        mnl_socket_close(census->socket);
        census->socket = NULL;
    }
}

static int send_request(struct diag_census *census, uint32_t states)
{
    struct nlmsghdr *header = mnl_nlmsg_put_header(census->request);
    header->nlmsg_type = TCPDIAG_GETSOCK;
    header->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    header->nlmsg_seq = ++census->sequence;
    struct inet_diag_req *request = mnl_nlmsg_put_extra_header(header, sizeof(*request));
    request->idiag_states = states;
    if (census->filter.count > 0) {
        mnl_attr_put(header, INET_DIAG_REQ_BYTECODE,
                     census->filter.count * sizeof(census->filter.ops[0]), census->filter.ops);
    }
    return mnl_socket_sendto(census->socket, header, header->nlmsg_len) < 0 ? -errno : 0;
}

static struct ip_addr address_of(uint8_t family, const __be32 *words)
{
    struct ip_addr ip = {.family = family};
    memcpy(ip.bytes, words, family == AF_INET6 ? 16 : 4);
    return ip;
}

static int add_socket(const struct nlmsghdr *header, const struct dump *dump)
{
    const struct inet_diag_msg *message = mnl_nlmsg_get_payload(header);
    if (mnl_nlmsg_get_payload_len(header) < sizeof(*message)) {
        return -EPROTO;
    }
    dump->result->stamp.rows++;
    if (message->idiag_state == TCP_STATE_NONE || message->idiag_state >= TCP_STATE_COUNT) {
        dump->result->stamp.lines_malformed++; /* a state that this kernel has and we do not know */
        return 0;
    }
    struct ip_addr local;
    struct ip_addr remote;
    struct census_socket socket = {
        .family = message->idiag_family,
        .state = (enum tcp_state)message->idiag_state,
        .local_port = be16toh(message->id.idiag_sport),
        .remote_port = be16toh(message->id.idiag_dport),
        .times = 1,
    };
    if (census_request_names_addresses(dump->request)) {
        local = address_of(message->idiag_family, message->id.idiag_src);
        remote = address_of(message->idiag_family, message->id.idiag_dst);
        socket.local = &local;
        socket.remote = &remote;
    }
    return census_result_add(dump->result, dump->request, &socket);
}

/* Tells what a message that ends a dump says: 0 or -errno. */
static int end_of_dump(const struct nlmsghdr *header)
{
    if (header->nlmsg_type == NLMSG_ERROR) {
        const struct nlmsgerr *error = mnl_nlmsg_get_payload(header);
        return mnl_nlmsg_get_payload_len(header) < sizeof(*error) ? -EPROTO : error->error;
    }
    const int *status = mnl_nlmsg_get_payload(header);
    return mnl_nlmsg_get_payload_len(header) < sizeof(*status) || *status >= 0 ? 0 : *status;
}

/* Takes what one receive gave. Returns 1 when the dump has ended, 0 when more is to come, or
 * -errno.
 */
static int take_messages(struct diag_census *census, ssize_t bytes, const struct dump *dump)
{
    int left = (int)bytes;
    const struct nlmsghdr *header = (const struct nlmsghdr *)(const void *)census->received;
    for (; mnl_nlmsg_ok(header, left); header = mnl_nlmsg_next(header, &left)) {
        if (header->nlmsg_seq != census->sequence) {
            continue; /* not of this dump */
        }
        census->is_interrupted |= (header->nlmsg_flags & NLM_F_DUMP_INTR) != 0;
        if (header->nlmsg_type == NLMSG_DONE || header->nlmsg_type == NLMSG_ERROR) {
            const int error = end_of_dump(header);
            return error < 0 ? error : 1;
        }
        const int error = add_socket(header, dump);
        if (error < 0) {
            return error;
        }
    }
    return 0;
}

static int receive_dump(struct diag_census *census, const struct dump *dump)
{
    for (;;) {
        if (kernel_census_is_cancelled(dump->request)) {
            return -ECANCELED;
        }
        const ssize_t bytes =
            mnl_socket_recvfrom(census->socket, census->received, sizeof(census->received));
        if (bytes < 0 && errno == EINTR) {
            continue;
        }
        const int outcome = bytes < 0 ? -errno : take_messages(census, bytes, dump);
        if (outcome != 0) {
            return outcome < 0 ? outcome : 0;
        }
    }
}

/* Makes one dump. After an error the rest of it may still be under way: the socket is given up with
 * it. */
static int make_dump(struct diag_census *census, uint32_t states, const struct dump *dump)
{
    int error =
        census->socket == NULL ? netns_call(census->kernel.netns_fd, make_socket, census) : 0;
    if (error < 0) {
        return error;
    }
    census->is_interrupted = false;
    error = send_request(census, states);
    if (error == 0) {
        error = receive_dump(census, dump);
    }
    if (error < 0) {
        close_socket(census);
    }
    return error;
}

/* Gives the states as the kernel filters by them: a request socket is one more bit. */
static uint32_t states_of(const struct census_request *request)
{
    if (request->states == 0) {
        return STATES_ALL;
    }
    const bool has_requests = (request->states >> TCP_STATE_SYN_RECEIVED & 1) != 0;
    return request->states | (has_requests ? UINT32_C(1) << TCP_STATE_COUNT : 0);
}

static int count(struct kernel_census *base, const struct census_request *request,
                 struct census_result *result)
{
    struct diag_census *census = (struct diag_census *)base;
    /* Sets that do not fit are filtered here, as all are once more. */
    if (!diag_filter_make(&census->filter, request)) {
        census->filter.count = 0;
    }
    const struct dump dump = {.request = request, .result = result};
    const int error = make_dump(census, states_of(request), &dump);
    if (census->is_interrupted) {
        result->stamp.stability = CENSUS_CHANGED;
    }
    return error;
}

static int diag_run(struct census *base, const struct census_request *request,
                    struct census_result *result)
{
    return kernel_census_run((struct kernel_census *)base, request, result, count);
}

static void diag_close(struct census *base)
{
    struct diag_census *census = (struct diag_census *)base;
    close_socket(census);
    kernel_census_close(&census->kernel);
    free(census);
}

static const struct census_ops diag_ops = {
    .method = "sock_diag",
    .run = diag_run,
    .close = diag_close,
};

/* Asks for no state at all, which shows whether the kernel answers. */
static int probe(struct diag_census *census)
{
    const struct census_request request = {0};
    struct census_result result = {0};
    const struct dump dump = {.request = &request, .result = &result};
    return make_dump(census, 0, &dump);
}

int census_open_sock_diag(struct census **census, struct failure *failure)
{
    struct diag_census *opened = calloc(1, sizeof(*opened));
    if (opened == NULL) {
        return failure_set(failure, ENOMEM, "no memory for a census");
    }
    int error = kernel_census_open(&opened->kernel, &diag_ops, failure);
    if (error < 0) {
        goto err_close;
    }
    error = probe(opened);
    if (error < 0) {
        failure_set(failure, -error,
                    "the kernel gives no TCP sockets by sock_diag (%s; its module is tcp_diag); "
                    "use another method",
                    strerror(-error));
        goto err_close;
    }
    *census = &opened->kernel.census;
    return 0;

err_close:
    diag_close(&opened->kernel.census);
    return error;
}
