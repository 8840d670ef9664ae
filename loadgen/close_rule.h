/* Close rules: DESIGN.md's table of closes, as what the client does for each.
 *
 * Layer: loadgen (L5). Pure. The names are the server's too, so that one pair of options, given to both
 * programs, describes the experiment. */
#ifndef FINWAIT_LOADGEN_CLOSE_RULE_H
#define FINWAIT_LOADGEN_CLOSE_RULE_H

#include <stdbool.h>

#include "transport/transport.h"

/* In the order of the option's choices. */
enum closer {
    CLOSER_CLIENT,
    CLOSER_SERVER,
    CLOSER_BOTH,
};

enum close_how {
    CLOSE_FIN,
    CLOSE_CLOSE,
    CLOSE_HALF,
    CLOSE_RST,
    CLOSE_FIN_NO_TIMEWAIT,
};

#define CLOSE_HOW_COUNT 5

/* What opens the close phase, once the last echo came and the hold is over. */
enum close_opening {
    CLOSE_OPENS_WITH_SHUTDOWN, /* shutdown(WR), then wait for the peer's FIN */
    CLOSE_OPENS_EARLIER,       /* the FIN left with the last payload; wait for the peer's */
    CLOSE_OPENS_WITH_CLOSE,    /* close(); complete when it returns */
    CLOSE_OPENS_BY_PEER,       /* wait for the peer's FIN or reset */
};

struct close_rule {
    enum close_opening opening;
    enum transport_close_how how; /* of the closing call of a connection that went well */
    bool peer_resets;             /* the peer ends with a reset where it otherwise sends a FIN */
    bool sends_after_fin; /* the peer's FIN is half a close: send once more, then close */
};

struct close_rule close_rule_of(enum closer closer, enum close_how how);

/* How many TIME_WAIT records a completed connection leaves, per side: 0 or 1, -1 when the table does not
 * say (FINs that may or may not cross). */
int close_time_wait_client(enum closer closer, enum close_how how);
int close_time_wait_server(enum closer closer, enum close_how how);

#endif
