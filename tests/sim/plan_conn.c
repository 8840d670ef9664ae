/* Plans from seeds: one connection, what both sides do with it, and what happens to its packets.
 *
 * Layer: tests. See plan.h. */
#include "base/clock.h"
#include "sim/plan.h"

struct script {
    struct plan *plan;
    struct rng *rng;
    uint32_t conn;
    uint64_t bytes; /* sent so far, either way: how many packets to expect */
};

static void call(struct script *script, uint8_t side, enum call_op op, uint64_t arg)
{
    if (op == CALL_SEND || op == CALL_URGENT || op == CALL_MORE) {
        script->bytes += arg;
    }
    plan_add(
        script->plan,
        (struct entry){
            .kind = ENTRY_CALL, .op = (uint8_t)op, .side = side, .conn = script->conn, .arg = arg});
}

static uint64_t small_size(struct rng *rng)
{
    return 1 + rng_below(rng, rng_below(rng, 4) ? 200 : 3000);
}

/* Any number of the calls of one kind of close, on the side that begins it. */
static void script_close(struct script *script, uint8_t side)
{
    switch (rng_below(script->rng, 6)) {
    case 0:
        call(script, side, CALL_CLOSE, 0);
        break;
    case 1:
        call(script, side, CALL_ABORT, 0);
        break;
    default:
        call(script, side, CALL_SHUTDOWN, 0);
        call(script, side, CALL_EOF, 0);
        call(script, side, CALL_CLOSE, 0);
        break;
    }
}

static void script_follow(struct script *script, uint8_t side)
{
    call(script, side, CALL_EOF, 0);
    if (rng_below(script->rng, 8) == 0) {
        call(script, side, CALL_SEND, small_size(script->rng)); /* half-close */
    }
    call(script, side, CALL_CLOSE, 0);
}

/* Request and answer, then one side closes, or both at once. */
static void script_echo(struct script *script)
{
    uint64_t size = small_size(script->rng);
    uint8_t closer = rng_below(script->rng, 2) & 1;
    uint64_t rounds = 1 + rng_below(script->rng, 3);
    for (uint64_t i = 1; i <= rounds; i++) {
        call(script, 0, CALL_SEND, size);
        call(script, 1, CALL_RECV, i * size);
        call(script, 1, CALL_SEND, size);
        call(script, 0, CALL_RECV, i * size);
    }
    if (rng_below(script->rng, 4) == 0) {
        uint64_t together_ns = rng_below(script->rng, 2 * NS_PER_SEC);
        for (uint8_t side = 0; side < 2; side++) {
            call(script, side, CALL_UNTIL, together_ns);
            call(script, side, CALL_SHUTDOWN, 0);
            call(script, side, CALL_EOF, 0);
            call(script, side, CALL_CLOSE, 0);
        }
        return;
    }
    script_close(script, closer);
    script_follow(script, 1 - closer);
}

/* Much data one way or both, with a reader that pauses at times. */
static void script_bulk(struct script *script)
{
    uint64_t size = 5000 + rng_below(script->rng, rng_below(script->rng, 16) ? 60000 : 600000);
    uint8_t sender = rng_below(script->rng, 2) & 1;
    uint64_t parts = 1 + rng_below(script->rng, 4);
    for (uint64_t i = 0; i < parts; i++) {
        call(script, sender, CALL_SEND, size / parts);
    }
    if (rng_below(script->rng, 3) == 0) {
        call(script, 1 - sender, CALL_WAIT, rng_below(script->rng, 4 * NS_PER_SEC));
        call(script, 1 - sender, CALL_RECV, size / 3);
        call(script, 1 - sender, CALL_WAIT, rng_below(script->rng, 2 * NS_PER_SEC));
    }
    if (rng_below(script->rng, 3) == 0) {
        call(script, 1 - sender, CALL_SEND, size / 2);
    }
    call(script, sender, CALL_SHUTDOWN, 0);
    call(script, sender, CALL_EOF, 0);
    call(script, sender, CALL_CLOSE, 0);
    script_follow(script, 1 - sender);
}

/* One side ends it in the middle of anything. */
static void script_rude(struct script *script)
{
    static const enum call_op ends[] = {CALL_CLOSE, CALL_ABORT, CALL_SHUTDOWN};
    uint64_t delay_ns = script->plan->settings[PLAN_delay_ns];
    uint8_t side = rng_below(script->rng, 2) & 1;
    if (rng_below(script->rng, 2)) {
        call(script, side, CALL_SEND, small_size(script->rng));
    }
    call(script, side, CALL_WAIT, rng_below(script->rng, 6 * delay_ns));
    call(script, side, ends[rng_below(script->rng, 3)], 0);
    call(script, 1 - side, CALL_SEND, small_size(script->rng));
    script_follow(script, 1 - side);
}

