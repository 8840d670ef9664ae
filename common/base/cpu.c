/* CPUs: see the header.
 *
 * Layer: base. A list is gathered as a set first, so that order in the text does not matter. */
#include "base/cpu.h"

#include <errno.h>
#include <sched.h>
#include <stddef.h>
#include <string.h>

#include "base/assert.h"

/* Room for the kernel's mask where it is built for up to 8192 CPUs; it refuses a smaller one. */
#define KERNEL_SETS 8

struct cpu_range {
    uint32_t first;
    uint32_t last;
};

/* Reads digits and moves past them; false when there are none. Numbers too large to be a CPU
 * saturate. */
static bool read_number(const char **text, uint32_t *number)
{
    const char *digit = *text;
    uint32_t value = 0;
    for (; *digit >= '0' && *digit <= '9'; digit++) {
        value = value * 10u + (uint32_t)(*digit - '0');
        value = value < CPU_LIST_MAX ? value : CPU_LIST_MAX;
    }
    bool any = digit != *text;
    *text = digit;
    *number = value;
    return any;
}

/* Reads "2" or "2-5" and moves past it; false when it is neither. */
static bool read_range(const char **text, struct cpu_range *range)
{
    if (!read_number(text, &range->first)) {
        return false;
    }
    range->last = range->first;
    if (**text != '-') {
        return true;
    }
    (*text)++;
    return read_number(text, &range->last);
}

static int add_range(bool *set, const struct cpu_range *range, const char *text,
                     struct failure *failure)
{
    if (range->first >= CPU_LIST_MAX || range->last >= CPU_LIST_MAX) {
        return failure_set(failure, EINVAL, "\"%.100s\": CPU number is out of range; use 0 to %d",
                           text, CPU_LIST_MAX - 1);
    }
    if (range->last < range->first) {
        return failure_set(failure, EINVAL,
                           "\"%.100s\": range %u-%u is the wrong way round; use %u-%u", text,
                           range->first, range->last, range->last, range->first);
    }
    for (uint32_t cpu = range->first; cpu <= range->last; cpu++) {
        if (set[cpu]) {
            return failure_set(failure, EINVAL, "\"%.100s\": CPU %u is named twice; name it once",
                               text, cpu);
        }
        set[cpu] = true;
    }
    return 0;
}

static void list_from_set(struct cpu_list *list, const bool *set)
{
    list->count = 0;
    for (uint32_t cpu = 0; cpu < CPU_LIST_MAX; cpu++) {
        if (set[cpu]) {
            list->cpus[list->count++] = (uint16_t)cpu;
        }
    }
}

int cpu_list_parse(struct cpu_list *list, const char *text, struct failure *failure)
{
    bool set[CPU_LIST_MAX] = {false};
    const char *rest = text;
    for (;;) {
        struct cpu_range range;
        bool good = read_range(&rest, &range);
        if (!good || (*rest != ',' && *rest != '\0')) {
            return failure_set(failure, EINVAL,
                               "\"%.100s\": not a list of CPUs; use 0, 0-1 or 0,2-3", text);
        }
        int error = add_range(set, &range, text, failure);
        if (error != 0) {
            return error;
        }
        if (*rest == '\0') {
            list_from_set(list, set);
            return 0;
        }
        rest++;
    }
}

int cpu_list_allowed(struct cpu_list *list)
{
    cpu_set_t allowed[KERNEL_SETS] = {0};
    if (sched_getaffinity(0, sizeof allowed, allowed) != 0) {
        return -errno;
    }
    bool set[CPU_LIST_MAX];
    for (size_t cpu = 0; cpu < CPU_LIST_MAX; cpu++) {
        set[cpu] = CPU_ISSET_S(cpu, sizeof allowed, allowed);
    }
    list_from_set(list, set);
    return 0;
}

int cpu_list_choose(struct cpu_list *list, const char *text, struct failure *failure)
{
    struct cpu_list allowed = {.count = 0};
    struct failure why;
    int rc = cpu_list_allowed(&allowed);
    if (rc != 0) {
        return failure_set(failure, -rc, "cannot tell which CPUs are allowed: %s", strerror(-rc));
    }
    ASSERT(allowed.count > 0); /* this thread runs on one */
    if (text == NULL) {
        *list = allowed;
        return 0;
    }
    if (cpu_list_parse(list, text, &why) != 0) {
        return failure_set(failure, EINVAL, "--cpus %s", why.text);
    }
    for (uint32_t i = 0; i < list->count; i++) {
        if (!cpu_list_has(&allowed, list->cpus[i])) {
            return failure_set(
                failure, EINVAL,
                "--cpus %s: CPU %u is not there or not allowed; %u are, from %u to %u", text,
                list->cpus[i], allowed.count, allowed.cpus[0], allowed.cpus[allowed.count - 1]);
        }
    }
    return 0;
}

bool cpu_list_has(const struct cpu_list *list, uint32_t cpu)
{
    for (uint32_t i = 0; i < list->count; i++) {
        if (list->cpus[i] == cpu) {
            return true;
        }
    }
    return false;
}

int cpu_pin_self(uint32_t cpu)
{
    if (cpu >= CPU_LIST_MAX) {
        return -EINVAL;
    }
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET((size_t)cpu, &one);
    return sched_setaffinity(0, sizeof one, &one) == 0 ? 0 : -errno;
}
