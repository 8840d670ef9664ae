#include "tcpstat/diag_filter.h"

#include "base/assert.h"

#define OP_BYTES ((uint16_t)sizeof(struct inet_diag_bc_op))

/* A comparison is two ops, the second of which holds the port; a term is two comparisons and the
 * jump over the other terms of its clause. */
#define COMPARISON_OPS 2
#define TERM_OPS (2 * COMPARISON_OPS + 1)

_Static_assert(TERM_OPS *DIAG_FILTER_TERMS_MAX <= DIAG_FILTER_OPS_MAX, "the program fits");
_Static_assert(DIAG_FILTER_OPS_MAX * sizeof(struct inet_diag_bc_op) < UINT16_MAX - 4,
               "an offset reaches past the whole program");

/* One range at one end of the connection. */
struct term {
    struct port_range range;
    bool is_remote;
};

/* Terms of which one must hold; every clause must. */
struct clause {
    uint32_t first;
    uint32_t count;
};

struct clauses {
    struct term terms[DIAG_FILTER_TERMS_MAX];
    uint32_t term_count;
    struct clause clauses[3];
    uint32_t count;
};

/* Adds a set's ranges as terms of the clause under way. Returns false when there are too many. */
static bool add_terms(struct clauses *clauses, const struct port_set *set, bool is_remote)
{
    uint32_t port = 0;
    while (port < CENSUS_PORTS) {
        if (!port_set_has(set, (uint16_t)port)) {
            port++;
            continue;
        }
        const uint32_t first = port;
        while (port < CENSUS_PORTS && port_set_has(set, (uint16_t)port)) {
            port++;
        }
        if (clauses->term_count == DIAG_FILTER_TERMS_MAX) {
            return false;
        }
        clauses->terms[clauses->term_count++] = (struct term){
            .range = {.first = (uint16_t)first, .last = (uint16_t)(port - 1)},
            .is_remote = is_remote,
        };
        clauses->clauses[clauses->count].count++;
    }
    return true;
}

/* Adds a clause for a set at the ends that it is for. Returns false when it cannot be put as one.
 */
static bool add_clause(struct clauses *clauses, const struct port_set *set, bool local, bool remote)
{
    if (set == NULL) {
        return true;
    }
    clauses->clauses[clauses->count] = (struct clause){.first = clauses->term_count};
    if ((local && !add_terms(clauses, set, false)) || (remote && !add_terms(clauses, set, true))) {
        return false;
    }
    return clauses->clauses[clauses->count++].count > 0;
}

/* Writes a comparison: when it holds the next op is next, else the jump is taken. */
static void emit_comparison(struct diag_filter *filter, uint8_t code, uint16_t port,
                            uint16_t jump_bytes)
{
    filter->ops[filter->count++] =
        (struct inet_diag_bc_op){.code = code, .yes = COMPARISON_OPS * OP_BYTES, .no = jump_bytes};
    filter->ops[filter->count++] = (struct inet_diag_bc_op){.no = port};
}

/* Writes the terms of a clause: the first that holds jumps behind the last; when the last does not,
 * the socket is left out. `end` is the whole program's op count. */
static void emit_clause(struct diag_filter *filter, const struct clauses *clauses,
                        const struct clause *clause, uint32_t end)
{
    const uint32_t behind = filter->count + clause->count * TERM_OPS - 1;
    for (uint32_t i = 0; i < clause->count; i++) {
        const struct term *term = &clauses->terms[clause->first + i];
        const bool is_last = i + 1 == clause->count;
        const uint32_t next = filter->count + TERM_OPS;
        const uint32_t target = is_last ? end + 1 : next;
        emit_comparison(filter, term->is_remote ? INET_DIAG_BC_D_GE : INET_DIAG_BC_S_GE,
                        term->range.first, (uint16_t)((target - filter->count) * OP_BYTES));
        emit_comparison(filter, term->is_remote ? INET_DIAG_BC_D_LE : INET_DIAG_BC_S_LE,
                        term->range.last, (uint16_t)((target - filter->count) * OP_BYTES));
        if (!is_last) {
            const uint16_t jump = (uint16_t)((behind - filter->count) * OP_BYTES);
            filter->ops[filter->count++] = (struct inet_diag_bc_op){
                .code = INET_DIAG_BC_JMP, .yes = (uint8_t)OP_BYTES, .no = jump};
        }
    }
    ASSERT(filter->count == behind);
}

bool diag_filter_make(struct diag_filter *filter, const struct census_request *request)
{
    struct clauses clauses = {0};
    filter->count = 0;
    if (!add_clause(&clauses, request->local_ports, true, false) ||
        !add_clause(&clauses, request->remote_ports, false, true) ||
        !add_clause(&clauses, request->either_ports, true, true)) {
        return false;
    }
    /* The last term of a clause needs no jump. */
    const uint32_t end = clauses.term_count * TERM_OPS - clauses.count;
    for (uint32_t i = 0; i < clauses.count; i++) {
        emit_clause(filter, &clauses, &clauses.clauses[i], end);
    }
    ASSERT(clauses.count == 0 || filter->count == end);
    return true;
}
