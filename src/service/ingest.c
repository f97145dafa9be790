#include "service/ingest.h"

#include "aws/sqs.h"
#include "base/array.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/random.h"
#include "base/text.h"
#include "service/event_count.h"
#include "service/status.h"

#include <stdlib.h>
#include <string.h>

/* SQS's longest poll: fewest calls, and a message wakes it at once. */
#define WAIT_S 20
/* After trouble with the queue. */
#define BACKOFF_BASE_MS 500
#define BACKOFF_CAP_MS  30000
/* A queue that has not answered for so long is a problem worth a status line. */
#define TROUBLE_AFTER_MS 60000

struct stats {
    uint64_t received, deleted, messages_unparsable, in_hand;
    uint64_t events, duplicates, suppressed, cleared, echoes, ignored;
    int64_t last_receive_ms; /* wall time of the last message */
    int64_t last_answer_ms;  /* monotonic time of the last good answer of any queue */
    char last_error[160];
};

struct receiver {
    struct sup_ingest *ingest;
    const char *queue_url;
    pthread_t thread;
    bool started;
    bool in_trouble;
    struct sup_event_reader *reader;
    struct sup_verdicts verdicts;
    struct sup_rng rng;
    struct sup_sqs_batch batch;
    struct sup_event_job *jobs[SUP_SQS_BATCH_MAX];
    int results[SUP_SQS_BATCH_MAX];
    /* jobs that have not come back yet */
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    size_t pending;
};

/* Passed to done: which receiver, which message. */
struct slot {
    struct receiver *r;
    size_t index;
};

struct sup_ingest {
    struct sup_ingest_options opts;
    struct sup_classify_policy policy;
    struct sup_stop stop;
    struct receiver *receivers;
    size_t n;
    pthread_mutex_t mutex; /* stats */
    struct stats stats;
    struct sup_metric *unparsable, *received, *deleted;
};

static void register_metrics(struct sup_ingest *g)
{
    g->unparsable = sup_metric("supsync_messages_unparsable_total", NULL, SUP_COUNTER,
                               "Messages left in the queue because they cannot be read");
    g->received = sup_metric("supsync_sqs_messages_received_total", NULL, SUP_COUNTER,
                             "Messages received from SQS");
    g->deleted = sup_metric("supsync_sqs_messages_deleted_total", NULL, SUP_COUNTER,
                            "Messages deleted from SQS after their commit");
}

static void count_tally(struct sup_ingest *g, const struct sup_event_tally *t)
{
    sup_event_count(t);
    pthread_mutex_lock(&g->mutex);
    g->stats.events += sup_event_tally_events(t);
    g->stats.duplicates += t->duplicates;
    g->stats.suppressed += t->suppressed;
    g->stats.cleared += t->cleared;
    g->stats.echoes += t->verdicts[SUP_VERDICT_ECHO];
    g->stats.ignored += t->verdicts[SUP_VERDICT_IGNORE] + t->verdicts[SUP_VERDICT_SIMULATOR] +
                        t->verdicts[SUP_VERDICT_UNMAPPED] + t->verdicts[SUP_VERDICT_AMBIGUOUS] +
                        t->verdicts[SUP_VERDICT_BAD_ADDRESS];
    pthread_mutex_unlock(&g->mutex);
}

static void on_done(void *arg, int code)
{
    struct slot *slot = arg;
    struct receiver *r = slot->r;

    pthread_mutex_lock(&r->mutex);
    /* A message that could not be read completely stays refused, whatever became of the rest. */
    if (code != SUP_OK)
        r->results[slot->index] = code;
    r->pending--;
    pthread_cond_signal(&r->cond);
    pthread_mutex_unlock(&r->mutex);
}

static void refuse(struct receiver *r, const struct sup_sqs_message *m, const struct sup_err *err)
{
    sup_metric_add(r->ingest->unparsable, 1);
    sup_log_warn("ingest", "message cannot be read; left for the dead-letter queue",
                 SUP_S("message_id", m->id), SUP_I("receives", m->receive_count),
                 SUP_S("error", err->msg));
    pthread_mutex_lock(&r->ingest->mutex);
    r->ingest->stats.messages_unparsable++;
    pthread_mutex_unlock(&r->ingest->mutex);
}

