#include "service/event_job.h"
#include "service/apply_txn.h"

#include "base/array.h"
#include "base/log.h"
#include "service/log_job.h"
#include "service/rate_job.h"
#include "service/soft_job.h"

#include <stdlib.h>
#include <string.h>

#define BYTES_MAX (16U << 20)

_Static_assert(SUP_VERDICT_SPELLINGS_MAX <= SUP_PROPOSAL_SPELLINGS_MAX,
               "every spelling of a verdict fits a proposal");

/* A proposal whose texts are offsets into the job's bytes, which may move while they grow. */
struct item {
    size_t key_at, key_n;
    size_t encoded_at, encoded_n;
    size_t dedup_at, dedup_n;
    size_t spelling_at[SUP_VERDICT_SPELLINGS_MAX];
    size_t n_spellings;
    size_t document;
    bool reversal;
};

struct document {
    size_t offset;
    size_t why_at;                /* a NUL-terminated text; 0 = none */
    enum sup_event_outcome read;  /* before run, which may run on an aborted batch */
    enum sup_event_outcome after; /* what is told */
};

struct sup_event_job {
    struct sup_apply_job job;
    struct sup_apply *apply;
    void (*done)(void *arg, int code);
    void *arg;
    struct item *items;
    size_t n, cap;
    struct document *documents;
    size_t n_documents, cap_documents;
    size_t base; /* bytes of the bodies before */
    struct sup_buf bytes;
    struct sup_rate_job *rates;
    struct sup_soft_job *soft;
    struct sup_log_job *log;
    struct sup_event_tally tally;
    struct sup_event_tally read; /* tally as it was before run, which may run on an aborted batch */
};

struct sup_event_job *sup_event_job_new(const struct sup_options *config, struct sup_apply *apply)
{
    struct sup_event_job *j = calloc(1, sizeof(*j));

    if (!j)
        return NULL;
    j->apply = apply;
    sup_buf_init(&j->bytes, BYTES_MAX);
    j->rates = sup_rate_job_new(apply);
    j->soft = sup_soft_job_new(config, apply);
    j->log = sup_log_job_new(config);
    if (j->rates && j->soft && j->log)
        return j;
    sup_event_job_free(j);
    return NULL;
}

void sup_event_job_free(struct sup_event_job *j)
{
    if (!j)
        return;
    sup_buf_fini(&j->bytes);
    sup_rate_job_free(j->rates);
    sup_soft_job_free(j->soft);
    sup_log_job_free(j->log);
    free(j->items);
    free(j->documents);
    free(j);
}

static size_t keep(struct sup_event_job *j, const void *p, size_t n)
{
    size_t at = j->bytes.n;

    sup_buf_add(&j->bytes, p, n);
    return at;
}

static int add_item(struct sup_event_job *j, const struct sup_event_verdict *v,
                    const struct sup_verdicts *vs, const struct sup_event *event,
                    const struct sup_classify_context *ctx, enum sup_cause cause)
{
    struct sup_decision d;
    struct item *it;
    void *items = j->items;
    int rc = sup_array_grow(&items, &j->cap, j->n + 1, sizeof(*j->items));

    if (rc != SUP_OK)
        return rc;
    j->items = items;
    it = &j->items[j->n];
    memset(it, 0, sizeof(*it));
    sup_verdict_decision(v, vs, event, ctx, &d);
    d.origin = sup_apply_node_id(j->apply);
    if (d.cause == SUP_CAUSE_EVENT)
        d.cause = cause;
    it->key_n = v->address.key_len;
    it->key_at = keep(j, v->address.key, it->key_n);
    it->encoded_at = j->bytes.n;
    sup_decision_encode(&d, &j->bytes);
    it->encoded_n = j->bytes.n - it->encoded_at;
    it->dedup_at = j->bytes.n;
    sup_classify_dedup_key(event, sup_slice_of(v->address.key, v->address.key_len), &j->bytes);
    it->dedup_n = j->bytes.n - it->dedup_at;
    if (v->kind == SUP_VERDICT_SUPPRESS && cause == SUP_CAUSE_EVENT) {
        for (size_t i = 0; i < v->n_spellings; i++)
            it->spelling_at[it->n_spellings++] =
                keep(j, v->spellings[i], strlen(v->spellings[i]) + 1);
    }
    it->reversal = v->kind == SUP_VERDICT_CLEAR;
    it->document = j->n_documents - 1;
    if (j->bytes.failed)
        return j->bytes.failed;
    j->n++;
    return SUP_OK;
}

