/* Command lines: the walk over argv.
 *
 * Layer: base. The caller owns everything; strings and lists point into argv. */
#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "base/cli_internal.h"

#define OPTIONS_MAX 256u
#define NAME_MAX_BYTES 64u

const struct cli_builtin cli_builtins[CLI_BUILTIN_COUNT] = {
    {"help", CLI_HELP, "print this text"},
    {"version", CLI_VERSION, "print the version"},
    {"man", CLI_MAN, "print the manual page, in roff"},
};

/* One parse: what every step needs. */
struct walk {
    const struct cli_program *program;
    char *const *argv;
    int next; /* index of the argument to read next */
    void *options;
    struct cli_given given;
    struct failure *failure;
};

/* An argument taken apart; `name` is not NUL-ended when a value follows it. */
struct argument {
    const char *name;
    size_t name_bytes;
    const char *value; /* behind '='; NULL: there is no '=' */
};

static bool name_is(const struct argument *argument, const char *name)
{
    return strlen(name) == argument->name_bytes &&
           memcmp(name, argument->name, argument->name_bytes) == 0;
}

static bool given_get(const struct cli_given *given, size_t index)
{
    return (given->bits[index / 64u] >> (index % 64u) & 1u) != 0;
}

static void given_set(struct cli_given *given, size_t index)
{
    given->bits[index / 64u] |= UINT64_C(1) << (index % 64u);
}

/* Counts the letters to add, drop or change to turn one name into the other (Levenshtein). */
static uint32_t name_distance(const struct argument *argument, const char *name)
{
    uint32_t row[NAME_MAX_BYTES + 1u];
    size_t columns = strlen(name);
    size_t rows = argument->name_bytes < NAME_MAX_BYTES ? argument->name_bytes : NAME_MAX_BYTES;
    columns = columns < NAME_MAX_BYTES ? columns : NAME_MAX_BYTES;
    for (uint32_t j = 0; j <= columns; j++) {
        row[j] = j;
    }
    for (uint32_t i = 1; i <= rows; i++) {
        uint32_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= columns; j++) {
            uint32_t change = diagonal + (argument->name[i - 1u] != name[j - 1u]);
            uint32_t edit = (row[j] < row[j - 1u] ? row[j] : row[j - 1u]) + 1u;
            diagonal = row[j];
            row[j] = change < edit ? change : edit;
        }
    }
    /* The beginning of a name ("--dur") is one step away, however much is missing. */
    bool begins = rows >= 3 && rows < columns && memcmp(argument->name, name, rows) == 0;
    return begins ? 1u : row[columns];
}

/* Finds the name that is nearest, and at most so many letters away; NULL when none is. */
static const char *nearest_name(const struct cli_program *program, const struct argument *argument,
                                uint32_t most)
{
    const char *nearest = NULL;
    uint32_t least = most < UINT32_MAX ? most + 1u : most;
    for (size_t i = 0; i < CLI_BUILTIN_COUNT + program->option_count; i++) {
        const char *name = i < CLI_BUILTIN_COUNT ? cli_builtins[i].name
                                                 : program->options[i - CLI_BUILTIN_COUNT].name;
        uint32_t distance = name_distance(argument, name);
        if (distance < least) {
            least = distance;
            nearest = name;
        }
    }
    return nearest;
}

static void set_defaults(const struct cli_program *program, void *options)
{
    for (size_t i = 0; i < program->option_count; i++) {
        const struct cli_option *option = &program->options[i];
        if (option->initial != NULL) {
            int error = cli_option_store(option, options, option->initial, NULL);
            ASSERT(error == 0);
        }
    }
}

/* Refuses a second option of a group of which another was given. */
static int check_group(const struct walk *walk, const struct cli_option *option)
{
    for (size_t i = 0; option->group != NULL && i < walk->program->option_count; i++) {
        const struct cli_option *other = &walk->program->options[i];
        if (other != option && other->group != NULL && strcmp(other->group, option->group) == 0 &&
            given_get(&walk->given, i)) {
            return failure_set(walk->failure, EINVAL,
                               "--%s: cannot be used together with --%s; give one of them",
                               option->name, other->name);
        }
    }
    return 0;
}

/* Finds the option's value: behind '=' or the next argument. *value is NULL for a flag. */
static int take_value(struct walk *walk, const struct cli_option *option,
                      const struct argument *argument, const char **value)
{
    *value = argument->value;
    if (option->type == CLI_FLAG) {
        if (argument->value != NULL) {
            return failure_set(walk->failure, EINVAL, "--%s=%.100s: takes no value; use --%s",
                               option->name, argument->value, option->name);
        }
        return 0;
    }
    if (argument->value != NULL) {
        return 0;
    }
    /* What begins with dashes is the next option; such a value can be given behind '='. */
    if (walk->argv[walk->next] == NULL || strncmp(walk->argv[walk->next], "--", 2) == 0) {
        char metavar[128];
        cli_format_metavar(option, metavar, sizeof metavar);
        return failure_set(walk->failure, EINVAL, "--%s: the value is missing; use --%s %s",
                           option->name, option->name, metavar);
    }
    *value = walk->argv[walk->next++];
    return 0;
}

