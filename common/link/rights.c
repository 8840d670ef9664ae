/* Rights: giving up capabilities. Layer: link; see link.h. */
#include <errno.h>
#include <linux/capability.h>
#include <pthread.h>
#include <signal.h>
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

struct call {
    int (*check)(void *context, struct failure *failure);
    void *context;
    struct failure *failure;
    int rc;
};

static void *call_main(void *argument)
{
    struct call *call = argument;
    call->rc = link_drop_rights(call->failure);
    if (call->rc == 0) {
        call->rc = call->check(call->context, call->failure);
    }
    return NULL;
}

/* The thread is there for the call alone, so the caller's signals wait for it. */
int link_call_without_rights(int (*check)(void *context, struct failure *failure), void *context,
                             struct failure *failure)
{
    struct call call = {.check = check, .context = context, .failure = failure};
    pthread_t thread;
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int error = pthread_create(&thread, NULL, call_main, &call);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != 0) {
        return failure_set(failure, error, "rights: cannot start a thread: %s", strerror(error));
    }
    pthread_join(thread, NULL);
    return call.rc;
}
