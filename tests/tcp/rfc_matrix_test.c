/* Every state x segment x timestamps x place, against the table that was derived from the RFCs
 * (matrix.csv, its path is the first argument). All cells are run before the test fails.
 *
 * Layer: tests. */
#include <stdlib.h>

#include "tcp/host_fixture.h"

#define RULES_MAX 128u
#define FIELDS 8u
#define DATA_BYTES 3u
#define WINDOW 8192u

struct state_row {
    const char *name;
    void (*reach)(struct fixture *f);
    enum fws_state state;
    uint32_t snd_nxt;
};

static void closed(struct fixture *f)
{
    fixture_start(f);
}

static const struct state_row states[] = {
    {"closed", closed, FWS_STATE_NONE, 0},
    {"listen", listening, FWS_STATE_NONE, 0},
    {"syn_sent", syn_sent, FWS_STATE_SYN_SENT, 1},
    {"syn_received", syn_received, FWS_STATE_SYN_RECEIVED, 1},
    {"syn_received_simultaneous", syn_received_simultaneous, FWS_STATE_SYN_RECEIVED, 1},
    {"established", established, FWS_STATE_ESTABLISHED, 1},
    {"fin_wait_1", fin_wait_1, FWS_STATE_FIN_WAIT_1, 2},
    {"fin_wait_2", fin_wait_2, FWS_STATE_FIN_WAIT_2, 2},
    {"closing", closing, FWS_STATE_CLOSING, 2},
    {"time_wait", time_wait, FWS_STATE_TIME_WAIT, 2},
    {"close_wait", close_wait, FWS_STATE_CLOSE_WAIT, 1},
    {"last_ack", last_ack, FWS_STATE_LAST_ACK, 2},
};

struct segment_row {
    const char *name;
    uint32_t flags;
    uint32_t bytes;
};

static const struct segment_row segments[] = {
    {"SYN", SYN, 0}, {"SYN-ACK", SYN | ACK, 0}, {"ACK", ACK, 0},           {"FIN", FIN | ACK, 0},
    {"RST", RST, 0}, {"RST-ACK", RST | ACK, 0}, {"data", ACK, DATA_BYTES},
};

enum timestamps_mode { NEITHER, BOTH, MISSING, UNASKED, OLD };

static const char *const timestamp_modes[] = {"neither", "both", "missing", "unasked", "old"};
static const char *const places[] = {"left", "left_edge", "inside", "right_edge", "beyond"};

struct rule {
    char line[512]; /* cut into its fields */
    const char *fields[FIELDS];
    size_t used;
};

enum field { STATE_FIELD, SEGMENT, TIMESTAMPS, PLACE, REPLY, TAKEN, NEXT, CITE };

struct table {
    struct rule rules[RULES_MAX];
    size_t count;
};

struct cell {
    const struct state_row *state;
    const struct segment_row *segment;
    enum timestamps_mode mode;
    size_t place;
};

static void read_rule(struct rule *rule)
{
    char *at = rule->line;
    at[strcspn(at, "\n")] = '\0';
    for (size_t i = 0; i < FIELDS; i++) {
        rule->fields[i] = at;
        if (i + 1u < FIELDS) {
            at = strchr(at, ',');
            assert_non_null(at);
            *at++ = '\0';
        }
    }
}

static void read_table(const char *path, struct table *table)
{
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    bool heading = true;
    table->count = 0;
    while (table->count < RULES_MAX) {
        struct rule *rule = &table->rules[table->count];
        *rule = (struct rule){.used = 0};
        if (fgets(rule->line, sizeof rule->line, file) == NULL) {
            break;
        }
        if (rule->line[0] == '#') {
            continue;
        }
        read_rule(rule);
        table->count += heading ? 0u : 1u;
        heading = false;
    }
    fclose(file);
    assert_in_range(table->count, 1, RULES_MAX - 1u);
}

/* Is `word` in "a|b|c", or is the list "*"? */
static bool listed(const char *list, const char *word)
{
    size_t length = strlen(word);
    if (strcmp(list, "*") == 0) {
        return true;
    }
    for (const char *at = list; at != NULL; at = strchr(at, '|')) {
        at += *at == '|' ? 1 : 0;
        if (strncmp(at, word, length) == 0 && (at[length] == '|' || at[length] == '\0')) {
            return true;
        }
    }
    return false;
}

static struct rule *find_rule(struct table *table, const struct cell *cell)
{
    struct rule *found = NULL;
    for (size_t i = 0; i < table->count; i++) {
        struct rule *rule = &table->rules[i];
        if (listed(rule->fields[STATE_FIELD], cell->state->name) &&
            listed(rule->fields[SEGMENT], cell->segment->name) &&
            listed(rule->fields[TIMESTAMPS], timestamp_modes[cell->mode]) &&
            listed(rule->fields[PLACE], places[cell->place])) {
            if (found != NULL) {
                fail_msg("%s %s %s %s: two rows", cell->state->name, cell->segment->name,
                         timestamp_modes[cell->mode], places[cell->place]);
            }
            found = rule;
        }
    }
    if (found == NULL) {
        fail_msg("%s %s %s %s: no row", cell->state->name, cell->segment->name,
                 timestamp_modes[cell->mode], places[cell->place]);
    } else {
        found->used++;
    }
    return found;
}

static uint32_t place_seq(size_t place, uint32_t rcv_nxt, uint32_t window)
{
    const uint32_t offsets[] = {(uint32_t)-10, 0, 10, window - 1u, window};
    return rcv_nxt + offsets[place];
}

