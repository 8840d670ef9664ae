/* Capture: frames that pass are written to a file of the classic pcap format; see link.h.
 *
 * Layer: link. Format: draft-ietf-opsawg-pcap, nanoseconds, LINKTYPE_ETHERNET, the machine's byte
 * order, which readers tell by the magic number. Frames sent are written when they are queued. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "link/link_ops.h"

#define PCAP_MAGIC_NS 0xa1b23c4du
#define PCAP_VERSION 0x00040002u /* 2, 4 */
#define PCAP_SNAP_MAX 262144u    /* what readers accept */
#define LINKTYPE_ETHERNET 1u
#define FILE_BUFFER_BYTES (1u << 20)

struct pcap {
    struct link link;
    FILE *file; /* NULL: a write failed */
    uint64_t wall_offset_ns;
    uint32_t snap_bytes;
};

static struct pcap *pcap_of(struct link *link)
{
    return (struct pcap *)link;
}

static void end_capture(struct pcap *pcap)
{
    if (pcap->file != NULL) {
        (void)fclose(pcap->file);
        pcap->file = NULL;
    }
}

static bool write_frame(struct pcap *pcap, uint64_t now_ns, const uint8_t *data, uint32_t bytes)
{
    const uint64_t at_ns = pcap->wall_offset_ns + now_ns;
    const uint32_t kept = bytes < pcap->snap_bytes ? bytes : pcap->snap_bytes;
    const uint32_t header[4] = {(uint32_t)(at_ns / NS_PER_SEC), (uint32_t)(at_ns % NS_PER_SEC),
                                kept, bytes};
    return fwrite(header, sizeof(header), 1, pcap->file) == 1 &&
           fwrite(data, kept, 1, pcap->file) == 1;
}

static void capture(struct pcap *pcap, uint64_t now_ns, const uint8_t *data, uint32_t bytes)
{
    uint64_t *counters = pcap->link.counters;
    if (pcap->file != NULL && write_frame(pcap, now_ns, data, bytes)) {
        counters[LINK_COUNTER_capture_frames]++;
        return;
    }
    end_capture(pcap);
    counters[LINK_COUNTER_capture_failed]++;
}

static size_t pcap_receive(struct link *link, uint64_t now_ns, struct link_frame *frames,
                           size_t max)
{
    const size_t count = link_receive(link->inner, now_ns, frames, max);
    for (size_t i = 0; i < count; i++) {
        capture(pcap_of(link), now_ns, frames[i].data, frames[i].bytes);
    }
    return count;
}

static void pcap_release(struct link *link)
{
    link_release(link->inner);
}

static size_t pcap_reserve(struct link *link, struct link_slot *slots, size_t max)
{
    return link_reserve(link->inner, slots, max);
}

static void pcap_send(struct link *link, uint64_t now_ns, const struct link_slot *slots,
                      size_t count)
{
    for (size_t i = 0; i < count; i++) {
        capture(pcap_of(link), now_ns, slots[i].data, slots[i].bytes);
    }
    link_send(link->inner, now_ns, slots, count);
}

static int pcap_flush(struct link *link, uint64_t now_ns)
{
    return link_flush(link->inner, now_ns);
}

static size_t pcap_fds(const struct link *link, int *fds)
{
    return link_fds(link->inner, fds);
}

static uint64_t pcap_deadline_ns(const struct link *link)
{
    return link_deadline_ns(link->inner);
}

static uint64_t pcap_memory_bytes(const struct link *link)
{
    (void)link;
    return sizeof(struct pcap) + FILE_BUFFER_BYTES;
}

/* What was captured so far goes to the file, so that a disk that is full is counted and not found
 * out when nobody asks any more. */
static void pcap_read_counters(struct link *link)
{
    struct pcap *pcap = pcap_of(link);
    if (pcap->file != NULL && fflush(pcap->file) != 0) {
        end_capture(pcap);
        link->counters[LINK_COUNTER_capture_failed]++;
    }
}

static void pcap_destroy(struct link *link)
{
    end_capture(pcap_of(link));
    free(link);
}

static const struct link_ops pcap_ops = {
    .receive = pcap_receive,
    .release = pcap_release,
    .reserve = pcap_reserve,
    .send = pcap_send,
    .flush = pcap_flush,
    .fds = pcap_fds,
    .deadline_ns = pcap_deadline_ns,
    .memory_bytes = pcap_memory_bytes,
    .read_counters = pcap_read_counters,
    .destroy = pcap_destroy,
};

static bool begin_file(struct pcap *pcap, const char *path)
{
    const uint32_t header[6] = {PCAP_MAGIC_NS,    PCAP_VERSION,     0, 0,
                                pcap->snap_bytes, LINKTYPE_ETHERNET};
    pcap->file = fopen(path, "we");
    return pcap->file != NULL && setvbuf(pcap->file, NULL, _IOFBF, FILE_BUFFER_BYTES) == 0 &&
           fwrite(header, sizeof(header), 1, pcap->file) == 1;
}

int link_pcap_open(struct link **opened, struct link *inner, const struct link_capture *config,
                   struct failure *failure)
{
    const char *path = config->path;
    const uint32_t snap_bytes = config->snap_bytes;
    struct pcap *pcap = calloc(1, sizeof(*pcap));
    if (pcap == NULL) {
        return failure_set(failure, ENOMEM, "capture %s: out of memory", path);
    }
    pcap->link.ops = &pcap_ops;
    pcap->link.facts = inner->facts;
    pcap->wall_offset_ns = config->wall_offset_ns;
    pcap->snap_bytes = snap_bytes == 0 || snap_bytes > PCAP_SNAP_MAX ? PCAP_SNAP_MAX : snap_bytes;
    if (!begin_file(pcap, path)) {
        const int error = errno;
        pcap_destroy(&pcap->link);
        return failure_set(failure, error, "capture %s: the file cannot be written: %s", path,
                           strerror(error));
    }
    pcap->link.inner = inner;
    *opened = &pcap->link;
    return 0;
}
