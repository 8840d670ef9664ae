/* Command lines: numbers with units, exactly; no floating point.
 *
 * Layer: base. A text such as "1.5MiB" is read as the integer 15, one decimal and a unit, and is
 * worth 15 * 2^20 / 10, which must come out whole. */
#include <errno.h>
#include <string.h>

#include "base/cli_internal.h"
#include "base/clock.h"

#define RATE_DECIMALS_MAX 6u /* an hour times 10^6 still fits 64 bits of ns */

struct quantity {
    uint64_t digits;   /* before and after the point, as one number */
    uint32_t decimals; /* how many of them came after it, without trailing zeros */
    bool too_large;    /* digits did not fit */
    const char *unit;  /* what follows the number */
};

struct unit {
    const char *name;
    uint64_t factor;
};

struct unit_set {
    const struct unit *units; /* ended by a NULL name */
    const char *valid;        /* after "use ": the units, or examples */
    const char *example;      /* of a whole value */
};

static const struct unit count_units[] = {
    {"", 1}, {"k", 1000}, {"M", 1000000}, {"G", 1000000000}, {NULL, 0}};
static const struct unit_set count_set = {count_units, "k, M or G", "200, 20k or 3M"};

static const struct unit byte_units[] = {{"", 1},           {"B", 1},           {"kB", 1000},
                                         {"MB", 1000000},   {"GB", 1000000000}, {"KiB", 1u << 10},
                                         {"MiB", 1u << 20}, {"GiB", 1u << 30},  {NULL, 0}};
static const struct unit_set byte_set = {byte_units, "B, kB, MB, GB, KiB, MiB or GiB",
                                         "64, 16KiB or 1MiB"};

static const struct unit duration_units[] = {
    {"ns", 1},         {"us", NS_PER_US},       {"ms", NS_PER_MS},
    {"s", NS_PER_SEC}, {"m", 60u * NS_PER_SEC}, {"h", 3600u * NS_PER_SEC},
    {NULL, 0}};
static const struct unit_set duration_set = {duration_units, "ns, us, ms, s, m or h",
                                             "5ms, 1.5s or 2m"};

static const struct unit period_units[] = {
    {"s", NS_PER_SEC}, {"min", 60u * NS_PER_SEC}, {"h", 3600u * NS_PER_SEC}, {NULL, 0}};
static const struct unit_set rate_set = {count_units, "10k, 10k/s or 600k/min",
                                         "10k, 10k/s or 600k/min"};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static void quantity_add_digit(struct quantity *quantity, char digit)
{
    uint64_t sum;
    if (__builtin_mul_overflow(quantity->digits, UINT64_C(10), &sum) ||
        __builtin_add_overflow(sum, (uint64_t)(digit - '0'), &sum)) {
        quantity->too_large = true;
        return;
    }
    quantity->digits = sum;
}

/* Reads digits, and a point with digits behind it where there is one. False when the text is none.
 */
static bool quantity_read(struct quantity *quantity, const char *text)
{
    *quantity = (struct quantity){0};
    if (!is_digit(*text)) {
        return false;
    }
    for (; is_digit(*text); text++) {
        quantity_add_digit(quantity, *text);
    }
    if (*text == '.') {
        size_t places = 0;
        size_t places_used = 0;
        for (text++; is_digit(text[places]); places++) {
            places_used = text[places] != '0' ? places + 1u : places_used;
        }
        if (places == 0) {
            return false;
        }
        for (size_t i = 0; i < places_used; i++) {
            quantity_add_digit(quantity, text[i]);
        }
        quantity->decimals = places_used <= UINT32_MAX ? (uint32_t)places_used : UINT32_MAX;
        text += places;
    }
    quantity->unit = text;
    return true;
}

/* Takes a prime out of one of two numbers. Requires that one of them has it. */
static void divide_either(uint64_t *a, uint64_t *b, uint64_t prime)
{
    uint64_t *from = *a % prime == 0 ? a : b;
    *from /= prime;
}

/* Gives digits * factor / 10^decimals, and in *decimals_left the powers of ten that would not
 * divide. False on overflow. */
static bool quantity_scale(const struct quantity *quantity, uint64_t factor, uint64_t *value,
                           uint32_t *decimals_left)
{
    uint64_t digits = quantity->digits;
    uint32_t left = quantity->decimals;
    while (left > 0 && digits != 0 && (digits % 2u == 0 || factor % 2u == 0) &&
           (digits % 5u == 0 || factor % 5u == 0)) {
        divide_either(&digits, &factor, 2);
        divide_either(&digits, &factor, 5);
        left--;
    }
    *decimals_left = left;
    return !quantity->too_large && !__builtin_mul_overflow(digits, factor, value);
}

/* Finds the factor of a unit's name of `length` characters; 0 when it is none. */
static uint64_t unit_factor(const struct unit *units, const char *name, size_t length)
{
    for (; units->name != NULL; units++) {
        if (strlen(units->name) == length && memcmp(units->name, name, length) == 0) {
            return units->factor;
        }
    }
    return 0;
}

