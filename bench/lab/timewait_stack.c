/* Why TIME_WAIT exists, shown with finwait's stack, since the kernel's 60 s cannot be changed; see
 * timewait.h. Layer: bench/lab. Two hosts and a link in memory, on virtual time: nothing here
 * depends on the machine. What goes wrong on the way is done by the link's faults. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/failure.h"
#include "memory_wire.h"
#include "timewait.h"

#define TIME_WAIT_NS (60 * NS_PER_SEC)
#define LATE_NS (20 * NS_PER_SEC) /* within the 30 s of one MSL that a segment can live */
#define STREAM_BYTES 60000u
#define COPIED_SEGMENT 35u /* of 42: behind what the new sequence numbers begin with */
#define FIRST_BYTE 'A'
#define SECOND_BYTE 'B'
#define SETTLE_NS (5 * NS_PER_MS)

static const char *errno_name(int64_t result)
{
    return result < 0 ? failure_errno_name((int)-result) : "0";
}

static bool open_wire(struct timewait *timewait, struct memory_wire *wire,
                      const struct memory_wire_config *config)
{
    int error = memory_wire_open(wire, config);
    if (error != 0) {
        timewait_check(timewait, false, "no hosts and link in memory: %s", errno_name(error));
    }
    return error == 0;
}

/* A connection whose every byte is the same letter, and what the server read of it. */
struct stream {
    fws_handle client;
    fws_handle server;
    char letter;
    uint32_t total;
    uint32_t foreign; /* bytes that are another letter */
};

static void read_all(struct memory_wire *wire, struct stream *stream)
{
    char bytes[4096];
    for (;;) {
        int64_t count = fws_recv(wire->server, stream->server, bytes, sizeof(bytes));
        if (count <= 0) {
            return;
        }
        stream->total += (uint32_t)count;
        for (int64_t i = 0; i < count; i++) {
            stream->foreign += bytes[i] != stream->letter ? 1 : 0;
        }
        memory_wire_run(wire, 0); /* the window opens */
    }
}

/* Sends so many bytes, and reads what arrives. */
static void send_and_read(struct memory_wire *wire, struct stream *stream, uint32_t bytes)
{
    char block[4096];
    memset(block, stream->letter, sizeof(block));
    while (bytes > 0) {
        uint32_t wanted = bytes < sizeof(block) ? bytes : (uint32_t)sizeof(block);
        int64_t sent = fws_send(wire->client, stream->client, block, wanted, 0);
        if (sent < 0 && sent != -EAGAIN) {
            return;
        }
        bytes -= sent > 0 ? (uint32_t)sent : 0;
        memory_wire_run(wire, 0);
        read_all(wire, stream);
        if (sent == -EAGAIN) {
            memory_wire_run(wire, NS_PER_MS);
        }
    }
}

/* Closes, the client first, in the least of time. */
static void close_both(struct memory_wire *wire, fws_handle first, fws_handle second,
                       bool client_first)
{
    struct fws_host *first_host = client_first ? wire->client : wire->server;
    struct fws_host *second_host = client_first ? wire->server : wire->client;
    fws_close(first_host, first);
    memory_wire_run(wire, 0);
    fws_close(second_host, second);
    memory_wire_run(wire, SETTLE_NS);
}

/* A segment that the link doubled: the copy is under way. */
struct copy {
    uint32_t seq;
    uint32_t bytes;
    uint64_t sent_ns;
    double late_sec; /* when it had arrived; 0: it has not */
};

static double sec_since(const struct memory_wire *wire, uint64_t begin_ns)
{
    return (double)(wire->now_ns - begin_ns) / (double)NS_PER_SEC;
}

/* The first connection: the link doubles one of its segments, and is late with the copy. */
static bool run_first(struct memory_wire *wire, struct copy *copy)
{
    static const struct link_faults doubling = {
        .duplication = 1, .duplicate_ns = LATE_NS, .direction = LINK_FAULTS_SENT};
    struct stream first = {.letter = FIRST_BYTE};
    struct fws_info info = {.size = sizeof(info)};
    if (memory_wire_connect(wire, 0, &first.client, &first.server) != 0) {
        return false;
    }
    fws_info(wire->client, first.client, &info);
    uint32_t before = (COPIED_SEGMENT - 1) * info.mss;
    send_and_read(wire, &first, before);
    fws_info(wire->client, first.client, &info);
    *copy = (struct copy){.seq = info.snd_nxt, .bytes = info.mss, .sent_ns = wire->now_ns};
    memory_wire_set_faults(wire, &doubling);
    send_and_read(wire, &first, info.mss);
    memory_wire_set_faults(wire, NULL);
    send_and_read(wire, &first, STREAM_BYTES - before - info.mss);
    close_both(wire, first.client, first.server, true);
    return first.total == STREAM_BYTES && first.foreign == 0 &&
           memory_wire_link_counter(wire, LINK_COUNTER_faults_duplicated) == 1;
}

