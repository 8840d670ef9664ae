/* Numbers and paragraphs for people. */
#include "report/format.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void spans_have_three_digits_and_a_unit(void **state)
{
    (void)state;
    static const struct {
        double ns;
        const char *text;
    } cases[] = {
        {0, "0ns"},          {1, "1ns"},       {1.5, "1.50ns"},   {999, "999ns"},
        {999.6, "1.00us"},   {1000, "1.00us"}, {9994, "9.99us"},  {9996, "10.0us"},
        {81234, "81.2us"},   {99960, "100us"}, {999400, "999us"}, {999600, "1.00ms"},
        {1250000, "1.25ms"}, {2e10, "20.0s"},  {6.1e10, "61.0s"}, {3.6e12, "3600s"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[FORMAT_TEXT_MAX];
        assert_string_equal(format_ns(cases[i].ns, text), cases[i].text);
    }
}

static void numbers_have_their_thousands_apart_or_are_unknown(void **state)
{
    (void)state;
    const struct {
        struct result_number number;
        const char *text;
    } cases[] = {
        {result_count(0), "0"},
        {result_count(999), "999"},
        {result_count(1000), "1,000"},
        {result_count(UINT64_MAX), "18,446,744,073,709,551,615"},
        {result_real(0.5), "0.50"},
        {result_real(99.994), "99.99"},
        {result_real(99.996), "100"},
        {result_real(20311.7), "20,312"},
        {result_real(1e16), "1e+16"},
        {result_unknown(), "unknown"},
        {result_real((double)NAN), "unknown"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[FORMAT_TEXT_MAX];
        assert_string_equal(format_number(cases[i].number, text), cases[i].text);
    }
}

static void an_errno_without_a_name_keeps_its_number(void **state)
{
    (void)state;
    char text[FORMAT_TEXT_MAX];
    assert_string_equal(format_errno(ECONNREFUSED, text), "ECONNREFUSED");
    assert_string_equal(format_errno(4095, text), "errno 4095");
}

static void a_paragraph_breaks_at_80_columns_and_indents(void **state)
{
    (void)state;
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    /* 40 + 1 + 39 columns fill a line exactly; the next word starts another. */
    format_paragraph(
        out,
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
        " c",
        4);
    assert_int_equal(fclose(out), 0);
    assert_string_equal(text, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa "
                              "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\n    c\n");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spans_have_three_digits_and_a_unit),
        cmocka_unit_test(numbers_have_their_thousands_apart_or_are_unknown),
        cmocka_unit_test(an_errno_without_a_name_keeps_its_number),
        cmocka_unit_test(a_paragraph_breaks_at_80_columns_and_indents),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
