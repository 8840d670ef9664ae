/* The demo's table; see table.h. Layer: bench/lab. */
#include "table.h"

#include <math.h>
#include <string.h>

#include "base/clock.h"

#define KEY_MAX 64
#define TEXT_MAX 48

/* Where the columns begin is decided by these widths alone. */
#define ROW_FORMAT "%-12s  %-10s  %7s  %-15s  %-15s  %-11s  %6s  %-13s  %s\n"

struct table_expected table_expect(const struct cell_spec *spec, uint64_t completed)
{
    const double all = (double)completed;
    if (lab_kind_is_null(spec->client) || strcmp(spec->close, "rst") == 0 ||
        strcmp(spec->close, "fin-no-timewait") == 0) {
        return (struct table_expected){.client = 0};
    }
    if (strcmp(spec->closer, "both") == 0) {
        return (struct table_expected){(double)NAN, (double)NAN, all, 2 * all};
    }
    const bool at_client = strcmp(spec->closer, "client") == 0;
    return (struct table_expected){at_client ? all : 0, at_client ? 0 : all, all, all};
}

/* The count of completed connections, 0 when the report has none. */
static uint64_t completed_of(const struct cell_result *result)
{
    double completed = table_number(result->client, "completed");
    return completed >= 0 ? (uint64_t)completed : 0;
}

double table_time_wait(const struct cell_spec *spec, const struct cell_result *result,
                       bool at_client)
{
    enum lab_kind kind = at_client ? spec->client : spec->server;
    const json_t *report = at_client ? result->client : result->server;
    if (lab_kind_is_kernel(kind)) {
        uint64_t counted = at_client ? result->client_time_wait : result->server_time_wait;
        return result->counted ? (double)counted : (double)NAN;
    }
    if (lab_kind_is_null(kind)) {
        return 0;
    }
    /* What a stack still has at its end is abandoned, and it says how many. */
    double measured = table_number(report, "time_wait/measured");
    return isnan(measured) ? table_number(report, "counters/stack_run/time_wait_abandoned")
                           : measured;
}

bool table_as_expected(const struct cell_spec *spec, const struct cell_result *result)
{
    const struct table_expected expected = table_expect(spec, completed_of(result));
    const double client = table_time_wait(spec, result, true);
    const double server = table_time_wait(spec, result, false);
    return (isnan(expected.client) || client == expected.client) &&
           (isnan(expected.server) || server == expected.server) &&
           client + server >= expected.both_min && client + server <= expected.both_max;
}

double table_number(const json_t *root, const char *path)
{
    const json_t *at = root;
    while (at != NULL && *path != '\0') {
        char key[KEY_MAX];
        size_t length = strcspn(path, "/");
        snprintf(key, sizeof(key), "%.*s", (int)length, path);
        at = json_object_get(at, key);
        path += length + (path[length] == '/');
    }
    return json_is_number(at) ? json_number_value(at) : (double)NAN;
}

/* Writes a rounded number, "-" for one that is not known. */
static const char *format_whole(double value, char text[TEXT_MAX])
{
    if (isfinite(value)) {
        snprintf(text, TEXT_MAX, "%.0f", value);
    } else {
        snprintf(text, TEXT_MAX, "-");
    }
    return text;
}

/* Writes up to three numbers as "a/b/c". */
static const char *format_three(const double values[3], char text[TEXT_MAX])
{
    char parts[3][TEXT_MAX];
    snprintf(text, TEXT_MAX, "%.14s/%.14s/%.14s", format_whole(values[0], parts[0]),
             format_whole(values[1], parts[1]), format_whole(values[2], parts[2]));
    return text;
}

/* Writes a latency's median, 99th percentile and maximum in microseconds. */
static const char *format_latency(const json_t *report, const char *phase, char text[TEXT_MAX])
{
    static const char *const percentiles[3] = {"p50", "p99", "p100"};
    double us[3];
    for (int i = 0; i < 3; i++) {
        char path[KEY_MAX];
        snprintf(path, sizeof(path), "latency/%s/from_start/%s", phase, percentiles[i]);
        us[i] = table_number(report, path) / (double)NS_PER_US;
    }
    return format_three(us, text);
}

/* The server's CPU time by connection. A server whose peers reset may count none of them as
 * completed; then the load generator's count serves. */
