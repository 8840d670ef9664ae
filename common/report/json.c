/* A result's JSON tree as a file. Layer: report.
 *
 * It is written with a line per top-level key, and a line per member where a key holds objects or
 * lists, so that a person can read it and diff it, and lines stay few however many bins there are.
 */
#include <errno.h>
#include <jansson.h>

#include "report/file.h"
#include "report/json_tree.h"
#include "report/report.h"

/* Fifteen digits give back every decimal of that length; seventeen would print 0.1 as
 * 0.10000000000000001. */
#define DUMP_FLAGS (JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15))

/* Writes the elements of an array, or the members of an object, a line each. */
static int dump_lines(json_t *value, FILE *out)
{
    const char *separator = "\n  ";
    if (json_is_array(value)) {
        for (size_t i = 0; i < json_array_size(value); i++) {
            fputs(separator, out);
            if (json_dumpf(json_array_get(value, i), out, DUMP_FLAGS) != 0) {
                return -EIO;
            }
            separator = ",\n  ";
        }
        return 0;
    }
    for (void *at = json_object_iter(value); at != NULL; at = json_object_iter_next(value, at)) {
        /* Keys are our own names: nothing in them needs to be escaped. */
        fprintf(out, "%s\"%s\":", separator, json_object_iter_key(at));
        if (json_dumpf(json_object_iter_value(at), out, DUMP_FLAGS) != 0) {
            return -EIO;
        }
        separator = ",\n  ";
    }
    return 0;
}

static bool is_container(const json_t *value)
{
    return json_is_array(value) || json_is_object(value);
}

/* Tells whether a value's members are worth a line each: they hold more than one thing. */
static bool wants_lines(json_t *value)
{
    if (json_is_array(value)) {
        return is_container(json_array_get(value, 0));
    }
    void *first = json_is_object(value) ? json_object_iter(value) : NULL;
    return first != NULL && is_container(json_object_iter_value(first));
}

static int dump_member(json_t *value, FILE *out)
{
    if (!wants_lines(value)) {
        return json_dumpf(value, out, DUMP_FLAGS) != 0 ? -EIO : 0;
    }
    fputc(json_is_array(value) ? '[' : '{', out);
    int error = dump_lines(value, out);
    fputc(json_is_array(value) ? ']' : '}', out);
    return error;
}

static int dump_root(json_t *root, FILE *out)
{
    const char *separator = "{\n";
    for (void *at = json_object_iter(root); at != NULL; at = json_object_iter_next(root, at)) {
        fprintf(out, "%s\"%s\": ", separator, json_object_iter_key(at));
        int error = dump_member(json_object_iter_value(at), out);
        if (error != 0) {
            return error;
        }
        separator = ",\n";
    }
    fputs("\n}\n", out);
    return 0;
}

int result_write_json(const struct result *result, const char *path, struct failure *failure)
{
    json_t *root = json_tree_build(result);
    if (root == NULL) {
        return failure_set(failure, ENOMEM, "%s: no memory for the report", path);
    }
    struct report_file file;
    int error = report_file_begin(&file, path, failure);
    if (error == 0) {
        error = report_file_commit(&file, dump_root(root, file.out), failure);
    }
    json_decref(root);
    return error;
}