static void log_verdict(const struct sup_event_verdict *v, const struct sup_event *event)
{
    char message_id[128];
    size_t n =
        event->message_id.n < sizeof(message_id) ? event->message_id.n : sizeof(message_id) - 1;

    if (v->kind != SUP_VERDICT_UNMAPPED && v->kind != SUP_VERDICT_AMBIGUOUS &&
        v->kind != SUP_VERDICT_BAD_ADDRESS)
        return;
    if (n > 0)
        memcpy(message_id, event->message_id.p, n);
    message_id[n] = '\0';
    sup_log_info("ingest", "recipient of an event left alone",
                 SUP_S("verdict", sup_verdict_kind_name(v->kind)), SUP_S("rule", v->rule),
                 SUP_S("address", v->address.key), SUP_S("message_id", message_id));
}

static int take_event(struct sup_event_job *j, const struct sup_event *event,
                      struct sup_verdicts *verdicts, const struct sup_classify_context *ctx,
                      enum sup_cause cause)
{
    int rc = sup_classify(event, ctx, verdicts);

    j->tally.events[event->type]++;
    for (size_t i = 0; rc == SUP_OK && i < verdicts->n; i++) {
        const struct sup_event_verdict *v = &verdicts->v[i];
        j->tally.verdicts[v->kind]++;
        log_verdict(v, event);
        if (v->kind == SUP_VERDICT_SUPPRESS || v->kind == SUP_VERDICT_CLEAR)
            rc = add_item(j, v, verdicts, event, ctx, cause);
    }
    if (rc == SUP_OK)
        rc = sup_rate_job_take(j->rates, event, verdicts, ctx);
    return rc == SUP_OK ? sup_soft_job_take(j->soft, event, verdicts, ctx) : rc;
}

static int add_document(struct sup_event_job *j, size_t offset)
{
    void *documents = j->documents;

    if (j->n_documents > 0 && j->documents[j->n_documents - 1].offset == offset)
        return SUP_OK;
    if (sup_array_grow(&documents, &j->cap_documents, j->n_documents + 1, sizeof(*j->documents)) !=
        SUP_OK)
        return SUP_ENOMEM;
    j->documents = documents;
    j->documents[j->n_documents++] = (struct document){.offset = offset};
    return SUP_OK;
}

static void refuse(struct sup_event_job *j, const char *why)
{
    struct document *d = &j->documents[j->n_documents - 1];

    j->tally.unparsable++;
    if (d->read == SUP_OUTCOME_REFUSED)
        return;
    d->read = SUP_OUTCOME_REFUSED;
    d->why_at = keep(j, why, strlen(why) + 1);
}

void sup_event_job_begin(struct sup_event_job *j)
{
    j->n = 0;
    j->n_documents = 0;
    j->base = 0;
    sup_rate_job_reset(j->rates);
    sup_soft_job_reset(j->soft);
    sup_log_job_reset(j->log);
    sup_buf_reset(&j->bytes);
    sup_buf_add_byte(&j->bytes, 0); /* offset 0 is no text's */
    memset(&j->tally, 0, sizeof(j->tally));
}

void sup_event_job_end(struct sup_event_job *j)
{
    for (size_t i = 0; i < j->n_documents; i++)
        j->documents[i].after = j->documents[i].read;
    j->read = j->tally;
}

/* All events of what the reader was begun on, at `at` of the body. Returns the first error, goes on
 * behind it. */
static int read_all(struct sup_event_job *j, struct sup_event_reader *reader, size_t at,
                    struct sup_verdicts *verdicts, const struct sup_classify_context *ctx,
                    enum sup_cause cause, struct sup_err *err)
{
    struct sup_event event;
    struct sup_err one;
    int bad = SUP_OK;
    int rc;