static double server_cpu_ns(const struct cell_result *result)
{
    double own = table_number(result->server, "cpu_ns_per_conn/own");
    double completed = table_number(result->client, "completed");
    if (!isnan(own) || !(completed > 0)) {
        return own;
    }
    return (table_number(result->server, "cpu_ns/user") +
            table_number(result->server, "cpu_ns/system")) /
           completed;
}

static const char *format_cpu(const struct cell_result *result, char text[TEXT_MAX])
{
    const double us[3] = {
        table_number(result->client, "cpu_ns_per_conn/own") / (double)NS_PER_US,
        server_cpu_ns(result) / (double)NS_PER_US,
        table_number(result->client, "cpu_ns_per_conn/machine") / (double)NS_PER_US,
    };
    return format_three(us, text);
}

static const char *format_sides(double client, double server, char text[TEXT_MAX])
{
    char parts[2][TEXT_MAX];
    snprintf(text, TEXT_MAX, "%.20s+%.20s", format_whole(client, parts[0]),
             format_whole(server, parts[1]));
    return text;
}

static const char *format_closing(const struct cell_spec *spec, char text[TEXT_MAX])
{
    snprintf(text, TEXT_MAX, "%s/%s", spec->closer, spec->close);
    return text;
}

void table_print_head(FILE *out)
{
    fprintf(out, ROW_FORMAT, "", "", "", "connect us", "echo us", "CPU us/conn", "", "TIME_WAIT",
            "TIME_WAIT");
    fprintf(out, ROW_FORMAT, "engine", "close", "conns/s", "p50/p99/max", "p50/p99/max",
            "clt/srv/all", "failed", "clt+srv", "expected");
}

void table_print_row(FILE *out, const struct cell_spec *spec, const struct cell_result *result)
{
    char closing[TEXT_MAX], rate[TEXT_MAX], connect[TEXT_MAX], echo[TEXT_MAX], cpu[TEXT_MAX];
    char failed[TEXT_MAX], measured[TEXT_MAX] = "-", expected_text[TEXT_MAX] = "-";
    if (result->counted && result->client != NULL) {
        struct table_expected expected = table_expect(spec, completed_of(result));
        format_sides(table_time_wait(spec, result, true), table_time_wait(spec, result, false),
                     measured);
        format_sides(expected.client, expected.server, expected_text);
    }
    fprintf(out, ROW_FORMAT, lab_kind_name(spec->client), format_closing(spec, closing),
            format_whole(table_number(result->client, "completed_per_sec"), rate),
            format_latency(result->client, "connect", connect),
            format_latency(result->client, "echo", echo), format_cpu(result, cpu),
            format_whole(table_number(result->client, "failed"), failed), measured, expected_text);
}

static void print_limits(FILE *out, const struct cell_spec *spec, const json_t *report,
                         const char *who)
{
    const json_t *limits = json_object_get(json_object_get(report, "verdict"), "limits");
    for (size_t i = 0; i < json_array_size(limits); i++) {
        const json_t *limit = json_array_get(limits, i);
        const char *text = json_string_value(json_object_get(limit, "text"));
        const char *weight = json_string_value(json_object_get(limit, "weight"));
        fprintf(out, "  %s %s/%s, %s, %s: %s\n", lab_kind_name(spec->client), spec->closer,
                spec->close, who, weight == NULL ? "?" : weight, text == NULL ? "?" : text);
    }
}

void table_print_notes(FILE *out, const struct cell_spec *spec, const struct cell_result *result)
{
    if (result->reason[0] != '\0') {
        fprintf(out, "  %s %s/%s failed: %s\n", lab_kind_name(spec->client), spec->closer,
                spec->close, result->reason);
    }
    print_limits(out, spec, result->client, "load generator");
    print_limits(out, spec, result->server, "server");
    if (result->outcome == CELL_DONE && !table_as_expected(spec, result)) {
        fprintf(out, "  %s %s/%s: TIME_WAIT differ from what the closing table expects\n",
                lab_kind_name(spec->client), spec->closer, spec->close);
    }
}

void table_print_legend(FILE *out)
{
    fprintf(
        out,
        "\nconns/s: connections that were opened, echoed 64 B and closed, as the load generator "
        "counts them.\n"
        "CPU: of the load generator, of the server, and of the whole machine, a connection.\n"
        "TIME_WAIT: counted in the client's and the server's namespace at the end, a stack's by "
        "its "
        "report; expected:\ncompleted connections on the side that closed first, none after a "
        "reset.\n");
}
