/* The line, with the columns' widths in characters (net/ipv4/tcp_ipv4.c, net/ipv6/tcp_ipv6.c):
 *
 *       sl: local:port remote:port st tx:rx tr:when retrnsmt   uid  timeout inode ...
 *       4+  8|32  4    8|32   4    2  8  8  2  8+   8        5+    8+       1+
 *
 * "sl" is padded to four and widens from row 10,000 on, so all that follows is found from its
 * colon. From there to "when" the widths are fixed; the rest is split at spaces. */
#include "tcpstat/procfs_row.h"

#include <endian.h>
#include <string.h>
#include <sys/socket.h>

/* The timer's number in rows of TIME_WAIT and FIN_WAIT_2 records (get_timewait4_sock). */
#define TIMER_OF_RECORD 3

#define SL_WIDTH_MAX 20 /* digits and padding of a 64-bit number */

#define BYTES_OF(byte) (UINT64_C(0x0101010101010101) * (byte))

/* Decodes eight upper-case hexadecimal digits at once: all arithmetic is per byte and never
 * carries. A byte that is no digit fails the comparison with what its value would be written as. */
static bool decode_hex8(const char *text, uint32_t *value)
{
    uint64_t digits;
    memcpy(&digits, text, sizeof(digits));
    digits = be64toh(digits);
    const uint64_t letters = (digits & BYTES_OF(0x40)) >> 6;
    uint64_t nibbles = (digits & BYTES_OF(0x0f)) + letters * 9;
    const uint64_t over_nine = ((nibbles + BYTES_OF(6)) >> 4) & BYTES_OF(1);
    const uint64_t written = nibbles + BYTES_OF(0x30) + over_nine * 7;
    if (written != digits || (nibbles & BYTES_OF(0xf0)) != 0) {
        return false;
    }
    nibbles = (nibbles | nibbles >> 4) & UINT64_C(0x00ff00ff00ff00ff);
    nibbles = (nibbles | nibbles >> 8) & UINT64_C(0x0000ffff0000ffff);
    *value = (uint32_t)(nibbles | nibbles >> 16);
    return true;
}

/* Decodes `count` digits, at most eight, by filling up with zeros in front. */
static bool decode_hex(const char *text, size_t count, uint32_t *value)
{
    char padded[8] = {'0', '0', '0', '0', '0', '0', '0', '0'};
    memcpy(padded + sizeof(padded) - count, text, count);
    return decode_hex8(padded, value);
}

/* The kernel prints an address as 32-bit words in the machine's order, so copying the decoded words
 * gives network order on any machine. */
static bool decode_endpoint(const char *text, uint8_t family, struct endpoint *endpoint)
{
    const size_t words = family == AF_INET6 ? 4 : 1;
    *endpoint = (struct endpoint){.ip.family = family};
    for (size_t i = 0; i < words; i++) {
        uint32_t word;
        if (!decode_hex8(text + i * 8, &word)) {
            return false;
        }
        memcpy(endpoint->ip.bytes + i * 4, &word, sizeof(word));
    }
    uint32_t port;
    if (text[words * 8] != ':' || !decode_hex(text + words * 8 + 1, 4, &port)) {
        return false;
    }
    endpoint->port = (uint16_t)port;
    return true;
}

/* A state beyond RFC 9293's is refused. 12 is Linux's NEW_SYN_RECV, which today's kernels print as
 * 03. */
static bool decode_state(const char *text, enum tcp_state *state)
{
    uint32_t number;
    if (!decode_hex(text, 2, &number)) {
        return false;
    }
    if (number == 12) {
        number = TCP_STATE_SYN_RECEIVED;
    }
    *state = (enum tcp_state)number;
    return number > TCP_STATE_NONE && number < TCP_STATE_COUNT;
}

/* What is left of a line. */
struct cursor {
    const char *at;
    const char *end;
};

static void skip_spaces(struct cursor *cursor)
{
    while (cursor->at < cursor->end && *cursor->at == ' ') {
        cursor->at++;
    }
}

/* Passes one column; false at the end of the line. */
static bool skip_column(struct cursor *cursor)
{
    skip_spaces(cursor);
    const char *begin = cursor->at;
    while (cursor->at < cursor->end && *cursor->at != ' ') {
        cursor->at++;
    }
    return cursor->at > begin;
}

