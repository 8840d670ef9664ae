/* Two hosts in one process shake hands, exchange a line, and close: no socket, no clock.
 * Build: cc example.c -lfinwait-stack */
#include <stdio.h>
#include <string.h>

#include "finwait-stack.h"

/* Carries packets both ways until neither host has more, on virtual time. */
static void exchange(struct fws_host *a, struct fws_host *b, uint64_t now_ns)
{
    uint8_t bytes[2048];
    struct fws_host *from = a;
    struct fws_host *to = b;
    int quiet = 0;
    fws_advance(a, now_ns);
    fws_advance(b, now_ns);
    while (quiet < 2) {
        struct fws_buffer buffer = {.data = bytes, .capacity = sizeof(bytes)};
        quiet++;
        while (fws_output(from, &buffer, 1) == 1) {
            struct fws_packet packet = {.data = bytes, .bytes = buffer.bytes};
            fws_input(to, &packet, 1);
            quiet = 0;
        }
        struct fws_host *other = from;
        from = to;
        to = other;
    }
}

int main(void)
{
    struct fws_endpoint server = {.addr = {.version = 4, .bytes = {10, 9, 0, 1}}, .port = 7};
    struct fws_endpoint any = {.port = 0};
    struct fws_config config = {.size = sizeof(config), .mtu_bytes = 1500, .seed = "example"};
    struct fws_host *a;
    struct fws_host *b;
    fws_handle listener;
    fws_handle client;
    fws_handle accepted;
    char line[64] = "";

    config.address = server.addr;
    if (fws_host_create(&a, &config) < 0) {
        return 1;
    }
    config.address.bytes[3] = 2;
    if (fws_host_create(&b, &config) < 0) {
        return 1;
    }
    fws_listen(a, &server, 16, NULL, &listener);
    fws_connect(b, &any, &server, NULL, &client);
    fws_send(b, client, "hello", 5, 0); /* goes out when the handshake is complete */
    exchange(a, b, 1);
    if (fws_accept(a, listener, &accepted) < 0) {
        return 1;
    }
    fws_recv(a, accepted, line, sizeof(line) - 1);
    fws_close(b, client);
    fws_close(a, accepted);
    exchange(a, b, 2);

    struct fws_census census = {.size = sizeof(census)};
    fws_census(b, &census);
    printf("received \"%s\"; in TIME_WAIT: %llu\n", line,
           (unsigned long long)census.states[FWS_STATE_TIME_WAIT]);
    fws_host_destroy(a);
    fws_host_destroy(b);
    return strcmp(line, "hello") == 0 && census.states[FWS_STATE_TIME_WAIT] == 1 ? 0 : 1;
}
