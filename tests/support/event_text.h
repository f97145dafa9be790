#ifndef EVENT_TEXT_H
#define EVENT_TEXT_H

#include "base/buf.h"
#include "core/classify.h"
#include "core/event_read.h"
#include "model/event.h"

/* Every field of an event as text, one a line: equal texts are equal events. */
void event_text(const struct sup_event *e, struct sup_buf *out);

/* Reads body, as a stream or as one document, and writes all its events and the codes of its errors
 * (INPUT and LIMIT alike: which of two faults a reader meets first is its own affair). */
void event_text_of(struct sup_event_reader *r, struct sup_slice body, bool stream,
                   struct sup_buf *out);

/* What an event is and what follows from it: its type, the row of the rule table in brackets, and
 * for each verdict kind, rule and address. */
void event_verdicts_text(const struct sup_event *e, struct sup_verdicts *vs, struct sup_buf *out);
/* The same of all events of body, a line each, "refused" for what is none. Returns how many. */
size_t event_verdicts_text_of(struct sup_event_reader *r, struct sup_slice body, bool stream,
                              struct sup_verdicts *vs, struct sup_buf *out);

#endif