static int parse_option(struct walk *walk, size_t index, const struct argument *argument)
{
    const struct cli_option *option = &walk->program->options[index];
    const char *value;
    int error = take_value(walk, option, argument, &value);
    if (error != 0) {
        return error;
    }
    error = check_group(walk, option);
    if (error != 0) {
        return error;
    }
    if (option->type == CLI_LIST && !given_get(&walk->given, index)) {
        /* The first value replaces the default instead of joining it. */
        struct cli_list *list = (void *)((unsigned char *)walk->options + option->offset);
        list->count = 0;
    }
    error = cli_option_store(option, walk->options, value, walk->failure);
    if (error == 0) {
        given_set(&walk->given, index);
    }
    return error;
}

static int refuse_positional(const struct walk *walk, const char *text)
{
    if (text[0] == '-' && text[1] != '\0' && text[1] != '-') {
        struct argument argument = {.name = text + 1, .name_bytes = strcspn(text + 1, "=")};
        return failure_set(walk->failure, EINVAL,
                           "%.100s: options begin with two dashes; did you mean --%s?", text,
                           nearest_name(walk->program, &argument, UINT32_MAX));
    }
    return failure_set(walk->failure, EINVAL,
                       "\"%.100s\": not an option; use %s, or --help for the list", text,
                       walk->program->usage);
}

/* A name that shares less than half its letters with every option was no slip of the finger. */
static int refuse_unknown(const struct walk *walk, const struct argument *argument)
{
    const char *nearest =
        nearest_name(walk->program, argument, (uint32_t)(argument->name_bytes / 2u));
    int shown = argument->name_bytes < 100u ? (int)argument->name_bytes : 100;
    if (nearest == NULL) {
        return failure_set(walk->failure, EINVAL, "--%.*s: unknown option; use --help for the list",
                           shown, argument->name);
    }
    return failure_set(walk->failure, EINVAL, "--%.*s: unknown option; did you mean --%s?", shown,
                       argument->name, nearest);
}

/* Reads one argument, and the next when that is its value. */
static enum cli_outcome parse_argument(struct walk *walk)
{
    const char *text = walk->argv[walk->next++];
    if (strncmp(text, "--", 2) != 0 || text[2] == '\0') {
        refuse_positional(walk, text);
        return CLI_BAD;
    }
    struct argument argument = {.name = text + 2, .name_bytes = strcspn(text + 2, "=")};
    if (argument.name[argument.name_bytes] == '=') {
        argument.value = argument.name + argument.name_bytes + 1;
    }
    for (size_t i = 0; i < walk->program->option_count; i++) {
        if (name_is(&argument, walk->program->options[i].name)) {
            return parse_option(walk, i, &argument) == 0 ? CLI_RUN : CLI_BAD;
        }
    }
    for (size_t i = 0; i < CLI_BUILTIN_COUNT; i++) {
        if (name_is(&argument, cli_builtins[i].name)) {
            if (argument.value == NULL) {
                return cli_builtins[i].outcome;
            }
            failure_set(walk->failure, EINVAL, "--%s=%.100s: takes no value; use --%s",
                        cli_builtins[i].name, argument.value, cli_builtins[i].name);
            return CLI_BAD;
        }
    }
    refuse_unknown(walk, &argument);
    return CLI_BAD;
}

enum cli_outcome cli_parse(const struct cli_program *program, char *const *argv, void *options,
                           struct cli_given *given, struct failure *failure)
{
    ASSERT(program->option_count <= OPTIONS_MAX);
    struct walk walk = {.program = program,
                        .argv = argv,
                        .next = argv[0] != NULL ? 1 : 0, /* execve allows an empty argv */
                        .options = options,
                        .failure = failure};
    memset(options, 0, program->struct_bytes);
    set_defaults(program, options);
    enum cli_outcome outcome = CLI_RUN;
    while (outcome == CLI_RUN && argv[walk.next] != NULL) {
        outcome = parse_argument(&walk);
    }
    if (given != NULL) {
        *given = walk.given;
    }
    return outcome;
}

bool cli_was_given(const struct cli_program *program, const struct cli_given *given,
                   const char *name)
{
    size_t index = 0;
    while (index < program->option_count && strcmp(program->options[index].name, name) != 0) {
        index++;
    }
    ASSERT(index < program->option_count);
    return given_get(given, index);
}
