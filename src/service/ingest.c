#include "base/array.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "service/ingest_internal.h"
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
/* SQS's default, until the queue has told its own. */
#define VISIBILITY_MS 30000

static void register_metrics(struct sup_ingest *g)
{
    g->unparsable = sup_metric("supsync_messages_unparsable_total", NULL, SUP_COUNTER,
                               "Messages left in the queue because they cannot be read");
    g->received = sup_metric("supsync_sqs_messages_received_total", NULL, SUP_COUNTER,
                             "Messages received from SQS");
    g->deleted = sup_metric("supsync_sqs_messages_deleted_total", NULL, SUP_COUNTER,
                            "Messages deleted from SQS after their commit");
    g->extended = sup_metric("supsync_sqs_visibility_extensions_total", NULL, SUP_COUNTER,
                             "Messages for which SQS was asked for more time");
    g->in_hand = sup_metric("supsync_sqs_in_hand_messages", NULL, SUP_GAUGE,
                            "Messages received and not yet committed and deleted");
    g->in_hand_bytes =
        sup_metric("supsync_sqs_in_hand_bytes", NULL, SUP_GAUGE,
                   "Bytes of the messages in hand: at most the limit and a batch a receiver");
    sup_metric_set(
        sup_metric("supsync_sqs_in_hand_limit_bytes", NULL, SUP_GAUGE, "ingest.in_hand_mib"),
        (int64_t)g->opts.config->ingest.in_hand_bytes);
}

void sup_ingest_count(struct sup_ingest *g, const struct sup_event_tally *t)
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

void sup_ingest_note_error(struct sup_ingest *g, const char *error)
{
    pthread_mutex_lock(&g->mutex);
    sup_text_copy(g->stats.last_error, sizeof(g->stats.last_error), error);
    pthread_mutex_unlock(&g->mutex);
}

/* --- a hand --- */

/* On the writer thread. */
static void on_done(void *arg, int code)
{
    struct sup_hand *h = arg;
    struct sup_lane *l = h->lane;

    pthread_mutex_lock(&l->mutex);
    h->code = code;
    h->state = SUP_HAND_BACK;
    pthread_cond_signal(&l->back);
    pthread_mutex_unlock(&l->mutex);
}

void sup_ingest_submit(struct sup_hand *h, int64_t timeout_ms)
{
    int rc = SUP_OK;

    if (!sup_event_job_empty(h->job)) {
        pthread_mutex_lock(&h->lane->mutex);
        h->state = SUP_HAND_WRITING;
        pthread_mutex_unlock(&h->lane->mutex);
        rc = sup_event_job_submit(h->job, on_done, h, timeout_ms);
        if (rc == SUP_OK)
            return;
    }
    on_done(h, rc);
}

static void refuse(struct sup_hand *h, const struct sup_sqs_message *m, const struct sup_err *err)
{
    struct sup_ingest *g = h->lane->ingest;

    sup_metric_add(g->unparsable, 1);
    sup_log_warn("ingest", "message cannot be read; left for the dead-letter queue",
                 SUP_S("message_id", m->id), SUP_I("receives", m->receive_count),
                 SUP_S("error", err->msg));
    pthread_mutex_lock(&g->mutex);
    g->stats.messages_unparsable++;
    pthread_mutex_unlock(&g->mutex);
}

void sup_ingest_read(struct sup_hand *h, struct sup_ingest_reader *r, size_t i)
{
    const struct sup_ingest *g = h->lane->ingest;
    const struct sup_sqs_message *m = &h->batch.messages[i];
    const struct sup_classify_context ctx = {
        .region = sup_slice_str(g->opts.config->region),
        .now_ms = sup_wall_ms(),
        .sent_ms = m->sent_ms > 0 ? m->sent_ms : SUP_NO_TIME,
        .policy = &g->policy,
    };
    struct sup_err err = {0};

    int rc = sup_event_job_add(h->job, r->reader, &r->verdicts, sup_slice_of(m->body, m->body_n),
                               &ctx, SUP_CAUSE_EVENT, &err);

    pthread_mutex_lock(&h->lane->mutex);
    h->results[i] = rc;
    pthread_mutex_unlock(&h->lane->mutex);
    if (rc != SUP_OK)
        refuse(h, m, &err);
}

/* What cannot be read completely stays refused; what could be read of it is decided all the same.
 */
static void handle(struct sup_lane *l, struct sup_hand *h)
{
    h->alone = false;
    h->tries = 0;
    sup_event_job_begin(h->job);
    for (size_t i = 0; i < h->batch.n; i++)
        sup_ingest_read(h, &l->for_receiver, i);
    sup_event_job_end(h->job);
    sup_ingest_submit(h, -1);
}

/* --- receiving --- */

