/* finwait-floor: how fast the kernel alone lets TCP connections be opened, used once and closed.
 * This file reads the options and prints the one line of JSON. */
#include "floor.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXIT_USAGE 2
#define EXIT_INVALID 3
#define DURATION_MAX_SEC 3600.0
#define NS_PER_SEC 1e9

static const char *const mode_names[] = {"uring", "blocking", NULL};
static const char *const layout_names[] = {"apart", "pair", NULL};
static const char *const close_names[] = {"fin", "close", "rst", NULL};

static const struct {
    const char *name;
    const char *help;
} variants[] = {
#define VARIANT(id, name, help) {name, help},
#include "variants.def"
#undef VARIANT
};

static const char usage_text[] =
    "finwait-floor: what the kernel alone allows: connections of one echo a second over loopback\n"
    "  --mode uring|blocking   minimal io_uring, or processes of blocking calls (uring)\n"
    "  --layout apart|pair     client on CPU 0 and server on CPU 1, or both on each (apart)\n"
    "  --close fin|close|rst   how the client closes (fin)\n"
    "  --in-flight N           connections of each client; blocking: processes (32; blocking 8)\n"
    "  --duration TIME         such as 3s or 500ms (3s)\n"
    "  --port N                of the server on 127.0.0.1 (7000)\n"
    "  --server-only           serve until a signal comes; prints nothing\n"
    "  --client-only           against a server that listens already\n"
    "  --variant NAME[,NAME]   make the same calls in another way:\n";

static void usage_print(void)
{
    fputs(usage_text, stdout);
    for (size_t i = 0; i < FLOOR_VARIANT_COUNT; i++) {
        printf("      %-14s %s\n", variants[i].name, variants[i].help);
    }
}

static int refuse(const char *option, const char *text, const char *wanted)
{
    fprintf(stderr, "finwait-floor: --%s %s: use %s\n", option, text, wanted);
    return -EINVAL;
}

/* Finds a word in a list that ends with NULL; -EINVAL when it is not there. */
static int word_parse(const char *const *names, const char *text)
{
    for (int i = 0; names[i] != NULL; i++) {
        if (strcmp(names[i], text) == 0) {
            return i;
        }
    }
    return -EINVAL;
}

static int number_parse(const char *text, unsigned long max, unsigned long *value)
{
    char *end;
    errno = 0;
    *value = strtoul(text, &end, 10);
    bool digits = text[0] >= '0' && text[0] <= '9' && *end == '\0';
    return digits && errno == 0 && *value >= 1 && *value <= max ? 0 : -EINVAL;
}

static int duration_parse(const char *text, uint64_t *ns)
{
    char *end;
    double value = strtod(text, &end);
    double unit = strcmp(end, "ms") == 0 ? NS_PER_SEC / 1000 : NS_PER_SEC;
    bool known = *end == '\0' || strcmp(end, "s") == 0 || strcmp(end, "ms") == 0;
    value *= unit;
    if (end == text || !known || !(value >= 1.0) || value > DURATION_MAX_SEC * NS_PER_SEC) {
        return -EINVAL;
    }
    *ns = (uint64_t)value;
    return 0;
}

static int variants_parse(const char *text, uint32_t *bits)
{
    while (*text != '\0') {
        size_t length = strcspn(text, ",");
        size_t i = 0;
        while (i < FLOOR_VARIANT_COUNT && (strlen(variants[i].name) != length ||
                                           strncmp(variants[i].name, text, length) != 0)) {
            i++;
        }
        if (i == FLOOR_VARIANT_COUNT) {
            return -EINVAL;
        }
        *bits |= 1u << i;
        text += length + (text[length] == ',');
    }
    return 0;
}