/* Reads a decimal column of at most 19 digits, which cannot overflow. A minus is refused. */
static bool read_decimal(struct cursor *cursor, uint64_t *value)
{
    skip_spaces(cursor);
    const char *begin = cursor->at;
    uint64_t sum = 0;
    while (cursor->at < cursor->end && *cursor->at >= '0' && *cursor->at <= '9') {
        sum = sum * 10 + (uint64_t)(*cursor->at - '0');
        cursor->at++;
    }
    const ptrdiff_t digits = cursor->at - begin;
    *value = sum;
    return digits > 0 && digits <= 19 && (cursor->at == cursor->end || *cursor->at == ' ');
}

/* Reads the timer's column, "03:00001770": which timer, and in how many clock ticks of 10 ms (the
 * ABI's, whatever the kernel's own) it fires. Rests that need over eight digits do not occur. */
static bool read_timer(struct cursor *cursor, struct procfs_row *row)
{
    skip_spaces(cursor);
    const char *begin = cursor->at;
    uint32_t kind;
    const bool is_column = skip_column(cursor);
    if (!is_column || cursor->at - begin != 11 || begin[2] != ':' || !decode_hex(begin, 2, &kind) ||
        !decode_hex8(begin + 3, &row->timer_ticks)) {
        return false;
    }
    row->is_record = kind == TIMER_OF_RECORD;
    return true;
}

/* Reads " when-column retrnsmt uid timeout inode" from behind the fixed part. */
static bool parse_tail(struct procfs_row *row, struct cursor cursor)
{
    const bool has_timer = read_timer(&cursor, row);
    const bool has_retransmits = skip_column(&cursor);
    uint64_t uid;
    if (!has_timer || !has_retransmits || !read_decimal(&cursor, &uid) || uid > UINT32_MAX ||
        !skip_column(&cursor) || !read_decimal(&cursor, &row->inode)) {
        return false;
    }
    row->uid = (uint32_t)uid;
    return true;
}

/* Passes the number of the row and its colon; false when they are not there. */
static bool skip_row_number(struct cursor *cursor)
{
    skip_spaces(cursor);
    const char *begin = cursor->at;
    while (cursor->at < cursor->end && *cursor->at >= '0' && *cursor->at <= '9') {
        cursor->at++;
    }
    const ptrdiff_t digits = cursor->at - begin;
    if (digits == 0 || digits > SL_WIDTH_MAX || cursor->at == cursor->end || *cursor->at != ':') {
        return false;
    }
    cursor->at++;
    return true;
}

bool procfs_row_parse(struct procfs_row *row, uint8_t family, const char *line, size_t length)
{
    struct cursor cursor = {line, line + length};
    if (!skip_row_number(&cursor)) {
        return false;
    }
    /* Offsets from the colon on, each column with the space before it. */
    const size_t endpoint_width = (family == AF_INET6 ? 32 : 8) + 5;
    const size_t remote_at = 1 + endpoint_width;
    const size_t state_at = remote_at + 1 + endpoint_width;
    const size_t queues_at = state_at + 3;
    const size_t timer_at = queues_at + 18;
    const char *text = cursor.at;
    if ((size_t)(cursor.end - text) <= timer_at) {
        return false;
    }
    if (text[0] != ' ' || text[remote_at] != ' ' || text[state_at] != ' ' ||
        text[queues_at] != ' ' || text[queues_at + 9] != ':' || text[timer_at] != ' ') {
        return false;
    }
    cursor.at = text + timer_at;
    return decode_endpoint(text + 1, family, &row->local) &&
           decode_endpoint(text + remote_at + 1, family, &row->remote) &&
           decode_state(text + state_at + 1, &row->state) &&
           decode_hex8(text + queues_at + 1, &row->tx_queue_bytes) &&
           decode_hex8(text + queues_at + 10, &row->rx_queue_bytes) && parse_tail(row, cursor);
}

/* One round of a multiply and xor-shift mixer (the constant is 2^64 over the golden ratio, made
 * odd). */
static uint64_t mix(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 32;
}

uint64_t procfs_row_key(const struct procfs_row *row)
{
    uint64_t local[2];
    uint64_t remote[2];
    memcpy(local, row->local.ip.bytes, sizeof(local));
    memcpy(remote, row->remote.ip.bytes, sizeof(remote));
    uint64_t hash = mix(0, row->inode);
    hash = mix(hash, (uint64_t)row->local.port << 16 | row->remote.port);
    hash = mix(hash, local[0]);
    hash = mix(hash, remote[0]);
    if (row->local.ip.family == AF_INET6) {
        hash = mix(hash, local[1]);
        hash = mix(hash, remote[1]);
    }
    return hash;
}
