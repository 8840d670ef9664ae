/* Data through the transport: echo, order, half-close, back-pressure, receiving on demand. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/rng.h"
#include "transport/rig.h"

static void test_client_and_server_echo_through_one_transport(void **state)
{
    struct rig *rig = *state;
    static const char text[] = "over and back";
    rig_open(rig, 0);
    struct endpoint address = rig_listen(rig, NULL);
    struct rig_conn *client = rig_connect(rig, NULL, &address, NULL);
    RIG_UNTIL(rig, client->counts[TRANSPORT_CONNECTED] == 1 && rig_accepted(rig) != NULL);
    assert_int_equal(transport_send(rig->transport, client->handle, text, sizeof(text)), 0);
    RIG_UNTIL(rig, client->sent_bytes >= 10 * sizeof(text));
    assert_true(client->received_bytes >= 9 * sizeof(text));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_client_and_server_echo_through_one_transport),
    };
    return rig_run("data", tests, sizeof(tests) / sizeof(tests[0]));
}
