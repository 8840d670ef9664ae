#include "tcpstat/owners_rows.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_FIRST 64

void owners_index_free(struct owners_index *index)
{
    free(index->slots);
    *index = (struct owners_index){0};
}

int owners_rows_begin(struct owners_result *result, struct owners_index *index)
{
    if (index->slots == NULL) {
        index->slots = calloc(2 * ROWS_FIRST, sizeof(*index->slots));
        if (index->slots == NULL) {
            return -ENOMEM;
        }
        index->size = 2 * ROWS_FIRST;
    }
    memset(index->slots, 0, index->size * sizeof(*index->slots));
    struct owners_row *rows = result->rows;
    const uint32_t capacity = result->capacity;
    *result = (struct owners_result){.rows = rows, .capacity = capacity};
    return 0;
}

/* The key of a socket as a row has it; of the row's key fields only those of the request's kind are
 * set, so that keys compare by all of them. */
static struct owners_row key_of(enum owners_key key, const struct owners_socket *socket)
{
    struct owners_row row = {.is_known = true};
    switch (key) {
    case OWNERS_BY_PID:
        row.pid = socket->pid;
        row.is_known = socket->pid != 0;
        break;
    case OWNERS_BY_CGROUP:
        row.cgroup_id = socket->cgroup_id;
        row.is_known = socket->cgroup_id != 0;
        break;
    case OWNERS_BY_REMOTE:
        row.remote = socket->remote.ip;
        break;
    case OWNERS_BY_LOCAL_PORT:
        row.local_port = socket->local.port;
        break;
    }
    return row;
}

static uint64_t mix(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * UINT64_C(0x9E3779B97F4A7C15);
    return hash ^ hash >> 29;
}

static uint64_t hash_key(const struct owners_row *row)
{
    uint64_t words[2];
    memcpy(words, row->remote.bytes, sizeof(words));
    uint64_t hash = mix(row->pid, row->cgroup_id);
    hash = mix(hash, words[0]);
    hash = mix(hash, words[1]);
    return mix(hash, (uint64_t)row->local_port << 32 | row->remote.scope_id);
}

static bool same_key(const struct owners_row *a, const struct owners_row *b)
{
    return a->pid == b->pid && a->cgroup_id == b->cgroup_id && a->local_port == b->local_port &&
           a->remote.family == b->remote.family && ip_equal(&a->remote, &b->remote);
}

static uint32_t *find_slot(const struct owners_result *result, const struct owners_index *index,
                           const struct owners_row *key)
{
    uint32_t at = (uint32_t)hash_key(key) & (index->size - 1);
    while (index->slots[at] != 0 && !same_key(&result->rows[index->slots[at] - 1], key)) {
        at = (at + 1) & (index->size - 1);
    }
    return &index->slots[at];
}

static int grow_index(const struct owners_result *result, struct owners_index *index)
{
    const uint32_t size = 2 * index->size;
    uint32_t *slots = calloc(size, sizeof(*slots));
    if (slots == NULL) {
        return -ENOMEM;
    }
    free(index->slots);
    *index = (struct owners_index){.slots = slots, .size = size};
    for (uint32_t i = 0; i < result->row_count; i++) {
        *find_slot(result, index, &result->rows[i]) = i + 1;
    }
    return 0;
}

static int grow_rows(struct owners_result *result)
{
    const uint32_t capacity = result->capacity == 0 ? ROWS_FIRST : 2 * result->capacity;
    struct owners_row *rows = realloc(result->rows, capacity * sizeof(*rows));
    if (rows == NULL) {
        return -ENOMEM;
    }
    result->rows = rows;
    result->capacity = capacity;
    return 0;
}

/* Finds a key's row, or makes it; `other` once there are too many. Returns 0 or -ENOMEM. */
static int find_row(struct owners_result *result, struct owners_index *index,
                    const struct owners_row *key, struct owners_row **row)
{
    const uint32_t *slot = find_slot(result, index, key);
    if (*slot != 0) {
        *row = &result->rows[*slot - 1];
        return 0;
    }
    if (result->row_count == OWNERS_ROWS_MAX) {
        *row = &result->other;
        return 0;
    }
    if (result->row_count == result->capacity && grow_rows(result) < 0) {
        return -ENOMEM;
    }
    if (2 * (result->row_count + 1) > index->size && grow_index(result, index) < 0) {
        return -ENOMEM;
    }
    result->rows[result->row_count++] = *key;
    *find_slot(result, index, key) = result->row_count;
    *row = &result->rows[result->row_count - 1];
    return 0;
}

static bool passes_filter(const struct census_request *filter, const struct owners_socket *socket)
{
    const struct census_socket counted = {
        .state = socket->state,
        .local_port = socket->local.port,
        .remote_port = socket->remote.port,
        .local = &socket->local.ip,
        .remote = &socket->remote.ip,
    };
    return filter == NULL || census_request_passes(filter, &counted);
}

