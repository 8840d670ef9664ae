/* See procfs_reader.h for why a pass ends where it does. */
#include "tcpstat/procfs_reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/assert.h"

/* A line as long as it can get, newline included. tcp pads to 150 and outgrows that only with a row
 * number or inode of ten digits and more; tcp6 does not pad, and its longest fields add up to 213.
 * A page with less room than this does not show that the table ended, whatever its own lines were
 * like. */
#define LINE_BYTES_MAX_V4 170
#define LINE_BYTES_MAX_V6 220

#define ROW_BYTES_MIN                                                                              \
    80 /* of the shortest line that procfs_row_parse takes: bounds the rows of a page */

#define TAILS_FIRST 64
#define TAILS_MAX (UINT32_C(1) << 21) /* pages: 56 million sockets; later pages are not looked up  \
                                       */

/* The keys of a page's rows, in order. */
struct page_keys {
    uint32_t count;
    uint64_t *keys;
};

struct procfs_reader {
    struct procfs_reader_config config;
    char *buffer; /* two pages: what was left of the last read, and a read */
    uint32_t keys_max;
    struct page_keys last;    /* of the page before */
    struct page_keys current; /* of the page at hand */
    uint64_t *tails;          /* the key of each page's last row */
    uint32_t tail_count;
    uint32_t tail_capacity;
};

/* Where a pass is. */
struct pass_state {
    struct procfs_visitor visitor;
    struct procfs_pass *pass;
    uint64_t offset;     /* in the file */
    size_t carried;      /* bytes of an unfinished line at the buffer's start */
    size_t line_longest; /* newline included */
    bool first_line;
};

int procfs_reader_create(struct procfs_reader **reader, const struct procfs_reader_config *config)
{
    ASSERT(config->family == AF_INET || config->family == AF_INET6);
    ASSERT(config->page_bytes >= 2 * LINE_BYTES_MAX_V6);
    struct procfs_reader *made = calloc(1, sizeof(*made));
    if (made == NULL) {
        return -ENOMEM;
    }
    made->config = *config;
    made->keys_max = (uint32_t)(2 * config->page_bytes / ROW_BYTES_MIN);
    made->buffer = malloc(2 * config->page_bytes);
    made->last.keys = calloc(made->keys_max, sizeof(*made->last.keys));
    made->current.keys = calloc(made->keys_max, sizeof(*made->current.keys));
    if (made->buffer == NULL || made->last.keys == NULL || made->current.keys == NULL) {
        procfs_reader_destroy(made);
        return -ENOMEM;
    }
    *reader = made;
    return 0;
}

void procfs_reader_destroy(struct procfs_reader *reader)
{
    if (reader == NULL) {
        return;
    }
    free(reader->tails);
    free(reader->current.keys);
    free(reader->last.keys);
    free(reader->buffer);
    free(reader);
}

void procfs_reader_set_cancel(struct procfs_reader *reader, const atomic_bool *cancel)
{
    reader->config.cancel = cancel;
}

/* Tells whether a page has a row; without early exit, so that the compiler makes it a vector loop.
 */
static bool page_has(const struct page_keys *page, uint64_t key)
{
    uint64_t found = 0;
    for (uint32_t i = 0; i < page->count; i++) {
        found |= page->keys[i] == key;
    }
    return found != 0;
}

static bool is_header(const char *line, size_t length)
{
    static const char begin[] = "  sl ";
    return length >= sizeof(begin) - 1 && memcmp(line, begin, sizeof(begin) - 1) == 0;
}

/* Handles one whole line, without its newline. Returns 0 or the visitor's error. */
static int take_line(struct procfs_reader *reader, struct pass_state *state, const char *line,
                     size_t length)
{
    const bool first = state->first_line;
    state->first_line = false;
    if (first && is_header(line, length)) {
        return 0;
    }
    struct procfs_row row;
    if (!procfs_row_parse(&row, reader->config.family, line, length)) {
        state->pass->malformed++;
        return 0;
    }
    const uint64_t key = procfs_row_key(&row);
    ASSERT(reader->current.count < reader->keys_max);
    reader->current.keys[reader->current.count++] = key;
    if (page_has(&reader->last, key)) {
        state->pass->repeated++;
        return 0;
    }
    state->pass->rows++;
    return state->visitor.visit(state->visitor.context, &row);
}

