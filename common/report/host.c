/* What a host is: the facts that decide TCP churn, read from /proc and /sys. Layer: report.
 *
 * /proc/sys/net shows the reader's network namespace, so this must run in the one that was
 * measured. No fact names the machine or its owner: reports are passed on. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/cpu.h"
#include "report/report.h"

#define PATH_MAX_HERE 512
#define LINE_MAX_HERE 1024

/* A fact that is a file's first line. */
struct host_file {
    const char *name;
    const char *path;
};

static const struct host_file host_files[] = {
    {"kernel_release", "/proc/sys/kernel/osrelease"},
    {"kernel_version", "/proc/sys/kernel/version"},
    {"machine", "/proc/sys/kernel/arch"},
    {"cpus_online", "/sys/devices/system/cpu/online"},
    {"cpu_governor", "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"},
    {"smt_active", "/sys/devices/system/cpu/smt/active"},
    {"clock_source", "/sys/devices/system/clocksource/clocksource0/current_clocksource"},
    {"nf_conntrack_count", "/proc/sys/net/netfilter/nf_conntrack_count"},
};

/* A fact that follows a colon in a file of such lines. */
struct host_line {
    const char *name;
    const char *path;
    const char *key;
};

static const struct host_line host_lines[] = {
    {"cpu_model", "/proc/cpuinfo", "model name"},
    {"memory_total", "/proc/meminfo", "MemTotal"},
};

/* RFC 3511 section 4.10: what decides connections, ports, buffers and TIME_WAIT. */
static const char *const sysctls[] = {
    "net.core.busy_poll",
    "net.core.default_qdisc",
    "net.core.netdev_budget",
    "net.core.netdev_max_backlog",
    "net.core.optmem_max",
    "net.core.rmem_max",
    "net.core.somaxconn",
    "net.core.wmem_max",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_abort_on_overflow",
    "net.ipv4.tcp_adv_win_scale",
    "net.ipv4.tcp_autocorking",
    "net.ipv4.tcp_challenge_ack_limit",
    "net.ipv4.tcp_child_ehash_entries",
    "net.ipv4.tcp_congestion_control",
    "net.ipv4.tcp_ecn",
    "net.ipv4.tcp_ehash_entries",
    "net.ipv4.tcp_fastopen",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_max_orphans",
    "net.ipv4.tcp_max_syn_backlog",
    "net.ipv4.tcp_max_tw_buckets",
    "net.ipv4.tcp_mem",
    "net.ipv4.tcp_migrate_req",
    "net.ipv4.tcp_orphan_retries",
    "net.ipv4.tcp_rfc1337",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_sack",
    "net.ipv4.tcp_syn_linear_timeouts",
    "net.ipv4.tcp_syn_retries",
    "net.ipv4.tcp_synack_retries",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.tcp_timestamps",
    "net.ipv4.tcp_tw_reuse",
    "net.ipv4.tcp_tw_reuse_delay",
    "net.ipv4.tcp_window_scaling",
    "net.ipv4.tcp_wmem",
    "net.netfilter.nf_conntrack_max",
    "net.netfilter.nf_conntrack_tcp_timeout_time_wait",
};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* Cuts the blanks at a line's end and puts single blanks for tabs, as tcp_rmem has them. */
static void tidy_line(char *line)
{
    size_t length = strlen(line);
    while (length > 0 && (line[length - 1] == '\n' || line[length - 1] == ' ')) {
        line[--length] = '\0';
    }
    for (char *at = line; *at != '\0'; at++) {
        *at = *at == '\t' ? ' ' : *at;
    }
}

static FILE *open_at(const char *root, const char *path)
{
    char full[PATH_MAX_HERE];
    int length = snprintf(full, sizeof(full), "%s%s", root, path);
    return length < 0 || (size_t)length >= sizeof(full) ? NULL : fopen(full, "re");
}

/* Reads a file's first line; NULL when there is none to read. */
static const char *read_line(const char *root, const char *path, char line[LINE_MAX_HERE])
{
    FILE *in = open_at(root, path);
    if (in == NULL) {
        return NULL;
    }
    const char *got = fgets(line, LINE_MAX_HERE, in);
    fclose(in);
    if (got == NULL) {
        return NULL;
    }
    tidy_line(line);
    return line;
}

/* Finds the first line "key : value" and gives the value. */
static const char *find_line(const char *root, const struct host_line *fact,
                             char line[LINE_MAX_HERE])
{
    const char *value = NULL;
    FILE *in = open_at(root, fact->path);
    if (in == NULL) {
        return NULL;
    }
    while (value == NULL && fgets(line, LINE_MAX_HERE, in) != NULL) {
        const char *colon = strchr(line, ':');
        if (colon != NULL && strncmp(line, fact->key, strlen(fact->key)) == 0) {
            tidy_line(line);
            value = colon + 1 + strspn(colon + 1, " ");
        }
    }
    fclose(in);
    return value;
}

/* Writes net.ipv4.tcp_sack as its path: dots are slashes. */
static void sysctl_path(const char *name, char path[PATH_MAX_HERE])
{
    snprintf(path, PATH_MAX_HERE, "/proc/sys/%s", name);
    for (char *at = path; *at != '\0'; at++) {
        *at = *at == '.' ? '/' : *at;
    }
}

static int gather_sysctls(struct result *result, const char *root)
{
    char path[PATH_MAX_HERE], line[LINE_MAX_HERE];
    for (size_t i = 0; i < COUNT_OF(sysctls); i++) {
        sysctl_path(sysctls[i], path);
        int error = result_add_sysctl(result, sysctls[i], read_line(root, path, line));
        if (error != 0) {
            return error;
        }
    }
    return 0;
}

/* What our process may use, as against what the machine has. */
static int gather_bounds(struct result *result)
{
    struct rlimit limit;
    struct cpu_list allowed;
    char text[32];
    int error = 0;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        snprintf(text, sizeof(text), "%ju", (uintmax_t)limit.rlim_cur);
        error = result_add_host(result, "descriptors_soft", text);
        if (error == 0) {
            snprintf(text, sizeof(text), "%ju", (uintmax_t)limit.rlim_max);
            error = result_add_host(result, "descriptors_hard", text);
        }
    }
    if (error == 0 && cpu_list_allowed(&allowed) == 0) {
        snprintf(text, sizeof(text), "%" PRIu32, allowed.count);
        error = result_add_host(result, "cpus_allowed", text);
    }
    return error;
}

int result_gather_host(struct result *result, const char *root)
{
    char line[LINE_MAX_HERE];
    int error = 0;
    for (size_t i = 0; i < COUNT_OF(host_files) && error == 0; i++) {
        error =
            result_add_host(result, host_files[i].name, read_line(root, host_files[i].path, line));
    }
    for (size_t i = 0; i < COUNT_OF(host_lines) && error == 0; i++) {
        error = result_add_host(result, host_lines[i].name, find_line(root, &host_lines[i], line));
    }
    if (error == 0) {
        error = gather_bounds(result);
    }
    return error == 0 ? gather_sysctls(result, root) : error;
}
