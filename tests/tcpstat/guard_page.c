#include "tcpstat/guard_page.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

void guard_page_map(struct guard_page *guard, size_t bytes)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const size_t room = (bytes + page - 1) / page * page;
    guard->mapping_bytes = room + page;
    guard->mapping = mmap(NULL, guard->mapping_bytes, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (guard->mapping == MAP_FAILED || mprotect(guard->mapping + room, page, PROT_NONE) < 0) {
        abort();
    }
    guard->end = guard->mapping + room;
}

void guard_page_unmap(struct guard_page *guard)
{
    munmap(guard->mapping, guard->mapping_bytes);
}

const char *guard_page_copy(struct guard_page *guard, const char *input, size_t length)
{
    if (length > (size_t)(guard->end - guard->mapping)) {
        abort();
    }
    char *copy = guard->end - length;
    memcpy(copy, input, length);
    return copy;
}
