#ifndef SUP_SERVICE_EVENT_JOB_H
#define SUP_SERVICE_EVENT_JOB_H

#include "core/classify.h"
#include "core/event_read.h"
#include "service/apply.h"
#include "service/options.h"

/* One message's worth of events on its way through apply: parsed and classified on the caller's
 * thread, decided on the writer's. Used by every source of events. */

enum {
    SUP_EVENT_KINDS = SUP_EVENT_SUBSCRIPTION + 1,
    SUP_VERDICT_KINDS = SUP_VERDICT_BAD_ADDRESS + 1
};

struct sup_event_tally {
    uint64_t events[SUP_EVENT_KINDS];     /* by enum sup_event_type */
    uint64_t verdicts[SUP_VERDICT_KINDS]; /* by enum sup_verdict_kind */
    uint64_t unparsable;
    uint64_t duplicates;
    uint64_t suppressed; /* addresses whose effective state became suppressed */
    uint64_t cleared;
    uint64_t older; /* lost against a newer decision */
    uint64_t soft;  /* soft bounces kept for a resend */
    uint64_t escalated, would_escalate;
};

/* What became of one document of a message, the weightiest of its events and recipients. */
enum sup_event_outcome {
    SUP_OUTCOME_NOTHING,   /* nothing follows from it */
    SUP_OUTCOME_DUPLICATE, /* seen before */
    SUP_OUTCOME_OLDER,     /* something newer is known */
    SUP_OUTCOME_DECIDED,
    SUP_OUTCOME_REFUSED /* cannot be read */
};
const char *sup_event_outcome_name(enum sup_event_outcome o); /* "nothing" …, never NULL */

struct sup_event_document {
    size_t offset; /* in the body */
    enum sup_event_outcome outcome;
    const char *why; /* REFUSED; else "". Lives until the job is used again */
};

struct sup_event_job;

/* NULL when out of memory. Reusable; one message at a time. Both are borrowed. */
struct sup_event_job *sup_event_job_new(const struct sup_options *config, struct sup_apply *apply);
void sup_event_job_free(struct sup_event_job *j);

/* Reads all events of body and keeps what follows from them. reader and verdicts are the thread's
 * own. Returns SUP_OK; SUP_EINPUT or SUP_ELIMIT when something in it cannot be read (what could be
 * read is kept and should be submitted all the same; the message must not be acknowledged);
 * SUP_ENOMEM. body may go away afterwards. */
int sup_event_job_read(struct sup_event_job *j, struct sup_event_reader *reader,
                       struct sup_verdicts *verdicts, struct sup_slice body,
                       const struct sup_classify_context *ctx, enum sup_cause cause,
                       struct sup_err *err);
/* The same in parts, for several messages in one job: begin, add as often as there are messages,
 * end. Each add returns what became of its message. */
void sup_event_job_begin(struct sup_event_job *j);
int sup_event_job_add(struct sup_event_job *j, struct sup_event_reader *reader,
                      struct sup_verdicts *verdicts, struct sup_slice body,
                      const struct sup_classify_context *ctx, enum sup_cause cause,
                      struct sup_err *err);
void sup_event_job_end(struct sup_event_job *j);
/* The same for a body of many documents: a JSON text sequence (each behind the byte 0x1e, RFC
 * 7464), or just one behind the other. In a sequence a damaged document cannot take others with it.
 * What cannot be read does not stop the rest and counts as read: SUP_OK, unless it is too much for
 * one job (SUP_ELIMIT) or there is no memory. */
int sup_event_job_read_stream(struct sup_event_job *j, struct sup_event_reader *reader,
                              struct sup_verdicts *verdicts, struct sup_slice body,
                              const struct sup_classify_context *ctx, enum sup_cause cause,
                              struct sup_err *err);
/* Is there nothing to decide or count? */
bool sup_event_job_empty(const struct sup_event_job *j);
/* Hands it to the writer; again after an error, if wanted. done runs on the writer thread after the
 * commit, or with an error; it must not block. Errors as sup_writer_submit: then done does not run.
 */
int sup_event_job_submit(struct sup_event_job *j, void (*done)(void *arg, int code), void *arg,
                         int64_t timeout_ms);
/* What came of it; complete when done ran (or when it was empty). */
const struct sup_event_tally *sup_event_job_tally(const struct sup_event_job *j);
/* The documents of the body, in order; outcomes are complete as the tally is. */
size_t sup_event_job_documents(const struct sup_event_job *j);
struct sup_event_document sup_event_job_document(const struct sup_event_job *j, size_t i);

#endif
