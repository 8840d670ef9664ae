/* Rules of wire/verdicts. */
#include "wire/wire_test.h"

#include <ctype.h>

static void test_a_verdict_is_named_by_its_enumerator_in_lower_case(void **state)
{
    (void)state;
    static const char *const enumerators[] = {
        "OK",
#define COUNTER(name, help) #name,
#include "wire/verdicts.def"
#undef COUNTER
    };
    assert_int_equal(TABLE_COUNT(enumerators), WIRE_VERDICT_COUNT);
    for (size_t i = 0; i < WIRE_VERDICT_COUNT; i++) {
        const char *name = wire_verdict_infos[i].name;
        assert_int_equal(strlen(name), strlen(enumerators[i]));
        for (size_t at = 0; name[at] != '\0'; at++) {
            assert_int_equal(name[at], tolower((unsigned char)enumerators[i][at]));
        }
        assert_true(strlen(wire_verdict_infos[i].help) > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_verdict_is_named_by_its_enumerator_in_lower_case),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
