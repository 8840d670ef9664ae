/* Kinds; see kind.h. Layer: bench/lab. */
#include "kind.h"

#include <string.h>

static const char *const names[LAB_KIND_COUNT] = {
    [LAB_KERNEL_URING] = "kernel-uring", [LAB_KERNEL_EPOLL] = "kernel-epoll",
    [LAB_STACK_PACKET] = "stack-packet", [LAB_STACK_XDP] = "stack-xdp",
    [LAB_NULL_PACKET] = "null-packet",   [LAB_NULL_XDP] = "null-xdp",
};

const char *lab_kind_name(enum lab_kind kind)
{
    return names[kind];
}

bool lab_kind_find(const char *name, enum lab_kind *kind)
{
    for (int i = 0; i < LAB_ENGINE_COUNT; i++) {
        if (strcmp(name, names[i]) == 0) {
            *kind = (enum lab_kind)i;
            return true;
        }
    }
    return false;
}

bool lab_kind_is_kernel(enum lab_kind kind)
{
    return kind == LAB_KERNEL_URING || kind == LAB_KERNEL_EPOLL;
}

bool lab_kind_is_stack(enum lab_kind kind)
{
    return kind == LAB_STACK_PACKET || kind == LAB_STACK_XDP;
}

bool lab_kind_is_null(enum lab_kind kind)
{
    return kind == LAB_NULL_PACKET || kind == LAB_NULL_XDP;
}

const char *lab_tuning_name(enum lab_tuning tuning)
{
    switch (tuning) {
    case LAB_AS_IT_COMES:
        return "as it comes";
    case LAB_TUNED:
        return "tuned to 7 segments";
    case LAB_EAGER:
        return "made to send 10 segments";
    }
    return "?";
}
