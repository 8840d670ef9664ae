/* Numbers: a row of decimals, as the tables of /proc have them. Layer: bench/lab. */
#ifndef FINWAIT_BENCH_LAB_NUMBERS_H
#define FINWAIT_BENCH_LAB_NUMBERS_H

#include <stddef.h>
#include <stdint.h>

/* Reads up to `max` numbers with blanks between, from the beginning of a text to what is none.
 * Returns how many there were. */
size_t numbers_read(const char *text, uint64_t *numbers, size_t max);

#endif