static const struct option long_options[] = {
    {"mode", required_argument, NULL, 'm'},
    {"layout", required_argument, NULL, 'l'},
    {"close", required_argument, NULL, 'c'},
    {"in-flight", required_argument, NULL, 'n'},
    {"duration", required_argument, NULL, 'd'},
    {"port", required_argument, NULL, 'p'},
    {"variant", required_argument, NULL, 'v'},
    {"server-only", no_argument, NULL, 'S'},
    {"client-only", no_argument, NULL, 'C'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

/* Takes one option that has a number or a list. */
static int value_take(struct floor_options *options, int letter, const char *text)
{
    unsigned long value = 0;
    switch (letter) {
    case 'n':
        if (number_parse(text, FLOOR_IN_FLIGHT_MAX, &value) != 0) {
            return refuse("in-flight", text, "1 to 4096");
        }
        options->in_flight = (uint32_t)value;
        return 0;
    case 'p':
        if (number_parse(text, UINT16_MAX, &value) != 0) {
            return refuse("port", text, "1 to 65535");
        }
        options->port = (uint16_t)value;
        return 0;
    case 'd':
        return duration_parse(text, &options->duration_ns) == 0
                   ? 0
                   : refuse("duration", text, "a time such as 3s or 500ms");
    default:
        return variants_parse(text, &options->variants) == 0
                   ? 0
                   : refuse("variant", text, "names that --help lists");
    }
}

/* Takes one option. Returns 0, 1 when help was asked for, or -EINVAL. */
static int option_take(struct floor_options *options, int letter, const char *text)
{
    int word;
    switch (letter) {
    case 'm':
        word = word_parse(mode_names, text);
        options->mode = (enum floor_mode)word;
        return word >= 0 ? 0 : refuse("mode", text, "uring or blocking");
    case 'l':
        word = word_parse(layout_names, text);
        options->layout = (enum floor_layout)word;
        return word >= 0 ? 0 : refuse("layout", text, "apart or pair");
    case 'c':
        word = word_parse(close_names, text);
        options->close = (enum floor_close)word;
        return word >= 0 ? 0 : refuse("close", text, "fin, close or rst");
    case 'S':
    case 'C':
        if (options->role != FLOOR_BOTH_SIDES) {
            fputs("finwait-floor: --server-only and --client-only exclude each other\n", stderr);
            return -EINVAL;
        }
        options->role = letter == 'S' ? FLOOR_SERVER_ONLY : FLOOR_CLIENT_ONLY;
        return 0;
    case 'h':
        usage_print();
        return 1;
    case '?':
        return -EINVAL; /* getopt has said what is wrong */
    default:
        return value_take(options, letter, text);
    }
}

static int options_parse(struct floor_options *options, int argc, char **argv)
{
    int letter;
    while ((letter = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        int rc = option_take(options, letter, optarg);
        if (rc != 0) {
            return rc;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "finwait-floor: %s: not an option; see --help\n", argv[optind]);
        return -EINVAL;
    }
    if (options->in_flight == 0) {
        options->in_flight = options->mode == FLOOR_URING ? 32 : 8;
    }
    if (options->mode == FLOOR_BLOCKING && options->in_flight > FLOOR_BLOCKING_MAX) {
        return refuse("in-flight", "(more than 64)", "fewer processes with --mode blocking");
    }
    return 0;
}

static void result_print(const struct floor_options *options, const struct floor_result *result)
{
    double seconds = (double)result->sum.elapsed_ns / NS_PER_SEC;
    double completed = (double)result->sum.completed;
    printf("{\"mode\":\"%s\",\"layout\":\"%s\",\"close\":\"%s\",\"in_flight\":%u,"
           "\"completed\":%llu,\"seconds\":%.6f,\"completed_per_sec\":%.1f,\"failed\":%llu,"
           "\"client_cpu_ns_per_conn\":%.0f,\"server_cpu_ns_per_conn\":%.0f}\n",
           mode_names[options->mode], layout_names[options->layout], close_names[options->close],
           options->in_flight, (unsigned long long)result->sum.completed, seconds,
           seconds > 0 ? completed / seconds : 0.0, (unsigned long long)result->sum.failed,
           completed > 0 ? (double)result->client_cpu_ns / completed : 0.0,
           completed > 0 ? (double)result->server_cpu_ns / completed : 0.0);
}

int main(int argc, char **argv)
{
    struct floor_options options = {.duration_ns = 3000000000u, .port = 7000};
    struct floor_result result = {0};
    int rc = options_parse(&options, argc, argv);
    if (rc != 0) {
        return rc > 0 ? EXIT_SUCCESS : EXIT_USAGE;
    }
    rc = floor_run(&options, &result);
    if (options.role != FLOOR_SERVER_ONLY) {
        result_print(&options, &result);
    }
    return rc == 0 ? EXIT_SUCCESS : EXIT_INVALID;
}
