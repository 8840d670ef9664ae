/* Command lines: --help in 80 columns.
 *
 * Layer: base. */
#include <string.h>

#include "base/cli_internal.h"

#define LINE_COLUMNS 80u
#define HELP_COLUMN 26u
#define LEFT_MAX 256
#define HELP_MAX 1024

/* Prints words with line breaks. The cursor stands at `column`; further lines begin at `indent`. */
static void print_wrapped(FILE *out, const char *text, size_t column, size_t indent)
{
    bool line_start = true;
    while (*text != '\0') {
        size_t length = strcspn(text, " \n");
        if (!line_start && column + 1u + length > LINE_COLUMNS) {
            fprintf(out, "\n%*s", (int)indent, "");
            column = indent;
            line_start = true;
        }
        fprintf(out, "%s%.*s", line_start ? "" : " ", (int)length, text);
        column += length + (line_start ? 0u : 1u);
        line_start = false;
        text += length;
        text += strspn(text, " \n");
    }
    fputc('\n', out);
}

/* Prints "  --rate RATE" and beside it, or below it when it is long, the help. */
static void print_entry(FILE *out, const char *left, const char *help)
{
    fprintf(out, "  %s", left);
    size_t column = 2u + strlen(left);
    if (column + 2u > HELP_COLUMN) {
        fputc('\n', out);
        column = 0;
    }
    fprintf(out, "%*s", (int)(HELP_COLUMN - column), "");
    print_wrapped(out, help, HELP_COLUMN, HELP_COLUMN);
}

static void print_option(FILE *out, const struct cli_option *option)
{
    char metavar[LEFT_MAX];
    char left[2 * LEFT_MAX];
    char help[HELP_MAX];
    cli_format_metavar(option, metavar, sizeof metavar);
    snprintf(left, sizeof left, "--%s%s%s", option->name, metavar[0] != '\0' ? " " : "", metavar);
    cli_format_help(option, help, sizeof help);
    print_entry(out, left, help);
}

void cli_print_help(const struct cli_program *program, FILE *out)
{
    char line[HELP_MAX];
    snprintf(line, sizeof line, "%s: %s", program->name, program->summary);
    print_wrapped(out, line, 0, 0);
    snprintf(line, sizeof line, "Usage: %s %s", program->name, program->usage);
    fputc('\n', out);
    print_wrapped(out, line, 0, 8);

    for (size_t i = 0; i < program->option_count; i++) {
        const struct cli_option *option = &program->options[i];
        if (option->section != NULL || i == 0) {
            fprintf(out, "\n%s:\n", option->section != NULL ? option->section : "Options");
        }
        print_option(out, option);
    }
    fprintf(out, "\nGeneral:\n");
    for (size_t i = 0; i < CLI_BUILTIN_COUNT; i++) {
        snprintf(line, sizeof line, "--%s", cli_builtins[i].name);
        print_entry(out, line, cli_builtins[i].help);
    }
    if (program->epilogue != NULL) {
        size_t length = strlen(program->epilogue);
        bool ended = length > 0 && program->epilogue[length - 1u] == '\n';
        fprintf(out, "\n%s%s", program->epilogue, ended ? "" : "\n");
    }
}