/* Idle with keep-alive, urgent data, options, many small writes. */
static void script_odd(struct script *script)
{
    for (uint8_t side = 0; side < 2; side++) {
        uint64_t bits = rng_below(script->rng, OPTION_ALL + 1) & (uint64_t)~OPTION_LINGER;
        if (rng_below(script->rng, 8) == 0) {
            bits |= OPTION_LINGER;
        }
        plan_add(script->plan,
                 (struct entry){.kind = ENTRY_CALL,
                                .op = CALL_OPTIONS,
                                .side = side,
                                .conn = script->conn,
                                .arg = bits,
                                .arg2 = rng_below(script->rng, 4) ? 0 : 20 * NS_PER_SEC});
    }
    uint64_t writes = 1 + rng_below(script->rng, 12);
    for (uint64_t i = 0; i < writes; i++) {
        static const enum call_op ops[] = {CALL_URGENT, CALL_MORE, CALL_SEND, CALL_SEND};
        enum call_op op = ops[rng_below(script->rng, i + 1 < writes ? 4 : 1)];
        call(script, 0, op, 1 + rng_below(script->rng, 300));
        if (op != CALL_MORE && rng_below(script->rng, 4) == 0) {
            call(script, 0, CALL_WAIT, rng_below(script->rng, NS_PER_SEC));
        }
    }
    if (rng_below(script->rng, 4) == 0) {
        call(script, 0, CALL_WAIT, rng_below(script->rng, 30 * NS_PER_SEC));
    }
    script_close(script, 0);
    script_follow(script, 1);
}

/* Both connect at once, and one closes while it waits for the ACK of its SYN (RFC 9293 3.10.4). */
static void script_crossed(struct script *script)
{
    uint64_t delay_ns = script->plan->settings[PLAN_delay_ns];
    uint8_t side = rng_below(script->rng, 2) & 1;
    call(script, side, CALL_WAIT, delay_ns / 2 + rng_below(script->rng, 2 * delay_ns));
    call(script, side, CALL_SHUTDOWN, 0);
    call(script, side, CALL_EOF, 0);
    script_follow(script, 1 - side);
}

static void add_fault(struct script *script, uint8_t side, uint32_t nth)
{
    struct rng *rng = script->rng;
    struct entry fault = {.kind = ENTRY_FAULT, .side = side, .conn = script->conn, .nth = nth};
    uint64_t kind = rng_below(rng, 20);
    uint64_t delay_ns = script->plan->settings[PLAN_delay_ns];
    if (kind < 9) {
        fault.op = FAULT_DROP;
        fault.arg2 = rng_below(rng, 8) ? 0 : rng_below(rng, 8);
    } else if (kind < 12) {
        fault.op = FAULT_DUPLICATE;
        fault.arg = rng_below(rng, rng_below(rng, 4) ? 2 * delay_ns + 2 : 90 * NS_PER_SEC);
    } else if (kind < 15) {
        fault.op = FAULT_DELAY;
        fault.arg = rng_below(rng, rng_below(rng, 4) ? 4 * delay_ns + 2 : 3 * NS_PER_SEC);
    } else if (kind == 15) {
        fault.op = FAULT_FLIP;
        fault.arg = rng_below(rng, rng_below(rng, 4) ? 60 * 8 : 1500 * 8);
    } else if (kind == 16) {
        fault.op = FAULT_TRUNCATE;
        fault.arg = rng_below(rng, 80);
    } else if (kind == 17) {
        fault.op = FAULT_GHOST;
        fault.arg = rng_below(rng, rng_below(rng, 4) ? 3 * delay_ns + 2 : NS_PER_SEC);
    } else if (kind == 18) {
        fault.op = FAULT_CE;
    } else {
        fault.op = FAULT_UNREACHABLE;
    }
    plan_add(script->plan, fault);
}

void plan_add_conn(struct plan *plan, struct rng *rng, struct entry conn, uint32_t loss_permille)
{
    struct script script = {.plan = plan, .rng = rng, .conn = conn.conn};
    plan_add(plan, conn);
    uint64_t kind = rng_below(rng, 100);
    if (conn.op == CONN_SIMULTANEOUS && kind % 3 == 0) {
        script_crossed(&script);
    } else if (kind < 62) {
        script_echo(&script);
    } else if (kind < 72) {
        script_close(&script, 0);
        script_follow(&script, 1);
    } else if (kind < 76) {
        script_bulk(&script);
    } else if (kind < 88) {
        script_rude(&script);
    } else {
        script_odd(&script);
    }
    uint64_t packets = 10 + script.bytes / 400;
    for (uint8_t side = 0; loss_permille && side < 2; side++) {
        for (uint32_t nth = 0; nth < packets && nth < 2000; nth++) {
            if (rng_below(rng, 1000) < loss_permille) {
                add_fault(&script, side, nth);
            }
        }
    }
}
