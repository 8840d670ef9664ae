/* Numbers and sentences for people: units chosen by size, thousands apart, lines of 80 columns.
 *
 * Layer: report; of this folder only. Pure functions into the caller's memory. */
#ifndef FINWAIT_REPORT_FORMAT_H
#define FINWAIT_REPORT_FORMAT_H

#include <stdint.h>
#include <stdio.h>

#include "report/result.h"

#define FORMAT_TEXT_MAX 48
#define FORMAT_COLUMNS 80

/* "1,234,567" */
const char *format_count(uint64_t count, char text[FORMAT_TEXT_MAX]);

/* A value as it is: counts with thousands apart, reals with two decimals below 100 and none above;
 * "unknown" for what is not known. */
const char *format_number(struct result_number number, char text[FORMAT_TEXT_MAX]);

/* A span of ns in three digits: "812ns", "81.2us", "1.25ms", "20.0s"; from 1000 s on whole seconds.
 */
const char *format_ns(double ns, char text[FORMAT_TEXT_MAX]);

/* The same for a value that may be unknown. */
const char *format_number_ns(struct result_number number, char text[FORMAT_TEXT_MAX]);

/* Prints a paragraph: words are broken at FORMAT_COLUMNS, lines from the second on are indented. */
void format_paragraph(FILE *out, const char *text, int indent);

/* The same from a printf format; cut at 2047 bytes. */
void format_paragraph_f(FILE *out, int indent, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Writes an errno's key: "ECONNREFUSED", or "errno 4095" for a number without a name. */
const char *format_errno(int error, char text[FORMAT_TEXT_MAX]);

#endif
