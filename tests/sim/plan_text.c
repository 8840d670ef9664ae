/* Plans as text: one line for the run, one a host, one an entry; numbers only, zeros left out.
 *
 * Layer: tests. See plan.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "sim/plan.h"

static const char *const plan_names[PLAN_FIELD_COUNT] = {
#define PLAN_FIELD(name) #name,
#include "sim/plan_fields.def"
#undef PLAN_FIELD
};

static const char *const host_names[HOST_FIELD_COUNT] = {
#define HOST_FIELD(name) #name,
#include "sim/host_fields.def"
#undef HOST_FIELD
};

static const char *const kind_names[ENTRY_KIND_COUNT] = {"listen", "conn", "call", "fault", "net"};

static const char *const listen_ops[] = {"open"};
static const char *const conn_ops[CONN_OP_COUNT] = {"active", "simultaneous"};
static const char *const call_ops[CALL_OP_COUNT] = {"send",  "urgent",  "recv",     "eof",
                                                    "wait",  "until",   "shutdown", "close",
                                                    "abort", "options", "more"};
static const char *const fault_ops[FAULT_OP_COUNT] = {
    "drop", "duplicate", "delay", "flip", "truncate", "ghost", "ce", "unreachable"};
static const char *const net_ops[NET_OP_COUNT] = {"partition", "mtu", "black_hole"};

static const char *const *const op_names[ENTRY_KIND_COUNT] = {listen_ops, conn_ops, call_ops,
                                                              fault_ops, net_ops};
static const uint32_t op_counts[ENTRY_KIND_COUNT] = {1, CONN_OP_COUNT, CALL_OP_COUNT,
                                                     FAULT_OP_COUNT, NET_OP_COUNT};

const char *entry_kind_name(uint32_t kind)
{
    return kind_names[kind];
}

const char *entry_op_name(uint32_t kind, uint32_t op)
{
    return op_names[kind][op];
}

uint32_t entry_op_count(uint32_t kind)
{
    return op_counts[kind];
}

void plan_add(struct plan *plan, struct entry entry)
{
    if (plan->count == plan->capacity) {
        uint32_t capacity = plan->capacity ? plan->capacity * 2 : 4096;
        struct entry *entries = realloc(plan->entries, capacity * sizeof(*entries));
        ASSERT(entries != NULL);
        plan->entries = entries;
        plan->capacity = capacity;
    }
    plan->entries[plan->count++] = entry;
}

void plan_destroy(struct plan *plan)
{
    free(plan->entries);
    *plan = (struct plan){0};
}

static void write_number(FILE *out, const char *name, uint64_t value)
{
    if (value) {
        fprintf(out, " %s=%" PRIu64, name, value);
    }
}

static void write_entry(FILE *out, const struct entry *entry)
{
    fprintf(out, "%s op=%s", kind_names[entry->kind], op_names[entry->kind][entry->op]);
    if (entry->kind == ENTRY_CONN || entry->kind == ENTRY_CALL || entry->kind == ENTRY_FAULT) {
        fprintf(out, " conn=%u", entry->conn);
    }
    write_number(out, "at", entry->at_ns);
    write_number(out, "side", entry->side);
    write_number(out, "host", entry->host);
    write_number(out, "port", entry->port);
    write_number(out, "peer", entry->peer);
    write_number(out, "peer_port", entry->peer_port);
    write_number(out, "nth", entry->nth);
    write_number(out, "arg", entry->arg);
    write_number(out, "arg2", entry->arg2);
    fputc('\n', out);
}

void plan_write(const struct plan *plan, FILE *out)
{
    fputs("run", out);
    for (uint32_t i = 0; i < PLAN_FIELD_COUNT; i++) {
        write_number(out, plan_names[i], plan->settings[i]);
    }
    fputc('\n', out);
    for (uint32_t host = 0; host < plan->settings[PLAN_hosts]; host++) {
        fprintf(out, "host index=%u", host);
        for (uint32_t i = 0; i < HOST_FIELD_COUNT; i++) {
            write_number(out, host_names[i], plan->hosts[host][i]);
        }
        fputc('\n', out);
    }
    for (uint32_t i = 0; i < plan->count; i++) {
        write_entry(out, &plan->entries[i]);
    }
}

/* One line taken apart: its first word, then names and values. */
struct line {
    const char *word;
    uint32_t count;
    const char *names[HOST_FIELD_COUNT + 2];
    const char *values[HOST_FIELD_COUNT + 2];
};

