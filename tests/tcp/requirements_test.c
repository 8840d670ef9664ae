/* Keeps requirements.csv true: every requirement of RFC 9293's appendix B has a row, and each row
 * names functions and tests that exist, or says why nothing was done.
 *
 * Layer: tests. The first argument is the root of the source tree. */
#include <ctype.h>
#include <stdlib.h>

#include "base/test.h"

#define LINE_MAX_BYTES 2048u
#define FIELDS 5u
#define PATH_BYTES 512u

enum field { ID, REQUIREMENT, CODE, TESTS, NOTE };

struct group {
    const char *name;
    size_t count;
};

static const struct group groups[] = {{"MUST", 69}, {"SHLD", 31}, {"MAY", 18}, {"REC", 1}};

struct sources {
    const char *root;
    size_t seen[TABLE_COUNT(groups)];
    bool rows[TABLE_COUNT(groups)][70];
};

static char *read_whole(const char *path)
{
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        fail_msg("%s: cannot be read", path);
        return NULL;
    }
    size_t room = 1u << 20;
    char *text = malloc(room);
    assert_non_null(text);
    size_t count = fread(text, 1, room - 1u, file);
    text[count] = '\0';
    fclose(file);
    return text;
}

/* Does a line of `text` that is not indented call out `name`, as a definition does? */
static bool defines(const char *text, const char *name)
{
    size_t length = strlen(name);
    for (const char *at = strstr(text, name); at != NULL; at = strstr(at + 1, name)) {
        const char *line = at;
        while (line > text && line[-1] != '\n') {
            line--;
        }
        bool whole =
            at[length] == '(' && (at == text || (!isalnum((unsigned char)at[-1]) && at[-1] != '_'));
        if (whole && isalpha((unsigned char)*line)) {
            return true;
        }
    }
    return false;
}

static void check_function(const struct sources *sources, const char *id, char *where)
{
    char path[PATH_BYTES];
    char *name = strchr(where, ':');
    if (name == NULL) {
        fail_msg("%s: \"%s\" is not file:function", id, where);
        return;
    }
    *name++ = '\0';
    snprintf(path, sizeof path, "%s/common/%s", sources->root, where);
    char *text = read_whole(path);
    if (!defines(text, name)) {
        fail_msg("%s: %s has no function %s", id, where, name);
    }
    free(text);
}

static void check_test(const struct sources *sources, const char *id, char *where)
{
    char path[PATH_BYTES];
    char listed[PATH_BYTES];
    char *name = strchr(where, ':');
    if (name == NULL) {
        fail_msg("%s: \"%s\" is not file:test", id, where);
        return;
    }
    *name++ = '\0';
    snprintf(path, sizeof path, "%s/tests/tcp/%s_test.c", sources->root, where);
    snprintf(listed, sizeof listed, "cmocka_unit_test(%s)", name);
    char *text = read_whole(path);
    if (strstr(text, listed) == NULL) {
        fail_msg("%s: %s runs no test %s", id, where, name);
    }
    free(text);
}

static void check_each(const struct sources *sources, const char *id, char *list,
                       void (*check)(const struct sources *, const char *, char *))
{
    while (list != NULL && *list != '\0') {
        char *next = strchr(list, ';');
        if (next != NULL) {
            *next++ = '\0';
        }
        check(sources, id, list);
        list = next;
    }
}

static void mark_row(struct sources *sources, const char *id)
{
    const char *dash = strchr(id, '-');
    for (size_t i = 0; dash != NULL && i < TABLE_COUNT(groups); i++) {
        size_t number = strtoul(dash + 1, NULL, 10);
        if ((size_t)(dash - id) == strlen(groups[i].name) &&
            strncmp(id, groups[i].name, (size_t)(dash - id)) == 0 && number >= 1 &&
            number <= groups[i].count && !sources->rows[i][number]) {
            sources->rows[i][number] = true;
            sources->seen[i]++;
            return;
        }
    }
    fail_msg("\"%s\" is no requirement, or has two rows", id);
}

static void check_row(struct sources *sources, char *line)
{
    char *fields[FIELDS];
    for (size_t i = 0; i < FIELDS; i++) {
        fields[i] = line;
        line = i + 1u < FIELDS ? strchr(line, ',') : line;
        if (line == NULL) {
            fail_msg("%s: a field is missing", fields[ID]);
            return;
        }
        if (i + 1u < FIELDS) {
            *line++ = '\0';
        }
    }
    mark_row(sources, fields[ID]);
    assert_int_not_equal(strlen(fields[REQUIREMENT]), 0);
    if (strcmp(fields[CODE], "not done") == 0) {
        if (fields[NOTE][0] == '\0' || fields[TESTS][0] != '\0') {
            fail_msg("%s: not done, and either no reason or a test", fields[ID]);
        }
        return;
    }
    if (fields[CODE][0] == '\0' || fields[TESTS][0] == '\0') {
        fail_msg("%s: no code or no test", fields[ID]);
    }
    check_each(sources, fields[ID], fields[CODE], check_function);
    check_each(sources, fields[ID], fields[TESTS], check_test);
}

static void every_requirement_has_a_row_whose_code_and_tests_exist(void **state)
{
    struct sources sources = {.root = *state};
    char line[LINE_MAX_BYTES];
    snprintf(line, sizeof line, "%s/tests/tcp/requirements.csv", sources.root);
    FILE *file = fopen(line, "r");
    assert_non_null(file);
    bool heading = true;
    while (fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (line[0] == '#') {
            continue;
        }
        if (!heading) {
            check_row(&sources, line);
        }
        heading = false;
    }
    fclose(file);
    for (size_t i = 0; i < TABLE_COUNT(groups); i++) {
        for (size_t number = 1; number <= groups[i].count; number++) {
            if (!sources.rows[i][number]) {
                fail_msg("%s-%zu has no row", groups[i].name, number);
            }
        }
        assert_int_equal(sources.seen[i], groups[i].count);
    }
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        return 2;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(every_requirement_has_a_row_whose_code_and_tests_exist, argv[1]),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
