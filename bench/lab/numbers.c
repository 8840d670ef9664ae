/* Rows of decimals; see numbers.h. Layer: bench/lab. */
#include "numbers.h"

#include <stdlib.h>
#include <string.h>

size_t numbers_read(const char *text, uint64_t *numbers, size_t max)
{
    size_t count = 0;
    while (count < max) {
        text += strspn(text, " \t");
        if (strspn(text, "0123456789") == 0) {
            break;
        }
        char *end;
        numbers[count++] = strtoull(text, &end, 10);
        text = end;
    }
    return count;
}
