/* What the base layer's tests include: cmocka with the headers that it wants, and texts that end at
 * a guard page, so that a parser that reads past the end is caught in any build. */
#ifndef FINWAIT_TESTS_BASE_TEST_H
#define FINWAIT_TESTS_BASE_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <sys/mman.h>
#include <unistd.h>

#define TABLE_COUNT(table) (sizeof(table) / sizeof((table)[0]))

struct guarded_text {
    char *text; /* ends, with its NUL, at the guard page */
    char *pages;
    size_t bytes;
};

/* Copies a text to the end of pages behind which nothing can be read. */
static inline struct guarded_text guarded_text_make(const char *text)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t size = strlen(text) + 1u;
    size_t room = (size + page - 1u) / page * page;
    char *pages =
        mmap(NULL, room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(pages != MAP_FAILED);
    assert_int_equal(mprotect(pages + room, page, PROT_NONE), 0);
    struct guarded_text guarded = {
        .text = pages + room - size, .pages = pages, .bytes = room + page};
    memcpy(guarded.text, text, size);
    return guarded;
}

static inline void guarded_text_free(struct guarded_text *guarded)
{
    munmap(guarded->pages, guarded->bytes);
}

/* Fails with both texts unless `text` holds `part`. */
static inline void assert_contains(const char *text, const char *part)
{
    if (strstr(text, part) == NULL) {
        fail_msg("\"%s\" does not hold \"%s\"", text, part);
    }
}

#endif
