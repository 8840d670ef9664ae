/* What a kind of link does, and what all kinds have in common.
 *
 * Layer: link (L1), private to it. A kind embeds struct link as its first member, fills `ops` and
 * `facts`, and is freed by its own `destroy`. link.c checks what the header demands of callers and
 * counts frames, so that a kind need not. */
#ifndef FINWAIT_LINK_LINK_OPS_H
#define FINWAIT_LINK_LINK_OPS_H

#include "link/link.h"

struct link_ops {
    size_t (*receive)(struct link *link, uint64_t now_ns, struct link_frame *frames, size_t max);
    void (*release)(struct link *link);
    size_t (*reserve)(struct link *link, struct link_slot *slots, size_t max);
    void (*send)(struct link *link, uint64_t now_ns, const struct link_slot *slots, size_t count);
    int (*flush)(struct link *link, uint64_t now_ns);
    size_t (*fds)(const struct link *link, int *fds); /* NULL: it has none */
    uint64_t (*deadline_ns)(const struct link *link);
    void (*read_counters)(struct link *link); /* adds the kernel's figures; NULL: it has none */
    uint64_t (*memory_bytes)(const struct link *link);
    void (*destroy)(struct link *link); /* not what it stands over */
};

struct link {
    const struct link_ops *ops;
    struct link *inner; /* owned; NULL: none */
    struct link_interface facts;
    size_t slots_lent;
    bool frames_lent;
    uint64_t counters[LINK_COUNTER_COUNT];
};

/* A flush that failed is worth another try after this. */
#define LINK_RETRY_NS (1u * NS_PER_MS)
#define LINK_RETRY_DOWN_NS (10u * NS_PER_MS)

/* Frames that come while we do not look have to wait in the ring. */
#define LINK_RECEIVE_SLOTS 2048u
#define LINK_TRANSMIT_SLOTS 2048u
/* A packet socket's flush sends what there is, as a rule before it returns: a ring that is no
 * longer than a batch is enough, and stays in the first cache. */
#define LINK_TRANSMIT_SLOTS_PACKET LINK_BATCH_MAX
#define LINK_SLOTS_MAX (1u << 20)

/* Opens one of a kind. `config` is checked and has its defaults, `facts` is the interface's. */
int packet_open(struct link **opened, const struct link_config *config,
                const struct link_interface *facts, struct failure *failure);
int xdp_open(struct link **opened, const struct link_config *config,
             const struct link_interface *facts, struct failure *failure);

#endif
