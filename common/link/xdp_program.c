/* Loading and attaching the XDP program; see xdp_program.h. */
#include "link/xdp_program.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <string.h>
#include <unistd.h>

#include "bpf/redirect.skel.h"

static int fail_load(const char *interface, int error, struct failure *failure)
{
    if (error == EPERM || error == EACCES) {
        return failure_set(failure, EPERM,
                           "link xdp:%s: no right to load an XDP program: CAP_BPF and "
                           "CAP_NET_ADMIN of the machine itself are missing; run as root, or use "
                           "packet:%s",
                           interface, interface);
    }
    return failure_set(failure, ENOTSUP,
                       "link xdp:%s: this kernel does not take the XDP program: %s; use packet:%s",
                       interface, strerror(error), interface);
}

static int fail_attach(const char *interface, int error, struct failure *failure)
{
    if (error == EBUSY) {
        return failure_set(failure, EBUSY,
                           "link xdp:%s: another XDP program is attached to it; ip link set %s xdp "
                           "off, or use packet:%s",
                           interface, interface, interface);
    }
    if (error == EPERM || error == EACCES) {
        return fail_load(interface, error, failure);
    }
    return failure_set(failure, ENOTSUP,
                       "link xdp:%s: the device takes no XDP program: %s; use packet:%s", interface,
                       strerror(error), interface);
}

/* A link that is held by a descriptor: the kernel detaches the program with the last of them, also
 * when a process is killed. */
static int attach(int program_fd, uint32_t interface_index)
{
    static const uint32_t modes[] = {XDP_FLAGS_DRV_MODE, XDP_FLAGS_SKB_MODE};
    int fd = -EOPNOTSUPP;
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]) && fd < 0 && fd != -EBUSY; i++) {
        LIBBPF_OPTS(bpf_link_create_opts, options, .flags = modes[i]);
        fd = bpf_link_create(program_fd, (int)interface_index, BPF_XDP, &options);
    }
    return fd;
}

int xdp_program_open(struct xdp_program_set *program, const struct link_config *config,
                     uint32_t interface_index, struct failure *failure)
{
    libbpf_set_print(NULL); /* libraries never print */
    *program = (struct xdp_program_set){.skeleton = redirect_bpf__open(), .link_fd = -1};
    if (program->skeleton == NULL) {
        return fail_load(config->interface, errno, failure);
    }
    program->skeleton->rodata->address_first = config->address_first;
    program->skeleton->rodata->address_last = config->address_last;
    const int error = redirect_bpf__load(program->skeleton);
    if (error < 0) {
        xdp_program_close(program);
        return fail_load(config->interface, -error, failure);
    }
    const int fd = attach(bpf_program__fd(program->skeleton->progs.redirect), interface_index);
    if (fd < 0) {
        xdp_program_close(program);
        return fail_attach(config->interface, -fd, failure);
    }
    program->link_fd = fd;
    return 0;
}

int xdp_program_add_socket(struct xdp_program_set *program, int socket_fd)
{
    const uint32_t queue = 0;
    return bpf_map_update_elem(bpf_map__fd(program->skeleton->maps.sockets), &queue, &socket_fd,
                               BPF_ANY);
}

void xdp_program_close(struct xdp_program_set *program)
{
    if (program->link_fd >= 0) {
        close(program->link_fd);
        program->link_fd = -1;
    }
    redirect_bpf__destroy(program->skeleton); /* takes NULL */
    program->skeleton = NULL;
}
