/* A private network namespace for a test, with nothing in it but a loopback that is up.
 *
 * Layer: tests. Root needs no user namespace; everybody else gets one. */
#ifndef FINWAIT_TESTS_TCPSTAT_NAMESPACE_H
#define FINWAIT_TESTS_TCPSTAT_NAMESPACE_H

#include <stdbool.h>
#include <stdint.h>

/* The exit code that CTest takes for "skipped" (tests/CMakeLists.txt). */
#define EXIT_SKIPPED 77

/* Moves the calling process, which has one thread, into a new network namespace. Returns 0 or
 * -errno: the system may forbid it. */
int namespace_enter(void);

/* The same for a main: says on stderr why not, and then returns false. */
bool namespace_enter_or_tell(void);

/* Writes one of the namespace's sysctls, by its path under /proc/sys. Returns 0 or -errno. */
int namespace_set_sysctl(const char *name, const char *value);

#endif
