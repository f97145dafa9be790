#ifndef SUP_CORE_EVENT_READ_H
#define SUP_CORE_EVENT_READ_H

#include "base/buf.h"
#include "base/err.h"
#include "core/json.h"
#include "model/event.h"

#include <stdbool.h>
#include <stddef.h>

/* Reads SES events out of whatever they came in: an SNS envelope, the bare SES JSON (raw message
 * delivery), an EventBridge envelope, records as AWS Lambda and Firehose hand them over
 * ({"Records": …}, {"records": …}), and these in one another. Every byte of every document is
 * validated, also what is not read.
 *
 * One document usually holds one event; records hold several:
 *
 *   sup_event_reader_begin(r, body);
 *   while ((rc = sup_event_reader_next(r, &event, err)) != SUP_ENOTFOUND)
 *       …rc is SUP_OK, or says what is wrong with this one; the next call goes on behind it…
 *
 * A repeated key: the last one wins. null is the same as absent. A known field of the wrong JSON
 * type makes the event unreadable if a decision could hang on it (types, recipients, times, ids);
 * otherwise (subject, tags, source …) it counts as absent, so that a trifle does not cost a bounce.
 */

#define SUP_EVENT_BODY_MAX       (1024 * 1024) /* the largest SQS message */
#define SUP_EVENT_RECIPIENTS_MAX 1000          /* SES allows 50 a message */
#define SUP_EVENT_TAGS_MAX       250           /* SES allows 50 a message; more are left out */
#define SUP_EVENT_RECORDS_MAX    10000         /* SQS batches to Lambda are the largest: 10 000 */

struct sup_event_reader;

/* NULL when out of memory. Not thread-safe: one a thread. Keep it: its buffers are reused. They
 * grow with the largest document seen: 60 kB for usual events, about 16 MiB a level of nesting (of
 * which there are at most four) after the worst that the maxima allow. */
struct sup_event_reader *sup_event_reader_new(void);
/* With another JSON reader than core/json.h's default: for tests. */
struct sup_event_reader *sup_event_reader_new_with(const struct sup_json_ops *json);
void sup_event_reader_free(struct sup_event_reader *r); /* NULL is fine */

/* Starts on one document. body is copied as far as needed in the first next; until then it must
 * stay. Drops whatever was left of the document before; events given before are gone. */
void sup_event_reader_begin(struct sup_event_reader *r, struct sup_slice body);
/* Like begin, for JSON documents in a row with any or no white space between them, as Firehose
 * leaves them in S3. body stays the caller's and must live until the last next. */
void sup_event_reader_begin_stream(struct sup_event_reader *r, struct sup_slice body);

/* The next event; its slices live until the next call on r. Returns
 *   SUP_OK         out is filled; type NONE or UNKNOWN are not errors
 *   SUP_ENOTFOUND  no more
 *   SUP_EINPUT     malformed, or no SES event: err says what and where. Unparsable: leave the
 *   SUP_ELIMIT     message to the dead-letter queue (too long, too deep, too many recipients)
 *   SUP_ENOMEM
 * After an error of one record the next call goes on with the following one. */
int sup_event_reader_next(struct sup_event_reader *r, struct sup_event *out, struct sup_err *err);

/* In a stream: offset in body where the document of the latest next began. */
size_t sup_event_reader_offset(const struct sup_event_reader *r);

/* The document of the latest next, a slice of body. */
struct sup_slice sup_event_reader_document(const struct sup_event_reader *r);

/* One document that must hold exactly one event: begin and next in one. Several events: SUP_EINPUT.
 * No event at all ("Records": []): SUP_OK, type NONE. */
int sup_event_read(struct sup_event_reader *r, struct sup_slice body, struct sup_event *out,
                   struct sup_err *err);

#endif
