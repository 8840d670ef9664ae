/* Who contends; see compare.h. Layer: bench/lab. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "compare.h"
#include "report/report.h"

#define ITEM_MAX 32
#define ITEMS_MAX 16
#define SECONDS_MIN 0.1
#define SECONDS_MAX 50.0 /* under a TIME_WAIT's 60 s, so that all that was made is there */

static const char *const closers[] = {"client", "server", "both"};
static const char *const closes[] = {"fin", "close", "half", "rst", "fin-no-timewait"};
static const char *const kinds[] = {"kernel-uring", "kernel-epoll", "stack-packet", "stack-xdp"};
static const char *const rows[ROW_COUNT] = {"kernel", "tuned", "cell", "eager", "null"};

/* An option's list, as indexes into its known words. */
struct choice {
    uint32_t count;
    int items[ITEMS_MAX];
};

/* The known words of an option. */
struct vocabulary {
    const char *option; /* "--close" */
    const char *const *words;
    uint32_t count;
};

static const struct vocabulary client_words = {"--client", kinds, LAB_ENGINE_COUNT};
static const struct vocabulary server_words = {"--server", kinds, LAB_ENGINE_COUNT};
static const struct vocabulary closer_words = {"--closer", closers, 3};
static const struct vocabulary close_words = {"--close", closes, 5};
static const struct vocabulary row_words = {"--rows", rows, ROW_COUNT};

const char *compare_row_name(enum compare_row row)
{
    return rows[row];
}

static int unknown_word(const struct vocabulary *vocabulary, const char *word,
                        struct failure *failure)
{
    char known[256];
    size_t used = 0;
    for (uint32_t i = 0; i < vocabulary->count; i++) {
        used += (size_t)snprintf(known + used, sizeof(known) - used, "%s%s", i == 0 ? "" : ", ",
                                 vocabulary->words[i]);
    }
    return failure_set(failure, EINVAL, "%s: unknown \"%s\"; use %s", vocabulary->option, word,
                       known);
}

static bool has_choice(const struct choice *choice, int item)
{
    for (uint32_t i = 0; i < choice->count; i++) {
        if (choice->items[i] == item) {
            return true;
        }
    }
    return false;
}

/* Adds one word to a choice. */
static int choose_word(struct choice *choice, const struct vocabulary *vocabulary, const char *word,
                       struct failure *failure)
{
    for (uint32_t i = 0; i < vocabulary->count; i++) {
        if (strcmp(word, vocabulary->words[i]) == 0) {
            if (has_choice(choice, (int)i)) {
                return failure_set(failure, EINVAL, "%s: \"%s\" is named twice; name it once",
                                   vocabulary->option, word);
            }
            choice->items[choice->count++] = (int)i;
            return 0;
        }
    }
    return unknown_word(vocabulary, word, failure);
}

/* Adds one text of words with commas between. */
static int choose_text(struct choice *choice, const struct vocabulary *vocabulary, const char *text,
                       struct failure *failure)
{
    int error = 0;
    for (const char *at = text; error == 0 && at != NULL;) {
        char word[ITEM_MAX];
        size_t length = strcspn(at, ",");
        snprintf(word, sizeof(word), "%.*s", (int)length, at);
        error = choose_word(choice, vocabulary, word, failure);
        at = at[length] == ',' ? at + length + 1 : NULL;
    }
    return error;
}

/* Reads an option's list; `initial` stands for one that was not given. */
static int choose(struct choice *choice, const struct vocabulary *vocabulary,
                  const struct cli_list *list, const char *initial, struct failure *failure)
{
    choice->count = 0;
    if (list->count == 0) {
        return initial == NULL ? 0 : choose_text(choice, vocabulary, initial, failure);
    }
    int error = 0;
    for (uint32_t i = 0; error == 0 && i < list->count; i++) {
        error = choose_text(choice, vocabulary, list->values[i], failure);
    }
    return error;
}

/* What the options chose, before it becomes contenders. */
struct choices {
    struct choice clients, servers, closers, closes, rows;
};

static int choose_all(struct choices *choices, const struct compare_options *options,
                      struct failure *failure)
{
    int error =
        choose(&choices->clients, &client_words, &options->clients, "stack-packet", failure);
    error = error != 0 ? error
                       : choose(&choices->servers, &server_words, &options->servers, NULL, failure);
    error = error != 0
                ? error
                : choose(&choices->closers, &closer_words, &options->closers, "client", failure);
    error = error != 0 ? error
                       : choose(&choices->closes, &close_words, &options->closes, "fin", failure);
    return error != 0 ? error
                      : choose(&choices->rows, &row_words, &options->rows,
                               "kernel,tuned,cell,eager,null", failure);
}

static int read_seconds(double *seconds, const char *text, struct failure *failure)
{
    char *end;
    *seconds = strtod(text, &end);
    if (end == text || *end != '\0' || !(*seconds >= SECONDS_MIN && *seconds <= SECONDS_MAX)) {
        return failure_set(failure, EINVAL, "--seconds %s: use a number from %g to %g", text,
                           SECONDS_MIN, SECONDS_MAX);
    }
    return 0;
}

/* One group while its contenders are added. */
struct planner {
    struct compare *compare;
    struct compare_group *group;
    const struct choices *choices;
    const char *closer;
    const char *close;
};

/* Adds a contender unless the same one is there already, or its row is not wanted. Returns its
 * index or -1. */
