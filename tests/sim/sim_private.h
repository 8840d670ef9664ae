/* What the simulator's files share.
 *
 * Layer: tests; private to sim*.c. */
#ifndef FINWAIT_TESTS_SIM_SIM_PRIVATE_H
#define FINWAIT_TESTS_SIM_SIM_PRIVATE_H

#include "sim/sim.h"

static inline struct flow *conn_flow(struct sim *sim, const struct conn *conn)
{
    return &sim->checker.table.flows[conn->flow];
}

static inline const struct entry *conn_entry(const struct sim *sim, const struct conn *conn)
{
    return &sim->plan->entries[conn->entry];
}

/* The host that a side of a connection lives on. */
static inline uint32_t conn_host(const struct sim *sim, const struct conn *conn, uint32_t side)
{
    const struct entry *entry = conn_entry(sim, conn);
    return side ? entry->peer : entry->host;
}

/* Hosts: sim_host.c. */
void host_create(struct sim *sim, uint32_t host);
void host_destroy(struct sim *sim, uint32_t host);
void host_advance(struct sim *sim, uint32_t host); /* timers, judged as timers' */
void host_drain(struct sim *sim, uint32_t host);   /* output, judged and sent on */
void host_settle(struct sim *sim, uint32_t host);  /* events, calls, output, deadline */
void host_input(struct sim *sim, uint32_t host, const uint32_t *slots, uint32_t count);
struct fws_endpoint endpoint_of(uint32_t address, uint16_t port);

/* Addresses: sim_address.c. */
uint32_t host_address(const struct plan *plan, uint32_t host); /* the first */
uint32_t host_address_count(const struct plan *plan, uint32_t host);
uint32_t conn_address(const struct sim *sim, uint32_t index, uint32_t side);
/* The host that a packet for this address and port goes to; PLAN_HOSTS_MAX: none. */
uint32_t host_by_address(const struct sim *sim, uint32_t address, uint16_t port);
/* Judges what came of fws_connect without a port: 0 and the port, or its error. */
void judge_port(struct sim *sim, uint32_t host, int result, uint16_t port);

/* Readiness: sim_ready.c. */
void judge_ready(struct sim *sim, uint32_t index, uint32_t side, const struct fws_event *event);

/* Trouble: sim_trouble.c. What came, what timers sent, an event that tells of trouble, and at the
 * end of a host's turn whether any is missing. */
void trouble_note_arrival(struct sim *sim, const struct slot *slot);
void trouble_note_timers(struct sim *sim);
void trouble_judge(struct sim *sim, uint32_t index, uint32_t side, const struct fws_info *info);
void trouble_judge_missing(struct sim *sim, uint32_t host);

/* The network: sim_net.c. */
void net_reset(struct sim *sim);
void net_send(struct sim *sim, uint32_t host, const struct fws_buffer *buffer,
              const struct checked *checked);
void net_release(struct sim *sim, uint32_t slot);
void net_switch(struct sim *sim, uint32_t entry, bool on);
void net_inject_ghosts(struct sim *sim, const struct conn *conn);
bool net_is_safe(struct sim *sim, const struct slot *slot); /* a late packet 2MSL would let live */

/* Applications: sim_app.c. */
void app_start(struct sim *sim, uint32_t index, uint32_t side);
void app_run(struct sim *sim, uint32_t conn, uint32_t side);
void app_accept(struct sim *sim, uint32_t index); /* of the listener's entry */
void app_end(struct sim *sim, uint32_t conn);
void conn_judge(struct sim *sim, uint32_t index);

/* Options: sim_options.c. */
void options_fill(struct fws_options *options, uint32_t bits, uint64_t user_timeout_ns);
/* Notes what a new handle has, or one whose options were set. */
void options_note(struct sim *sim, uint32_t index, uint32_t side, uint32_t bits);
/* The close of a handle: tells whether nothing may be kept behind it. */
bool options_forbid_time_wait(struct sim *sim, uint32_t index, uint32_t side);

/* State: sim_watch.c. `watch_before` notes what a delivery may change, `watch_after` judges it. */
struct watch {
    bool had_record;
    enum fws_state state;
};

void watch_before(struct sim *sim, const struct slot *slot, struct watch *watch);
void watch_admit(struct sim *sim, const struct slot *slot, const struct watch *watch);
void watch_after(struct sim *sim, const struct slot *slot, const struct watch *watch);
void watch_ack(struct sim *sim, uint32_t conn_side);
void watch_closed(struct sim *sim, uint32_t index, uint32_t side);
void watch_time_wait(struct sim *sim, uint32_t conn_side, bool must_be_over);

/* Totals: sim_audit.c. */
void audit_host(struct sim *sim, uint32_t host);
void audit_final(struct sim *sim, uint32_t host);
bool transition_is_allowed(uint32_t from, uint32_t to);

/* pcap.c */
void pcap_begin(FILE *out);
void pcap_packet(FILE *out, uint64_t at_ns, const uint8_t *bytes, uint32_t count);

#endif
