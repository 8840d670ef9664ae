#include "loadgen/close_rule.h"

/* The client's part when it closes, alone or together with the server. */
static struct close_rule rule_of_client(enum close_how how)
{
    switch (how) {
    case CLOSE_FIN:
        return (struct close_rule){CLOSE_OPENS_WITH_SHUTDOWN, TRANSPORT_CLOSE_PLAIN, false, false};
    case CLOSE_CLOSE:
        return (struct close_rule){CLOSE_OPENS_WITH_CLOSE, TRANSPORT_CLOSE_PLAIN, false, false};
    case CLOSE_HALF:
        return (struct close_rule){CLOSE_OPENS_EARLIER, TRANSPORT_CLOSE_PLAIN, false, false};
    case CLOSE_RST:
        return (struct close_rule){CLOSE_OPENS_WITH_CLOSE, TRANSPORT_CLOSE_RST, false, false};
    case CLOSE_FIN_NO_TIMEWAIT:
        return (struct close_rule){CLOSE_OPENS_WITH_CLOSE, TRANSPORT_CLOSE_NO_TIMEWAIT, false,
                                   false};
    }
    return (struct close_rule){CLOSE_OPENS_WITH_SHUTDOWN, TRANSPORT_CLOSE_PLAIN, false, false};
}

struct close_rule close_rule_of(enum closer closer, enum close_how how)
{
    if (closer != CLOSER_SERVER) {
        return rule_of_client(how);
    }
    return (struct close_rule){.opening = CLOSE_OPENS_BY_PEER,
                               .how = TRANSPORT_CLOSE_PLAIN,
                               .peer_resets = how == CLOSE_RST,
                               .sends_after_fin = how == CLOSE_HALF};
}

/* TIME_WAIT records of a side that closes alone. */
static int time_wait_of_closer(enum close_how how)
{
    return how == CLOSE_RST || how == CLOSE_FIN_NO_TIMEWAIT ? 0 : 1;
}

/* FINs that cross leave a TIME_WAIT on both sides, FINs that miss leave one on the side that was first;
 * only a kernel that tells could say which it was. */
static int time_wait_of_both(enum close_how how)
{
    return time_wait_of_closer(how) == 0 ? 0 : -1;
}

int close_time_wait_client(enum closer closer, enum close_how how)
{
    switch (closer) {
    case CLOSER_CLIENT:
        return time_wait_of_closer(how);
    case CLOSER_SERVER:
        return 0;
    case CLOSER_BOTH:
        return time_wait_of_both(how);
    }
    return -1;
}

int close_time_wait_server(enum closer closer, enum close_how how)
{
    switch (closer) {
    case CLOSER_CLIENT:
        return 0;
    case CLOSER_SERVER:
        return time_wait_of_closer(how);
    case CLOSER_BOTH:
        return time_wait_of_both(how);
    }
    return -1;
}
