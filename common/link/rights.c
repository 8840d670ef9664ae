/* Rights: giving up capabilities. Layer: link; see link.h. */
#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "link/link.h"

int link_drop_rights(struct failure *failure)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{.effective = 0}};
    /* Without new privileges a program that root starts does not get them back either. */
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
        return failure_set(failure, errno, "rights: no_new_privs cannot be set: %s",
                           strerror(errno));
    }
    /* EINVAL: a kernel without ambient capabilities, where none can be left over. */
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 && errno != EINVAL) {
        return failure_set(failure, errno, "rights: ambient capabilities cannot be cleared: %s",
                           strerror(errno));
    }
    /* The C library has no call for this one. */
    if (syscall(SYS_capset, &header, none) < 0) {
        return failure_set(failure, errno, "rights: capabilities cannot be given up: %s",
                           strerror(errno));
    }
    return 0;
}