static int add(const struct planner *planner, enum compare_row row, enum lab_kind client,
               enum lab_kind server, enum lab_tuning tuning)
{
    struct compare_group *group = planner->group;
    const struct compare *compare = planner->compare;
    if (!has_choice(&planner->choices->rows, (int)row)) {
        return -1;
    }
    for (uint32_t i = 0; i < group->count; i++) {
        const struct cell_spec *spec = &group->contenders[i].spec;
        if (spec->client == client && spec->server == server && spec->tuning == tuning) {
            return (int)i;
        }
    }
    group->contenders[group->count] = (struct contender){
        .row = row,
        .spec = {.client = client,
                 .server = server,
                 .tuning = tuning,
                 .closer = planner->closer,
                 .close = planner->close,
                 .duration_ns = (uint64_t)(compare->seconds * (double)NS_PER_SEC),
                 /* Packets without a state have no steady one. */
                 .warm_up_ns = row == ROW_NULL ? 0 : compare->options->warm_up_ns,
                 .in_flight = (uint32_t)compare->options->in_flight,
                 .client_cpus = compare->place.client_cpus,
                 .server_cpus = compare->place.server_cpus,
                 .bin_dir = compare->place.bin_dir},
        .trials = calloc(compare->options->pairs, sizeof(struct measures)),
        .held_bytes = (double)NAN,
    };
    return (int)group->count++;
}

static void add_cell(const struct planner *planner, enum lab_kind client, enum lab_kind server)
{
    add(planner, ROW_CELL, client, server, LAB_AS_IT_COMES);
    if (lab_kind_is_stack(client) && lab_kind_is_stack(server)) {
        add(planner, ROW_EAGER, client, server, LAB_EAGER);
    }
}

/* Tells whether a cell is wanted that has this stack at both ends, whether its row is or not. */
static bool wants_pair(const struct choices *choices, enum lab_kind kind)
{
    return has_choice(&choices->clients, (int)kind) &&
           (choices->servers.count == 0 || has_choice(&choices->servers, (int)kind));
}

/* The null stack is there once for each link that a cell's client and server share. */
static void add_nulls(const struct planner *planner)
{
    bool packet = wants_pair(planner->choices, LAB_STACK_PACKET);
    bool xdp = wants_pair(planner->choices, LAB_STACK_XDP);
    if (packet) {
        add(planner, ROW_NULL, LAB_NULL_PACKET, LAB_NULL_PACKET, LAB_AS_IT_COMES);
    }
    if (xdp) {
        add(planner, ROW_NULL, LAB_NULL_XDP, LAB_NULL_XDP, LAB_AS_IT_COMES);
    }
}

static void plan_group(const struct planner *planner)
{
    const struct choices *choices = planner->choices;
    enum lab_kind reference =
        planner->compare->options->reference == 0 ? LAB_KERNEL_URING : LAB_KERNEL_EPOLL;
    planner->group->kernel = add(planner, ROW_KERNEL, reference, reference, LAB_AS_IT_COMES);
    planner->group->tuned = add(planner, ROW_TUNED, reference, reference, LAB_TUNED);
    for (uint32_t i = 0; i < choices->clients.count; i++) {
        enum lab_kind client = (enum lab_kind)choices->clients.items[i];
        if (choices->servers.count == 0) {
            add_cell(planner, client, client);
        }
        for (uint32_t k = 0; k < choices->servers.count; k++) {
            add_cell(planner, client, (enum lab_kind)choices->servers.items[k]);
        }
    }
    add_nulls(planner);
}

static bool has_all_memory(const struct compare_group *group)
{
    for (uint32_t i = 0; i < group->count; i++) {
        if (group->contenders[i].trials == NULL) {
            return false;
        }
    }
    return true;
}

static int plan_groups(struct compare *compare, const struct choices *choices,
                       struct failure *failure)
{
    compare->group_count = choices->closers.count * choices->closes.count;
    compare->groups = calloc(compare->group_count, sizeof(*compare->groups));
    if (compare->groups == NULL) {
        return failure_set(failure, ENOMEM, "no memory for the plan");
    }
    for (uint32_t i = 0; i < compare->group_count; i++) {
        struct planner planner = {
            .compare = compare,
            .group = &compare->groups[i],
            .choices = choices,
            .closer = closers[choices->closers.items[i / choices->closes.count]],
            .close = closes[choices->closes.items[i % choices->closes.count]],
        };
        plan_group(&planner);
        if (!has_all_memory(planner.group)) {
            return failure_set(failure, ENOMEM, "no memory for the trials");
        }
    }
    if (compare->groups[0].count == 0) {
        return failure_set(failure, EINVAL,
                           "--rows: none of these rows is there with this --client and --server");
    }
    return 0;
}

int compare_plan(struct compare *compare, const struct compare_options *options,
                 struct failure *failure)
{
    struct choices choices = {.rows.count = 0};
    *compare = (struct compare){.options = options};
    int error = choose_all(&choices, options, failure);
    error = error != 0 ? error : read_seconds(&compare->seconds, options->seconds, failure);
    error = error != 0 ? error
                       : place_find(&compare->place, options->bin_dir,
                                    (enum place_layout)options->layout, failure);
    return error != 0 ? error : plan_groups(compare, &choices, failure);
}

void compare_free(struct compare *compare)
{
    for (uint32_t i = 0; compare->groups != NULL && i < compare->group_count; i++) {
        for (uint32_t k = 0; k < compare->groups[i].count; k++) {
            struct contender *contender = &compare->groups[i].contenders[k];
            free(contender->trials);
            for (uint32_t n = 0; n < contender->note_count; n++) {
                free(contender->notes[n].sentence);
            }
        }
    }
    free(compare->groups);
    json_decref(compare->host);
    json_decref(compare->sysctls);
    *compare = (struct compare){.options = NULL};
}
