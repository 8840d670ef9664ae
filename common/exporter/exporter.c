#include "exporter/exporter.h"

#include <errno.h>
#include <microhttpd.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BACKLOG 16
#define TIMEOUT_SECONDS 10u

struct exporter {
    int fd; /* the listener; the daemon's once it runs */
    struct MHD_Daemon *daemon;
    exporter_fill *fill;
    void *context;
};

int exporter_parse(struct endpoint *address, const char *text, bool allows_remote,
                   struct failure *failure)
{
    struct failure why;
    if (endpoint_parse(address, text, &why) < 0) {
        return failure_set(failure, EINVAL, "--metrics %s", why.text);
    }
    if (!allows_remote && !ip_is_loopback(&address->ip)) {
        return failure_set(failure, EINVAL,
                           "--metrics %s: not a loopback address, so others could read it; use "
                           "127.0.0.1:%u, or allow it by --metrics-allow-remote",
                           text, address->port);
    }
    return 0;
}

static int listen_at(const struct endpoint *address)
{
    struct sockaddr_storage name;
    const socklen_t length = endpoint_to_sockaddr(address, &name);
    const int fd = socket(name.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return -errno;
    }
    const int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, (const struct sockaddr *)&name, length) < 0 || listen(fd, BACKLOG) < 0) {
        const int error = errno;
        close(fd);
        return -error;
    }
    return fd;
}

int exporter_open(struct exporter **exporter, const struct endpoint *address,
                  struct failure *failure)
{
    struct exporter *opened = calloc(1, sizeof(*opened));
    if (opened == NULL) {
        return failure_set(failure, ENOMEM, "no memory for --metrics");
    }
    opened->fd = listen_at(address);
    if (opened->fd < 0) {
        const int error = opened->fd;
        char text[ENDPOINT_TEXT_MAX];
        free(opened);
        return failure_set(failure, -error, "--metrics %s: cannot listen there: %s",
                           endpoint_format(address, text), strerror(-error));
    }
    *exporter = opened;
    return 0;
}

static enum MHD_Result answer_text(struct MHD_Connection *connection, unsigned int status,
                                   const char *text)
{
    struct MHD_Response *response = MHD_create_response_from_buffer_with_free_callback(
        strlen(text), (void *)(uintptr_t)text, NULL);
    if (response == NULL) {
        return MHD_NO;
    }
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "text/plain");
    const enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

/* Tells which format a reader wants: one that names neither gets OpenMetrics. */
static enum openmetrics_format wanted_format(struct MHD_Connection *connection)
{
    const char *accept =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT);
    const bool wants_text = accept != NULL && strstr(accept, "text/plain") != NULL &&
                            strstr(accept, "application/openmetrics-text") == NULL;
    return wants_text ? OPENMETRICS_TEXT_0_0_4 : OPENMETRICS_1_0;
}

static enum MHD_Result answer_metrics(const struct exporter *exporter,
                                      struct MHD_Connection *connection)
{
    struct openmetrics out;
    openmetrics_init(&out, wanted_format(connection));
    exporter->fill(exporter->context, &out);
    struct MHD_Response *response = NULL;
    if (openmetrics_finish(&out) == 0) {
        response = MHD_create_response_from_buffer(out.length, out.text, MHD_RESPMEM_MUST_COPY);
    }
    const char *type = openmetrics_content_type(out.format);
    openmetrics_free(&out);
    if (response == NULL) {
        return answer_text(connection, MHD_HTTP_INTERNAL_SERVER_ERROR, "out of memory\n");
    }
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    const enum MHD_Result result = MHD_queue_response(connection, MHD_HTTP_OK, response);
    MHD_destroy_response(response);
    return result;
}

/* libmicrohttpd's own signature. */
static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *body,
                                  size_t *body_bytes, void **request)
{
    (void)version;
    (void)body;
    *body_bytes = 0; /* a body is taken, and dropped */
    (void)request;
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
        return answer_text(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET\n");
    }
    if (strcmp(url, "/metrics") != 0) {
        return answer_text(connection, MHD_HTTP_NOT_FOUND, "the metrics are at /metrics\n");
    }
    return answer_metrics(context, connection);
}

int exporter_start(struct exporter *exporter, exporter_fill *fill, void *context,
                   struct failure *failure)
{
    exporter->fill = fill;
    exporter->context = context;
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    exporter->daemon = MHD_start_daemon(
        MHD_USE_AUTO | MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL, NULL, on_request, exporter,
        MHD_OPTION_LISTEN_SOCKET, exporter->fd, MHD_OPTION_CONNECTION_LIMIT,
        EXPORTER_CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, TIMEOUT_SECONDS, MHD_OPTION_END);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (exporter->daemon == NULL) {
        return failure_set(failure, EAGAIN, "--metrics: the HTTP listener cannot be started");
    }
    exporter->fd = -1;
    return 0;
}

void exporter_close(struct exporter *exporter)
{
    if (exporter == NULL) {
        return;
    }
    if (exporter->daemon != NULL) {
        MHD_stop_daemon(exporter->daemon);
    }
    if (exporter->fd >= 0) {
        close(exporter->fd);
    }
    free(exporter);
}