static bool line_split(struct line *line, char *text)
{
    char *rest = text;
    *line = (struct line){.word = strsep(&rest, " \n")};
    char *word = NULL;
    while ((word = strsep(&rest, " \n")) != NULL) {
        char *equals = strchr(word, '=');
        if (*word == '\0') {
            continue;
        }
        if (!equals || line->count == HOST_FIELD_COUNT + 2) {
            return false;
        }
        *equals = '\0';
        line->names[line->count] = word;
        line->values[line->count++] = equals + 1;
    }
    return true;
}

static bool read_fields(const struct line *line, const char *const *names, uint32_t count,
                        uint64_t *values)
{
    for (uint32_t i = 0; i < line->count; i++) {
        uint32_t field = 0;
        while (field < count && strcmp(names[field], line->names[i]) != 0) {
            field++;
        }
        if (field < count) {
            values[field] = strtoull(line->values[i], NULL, 10);
        } else if (strcmp(line->names[i], "index") != 0 && strcmp(line->names[i], "op") != 0) {
            return false;
        }
    }
    return true;
}

static bool read_op(struct entry *entry, const char *text)
{
    for (uint32_t op = 0; op < op_counts[entry->kind]; op++) {
        if (strcmp(op_names[entry->kind][op], text) == 0) {
            entry->op = (uint8_t)op;
            return true;
        }
    }
    return false;
}

static bool read_entry(const struct line *line, struct entry *entry)
{
    static const char *const names[] = {"conn", "at",        "side", "host", "port",
                                        "peer", "peer_port", "nth",  "arg",  "arg2"};
    uint64_t values[sizeof(names) / sizeof(*names)] = {0};
    if (!read_fields(line, names, sizeof(names) / sizeof(*names), values)) {
        return false;
    }
    entry->conn = (uint32_t)values[0];
    entry->at_ns = values[1];
    entry->side = values[2] & 1;
    entry->host = (uint8_t)(values[3] % PLAN_HOSTS_MAX);
    entry->port = (uint16_t)values[4];
    entry->peer = (uint8_t)(values[5] % PLAN_HOSTS_MAX);
    entry->peer_port = (uint16_t)values[6];
    entry->nth = (uint32_t)values[7];
    entry->arg = values[8];
    entry->arg2 = values[9];
    for (uint32_t i = 0; i < line->count; i++) {
        if (strcmp(line->names[i], "op") == 0 && !read_op(entry, line->values[i])) {
            return false;
        }
    }
    return true;
}

static bool read_line(struct plan *plan, const struct line *line, uint32_t *host_next)
{
    if (strcmp(line->word, "run") == 0) {
        return read_fields(line, plan_names, PLAN_FIELD_COUNT, plan->settings) &&
               plan->settings[PLAN_hosts] <= PLAN_HOSTS_MAX;
    }
    if (strcmp(line->word, "host") == 0 && *host_next < PLAN_HOSTS_MAX) {
        return read_fields(line, host_names, HOST_FIELD_COUNT, plan->hosts[(*host_next)++]);
    }
    for (uint32_t kind = 0; kind < ENTRY_KIND_COUNT; kind++) {
        struct entry entry = {.kind = (uint8_t)kind};
        if (strcmp(line->word, kind_names[kind]) == 0) {
            bool is_sound = read_entry(line, &entry) && entry.conn < (1u << 24);
            plan_add(plan, entry);
            return is_sound;
        }
    }
    return false;
}

int plan_read(struct plan *plan, FILE *in, struct failure *failure)
{
    char *text = NULL;
    size_t size = 0;
    uint32_t number = 0;
    uint32_t host_next = 0;
    bool is_sound = true;
    plan->count = 0;
    memset(plan->settings, 0, sizeof(plan->settings));
    memset(plan->hosts, 0, sizeof(plan->hosts));
    while (is_sound && getline(&text, &size, in) >= 0) {
        struct line line;
        number++;
        if (text[0] != '#' && text[0] != '\n') {
            is_sound = line_split(&line, text) && read_line(plan, &line, &host_next);
        }
    }
    free(text);
    if (is_sound && plan->settings[PLAN_hosts] >= 2) {
        return 0;
    }
    return failure_set(failure, EINVAL, "replay line %u: not understood; see tests/sim/plan.h",
                       number);
}
