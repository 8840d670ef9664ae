/* What fuzz targets share: the entry that libFuzzer and the replay driver call, and requirements
 * that end the process, also where assertions are compiled out.
 *
 * Layer: tests. */
#ifndef FINWAIT_TESTS_FUZZ_FUZZ_H
#define FINWAIT_TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

#include "base/assert.h"

#define REQUIRE(condition) ((condition) ? (void)0 : assert_failed(#condition, __FILE__, __LINE__))

/* Takes one input; the name is libFuzzer's. Always returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count); /* NOLINT */

#endif
