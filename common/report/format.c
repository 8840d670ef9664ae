/* Numbers and sentences for people; see format.h. */
#include "report/format.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "base/failure.h"

#define PARAGRAPH_MAX 2048

const char *format_count(uint64_t count, char text[FORMAT_TEXT_MAX])
{
    char digits[24];
    int length = snprintf(digits, sizeof(digits), "%" PRIu64, count);
    size_t at = 0;
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0) {
            text[at++] = ',';
        }
        text[at++] = digits[i];
    }
    text[at] = '\0';
    return text;
}

const char *format_number(struct result_number number, char text[FORMAT_TEXT_MAX])
{
    if (!result_is_known(number)) {
        snprintf(text, FORMAT_TEXT_MAX, "unknown");
        return text;
    }
    if (number.kind == RESULT_COUNT) {
        return format_count(number.count, text);
    }
    if (number.real < 99.995 || number.real >= 1e15) {
        snprintf(text, FORMAT_TEXT_MAX, number.real < 1e15 ? "%.2f" : "%.3g", number.real);
        return text;
    }
    return format_count((uint64_t)llround(number.real), text);
}

const char *format_ns(double ns, char text[FORMAT_TEXT_MAX])
{
    static const char *const units[] = {"ns", "us", "ms", "s"};
    size_t unit = 0;
    double value = ns;
    /* 999.5 would print as 1000: it belongs to the next unit. */
    while (unit < 3 && value >= 999.5) {
        value /= 1000;
        unit++;
    }
    int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
    if (unit == 0 && value == floor(value)) {
        decimals = 0;
    }
    snprintf(text, FORMAT_TEXT_MAX, "%.*f%s", decimals, value, units[unit]);
    return text;
}

const char *format_number_ns(struct result_number number, char text[FORMAT_TEXT_MAX])
{
    if (!result_is_known(number)) {
        return format_number(number, text);
    }
    return format_ns(result_as_double(number), text);
}

void format_paragraph(FILE *out, const char *text, int indent)
{
    size_t column = 0;
    const char *at = text;
    while (*at != '\0') {
        size_t spaces = strspn(at, " ");
        size_t word = strcspn(at + spaces, " ");
        if (word == 0) {
            break;
        }
        if (column > 0 && column + spaces + word > FORMAT_COLUMNS) {
            fprintf(out, "\n%*s", indent, "");
            column = (size_t)indent;
            spaces = 0;
        }
        fprintf(out, "%*s%.*s", (int)spaces, "", (int)word, at + strspn(at, " "));
        column += spaces + word;
        at += strspn(at, " ") + word;
    }
    fputc('\n', out);
}

void format_paragraph_f(FILE *out, int indent, const char *format, ...)
{
    char text[PARAGRAPH_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    format_paragraph(out, text, indent);
}

const char *format_errno(int error, char text[FORMAT_TEXT_MAX])
{
    const char *name = failure_errno_name(error);
    if (strcmp(name, "E?") == 0) {
        snprintf(text, FORMAT_TEXT_MAX, "errno %d", error);
    } else {
        snprintf(text, FORMAT_TEXT_MAX, "%s", name);
    }
    return text;
}
