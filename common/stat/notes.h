/* The warnings of a whole run: each once, with when it came and went.
 *
 * Layer: program finwait-stat (L5). Plain data, zeroed at first. Two warnings are the same when
 * they differ in their numbers only; the newest text is kept. */
#ifndef FINWAIT_STAT_NOTES_H
#define FINWAIT_STAT_NOTES_H

#include "stat/sample.h"

#define NOTES_MAX 64 /* of different words; the rest is counted */

struct note {
    uint64_t first_ns; /* since sample 0 */
    uint64_t last_ns;
    uint64_t times; /* samples that had it */
    char text[SAMPLE_NOTE_TEXT_MAX];
};

struct notes {
    uint32_t count;
    uint64_t left_out;
    struct note items[NOTES_MAX];
};

/* Adds a sample's notes. Returns which of them are new: bit n for note n. */
uint32_t notes_add(struct notes *notes, const struct sample *sample);

#endif
