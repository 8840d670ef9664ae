/* What the machine did; see usage.h. Layer: bench/lab. */
#include "usage.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "numbers.h"

/* The kernel's tick at HZ 250, Debian's; at a faster tick the error is smaller than we say. */
#define SAMPLE_NS (4.0 * (double)NS_PER_MS)

#define QUIET_WINDOW_NS (100 * NS_PER_MS)
#define QUIET_BUSY_NS (20 * NS_PER_MS) /* within a window, of all CPUs: five ticks */
#define QUIET_WAIT_NS (5 * NS_PER_SEC)

#define STAT_BYTES 65536
#define SLABINFO_BYTES (1 << 18)

enum stat_field {
    STAT_USER,
    STAT_NICE,
    STAT_SYSTEM,
    STAT_IDLE,
    STAT_IOWAIT,
    STAT_IRQ,
    STAT_SOFTIRQ,
    STAT_STEAL,
    STAT_FIELD_COUNT
};

static uint32_t count_cpu_lines(const char *text)
{
    uint32_t count = 0;
    for (const char *line = strstr(text, "\ncpu"); line != NULL; line = strstr(line + 1, "\ncpu")) {
        count++;
    }
    return count;
}

bool usage_parse(struct usage *usage, const char *text, uint64_t unit_ns)
{
    uint64_t fields[STAT_FIELD_COUNT];
    if (strncmp(text, "cpu ", 4) != 0) {
        return false;
    }
    if (numbers_read(text + 4, fields, STAT_FIELD_COUNT) != STAT_FIELD_COUNT) {
        return false;
    }
    usage->busy_ns = (fields[STAT_USER] + fields[STAT_NICE] + fields[STAT_SYSTEM] +
                      fields[STAT_IRQ] + fields[STAT_SOFTIRQ]) *
                     unit_ns;
    usage->softirq_ns = fields[STAT_SOFTIRQ] * unit_ns;
    usage->steal_ns = fields[STAT_STEAL] * unit_ns;
    usage->cpus = count_cpu_lines(text);
    return usage->cpus > 0;
}

/* Reads a whole file of /proc as text. The caller frees it; NULL when it cannot be read. */
static char *read_proc(const char *path, size_t size)
{
    FILE *file = fopen(path, "re");
    char *text = file == NULL ? NULL : malloc(size);
    if (text != NULL) {
        text[fread(text, 1, size - 1, file)] = '\0';
    }
    if (file != NULL) {
        fclose(file);
    }
    return text;
}

void usage_read(struct usage *usage)
{
    *usage = (struct usage){.at_ns = clock_now_ns()};
    long hz = sysconf(_SC_CLK_TCK);
    char *text = read_proc("/proc/stat", STAT_BYTES);
    if (text == NULL || hz <= 0 || !usage_parse(usage, text, NS_PER_SEC / (uint64_t)hz)) {
        usage->cpus = 0;
    }
    free(text);
}

/* Counters of a CPU's time may step back by a tick; that counts as nothing. */
static uint64_t rise(uint64_t before, uint64_t after)
{
    return after > before ? after - before : 0;
}

struct usage usage_between(const struct usage *before, const struct usage *after)
{
    return (struct usage){
        .at_ns = rise(before->at_ns, after->at_ns),
        .busy_ns = rise(before->busy_ns, after->busy_ns),
        .softirq_ns = rise(before->softirq_ns, after->softirq_ns),
        .steal_ns = rise(before->steal_ns, after->steal_ns),
        .cpus = before->cpus < after->cpus ? before->cpus : after->cpus,
    };
}

double usage_error_ns(const struct usage *difference, uint64_t part_ns)
{
    double total_ns = (double)difference->at_ns * difference->cpus;
    double share = total_ns > 0 ? (double)part_ns / total_ns : 0;
    double spread = share < 1 ? share * (1 - share) : 0;
    return sqrt(total_ns / SAMPLE_NS * spread) * SAMPLE_NS;
}

struct calm usage_calm(const struct usage *before, const struct usage *after)
{
    struct usage passed = usage_between(before, after);
    struct calm calm = {.known = passed.cpus > 0 && passed.at_ns > 0, .busy_cpus = (double)NAN};
    if (calm.known) {
        calm.quiet = passed.busy_ns <= QUIET_BUSY_NS;
        calm.busy_cpus = (double)passed.busy_ns / (double)passed.at_ns;
    }
    return calm;
}

bool usage_await_quiet(struct keeper *keeper, struct calm *calm)
{
    uint64_t deadline_ns = clock_now_ns() + QUIET_WAIT_NS;
    struct usage before, after;
    usage_read(&before);
    for (;;) {
        if (keeper_wait(keeper, NULL, clock_now_ns() + QUIET_WINDOW_NS) == WAIT_STOP) {
            return false;
        }
        usage_read(&after);
        *calm = usage_calm(&before, &after);
        if (!calm->known || calm->quiet || after.at_ns >= deadline_ns) {
            return true;
        }
        before = after;
    }
}

/* A line's columns behind its name. */
enum slab_column {
    SLAB_ACTIVE,
    SLAB_OBJECTS,
    SLAB_BYTES,
    SLAB_PER_SLAB,
    SLAB_PAGES,
    SLAB_COLUMN_COUNT
};

void slabs_parse(struct slabs *slabs, const char *text)
{
    *slabs = (struct slabs){.known = false};
    for (const char *line = text; line != NULL && *line != '\0';) {
        uint64_t columns[SLAB_COLUMN_COUNT];
        const char *behind_name = line + strcspn(line, " \n");
        if (numbers_read(behind_name, columns, SLAB_COLUMN_COUNT) == SLAB_COLUMN_COUNT &&
            columns[SLAB_PER_SLAB] > 0) {
            slabs->known = true;
            slabs->bytes += columns[SLAB_ACTIVE] * columns[SLAB_PAGES] *
                            (uint64_t)sysconf(_SC_PAGESIZE) / columns[SLAB_PER_SLAB];
        }
        line = strchr(line, '\n');
        line = line == NULL ? NULL : line + 1;
    }
}

void slabs_read(struct slabs *slabs)
{
    *slabs = (struct slabs){.known = false};
    char *text = read_proc("/proc/slabinfo", SLABINFO_BYTES);
    if (text != NULL) {
        slabs_parse(slabs, text);
    }
    free(text);
}

bool usage_parse_resident(const char *status, uint64_t *bytes)
{
    static const char name[] = "\nRssAnon:";
    uint64_t kib = 0;
    const char *line = strstr(status, name);
    if (line == NULL || numbers_read(line + strlen(name), &kib, 1) != 1) {
        return false;
    }
    *bytes = kib * 1024;
    return true;
}

bool usage_resident_bytes(pid_t pid, uint64_t *bytes)
{
    char self[32], path[64];
    ssize_t length = readlink("/proc/self", self, sizeof(self) - 1);
    self[length < 0 ? 0 : length] = '\0';
    snprintf(path, sizeof(path), "%d", (int)getpid());
    if (strcmp(self, path) != 0) {
        return false; /* this /proc numbers another PID namespace: the child's number is a
                         stranger's */
    }
    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    char *text = read_proc(path, STAT_BYTES);
    bool known = text != NULL && usage_parse_resident(text, bytes);
    free(text);
    return known;
}