/* Brings the state about and hands the cell's segment in; returns the segment. */
static struct packet run_cell(struct fixture *f, const struct cell *cell, uint32_t *rcv_nxt)
{
    static const char data[DATA_BYTES] = "abc";
    fixture_init(f);
    f->config.receive_buffer_bytes = WINDOW;
    f->config.features_off = FWS_DELAYED_ACK;
    f->peer_timestamps = cell->mode != NEITHER && cell->mode != UNASKED;
    if (!f->peer_timestamps) {
        f->config.features_off |= FWS_TIMESTAMPS;
    }
    cell->state->reach(f);
    *rcv_nxt = (f->last.flags & ACK) != 0 ? f->last.ack : 0;
    uint32_t window = (f->last.flags & ACK) != 0 ? f->last.window : WINDOW;
    struct packet segment = {
        .flags = cell->segment->flags | NO_TIMESTAMP,
        .seq = place_seq(cell->place, *rcv_nxt, window),
        .ack = (cell->segment->flags & ACK) != 0 ? cell->state->snd_nxt : 0,
        .data = data,
        .bytes = cell->segment->bytes,
        .has_timestamp = cell->mode != NEITHER && cell->mode != MISSING,
        .ts_val = f->clock - (cell->mode == OLD ? 1000u : 0u),
        .ts_ecr = f->ts_recent,
    };
    fixture_send(f, &segment);
    return segment;
}

/* Names the form of what the host sent last, as the table does. */
static const char *reply_form(const struct fixture *f, const struct packet *segment,
                              const struct cell *cell, uint32_t rcv_nxt)
{
    const struct packet *got = &f->last;
    uint32_t length = segment->bytes + ((segment->flags & (SYN | FIN)) != 0 ? 1u : 0u);
    if (got->flags == ACK && got->bytes == 0 && got->seq == cell->state->snd_nxt &&
        got->ack == rcv_nxt) {
        return "ack";
    }
    if (got->flags == (SYN | ACK) && got->seq == 0 && got->ack == segment->seq + 1u) {
        return "syn_ack";
    }
    if (got->flags == RST && got->seq == segment->ack) {
        return "rst";
    }
    if (got->flags == (RST | ACK) && got->seq == -f->iss && got->ack == segment->seq + length) {
        return "rst_ack";
    }
    return "another form";
}

static const char *state_name(enum fws_state state)
{
    for (size_t i = 2; i < TABLE_COUNT(states); i++) {
        if (states[i].state == state) {
            return states[i].name;
        }
    }
    return "none";
}

/* Runs a cell; returns whether it did as its row says, and says so where it did not. */
static bool check_cell(const struct cell *cell, const struct rule *rule)
{
    struct fixture f;
    uint32_t rcv_nxt = 0;
    struct packet segment = run_cell(&f, cell, &rcv_nxt);
    /* A SYN's sequence number is what RCV.NXT starts from, so nothing is "taken" by it. */
    bool opens = rcv_nxt == 0 && (segment.flags & SYN) != 0;
    rcv_nxt = opens ? segment.seq + 1u : rcv_nxt + (uint32_t)strtoul(rule->fields[TAKEN], NULL, 10);
    const char *reply = "-";
    if (fixture_fetch(&f)) {
        reply = reply_form(&f, &segment, cell, rcv_nxt);
        if (f.timestamps && (f.last.flags & RST) == 0 && !f.last.has_timestamp) {
            reply = "a reply without the timestamp";
        }
    }
    size_t more = fixture_drain(&f);
    enum fws_state next = fixture_state(&f);
    const char *expected_next = strcmp(rule->fields[NEXT], "same") == 0
                                    ? state_name(cell->state->state)
                                    : rule->fields[NEXT];
    bool reply_right = strcmp(rule->fields[REPLY], reply) == 0 ||
                       (strcmp(rule->fields[REPLY], "-/ack") == 0 &&
                        (strcmp(reply, "-") == 0 || strcmp(reply, "ack") == 0));
    bool right = reply_right && more == 0 && strcmp(state_name(next), expected_next) == 0;
    if (!right) {
        print_message("%s %s %s %s: expected %s, %s; got %s and %zu more, %s [%s]\n",
                      cell->state->name, cell->segment->name, timestamp_modes[cell->mode],
                      places[cell->place], rule->fields[REPLY], expected_next, reply, more,
                      state_name(next), rule->fields[CITE]);
    }
    fixture_end(&f);
    return right;
}

static void every_cell_does_what_its_row_says(void **state)
{
    struct table *table = malloc(sizeof *table);
    assert_non_null(table);
    read_table(*state, table);
    size_t cells = 0;
    size_t wrong = 0;
    size_t count = TABLE_COUNT(states) * TABLE_COUNT(segments) * 5u * TABLE_COUNT(places);
    for (size_t i = 0; i < count; i++) {
        size_t rest = i / TABLE_COUNT(places);
        struct cell cell = {
            .place = i % TABLE_COUNT(places),
            .mode = (enum timestamps_mode)(rest % 5u),
            .segment = &segments[rest / 5u % TABLE_COUNT(segments)],
            .state = &states[rest / 5u / TABLE_COUNT(segments)],
        };
        struct rule *rule = find_rule(table, &cell);
        cells++;
        wrong += check_cell(&cell, rule) ? 0u : 1u;
    }
    for (size_t i = 0; i < table->count; i++) {
        if (table->rules[i].used == 0) {
            fail_msg("row %zu names no cell", i + 1u);
        }
    }
    print_message("%zu cells, %zu wrong\n", cells, wrong);
    free(table);
    assert_int_equal(wrong, 0);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        return 2;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(every_cell_does_what_its_row_says, argv[1]),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
