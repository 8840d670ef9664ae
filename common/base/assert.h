/* Assertions: for our own bugs, never for a peer's input or a failure of the system.
 *
 * Layer: base. ASSERT stays on in release builds; DEBUG_ASSERT, for expensive walks, in debug
 * builds only. FINWAIT_NO_ASSERTS compiles both out, so that a coverage run does not count their
 * branches. */
#ifndef FINWAIT_BASE_ASSERT_H
#define FINWAIT_BASE_ASSERT_H

/* Prints the place and the condition to stderr, then aborts. */
void assert_failed(const char *condition, const char *file, int line) __attribute__((noreturn));

#ifdef FINWAIT_NO_ASSERTS
#define ASSERT(condition) ((void)sizeof(!(condition)))
#else
#define ASSERT(condition) ((condition) ? (void)0 : assert_failed(#condition, __FILE__, __LINE__))
#endif

#if defined(FINWAIT_NO_ASSERTS) || defined(NDEBUG)
#define DEBUG_ASSERT(condition) ((void)sizeof(!(condition)))
#else
#define DEBUG_ASSERT(condition) ASSERT(condition)
#endif

#endif
