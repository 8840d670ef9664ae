#include "wire/captured.h"

#include <stdlib.h>
#include <string.h>

static uint8_t digit(char c)
{
    return (uint8_t)(c <= '9' ? c - '0' : c - 'a' + 10);
}

size_t captured_bytes(uint8_t *bytes, const char *hex)
{
    const size_t count = strlen(hex) / 2;
    if (count > CAPTURED_BYTES_MAX) {
        abort();
    }
    for (size_t i = 0; i < count; i++) {
        bytes[i] = (uint8_t)(digit(hex[2 * i]) << 4 | digit(hex[2 * i + 1]));
    }
    return count;
}