static void note_trouble(struct sup_lane *l, const struct sup_err *err)
{
    sup_ingest_note_error(l->ingest, err->msg);
    if (!l->in_trouble)
        sup_log_error("ingest", "queue cannot be read", SUP_S("queue", l->queue_url),
                      SUP_S("error", err->msg));
    l->in_trouble = true;
}

static void note_answer(struct sup_lane *l, struct sup_hand *h)
{
    struct sup_ingest *g = l->ingest;
    size_t n = h->batch.n;

    if (l->in_trouble)
        sup_log_info("ingest", "queue answers again", SUP_S("queue", l->queue_url));
    l->in_trouble = false;
    h->bytes = 0;
    for (size_t i = 0; i < n; i++)
        h->bytes += h->batch.messages[i].body_n;
    sup_metric_set(g->in_hand_bytes, (int64_t)(atomic_fetch_add(&g->bytes, h->bytes) + h->bytes));
    sup_metric_add(g->received, (int64_t)n);
    pthread_mutex_lock(&g->mutex);
    g->stats.last_answer_ms = sup_mono_ms();
    g->stats.last_error[0] = '\0';
    g->stats.received += n;
    g->stats.in_hand += n;
    sup_metric_set(g->in_hand, (int64_t)g->stats.in_hand);
    if (n > 0)
        g->stats.last_receive_ms = sup_wall_ms();
    pthread_mutex_unlock(&g->mutex);
}

/* A free hand, or NULL: stopping. A lane with nothing in hand goes on however much others have. */
static struct sup_hand *take_hand(struct sup_lane *l)
{
    struct sup_ingest *g = l->ingest;
    struct sup_hand *h = NULL;

    pthread_mutex_lock(&l->mutex);
    while (!h && !sup_stop_is_set(&g->stop)) {
        size_t n_free = 0;
        for (size_t i = 0; i < l->n; i++) {
            if (l->hands[i].state != SUP_HAND_FREE)
                continue;
            n_free++;
            h = &l->hands[i];
        }
        if (n_free < l->n && atomic_load(&g->bytes) > g->opts.config->ingest.in_hand_bytes)
            h = NULL;
        if (!h)
            sup_cond_wait_ms(&l->freed, &l->mutex, 200);
    }
    if (h && sup_stop_is_set(&g->stop))
        h = NULL;
    if (h)
        h->state = SUP_HAND_FILLING;
    pthread_mutex_unlock(&l->mutex);
    return h;
}

static void give_hand(struct sup_lane *l, struct sup_hand *h)
{
    pthread_mutex_lock(&l->mutex);
    h->state = SUP_HAND_FREE;
    pthread_mutex_unlock(&l->mutex);
}

static int receive(struct sup_lane *l, struct sup_hand *h, struct sup_err *err)
{
    struct sup_ingest *g = l->ingest;
    struct sup_sqs_batch batch;
    struct sup_sqs_receive req = {
        .queue_url = l->queue_url,
        .max_messages = SUP_SQS_BATCH_MAX,
        .wait_s = WAIT_S,
        .visibility_timeout_s = -1,
        .stop = &g->stop,
        .read = sup_sqs_messages_read,
    };

    if (!h->parser)
        h->parser = sup_json_simdjson.new_parser(SUP_SQS_REPLY_MAX);
    if (!h->parser)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    req.arg = h->parser;
    int rc = sup_sqs_receive(g->opts.aws, &req, &batch, NULL, err);
    /* The settler looks at hands under the mutex: from here on it keeps the messages ours. */
    pthread_mutex_lock(&l->mutex);
    h->extend_mono_ms = sup_mono_ms() + l->visibility_ms / 2;
    memset(h->results, 0, sizeof(h->results));
    h->batch = batch;
    pthread_cond_signal(&l->back);
    pthread_mutex_unlock(&l->mutex);
    return rc;
}

static void *receiver_main(void *arg)
{
    struct sup_lane *l = arg;
    struct sup_ingest *g = l->ingest;
    unsigned attempt = 0;

    for (struct sup_hand *h = take_hand(l); h; h = take_hand(l)) {
        struct sup_err err = {0};
        int rc = receive(l, h, &err);
        if (rc == SUP_OK) {
            attempt = 0;
            note_answer(l, h);
        } else if (rc != SUP_ECLOSED) {
            note_trouble(l, &err);
            sup_stop_wait_ms(&g->stop, BACKOFF_BASE_MS + sup_backoff_ms(&l->rng, BACKOFF_BASE_MS,
                                                                        BACKOFF_CAP_MS, attempt++));
        }
        if (rc == SUP_OK && h->batch.n > 0)
            handle(l, h);
        else
            give_hand(l, h);
    }
    return NULL;
}

/* --- life --- */

static int reader_init(struct sup_ingest_reader *r)
{
    r->reader = sup_event_reader_new();
    return r->reader ? SUP_OK : SUP_ENOMEM;
}

