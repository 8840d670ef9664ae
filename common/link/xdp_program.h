/* The XDP program that feeds an AF_XDP socket: loaded and attached, gone when it is closed or its
 * process ends in whatever way.
 *
 * Layer: link (L1), private to it. */
#ifndef FINWAIT_LINK_XDP_PROGRAM_H
#define FINWAIT_LINK_XDP_PROGRAM_H

#include "link/link_ops.h"

struct xdp_program_set {
    struct redirect_bpf *skeleton; /* owned; NULL: none */
    int link_fd;                   /* holds it to the interface; -1: not attached */
};

/* Loads and attaches it for one socket, by the driver, else by the kernel's generic hook. Returns
 * 0, or -errno with the text set and nothing left. */
int xdp_program_open(struct xdp_program_set *program, const struct link_config *config,
                     uint32_t interface_index, struct failure *failure);
int xdp_program_add_socket(struct xdp_program_set *program, int socket_fd);
void xdp_program_close(struct xdp_program_set *program);

#endif
