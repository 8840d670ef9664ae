/* What a child says, passed on; see relay.h. Layer: bench/lab. */
#include "relay.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

int relay_open(struct relay *relay, const char *phrase, struct failure *failure)
{
    int fds[2];
    *relay = (struct relay){.read_fd = -1, .write_fd = -1, .phrase = phrase};
    if (pipe2(fds, O_CLOEXEC) != 0) {
        return failure_set(failure, errno, "no pipe for what the server says: %s", strerror(errno));
    }
    relay->read_fd = fds[0];
    relay->write_fd = fds[1];
    /* Our end only: the child's own calls have to wait, not to fail. */
    fcntl(relay->read_fd, F_SETFL, O_NONBLOCK);
    return 0;
}

void relay_close_writer(struct relay *relay)
{
    if (relay != NULL && relay->write_fd >= 0) {
        close(relay->write_fd);
        relay->write_fd = -1;
    }
}

void relay_close(struct relay *relay)
{
    relay_close_writer(relay);
    close(relay->read_fd);
    relay->read_fd = -1;
}

/* Goes one character on. No beginning of our phrase occurs within it again, so that a mismatch can
 * only begin anew with its first character. */
static void search(struct relay *relay, char next)
{
    if (relay->phrase[relay->matched] != next) {
        relay->matched = 0;
    }
    relay->matched += relay->phrase[relay->matched] == next ? 1 : 0;
    if (relay->phrase[relay->matched] == '\0') {
        relay->found = true;
        relay->matched = 0;
    }
}

static void write_all(const char *text, size_t size)
{
    while (size > 0) {
        ssize_t count = write(STDERR_FILENO, text, size);
        if (count < 0 && errno != EINTR) {
            return; /* nobody reads what we say */
        }
        text += count > 0 ? count : 0;
        size -= count > 0 ? (size_t)count : 0;
    }
}

bool relay_pass_on(struct relay *relay)
{
    char text[4096];
    ssize_t count;
    if (relay == NULL) {
        return false;
    }
    while ((count = read(relay->read_fd, text, sizeof(text))) > 0) {
        for (ssize_t i = 0; i < count; i++) {
            search(relay, text[i]);
        }
        write_all(text, (size_t)count);
    }
    return relay->found;
}
