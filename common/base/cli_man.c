/* Command lines: --man, the manual page in roff's man macros.
 *
 * Layer: base. */
#include <string.h>

#include "base/cli_internal.h"

#define METAVAR_MAX 256
#define HELP_MAX 1024

/* Prints text so that roff sets it as it stands: no request at a line's beginning, dashes that can
 * be copied into a shell. */
static void print_escaped(FILE *out, const char *text, bool line_start)
{
    for (; *text != '\0'; text++) {
        if (line_start && (*text == '.' || *text == '\'')) {
            fputs("\\&", out);
        }
        switch (*text) {
        case '\\':
            fputs("\\e", out);
            break;
        case '-':
            fputs("\\-", out);
            break;
        case '\'':
            fputs("\\(aq", out);
            break;
        case '`':
            fputs("\\(ga", out);
            break;
        case '~':
            fputs("\\(ti", out);
            break;
        case '^':
            fputs("\\(ha", out);
            break;
        default:
            fputc(*text, out);
            break;
        }
        line_start = *text == '\n';
    }
}

static void print_paragraph(FILE *out, const char *text)
{
    print_escaped(out, text, true);
    fputc('\n', out);
}

/* Prints a program's name in capitals, whatever the locale. */
static void print_upper(FILE *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '-') {
            fputc('\\', out);
        }
        bool lower = *text >= 'a' && *text <= 'z';
        fputc(lower ? *text - 'a' + 'A' : *text, out);
    }
}

static void print_tag(FILE *out, const char *name, const char *metavar)
{
    fputs(".TP\n\\fB", out);
    fputs("\\-\\-", out);
    print_escaped(out, name, false);
    fputs("\\fR", out);
    if (metavar[0] != '\0') {
        fputs(" \\fI", out);
        print_escaped(out, metavar, false);
        fputs("\\fR", out);
    }
    fputc('\n', out);
}

static void print_option(FILE *out, const struct cli_option *option)
{
    char metavar[METAVAR_MAX];
    char help[HELP_MAX];
    cli_format_metavar(option, metavar, sizeof metavar);
    cli_format_help(option, help, sizeof help);
    print_tag(out, option->name, metavar);
    print_paragraph(out, help);
}

static void print_head(FILE *out, const struct cli_program *program)
{
    fputs(".TH ", out);
    print_upper(out, program->name);
    fputs(" 1 \"\" \"finwait " FINWAIT_VERSION "\" \"User Commands\"\n.SH NAME\n", out);
    print_escaped(out, program->name, true);
    fputs(" \\- ", out);
    print_paragraph(out, program->summary);
    fputs(".SH SYNOPSIS\n\\fB", out);
    print_escaped(out, program->name, false);
    fputs("\\fR ", out);
    print_paragraph(out, program->usage);
}

void cli_print_man(const struct cli_program *program, FILE *out)
{
    print_head(out, program);
    fputs(".SH OPTIONS\n", out);
    for (size_t i = 0; i < program->option_count; i++) {
        const struct cli_option *option = &program->options[i];
        if (option->section != NULL) {
            fputs(".SS ", out);
            print_paragraph(out, option->section);
        }
        print_option(out, option);
    }
    fputs(".SS General\n", out);
    for (size_t i = 0; i < CLI_BUILTIN_COUNT; i++) {
        print_tag(out, cli_builtins[i].name, "");
        print_paragraph(out, cli_builtins[i].help);
    }
    if (program->epilogue != NULL) {
        fputs(".SH NOTES\n.nf\n", out);
        print_paragraph(out, program->epilogue);
        fputs(".fi\n", out);
    }
}