static void take_message(struct receiver *r, struct slot *slot)
{
    const struct sup_sqs_message *m = &r->batch.messages[slot->index];
    struct sup_event_job *j = r->jobs[slot->index];
    struct sup_classify_context ctx = {
        .region = sup_slice_str(r->ingest->opts.config->region),
        .now_ms = sup_wall_ms(),
        .sent_ms = m->sent_ms > 0 ? m->sent_ms : SUP_NO_TIME,
        .policy = &r->ingest->policy,
    };
    struct sup_err err = {0};
    int rc = sup_event_job_read(j, r->reader, &r->verdicts, sup_slice_of(m->body, m->body_n), &ctx,
                                SUP_CAUSE_EVENT, &err);

    r->results[slot->index] = rc;
    if (rc != SUP_OK)
        refuse(r, m, &err);
    if (sup_event_job_empty(j))
        return;
    pthread_mutex_lock(&r->mutex);
    r->pending++;
    pthread_mutex_unlock(&r->mutex);
    rc = sup_event_job_submit(j, on_done, slot, -1);
    if (rc != SUP_OK)
        on_done(slot, rc);
}

static void wait_for_jobs(struct receiver *r)
{
    pthread_mutex_lock(&r->mutex);
    while (r->pending > 0)
        sup_cond_wait_ms(&r->cond, &r->mutex, -1);
    pthread_mutex_unlock(&r->mutex);
}

static void note_error(struct receiver *r, const char *what, const struct sup_err *err)
{
    struct sup_ingest *g = r->ingest;

    pthread_mutex_lock(&g->mutex);
    sup_text_copy(g->stats.last_error, sizeof(g->stats.last_error), err->msg);
    pthread_mutex_unlock(&g->mutex);
    if (!r->in_trouble)
        sup_log_error("ingest", what, SUP_S("queue", r->queue_url), SUP_S("error", err->msg));
    r->in_trouble = true;
}

static void note_answer(struct receiver *r, size_t n)
{
    struct sup_ingest *g = r->ingest;

    if (r->in_trouble)
        sup_log_info("ingest", "queue answers again", SUP_S("queue", r->queue_url));
    r->in_trouble = false;
    sup_metric_add(g->received, (int64_t)n);
    pthread_mutex_lock(&g->mutex);
    g->stats.last_answer_ms = sup_mono_ms();
    g->stats.last_error[0] = '\0';
    g->stats.received += n;
    g->stats.in_hand += n;
    if (n > 0)
        g->stats.last_receive_ms = sup_wall_ms();
    pthread_mutex_unlock(&g->mutex);
}

/* What is committed leaves the queue. A delete that fails costs a redelivery, which dedup absorbs.
 */
static void delete_committed(struct receiver *r)
{
    struct sup_sqs_entry entries[SUP_SQS_BATCH_MAX];
    struct sup_ingest *g = r->ingest;
    struct sup_err err = {0};
    size_t n = 0;
    uint64_t deleted = 0;

    for (size_t i = 0; i < r->batch.n; i++) {
        if (r->results[i] == SUP_OK)
            entries[n++] =
                (struct sup_sqs_entry){.receipt_handle = r->batch.messages[i].receipt_handle};
    }
    if (n > 0) {
        int rc = sup_sqs_delete_batch(g->opts.aws, r->queue_url, entries, n, NULL, &err);
        if (rc != SUP_OK)
            note_error(r, "messages cannot be deleted", &err);
        for (size_t i = 0; i < n; i++)
            deleted += entries[i].result == SUP_OK;
    }
    sup_metric_add(g->deleted, (int64_t)deleted);
    pthread_mutex_lock(&g->mutex);
    g->stats.deleted += deleted;
    g->stats.in_hand -= r->batch.n;
    pthread_mutex_unlock(&g->mutex);
}

static void handle_batch(struct receiver *r)
{
    struct slot slots[SUP_SQS_BATCH_MAX];

    note_answer(r, r->batch.n);
    for (size_t i = 0; i < r->batch.n; i++) {
        slots[i] = (struct slot){.r = r, .index = i};
        take_message(r, &slots[i]);
    }
    wait_for_jobs(r);
    for (size_t i = 0; i < r->batch.n; i++)
        count_tally(r->ingest, sup_event_job_tally(r->jobs[i]));
    if (r->batch.n > 0)
        delete_committed(r);
}

static void *receiver_main(void *arg)
{
    struct receiver *r = arg;
    struct sup_ingest *g = r->ingest;
    struct sup_sqs_receive req = {
        .queue_url = r->queue_url,
        .max_messages = SUP_SQS_BATCH_MAX,
        .wait_s = WAIT_S,
        .visibility_timeout_s = -1,
        .stop = &g->stop,
    };
    unsigned attempt = 0;

    while (!sup_stop_is_set(&g->stop)) {
        struct sup_err err = {0};
        int rc = sup_sqs_receive(g->opts.aws, &req, &r->batch, NULL, &err);
        if (rc == SUP_OK) {
            attempt = 0;
            handle_batch(r);
        } else if (rc != SUP_ECLOSED) {
            note_error(r, "queue cannot be read", &err);
            sup_stop_wait_ms(&g->stop, BACKOFF_BASE_MS + sup_backoff_ms(&r->rng, BACKOFF_BASE_MS,
                                                                        BACKOFF_CAP_MS, attempt++));
        }
        sup_sqs_batch_fini(&r->batch);
    }
    return NULL;
}

