/* A build without AF_XDP says so and names what there is. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "link/cable.h"
#include "tcpstat/namespace.h"

static void a_build_without_it_names_the_other_link(void **state)
{
    (void)state;
    struct cable cable;
    struct failure failure = {.text = ""};
    struct link *link;
    const struct link_config config = {.kind = LINK_XDP, .interface = CABLE_INTERFACE};
    cable_make(&cable);
    assert_int_equal(link_open(&link, &config, &failure), -ENOTSUP);
    assert_non_null(strstr(failure.text, "packet:" CABLE_INTERFACE));
    assert_non_null(strstr(failure.text, "libxdp-dev"));
    cable_close(&cable);
}

int main(void)
{
    if (!namespace_enter_or_tell()) {
        return EXIT_SKIPPED;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_build_without_it_names_the_other_link),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