static bool passes_owner(const struct owners_request *request, const struct owners_socket *socket)
{
    return (request->pid == 0 || request->pid == socket->pid) &&
           (request->cgroups == NULL || cgroup_set_has(request->cgroups, socket->cgroup_id));
}

static void count_socket(struct owners_row *row, const struct owners_socket *socket)
{
    row->counts.n[socket->state]++;
    row->total++;
    if (socket->age_ns > row->oldest_ns[socket->state]) {
        row->oldest_ns[socket->state] = socket->age_ns;
    }
}

/* Counts a socket that passed the filters for the whole result. */
static void count_passed(struct owners_result *result, const struct owners_socket *socket)
{
    const bool is_v6 = socket->local.ip.family == AF_INET6;
    struct tcp_state_counts *family = is_v6 ? &result->v6 : &result->v4;
    family->n[socket->state]++;
    result->sockets++;
    result->sockets_unknown += socket->pid == 0;
    if (socket->age_ns > result->oldest_ns[socket->state]) {
        result->oldest_ns[socket->state] = socket->age_ns;
    }
}

static void count_kind(struct owners_result *result, const struct owners_socket *socket)
{
    if (socket->is_record) {
        result->records.n[socket->state]++;
    } else if (socket->is_request) {
        result->requests++;
    } else {
        result->full.n[socket->state]++;
    }
}

int owners_rows_add(struct owners_result *result, struct owners_index *index,
                    const struct owners_request *request, const struct owners_socket *socket)
{
    count_kind(result, socket);
    result->rows_walked++;
    if (request->tuples != NULL) {
        const struct tuples_socket tuple = {
            .local = &socket->local,
            .remote = &socket->remote,
            .state = socket->state,
            .is_record = socket->is_record,
            .rest_ns = socket->rest_ns,
        };
        tuples_use_add(request->tuples, &tuple);
    }
    if (!passes_filter(request->filter, socket) || !passes_owner(request, socket)) {
        return 0;
    }
    const struct owners_row key = key_of(request->key, socket);
    struct owners_row *row;
    const int error = find_row(result, index, &key, &row);
    if (error < 0) {
        return error;
    }
    count_socket(row, socket);
    count_passed(result, socket);
    result->rows_overflowed += row == &result->other;
    return 0;
}

int owners_rows_add_made(struct owners_result *result, struct owners_index *index,
                         const struct owners_request *request, const struct owners_socket *owner,
                         uint64_t made)
{
    if (!passes_owner(request, owner)) {
        return 0;
    }
    const struct owners_row key = key_of(request->key, owner);
    struct owners_row *row;
    const int error = find_row(result, index, &key, &row);
    if (error == 0) {
        row->time_wait_made += made;
    }
    return error;
}

static uint64_t sort_value(const struct owners_row *row, enum tcp_state sort_by)
{
    return sort_by == TCP_STATE_NONE ? row->total : row->counts.n[sort_by];
}

static int compare_rows(const void *a, const void *b, void *context)
{
    const struct owners_row *left = a;
    const struct owners_row *right = b;
    const enum tcp_state sort_by = *(const enum tcp_state *)context;
    const uint64_t left_value = sort_value(left, sort_by);
    const uint64_t right_value = sort_value(right, sort_by);
    if (left_value != right_value) {
        return left_value > right_value ? -1 : 1;
    }
    if (left->total != right->total) {
        return left->total > right->total ? -1 : 1;
    }
    /* A stable order for a reader's eye. */
    const int addresses = ip_compare(&left->remote, &right->remote);
    if (addresses != 0) {
        return addresses;
    }
    const uint64_t left_key = left->pid + left->cgroup_id + left->local_port;
    const uint64_t right_key = right->pid + right->cgroup_id + right->local_port;
    return left_key < right_key ? -1 : left_key > right_key;
}

static void add_to_other(struct owners_row *other, const struct owners_row *row)
{
    tcp_state_counts_add(&other->counts, &row->counts);
    other->total += row->total;
    other->time_wait_made += row->time_wait_made;
    for (int state = 0; state < TCP_STATE_COUNT; state++) {
        if (row->oldest_ns[state] > other->oldest_ns[state]) {
            other->oldest_ns[state] = row->oldest_ns[state];
        }
    }
}

void owners_rows_finish(struct owners_result *result, const struct owners_request *request)
{
    enum tcp_state sort_by = request->sort_by;
    result->groups = result->row_count;
    if (result->row_count > 1) {
        qsort_r(result->rows, result->row_count, sizeof(*result->rows), compare_rows, &sort_by);
    }
    for (uint32_t i = request->top; request->top != 0 && i < result->row_count; i++) {
        add_to_other(&result->other, &result->rows[i]);
    }
    if (request->top != 0 && result->row_count > request->top) {
        result->row_count = request->top;
    }
}
