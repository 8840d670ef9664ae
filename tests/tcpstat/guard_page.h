/* Copies of test inputs that end at a page which cannot be read: one byte too far ends the test.
 *
 * Layer: tests. */
#ifndef FINWAIT_TESTS_TCPSTAT_GUARD_PAGE_H
#define FINWAIT_TESTS_TCPSTAT_GUARD_PAGE_H

#include <stddef.h>

struct guard_page {
    char *mapping;
    size_t mapping_bytes;
    char *end; /* the first byte that cannot be read */
};

/* Maps room for inputs of at most `bytes`. Aborts the test when it cannot. */
void guard_page_map(struct guard_page *guard, size_t bytes);

void guard_page_unmap(struct guard_page *guard);

/* Copies the input so that it ends at the guard page. Valid until the next copy. */
const char *guard_page_copy(struct guard_page *guard, const char *input, size_t length);

#endif