    while ((rc = sup_event_reader_next(reader, &event, &one)) != SUP_ENOTFOUND) {
        if (add_document(j, at + sup_event_reader_offset(reader)) != SUP_OK)
            return sup_err_set(err, SUP_ENOMEM, "out of memory");
        if (rc == SUP_OK) {
            rc = take_event(j, &event, verdicts, ctx, cause);
            if (rc == SUP_OK)
                rc = sup_log_job_take(j->log, sup_event_reader_document(reader), &event, verdicts,
                                      ctx);
            if (rc == SUP_OK)
                continue;
            sup_err_set(&one, rc, "cannot keep an event: %s", sup_code_name(rc));
        } else if (rc != SUP_ENOMEM) {
            refuse(j, one.msg);
            (void)sup_log_job_refuse(j->log, sup_event_reader_document(reader), one.msg, ctx);
        }
        if (bad == SUP_OK || rc == SUP_ENOMEM) {
            bad = rc;
            sup_err_set(err, rc, "%s", one.msg);
        }
        if (rc == SUP_ENOMEM)
            break;
    }
    return bad;
}

int sup_event_job_add(struct sup_event_job *j, struct sup_event_reader *reader,
                      struct sup_verdicts *verdicts, struct sup_slice body,
                      const struct sup_classify_context *ctx, enum sup_cause cause,
                      struct sup_err *err)
{
    sup_event_reader_begin(reader, body);
    int rc = read_all(j, reader, j->base, verdicts, ctx, cause, err);
    j->base += body.n + 1;
    int packed = sup_log_job_pack(j->log);
    return rc == SUP_OK && packed != SUP_OK ? sup_err_set(err, packed, "too much to log") : rc;
}

int sup_event_job_read(struct sup_event_job *j, struct sup_event_reader *reader,
                       struct sup_verdicts *verdicts, struct sup_slice body,
                       const struct sup_classify_context *ctx, enum sup_cause cause,
                       struct sup_err *err)
{
    sup_event_job_begin(j);
    int rc = sup_event_job_add(j, reader, verdicts, body, ctx, cause, err);
    sup_event_job_end(j);
    return rc;
}

/* RFC 7464: RS does not occur within JSON. */
#define RECORD_SEPARATOR 0x1e

static int read_sequence(struct sup_event_job *j, struct sup_event_reader *reader,
                         struct sup_verdicts *verdicts, struct sup_slice body,
                         const struct sup_classify_context *ctx, enum sup_cause cause,
                         struct sup_err *err)
{
    size_t at = 1;
    int rc = SUP_OK;

    while (at < body.n && rc != SUP_ENOMEM) {
        const uint8_t *end = memchr(body.p + at, RECORD_SEPARATOR, body.n - at);
        size_t n = end ? (size_t)(end - body.p) - at : body.n - at;
        sup_event_reader_begin(reader, sup_slice_of(body.p + at, n));
        rc = read_all(j, reader, at, verdicts, ctx, cause, err);
        at += n + 1;
    }
    return rc;
}

int sup_event_job_read_stream(struct sup_event_job *j, struct sup_event_reader *reader,
                              struct sup_verdicts *verdicts, struct sup_slice body,
                              const struct sup_classify_context *ctx, enum sup_cause cause,
                              struct sup_err *err)
{
    int rc;

    sup_event_job_begin(j);
    if (body.n > 0 && body.p[0] == RECORD_SEPARATOR) {
        rc = read_sequence(j, reader, verdicts, body, ctx, cause, err);
    } else {
        sup_event_reader_begin_stream(reader, body);
        rc = read_all(j, reader, 0, verdicts, ctx, cause, err);
    }
    sup_event_job_end(j);
    int packed = rc == SUP_ENOMEM ? rc : sup_log_job_pack(j->log);
    if (packed != SUP_OK)
        return sup_err_set(err, packed, "too many events in one body");
    if (j->bytes.failed)
        return sup_err_set(err, j->bytes.failed, "too many events in one body");
    return rc == SUP_ENOMEM ? rc : SUP_OK;
}

bool sup_event_job_empty(const struct sup_event_job *j)
{
    return j->n == 0 && sup_rate_job_empty(j->rates) && sup_soft_job_empty(j->soft) &&
           sup_log_job_empty(j->log);
}

static enum sup_event_outcome outcome_of(const struct sup_applied *applied)
{
    if (applied->duplicate)
        return SUP_OUTCOME_DUPLICATE;
    if (applied->skipped)
        return SUP_OUTCOME_NOTHING;
    return applied->merge == SUP_MERGE_OLDER ? SUP_OUTCOME_OLDER : SUP_OUTCOME_DECIDED;
}

