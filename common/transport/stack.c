/* The stack engine. */
#include <errno.h>

#include "base/assert.h"
#include "transport/stack_engine.h"

int stack_engine_open(struct transport **transport, const struct transport_config *config,
                      struct failure *failure)
{
    ASSERT(config->stack != NULL);
    *transport = NULL;
    int rc = transport_stack_check(config->stack, failure);
    return rc != 0 ? rc
                   : failure_set(failure, ENOTSUP, "the stack engine is not in this build yet");
}
