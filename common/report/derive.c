/* What follows from a result's own fields: rates, costs per connection, the accounting identity,
 * the verdict and the exit code. Layer: report. Pure but for the limits that it adds. */
#include <inttypes.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "report/result.h"

uint64_t result_error_total(const struct result *result)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < result->error_count; i++) {
        total += result->errors[i].count;
    }
    return total;
}

/* Divides when both sides are known and the divisor is not 0; a value that is known already stays.
 */
static void derive_ratio(struct result_number *into, struct result_number over,
                         struct result_number under)
{
    if (result_is_known(*into) || !result_is_known(over) || !result_is_known(under)) {
        return;
    }
    double divisor = result_as_double(under);
    if (divisor > 0) {
        *into = result_real(result_as_double(over) / divisor);
    }
}

void result_derive(struct result *result)
{
    struct result_cpu *cpu = &result->cpu;
    struct result_number own = result_unknown();
    if (result_is_known(cpu->user_ns) && result_is_known(cpu->system_ns)) {
        own = result_real(result_as_double(cpu->user_ns) + result_as_double(cpu->system_ns));
    }
    struct result_number seconds = result_unknown();
    if (result_is_known(result->duration_ns)) {
        seconds = result_real(result_as_double(result->duration_ns) / (double)NS_PER_SEC);
    }
    derive_ratio(&result->completed_per_sec, result->completed, seconds);
    derive_ratio(&cpu->own_ns_per_conn, own, result->completed);
    derive_ratio(&cpu->machine_ns_per_conn, cpu->machine_busy_ns, result->completed);
    derive_ratio(&cpu->machine_error_ns_per_conn, cpu->machine_error_ns, result->completed);
    derive_ratio(&cpu->steal_ns_per_conn, cpu->machine_steal_ns, result->completed);
}

/* Gives an integer term of the identity; false when it is not a known count. */
static bool term(struct result_number number, uint64_t *value)
{
    *value = number.count;
    return number.kind == RESULT_COUNT;
}

static int check_errors_total(struct result *result, uint64_t failed)
{
    uint64_t total = result_error_total(result);
    if (total == failed) {
        return 0;
    }
    return result_add_limit(result, RESULT_INVALID, "accounting",
                            "The failures by phase and errno add up to %" PRIu64 ", but %" PRIu64
                            " connections failed: this is a bug in finwait.",
                            total, failed);
}

int result_check_accounting(struct result *result)
{
    uint64_t attempted, completed, failed, open_at_end;
    if (!result_is_known(result->attempted)) {
        return 0;
    }
    if (!term(result->attempted, &attempted) || !term(result->completed, &completed) ||
        !term(result->failed, &failed) || !term(result->open_at_end, &open_at_end)) {
        return result_add_limit(result, RESULT_INVALID, "accounting",
                                "Completed, failed or open connections were not counted, so that "
                                "the attempts cannot be accounted for.");
    }
    if (attempted != completed + failed + open_at_end) {
        int error = result_add_limit(
            result, RESULT_INVALID, "accounting",
            "%" PRIu64 " connections were attempted, but %" PRIu64 " completed + %" PRIu64
            " failed + %" PRIu64 " open at the end are %" PRIu64 ": this is a bug in finwait.",
            attempted, completed, failed, open_at_end, completed + failed + open_at_end);
        if (error != 0) {
            return error;
        }
    }
    return check_errors_total(result, failed);
}

static bool has_weight(const struct result *result, enum result_weight weight)
{
    for (uint32_t i = 0; i < result->limit_count; i++) {
        if (result->limits[i].weight == weight) {
            return true;
        }
    }
    return false;
}

bool result_is_valid(const struct result *result)
{
    return !has_weight(result, RESULT_INVALID);
}

int result_exit_code(const struct result *result)
{
    /* Invalid comes first: where the generator was the limit, nothing is known about the target. */
    if (!result_is_valid(result)) {
        return 3;
    }
    return has_weight(result, RESULT_TARGET_FAILED) ? 4 : 0;
}