static void count(struct sup_event_tally *tally, const struct sup_applied *applied)
{
    if (applied->duplicate) {
        tally->duplicates++;
        return;
    }
    if (applied->merge == SUP_MERGE_OLDER && !applied->skipped)
        tally->older++;
    if (applied->before == SUP_REASON_NONE && applied->after != SUP_REASON_NONE)
        tally->suppressed++;
    if (applied->before != SUP_REASON_NONE && applied->after == SUP_REASON_NONE)
        tally->cleared++;
}

/* What events do beside decisions. */
static int run_beside(struct sup_event_job *j, struct sup_txn *t, struct sup_err *err)
{
    int64_t now_ms = sup_apply_now_ms(j->apply);
    struct sup_soft_result soft;
    int rc = sup_rate_job_run(j->rates, now_ms, t, err);

    if (rc == SUP_OK)
        rc = sup_soft_job_run(j->soft, now_ms, t, &soft, err);
    if (rc != SUP_OK)
        return rc;
    sup_log_job_run(j->log, t);
    j->tally.soft = soft.kept;
    j->tally.escalated = soft.escalated;
    j->tally.would_escalate = soft.would_escalate;
    return SUP_OK;
}

static int run(struct sup_apply_job *job, struct sup_txn *t, struct sup_err *err)
{
    struct sup_event_job *j = (struct sup_event_job *)job;
    const uint8_t *b = j->bytes.p;

    j->tally = j->read;
    for (size_t i = 0; i < j->n_documents; i++)
        j->documents[i].after = j->documents[i].read;
    for (size_t i = 0; i < j->n; i++) {
        const struct item *it = &j->items[i];
        struct sup_applied applied;
        struct sup_proposal p = {
            .key = {b + it->key_at, it->key_n},
            .encoded = {b + it->encoded_at, it->encoded_n},
            .dedup = {b + it->dedup_at, it->dedup_n},
            .reversal = it->reversal,
            .n_spellings = it->n_spellings,
        };
        for (size_t s = 0; s < it->n_spellings; s++)
            p.spellings[s] = (const char *)b + it->spelling_at[s];
        int rc = sup_apply_decide(j->apply, t, &p, &applied, err);
        if (rc != SUP_OK)
            return rc;
        count(&j->tally, &applied);
        struct document *d = &j->documents[it->document];
        d->after = outcome_of(&applied) > d->after ? outcome_of(&applied) : d->after;
    }
    return run_beside(j, t, err);
}

static void done(struct sup_apply_job *job, int code, const struct sup_err *err)
{
    struct sup_event_job *j = (struct sup_event_job *)job;

    if (code != SUP_OK) {
        sup_log_error("ingest", "events could not be committed",
                      SUP_S("error", err ? err->msg : ""));
        j->tally = j->read;
    }
    j->done(j->arg, code);
}

int sup_event_job_submit(struct sup_event_job *j, void (*on_done)(void *arg, int code), void *arg,
                         int64_t timeout_ms)
{
    j->job.run = run;
    j->job.done = done;
    j->done = on_done;
    j->arg = arg;
    return sup_apply_submit(j->apply, &j->job, timeout_ms);
}

const struct sup_event_tally *sup_event_job_tally(const struct sup_event_job *j)
{
    return &j->tally;
}

size_t sup_event_job_documents(const struct sup_event_job *j)
{
    return j->n_documents;
}

struct sup_event_document sup_event_job_document(const struct sup_event_job *j, size_t i)
{
    const struct document *d = &j->documents[i];
    bool told = d->after == SUP_OUTCOME_REFUSED && d->why_at > 0 && j->bytes.p != NULL;

    return (struct sup_event_document){
        .offset = d->offset,
        .outcome = d->after,
        .why = told ? (const char *)j->bytes.p + d->why_at : "",
    };
}

const char *sup_event_outcome_name(enum sup_event_outcome o)
{
    switch (o) {
    case SUP_OUTCOME_NOTHING:
        return "nothing";
    case SUP_OUTCOME_DUPLICATE:
        return "duplicate";
    case SUP_OUTCOME_OLDER:
        return "older";
    case SUP_OUTCOME_DECIDED:
        return "decided";
    case SUP_OUTCOME_REFUSED:
        return "refused";
    }
    return "nothing";
}
