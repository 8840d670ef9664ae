#include "loadgen/machine.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"

#define STAT_BYTES 65536

/* How often the kernel looks which task has the CPU: Debian's HZ is 250. */
#define SAMPLE_NS (4.0 * (double)NS_PER_MS)

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

bool machine_parse(struct machine_usage *usage, const char *text, uint64_t unit_ns)
{
    uint64_t user, nice, system, idle, iowait, irq, softirq, steal;
    int fields = sscanf(text,
                        "cpu %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64
                        " %" SCNu64 " %" SCNu64,
                        &user, &nice, &system, &idle, &iowait, &irq, &softirq, &steal);
    if (fields != 8) {
        return false;
    }
    usage->busy_ns = (user + nice + system + irq + softirq) * unit_ns;
    usage->steal_ns = steal * unit_ns;
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
    cpu->user_ns = result_count(after->user_ns - before->user_ns);
    cpu->system_ns = result_count(after->system_ns - before->system_ns);
    if (!before->machine_known || !after->machine_known || after->busy_ns < before->busy_ns ||
        after->steal_ns < before->steal_ns || after->at_ns <= before->at_ns) {
        return;
    }
    uint64_t total_ns = (after->at_ns - before->at_ns) * after->cpus;
    double busy_ns = (double)(after->busy_ns - before->busy_ns);
    double share = busy_ns / (double)total_ns;
    double samples = (double)total_ns / SAMPLE_NS;
    double spread = share < 1 ? share * (1 - share) : 0;
    cpu->machine_total_ns = result_count(total_ns);
    cpu->machine_busy_ns = result_count(after->busy_ns - before->busy_ns);
    cpu->machine_steal_ns = result_count(after->steal_ns - before->steal_ns);
    cpu->machine_error_ns = result_real(sqrt(samples * spread) * SAMPLE_NS);
}