/* Handles the whole lines among the first `bytes` of the buffer and moves the rest to its start. */
static int take_lines(struct procfs_reader *reader, struct pass_state *state, size_t bytes)
{
    const char *line = reader->buffer;
    size_t left = bytes;
    for (;;) {
        const char *newline = memchr(line, '\n', left);
        if (newline == NULL) {
            break;
        }
        const size_t length = (size_t)(newline - line);
        if (length + 1 > state->line_longest) {
            state->line_longest = length + 1;
        }
        const int error = take_line(reader, state, line, length);
        if (error < 0) {
            return error;
        }
        line += length + 1;
        left -= length + 1;
    }
    if (left >= reader->config.page_bytes) {
        state->pass->malformed++; /* a page without a newline is no part of a table */
        left = 0;
    }
    memmove(reader->buffer, line, left);
    state->carried = left;
    return 0;
}

/* Keeps the key of the page's last row. */
static int keep_tail(struct procfs_reader *reader)
{
    if (reader->current.count == 0 || reader->tail_count == TAILS_MAX) {
        return 0;
    }
    if (reader->tail_count == reader->tail_capacity) {
        const uint32_t capacity =
            reader->tail_capacity == 0 ? TAILS_FIRST : reader->tail_capacity * 2;
        uint64_t *grown = realloc(reader->tails, capacity * sizeof(*grown));
        if (grown == NULL) {
            return -ENOMEM;
        }
        reader->tails = grown;
        reader->tail_capacity = capacity;
    }
    reader->tails[reader->tail_count++] = reader->current.keys[reader->current.count - 1];
    return 0;
}

static void turn_page(struct procfs_reader *reader)
{
    const struct page_keys emptied = {.count = 0, .keys = reader->last.keys};
    reader->last = reader->current;
    reader->current = emptied;
}

/* Tells whether a row of the page closed one of the first `count` pages. */
static bool page_repeats(const struct procfs_reader *reader, const struct page_keys *page,
                         uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (page_has(page, reader->tails[i])) {
            return true;
        }
    }
    return false;
}

/* Tells whether the pass ended in a repeat of rows before the page that preceded them. Two pages
 * are looked at, since the last may hold a single row, and a new one. A row that repeats the page
 * right before its own was dropped and spoils nothing. */
static bool pass_repeats(const struct procfs_reader *reader)
{
    const uint32_t count = reader->tail_count;
    return (count > 3 && page_repeats(reader, &reader->last, count - 3)) ||
           (count > 2 && page_repeats(reader, &reader->current, count - 2));
}

static bool is_cancelled(const struct procfs_reader *reader)
{
    return reader->config.cancel != NULL &&
           atomic_load_explicit(reader->config.cancel, memory_order_relaxed);
}

/* Tells whether a read of this length was the table's last: one more line would have fitted. The
 * kernel takes a line only while the page stays below its size. */
static bool is_last_read(const struct procfs_reader *reader, const struct pass_state *state,
                         size_t bytes)
{
    const size_t widest = reader->config.family == AF_INET6 ? LINE_BYTES_MAX_V6 : LINE_BYTES_MAX_V4;
    const size_t line = state->line_longest > widest ? state->line_longest : widest;
    return state->carried == 0 && bytes + line < reader->config.page_bytes;
}

static ssize_t read_page(struct procfs_reader *reader, const struct pass_state *state)
{
    const struct procfs_source *source = &reader->config.source;
    ssize_t bytes;
    do {
        bytes = source->read(source->context, reader->buffer + state->carried,
                             reader->config.page_bytes, state->offset);
    } while (bytes == -EINTR);
    return bytes;
}

/* Reads until the table ends. */
static int read_table(struct procfs_reader *reader, struct pass_state *state)
{
    for (;;) {
        if (is_cancelled(reader)) {
            return -ECANCELED;
        }
        const ssize_t bytes = read_page(reader, state);
        if (bytes <= 0) {
            return (int)bytes;
        }
        state->pass->reads++;
        state->offset += (uint64_t)bytes;
        turn_page(reader);
        int error = take_lines(reader, state, state->carried + (size_t)bytes);
        if (error == 0) {
            error = keep_tail(reader);
        }
        if (error < 0) {
            return error;
        }
        if (is_last_read(reader, state, (size_t)bytes)) {
            return 0;
        }
    }
}

int procfs_reader_pass(struct procfs_reader *reader, struct procfs_visitor visitor,
                       struct procfs_pass *pass)
{
    *pass = (struct procfs_pass){0};
    struct pass_state state = {.visitor = visitor, .pass = pass, .first_line = true};
    reader->last.count = 0;
    reader->current.count = 0;
    reader->tail_count = 0;
    const int error = read_table(reader, &state);
    if (error < 0) {
        return error;
    }
    if (state.carried > 0) {
        pass->truncated = 1;
    }
    return pass_repeats(reader) ? -EAGAIN : 0;
}
