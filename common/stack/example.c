/* Two hosts in one process shake hands, exchange a line, and close: no socket, no clock.
 * Build: cc example.c -lfinwait-stack */
#include <stdio.h>
#include <string.h>

#include "finwait-stack.h"

/* Carries packets both ways until neither host has more, on virtual time. */
static void exchange(struct fws_host *const hosts[2], uint64_t now_ns)
{
    uint8_t bytes[2048];
    struct fws_buffer buffer = {.data = bytes, .capacity = sizeof(bytes)};
    fws_advance(hosts[0], now_ns);
    fws_advance(hosts[1], now_ns);
    for (int from = 0, quiet = 0; quiet < 2; from = 1 - from) {
        quiet++;
        while (fws_output(hosts[from], &buffer, 1) == 1) {
            struct fws_packet packet = {.data = bytes, .bytes = buffer.bytes};
            fws_input(hosts[1 - from], &packet, 1);
            quiet = 0;
        }
    }
}

int main(void)
{
    struct fws_endpoint server = {.addr = {.version = 4, .bytes = {10, 9, 0, 1}}, .port = 7};
    struct fws_endpoint any = {.port = 0};
    struct fws_config config = {.size = sizeof(config), .mtu_bytes = 1500, .seed = "example"};
    struct fws_host *hosts[2];
    fws_handle listener, client, accepted;
    char line[64] = "";

    for (uint8_t i = 0; i < 2; i++) {
        config.address = server.addr;
        config.address.bytes[3] = (uint8_t)(1 + i);
        if (fws_host_create(&hosts[i], &config) < 0) {
            return 1;
        }
    }
    fws_listen(hosts[0], &server, 16, NULL, &listener);
    fws_connect(hosts[1], &any, &server, NULL, &client);
    fws_send(hosts[1], client, "hello", 5, 0); /* goes out when the handshake is complete */
    exchange(hosts, 1);
    if (fws_accept(hosts[0], listener, &accepted) < 0) {
        return 1;
    }
    fws_recv(hosts[0], accepted, line, sizeof(line) - 1);
    fws_close(hosts[1], client);
    fws_close(hosts[0], accepted);
    exchange(hosts, 2);

    struct fws_census census = {.size = sizeof(census)};
    fws_census(hosts[1], &census);
    uint64_t waiting = census.states[FWS_STATE_TIME_WAIT];
    printf("received \"%s\"; in TIME_WAIT: %llu\n", line, (unsigned long long)waiting);
    fws_host_destroy(hosts[0]);
    fws_host_destroy(hosts[1]);
    return strcmp(line, "hello") == 0 && waiting == 1 ? 0 : 1;
}