static int receiver_init(struct sup_ingest *g, struct receiver *r, const char *queue_url)
{
    r->ingest = g;
    r->queue_url = queue_url;
    pthread_mutex_init(&r->mutex, NULL);
    sup_cond_init(&r->cond);
    sup_rng_seed(&r->rng, sup_random_u64());
    r->reader = sup_event_reader_new();
    if (!r->reader)
        return SUP_ENOMEM;
    for (size_t i = 0; i < SUP_COUNT(r->jobs); i++) {
        r->jobs[i] = sup_event_job_new(g->opts.config, g->opts.apply);
        if (!r->jobs[i])
            return SUP_ENOMEM;
    }
    return sup_thread_start(&r->thread, "sqs-receiver", receiver_main, r);
}

static void receiver_fini(struct receiver *r)
{
    for (size_t i = 0; i < SUP_COUNT(r->jobs); i++)
        sup_event_job_free(r->jobs[i]);
    sup_event_reader_free(r->reader);
    sup_verdicts_fini(&r->verdicts);
    pthread_cond_destroy(&r->cond);
    pthread_mutex_destroy(&r->mutex);
}

int sup_ingest_start(const struct sup_ingest_options *opts, struct sup_ingest **out,
                     struct sup_err *err)
{
    struct sup_ingest *g = calloc(1, sizeof(*g));
    size_t total = 0;

    if (!g)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    g->opts = *opts;
    g->policy = sup_event_policy(opts->config);
    sup_stop_init(&g->stop);
    pthread_mutex_init(&g->mutex, NULL);
    register_metrics(g);
    g->stats.last_answer_ms = sup_mono_ms();
    for (size_t q = 0; q < opts->config->n_queues; q++)
        total += opts->config->queues[q].receivers;
    g->receivers = calloc(total > 0 ? total : 1, sizeof(*g->receivers));
    if (!g->receivers) {
        sup_ingest_free(g);
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    }
    for (size_t q = 0; q < opts->config->n_queues; q++) {
        for (unsigned i = 0; i < opts->config->queues[q].receivers; i++) {
            struct receiver *r = &g->receivers[g->n++];
            int rc = receiver_init(g, r, opts->config->queues[q].queue_url);
            r->started = rc == SUP_OK;
            if (rc != SUP_OK) {
                sup_ingest_stop(g);
                sup_ingest_free(g);
                return sup_err_set(err, rc, "cannot start an SQS receiver");
            }
        }
    }
    *out = g;
    return SUP_OK;
}

void sup_ingest_stop(struct sup_ingest *g)
{
    if (!g)
        return;
    sup_stop_set(&g->stop);
    for (size_t i = 0; i < g->n; i++) {
        if (g->receivers[i].started)
            pthread_join(g->receivers[i].thread, NULL);
        g->receivers[i].started = false;
    }
}

void sup_ingest_free(struct sup_ingest *g)
{
    if (!g)
        return;
    for (size_t i = 0; g->receivers && i < g->n; i++)
        receiver_fini(&g->receivers[i]);
    free(g->receivers);
    pthread_mutex_destroy(&g->mutex);
    sup_stop_fini(&g->stop);
    free(g);
}

void sup_ingest_status(struct sup_ingest *g, struct sup_status *out)
{
    struct stats s;

    pthread_mutex_lock(&g->mutex);
    s = g->stats;
    pthread_mutex_unlock(&g->mutex);
    out->queue.received = s.received;
    out->queue.deleted = s.deleted;
    out->queue.events = s.events;
    out->queue.duplicates = s.duplicates;
    out->queue.unparsable = s.messages_unparsable;
    out->queue.in_hand = s.in_hand;
    out->queue.suppressed = s.suppressed;
    out->queue.cleared = s.cleared;
    out->queue.echoes = s.echoes;
    out->queue.ignored = s.ignored;
    out->queue.last_receive_ms = s.last_receive_ms > 0 ? s.last_receive_ms : SUP_NO_TIME;
    sup_text_copy(out->queue.last_error, sizeof(out->queue.last_error), s.last_error);
    if (g->n > 0 && s.last_error[0] != '\0' && sup_mono_ms() - s.last_answer_ms > TROUBLE_AFTER_MS)
        sup_status_problem(out, "no queue has answered for %lld s: %s",
                           (long long)((sup_mono_ms() - s.last_answer_ms) / 1000), s.last_error);
}