static int refuse_number(const char *text, const char *what, const struct unit_set *set,
                         struct failure *failure)
{
    if (*text == '\0') {
        return failure_set(failure, EINVAL, "%s: the value is empty; use %s", what, set->example);
    }
    if (text[0] == '-' && is_digit(text[1])) {
        return failure_set(failure, EINVAL, "%s: a negative number; use %s", what, set->example);
    }
    return failure_set(failure, EINVAL, "%s: not a number; use %s", what, set->example);
}

/* Reads a number and its unit, which ends the text. */
static int scaled_read(uint64_t *value, const char *text, const struct unit_set *set,
                       const char *what, struct failure *failure)
{
    struct quantity quantity;
    if (!quantity_read(&quantity, text)) {
        return refuse_number(text, what, set, failure);
    }
    uint64_t factor = unit_factor(set->units, quantity.unit, strlen(quantity.unit));
    bool bare_zero = *quantity.unit == '\0' && quantity.digits == 0;
    if (factor == 0 && bare_zero) {
        factor = 1;
    }
    if (factor == 0 && *quantity.unit == '\0') {
        return failure_set(failure, EINVAL, "%s: the unit is missing; use %s, as in %s", what,
                           set->valid, set->example);
    }
    if (factor == 0) {
        return failure_set(failure, EINVAL, "%s: unknown unit \"%.40s\"; use %s", what,
                           quantity.unit, set->valid);
    }
    uint32_t decimals_left;
    if (!quantity_scale(&quantity, factor, value, &decimals_left)) {
        return failure_set(failure, ERANGE, "%s: the number is too large; use %s", what,
                           set->example);
    }
    if (decimals_left != 0) {
        return failure_set(failure, EINVAL, "%s: too fine a fraction; use %s", what, set->example);
    }
    return 0;
}

int cli_value_count(uint64_t *value, const char *text, const char *what, struct failure *failure)
{
    return scaled_read(value, text, &count_set, what, failure);
}

int cli_value_bytes(uint64_t *value, const char *text, const char *what, struct failure *failure)
{
    return scaled_read(value, text, &byte_set, what, failure);
}

int cli_value_duration(uint64_t *ns, const char *text, const char *what, struct failure *failure)
{
    return scaled_read(ns, text, &duration_set, what, failure);
}

/* Reads "k/min" behind a rate's number: the factor and the period. The unit at fault is in *wrong.
 */
static bool rate_unit_read(const char *unit, uint64_t *factor, uint64_t *per_ns, const char **wrong)
{
    const char *slash = strchr(unit, '/');
    size_t length = slash != NULL ? (size_t)(slash - unit) : strlen(unit);
    *wrong = unit;
    *factor = unit_factor(count_units, unit, length);
    if (*factor == 0) {
        return false;
    }
    *per_ns = NS_PER_SEC;
    if (slash != NULL) {
        *wrong = slash + 1;
        *per_ns = unit_factor(period_units, slash + 1, strlen(slash + 1));
    }
    return *per_ns != 0;
}

int cli_value_rate(struct cli_rate *rate, const char *text, const char *what,
                   struct failure *failure)
{
    struct quantity quantity;
    if (!quantity_read(&quantity, text)) {
        return refuse_number(text, what, &rate_set, failure);
    }
    uint64_t factor;
    const char *wrong;
    struct cli_rate read;
    if (!rate_unit_read(quantity.unit, &factor, &read.per_ns, &wrong)) {
        return failure_set(failure, EINVAL, "%s: unknown unit \"%.40s\"; use %s", what, wrong,
                           rate_set.valid);
    }
    uint32_t decimals_left;
    if (!quantity_scale(&quantity, factor, &read.events, &decimals_left)) {
        return failure_set(failure, ERANGE, "%s: the number is too large; use %s", what,
                           rate_set.example);
    }
    if (decimals_left > RATE_DECIMALS_MAX) {
        return failure_set(failure, EINVAL, "%s: too fine a fraction; use %s", what,
                           rate_set.example);
    }
    if (read.events == 0) {
        return failure_set(failure, EINVAL, "%s: a rate must be above 0; use %s", what,
                           rate_set.example);
    }
    /* Half an event a second is 5 every 10 s: exact, where a fraction would drift. */
    for (; decimals_left > 0; decimals_left--) {
        read.per_ns *= 10u;
    }
    *rate = read;
    return 0;
}

/* The public functions know no range to name. */
static int hide_range(int error, struct failure *failure)
{
    if (error == -ERANGE) {
        if (failure != NULL) {
            failure->error = EINVAL;
        }
        return -EINVAL;
    }
    return error;
}

int cli_parse_count(uint64_t *value, const char *text, const char *what, struct failure *failure)
{
    return hide_range(cli_value_count(value, text, what, failure), failure);
}

int cli_parse_bytes(uint64_t *value, const char *text, const char *what, struct failure *failure)
{
    return hide_range(cli_value_bytes(value, text, what, failure), failure);
}

int cli_parse_duration(uint64_t *ns, const char *text, const char *what, struct failure *failure)
{
    return hide_range(cli_value_duration(ns, text, what, failure), failure);
}

int cli_parse_rate(struct cli_rate *rate, const char *text, const char *what,
                   struct failure *failure)
{
    return hide_range(cli_value_rate(rate, text, what, failure), failure);
}