static void reader_fini(struct sup_ingest_reader *r)
{
    sup_event_reader_free(r->reader);
    sup_verdicts_fini(&r->verdicts);
}

static int lane_start(struct sup_lane *l)
{
    int rc = SUP_OK;

    if (!l->hands || reader_init(&l->for_receiver) != SUP_OK ||
        reader_init(&l->for_settler) != SUP_OK)
        return SUP_ENOMEM;
    for (size_t i = 0; i < l->n; i++) {
        l->hands[i].lane = l;
        l->hands[i].job = sup_event_job_new(l->ingest->opts.config, l->ingest->opts.apply);
        if (!l->hands[i].job)
            return SUP_ENOMEM;
    }
    rc = sup_thread_start(&l->settler, "sqs-settler", sup_ingest_settle, l);
    l->settling = rc == SUP_OK;
    if (rc == SUP_OK)
        rc = sup_thread_start(&l->receiver, "sqs-receiver", receiver_main, l);
    l->receiving = rc == SUP_OK;
    return rc;
}

static void lane_init(struct sup_ingest *g, struct sup_lane *l, const struct sup_queue_options *q)
{
    l->ingest = g;
    l->queue_url = q->queue_url;
    l->visibility_ms = VISIBILITY_MS;
    pthread_mutex_init(&l->mutex, NULL);
    sup_cond_init(&l->freed);
    sup_cond_init(&l->back);
    sup_rng_seed(&l->rng, sup_random_u64());
    l->n = q->in_hand > SUP_SQS_BATCH_MAX ? q->in_hand / SUP_SQS_BATCH_MAX : 1;
    l->hands = calloc(l->n, sizeof(*l->hands));
}

static void lane_fini(struct sup_lane *l)
{
    for (size_t i = 0; l->hands && i < l->n; i++) {
        sup_event_job_free(l->hands[i].job);
        sup_json_simdjson.free_parser(l->hands[i].parser);
    }
    free(l->hands);
    reader_fini(&l->for_receiver);
    reader_fini(&l->for_settler);
    pthread_cond_destroy(&l->back);
    pthread_cond_destroy(&l->freed);
    pthread_mutex_destroy(&l->mutex);
}

static size_t lanes_of(const struct sup_options *c)
{
    size_t n = 0;

    for (size_t q = 0; q < c->n_queues; q++)
        n += c->queues[q].receivers;
    return n;
}

int sup_ingest_start(const struct sup_ingest_options *opts, struct sup_ingest **out,
                     struct sup_err *err)
{
    struct sup_ingest *g = calloc(1, sizeof(*g));
    size_t total = lanes_of(opts->config);
    int rc = SUP_OK;

    if (!g)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    g->opts = *opts;
    g->policy = sup_event_policy(opts->config);
    sup_stop_init(&g->stop);
    pthread_mutex_init(&g->mutex, NULL);
    register_metrics(g);
    g->stats.last_answer_ms = sup_mono_ms();
    g->lanes = calloc(total > 0 ? total : 1, sizeof(*g->lanes));
    if (!g->lanes)
        rc = SUP_ENOMEM;
    for (size_t q = 0; rc == SUP_OK && q < opts->config->n_queues; q++) {
        for (unsigned i = 0; rc == SUP_OK && i < opts->config->queues[q].receivers; i++) {
            struct sup_lane *l = &g->lanes[g->n++];
            lane_init(g, l, &opts->config->queues[q]);
            rc = lane_start(l);
        }
    }
    if (rc != SUP_OK) {
        sup_ingest_stop(g);
        sup_ingest_free(g);
        return sup_err_set(err, rc, "cannot start an SQS receiver");
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
        struct sup_lane *l = &g->lanes[i];
        pthread_mutex_lock(&l->mutex);
        pthread_cond_signal(&l->freed);
        pthread_mutex_unlock(&l->mutex);
        if (l->receiving)
            pthread_join(l->receiver, NULL);
        l->receiving = false;
        pthread_mutex_lock(&l->mutex);
        l->closing = true;
        pthread_cond_signal(&l->back);
        pthread_mutex_unlock(&l->mutex);
    }
    for (size_t i = 0; i < g->n; i++) {
        if (g->lanes[i].settling)
            pthread_join(g->lanes[i].settler, NULL);
        g->lanes[i].settling = false;
    }
}

void sup_ingest_free(struct sup_ingest *g)
{
    if (!g)
        return;
    for (size_t i = 0; g->lanes && i < g->n; i++)
        lane_fini(&g->lanes[i]);
    free(g->lanes);
    pthread_mutex_destroy(&g->mutex);
    sup_stop_fini(&g->stop);
    free(g);
}

void sup_ingest_status(struct sup_ingest *g, struct sup_status *out)
{
    struct sup_ingest_stats s;

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
