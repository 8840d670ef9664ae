#include "stat/notes.h"

#include <ctype.h>
#include <stdio.h>

/* Passes over a number: digits, and the points and commas within. */
static const char *skip_number(const char *text)
{
    while (isdigit((unsigned char)*text) ||
           ((*text == '.' || *text == ',') && isdigit((unsigned char)text[1]))) {
        text++;
    }
    return text;
}

/* Tells whether two texts are the same but for their numbers. */
static bool same_words(const char *a, const char *b)
{
    for (;;) {
        a = skip_number(a);
        b = skip_number(b);
        if (*a != *b) {
            return false;
        }
        if (*a == '\0') {
            return true;
        }
        a++;
        b++;
    }
}

static struct note *find(struct notes *notes, const char *text)
{
    for (uint32_t i = 0; i < notes->count; i++) {
        if (same_words(notes->items[i].text, text)) {
            return &notes->items[i];
        }
    }
    return NULL;
}

uint32_t notes_add(struct notes *notes, const struct sample *sample)
{
    uint32_t new_ones = 0;
    for (uint32_t i = 0; i < sample->note_count; i++) {
        struct note *note = find(notes, sample->notes[i]);
        if (note == NULL && notes->count == NOTES_MAX) {
            notes->left_out++;
            continue;
        }
        if (note == NULL) {
            note = &notes->items[notes->count++];
            *note = (struct note){.first_ns = sample->elapsed_ns};
            new_ones |= UINT32_C(1) << i;
        }
        note->last_ns = sample->elapsed_ns;
        note->times++;
        snprintf(note->text, sizeof(note->text), "%s", sample->notes[i]);
    }
    return new_ones;
}