/* Lets time pass until the copy has arrived, if it is under way. */
static void await_copy(struct memory_wire *wire, struct copy *copy)
{
    uint64_t due_ns = memory_wire_due_ns(wire);
    if (due_ns == CLOCK_NEVER) {
        return;
    }
    memory_wire_run(wire, due_ns - wire->now_ns);
    if (memory_wire_due_ns(wire) == CLOCK_NEVER) {
        copy->late_sec = sec_since(wire, copy->sent_ns);
    }
}

/* The second connection, of the same 4-tuple: as far as the copy's sequence number, if that fits
 * anywhere, then as late as the copy, if that is still under way, then to its end. */
static int run_second(struct memory_wire *wire, struct copy *copy, struct stream *second)
{
    struct fws_info info = {.size = sizeof(info)};
    *second = (struct stream){.letter = SECOND_BYTE};
    int error = memory_wire_connect(wire, 0, &second->client, &second->server);
    if (error != 0) {
        return error;
    }
    fws_info(wire->client, second->client, &info);
    uint32_t ahead = copy->seq - info.snd_nxt;
    uint32_t before = ahead < STREAM_BYTES ? ahead : STREAM_BYTES / 2;
    send_and_read(wire, second, before);
    await_copy(wire, copy);
    read_all(wire, second);
    send_and_read(wire, second, STREAM_BYTES - before);
    memory_wire_run(wire, NS_PER_SEC);
    read_all(wire, second);
    return 0;
}

static void show_duplicate_without(struct timewait *timewait)
{
    struct memory_wire_config config = {.time_wait_ns = FWS_TIME_WAIT_NONE, .faults = true};
    struct memory_wire wire;
    struct stream second;
    struct copy copy = {.bytes = 0};
    if (!open_wire(timewait, &wire, &config)) {
        return;
    }
    bool first = run_first(&wire, &copy);
    uint64_t waiting = memory_wire_time_wait(wire.client);
    int error = run_second(&wire, &copy, &second);
    timewait_check(
        timewait, first && waiting == 0 && error == 0 && copy.late_sec > 0 && second.foreign > 0,
        "2MSL 0: the 4-tuple opens anew at once (%s), the link doubled %" PRIu64
        " segment, whose copy of %" PRIu32 " bytes comes %.1f s late: %" PRIu32 " of %" PRIu32
        " bytes read are the dead connection's",
        errno_name(error), memory_wire_link_counter(&wire, LINK_COUNTER_faults_duplicated),
        copy.bytes, copy.late_sec, second.foreign, second.total);
    memory_wire_close(&wire);
}

static void show_duplicate_with(struct timewait *timewait)
{
    struct memory_wire_config config = {.time_wait_ns = TIME_WAIT_NS, .faults = true};
    struct memory_wire wire;
    struct stream second;
    struct copy copy = {.bytes = 0};
    fws_handle client, server;
    if (!open_wire(timewait, &wire, &config)) {
        return;
    }
    bool first = run_first(&wire, &copy);
    uint64_t closed_ns = wire.now_ns;
    int refused = memory_wire_connect(&wire, 0, &client, &server);
    await_copy(&wire, &copy);
    uint64_t waiting = memory_wire_time_wait(wire.client);
    int refused_later = memory_wire_connect(&wire, 0, &client, &server);
    while (memory_wire_time_wait(wire.client) > 0 && wire.now_ns < closed_ns + 2 * TIME_WAIT_NS) {
        memory_wire_run(&wire, 10 * NS_PER_MS);
    }
    double waited_sec = sec_since(&wire, closed_ns);
    int error = run_second(&wire, &copy, &second);
    timewait_check(timewait,
                   first && copy.late_sec > 0 && refused == -EADDRINUSE &&
                       refused_later == refused && waiting == 1 && error == 0 &&
                       second.total == STREAM_BYTES && second.foreign == 0,
                   "2MSL 60 s: the link doubled %" PRIu64
                   " segment, connect says %s when its copy comes %.1f s late, and for %.1f s; "
                   "then %" PRIu32 " of %" PRIu32 " bytes are wrong",
                   memory_wire_link_counter(&wire, LINK_COUNTER_faults_duplicated),
                   errno_name(refused), copy.late_sec, waited_sec, second.foreign, second.total);
    memory_wire_close(&wire);
}

void timewait_show_duplicate(struct timewait *timewait)
{
    timewait_head("why it exists: old duplicates",
                  "(stack over a link in memory whose faults double a segment, virtual time, no "
                  "timestamps) a segment that was late belongs to nobody, unless its 4-tuple lives "
                  "again");
    show_duplicate_without(timewait);
    show_duplicate_with(timewait);
}

/* Has both ends close, the client first, and the link lose the client's last ACK, nothing else.
 * Returns whether the server waits for it. */
