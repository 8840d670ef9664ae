#include "loadgen/machine.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"

#define STAT_BYTES 65536

/* How often the kernel looks which task has the CPU: Debian's HZ is 250. */
#define SAMPLE_NS (4.0 * (double)NS_PER_MS)

/* A machine that was less busy than this process alone was sampled wrongly: a constant rate whose
 * period divides the tick meets each tick in the same place. From so many errors on it is sure. */
#define SAMPLE_ERRORS_MAX 3.0

static uint64_t timeval_ns(struct timeval value)
{
    return (uint64_t)value.tv_sec * NS_PER_SEC + (uint64_t)value.tv_usec * NS_PER_US;
}

static uint32_t count_cpu_lines(const char *text)
{
    uint32_t count = 0;
    for (const char *at = strstr(text, "\ncpu"); at != NULL; at = strstr(at + 1, "\ncpu")) {
        count++;
    }
    return count;
}

/* In the order of the file; guest time is part of user and nice. */
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

static bool parse_fields(const char *text, uint64_t fields[STAT_FIELD_COUNT])
{
    static const char head[] = "cpu ";
    if (strncmp(text, head, sizeof(head) - 1) != 0) {
        return false;
    }
    text += sizeof(head) - 1;
    for (int i = 0; i < STAT_FIELD_COUNT; i++) {
        text += strspn(text, " ");
        if (*text < '0' || *text > '9') {
            return false;
        }
        char *end;
        fields[i] = strtoull(text, &end, 10);
        text = end;
    }
    return true;
}

bool machine_parse(struct machine_usage *usage, const char *text, uint64_t unit_ns)
{
    uint64_t fields[STAT_FIELD_COUNT];
    if (!parse_fields(text, fields)) {
        return false;
    }
    usage->busy_ns = (fields[STAT_USER] + fields[STAT_NICE] + fields[STAT_SYSTEM] +
                      fields[STAT_IRQ] + fields[STAT_SOFTIRQ]) *
                     unit_ns;
    usage->steal_ns = fields[STAT_STEAL] * unit_ns;
    usage->cpus = count_cpu_lines(text);
    return usage->cpus > 0;
}

void machine_read(struct machine_usage *usage)
{
    char text[STAT_BYTES];
    struct rusage own;
    long hz = sysconf(_SC_CLK_TCK);
    memset(usage, 0, sizeof(*usage));
    usage->at_ns = clock_now_ns();
    getrusage(RUSAGE_SELF, &own);
    usage->user_ns = timeval_ns(own.ru_utime);
    usage->system_ns = timeval_ns(own.ru_stime);
    FILE *file = fopen("/proc/stat", "re");
    if (file == NULL) {
        return;
    }
    size_t size = fread(text, 1, sizeof(text) - 1, file);
    text[size] = '\0';
    fclose(file);
    usage->machine_known = hz > 0 && machine_parse(usage, text, NS_PER_SEC / (uint64_t)hz);
}

void machine_difference(const struct machine_usage *before, const struct machine_usage *after,
                        struct result_cpu *cpu)
{
    uint64_t own_ns = after->user_ns - before->user_ns + after->system_ns - before->system_ns;
    cpu->user_ns = result_count(after->user_ns - before->user_ns);
    cpu->system_ns = result_count(after->system_ns - before->system_ns);
    if (!before->machine_known || !after->machine_known || after->busy_ns < before->busy_ns ||
        after->steal_ns < before->steal_ns || after->at_ns <= before->at_ns) {
        return;
    }
    uint64_t total_ns = (after->at_ns - before->at_ns) * after->cpus;
    uint64_t busy_ns = after->busy_ns - before->busy_ns;
    double share = (double)busy_ns / (double)total_ns;
    double samples = (double)total_ns / SAMPLE_NS;
    double spread = share < 1 ? share * (1 - share) : 0;
    double error_ns = sqrt(samples * spread) * SAMPLE_NS;
    cpu->machine_total_ns = result_count(total_ns);
    cpu->machine_steal_ns = result_count(after->steal_ns - before->steal_ns);
    if ((double)busy_ns + SAMPLE_ERRORS_MAX * (error_ns + SAMPLE_NS) < (double)own_ns) {
        return;
    }
    cpu->machine_busy_ns = result_count(busy_ns);
    cpu->machine_error_ns = result_real(error_ns);
}