static bool lose_last_ack(struct memory_wire *wire, fws_handle client, fws_handle server)
{
    static const struct link_faults losing = {.loss = 1, .direction = LINK_FAULTS_SENT};
    struct fws_info info = {.size = sizeof(info)};
    fws_close(wire->client, client);
    memory_wire_run(wire, 0);
    memory_wire_set_faults(wire, &losing);
    fws_shutdown(wire->server, server);
    memory_wire_run(wire, SETTLE_NS);
    memory_wire_set_faults(wire, NULL);
    fws_info(wire->server, server, &info);
    return info.state == FWS_STATE_LAST_ACK;
}

/* What became of the end that waits for the last ACK. */
static void show_last_ack_lost(struct timewait *timewait, uint64_t time_wait_ns)
{
    struct memory_wire_config config = {
        .time_wait_ns = time_wait_ns, .timestamps = true, .faults = true};
    struct memory_wire wire;
    fws_handle client, server;
    if (!open_wire(timewait, &wire, &config)) {
        return;
    }
    struct fws_info info = {.size = sizeof(info)};
    int error = memory_wire_connect(&wire, 0, &client, &server);
    bool was_waiting = error == 0 && lose_last_ack(&wire, client, server);
    memory_wire_run(&wire, 3 * NS_PER_SEC);
    bool ended =
        error == 0 && fws_info(wire.server, server, &info) == 0 && info.state == FWS_STATE_CLOSED;
    bool waits = time_wait_ns != FWS_TIME_WAIT_NONE;
    uint64_t lost = memory_wire_link_counter(&wire, LINK_COUNTER_faults_lost);
    uint64_t resets = memory_wire_counter(wire.client, "resets_sent");
    timewait_check(timewait,
                   was_waiting && ended && lost == 1 && info.retransmits > 0 &&
                       resets == (waits ? 0 : 1),
                   "2MSL %s: the link lost %" PRIu64 " ACK, the FIN comes %" PRIu32
                   " times more, %s: %" PRIu64 " resets end the server's LAST_ACK",
                   waits ? "60 s" : "0", lost, info.retransmits,
                   waits ? "TIME_WAIT acknowledges it" : "nobody knows of it", resets);
    memory_wire_close(&wire);
}

void timewait_show_last_ack(struct timewait *timewait)
{
    timewait_head("why it exists: a lost last ACK",
                  "(stack over a link in memory whose faults lose that ACK, virtual time) the peer "
                  "sends its FIN again, and somebody must be there to acknowledge it");
    show_last_ack_lost(timewait, FWS_TIME_WAIT_NONE);
    show_last_ack_lost(timewait, TIME_WAIT_NS);
}

/* One way to meet a TIME_WAIT again, and when it lets the 4-tuple go. */
struct reopening {
    bool timestamps;
    bool client_first;
    double after_sec;
};

static void show_stack_reopen(struct timewait *timewait, const struct reopening *reopening)
{
    struct memory_wire_config config = {.time_wait_ns = TIME_WAIT_NS,
                                        .timestamps = reopening->timestamps};
    struct memory_wire wire;
    fws_handle client, server;
    bool at_client = reopening->client_first;
    if (!open_wire(timewait, &wire, &config)) {
        return;
    }
    int error = memory_wire_connect(&wire, 0, &client, &server);
    if (error == 0) {
        close_both(&wire, at_client ? client : server, at_client ? server : client, at_client);
    }
    uint64_t waiting = memory_wire_time_wait(at_client ? wire.client : wire.server);
    uint64_t closed_ns = wire.now_ns;
    int first = memory_wire_connect(&wire, 0, &client, &server), again = first;
    while (again == -EADDRINUSE && wire.now_ns < closed_ns + 2 * TIME_WAIT_NS) {
        memory_wire_run(&wire, 10 * NS_PER_MS);
        again = memory_wire_connect(&wire, 0, &client, &server);
    }
    double after_sec = sec_since(&wire, closed_ns);
    timewait_check(
        timewait,
        error == 0 && waiting == 1 && again == 0 && after_sec > reopening->after_sec - 0.1 &&
            after_sec < reopening->after_sec + 0.1,
        "%s timestamps, %" PRIu64 " TIME_WAIT at the %s: connect of the same 4-tuple "
        "says %s at once, and succeeds after %.2f s",
        reopening->timestamps ? "with" : "without", waiting, at_client ? "client" : "server",
        first == 0 ? "success" : errno_name(first), after_sec);
    memory_wire_close(&wire);
}

void timewait_show_stack_reuse(struct timewait *timewait)
{
    static const struct reopening reopenings[] = {
        {true, true, 1},   /* as Linux's tcp_tw_reuse 1 with its delay */
        {false, true, 60}, /* nothing tells old from new: 2MSL */
        {true, false, 0},  /* the peer that closed first sees a newer SYN */
    };
    timewait_head("reuse in the stack", "(stack over a link in memory, virtual time, 2MSL 60 s) a "
                                        "connect waits a second where timestamps tell "
                                        "old from new, else all of 2MSL");
    for (size_t i = 0; i < sizeof(reopenings) / sizeof(reopenings[0]); i++) {
        show_stack_reopen(timewait, &reopenings[i]);
    }
}
