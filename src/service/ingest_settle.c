#include "service/ingest_internal.h"

#include "base/clock.h"
#include "base/log.h"

#include <string.h>

/* A queue's own default, until it has told. */
#define VISIBILITY_MS     30000
#define ASK_AGAIN_MS      60000
#define VISIBILITY_MAX_MS (12LL * 3600 * 1000)
/* Between two tries of what the store did not take. */
#define AGAIN_BASE_MS 200
#define AGAIN_CAP_MS  5000

/* --- SQS --- */

static void ask_visibility(struct sup_lane *l)
{
    struct sup_sqs_attributes a = {0};
    struct sup_err err = {0};

    if (sup_sqs_get_attributes(l->ingest->opts.aws, l->queue_url, &a, NULL, &err) != SUP_OK) {
        sup_log_debug("ingest", "the queue does not tell its visibility time-out",
                      SUP_S("queue", l->queue_url), SUP_S("error", err.msg));
        return;
    }
    pthread_mutex_lock(&l->mutex);
    l->visibility_ms = a.visibility_timeout_s > 0 ? a.visibility_timeout_s * 1000 : 1000;
    pthread_mutex_unlock(&l->mutex);
}

/* Asks for seconds more for whatever of the hand is not refused; 0 gives it back to the queue. */
static void change_visibility(struct sup_hand *h, int seconds)
{
    struct sup_ingest *g = h->lane->ingest;
    struct sup_sqs_entry entries[SUP_SQS_BATCH_MAX];
    struct sup_err err = {0};
    size_t n = 0;

    pthread_mutex_lock(&h->lane->mutex); /* the receiver may be reading the messages still */
    for (size_t i = 0; i < h->batch.n; i++)
        if (h->results[i] == SUP_OK)
            entries[n++] =
                (struct sup_sqs_entry){.receipt_handle = h->batch.messages[i].receipt_handle,
                                       .visibility_timeout_s = seconds};
    pthread_mutex_unlock(&h->lane->mutex);
    if (n == 0)
        return;
    int rc =
        sup_sqs_change_visibility_batch(g->opts.aws, h->lane->queue_url, entries, n, NULL, &err);
    if (rc != SUP_OK)
        sup_log_warn("ingest", "messages in hand may come twice: no more time for them",
                     SUP_S("queue", h->lane->queue_url), SUP_S("error", err.msg));
    else if (seconds > 0)
        sup_metric_add(g->extended, (int64_t)n);
}

/* What is committed leaves the queue. A delete that fails costs a redelivery, which dedup absorbs.
 */
static void delete_committed(struct sup_hand *h)
{
    struct sup_sqs_entry entries[SUP_SQS_BATCH_MAX];
    struct sup_ingest *g = h->lane->ingest;
    struct sup_err err = {0};
    size_t n = 0;
    uint64_t deleted = 0;

    for (size_t i = 0; i < h->batch.n; i++)
        if (h->results[i] == SUP_OK)
            entries[n++] =
                (struct sup_sqs_entry){.receipt_handle = h->batch.messages[i].receipt_handle};
    if (n == 0)
        return;
    if (sup_sqs_delete_batch(g->opts.aws, h->lane->queue_url, entries, n, NULL, &err) != SUP_OK) {
        sup_log_error("ingest", "messages cannot be deleted", SUP_S("queue", h->lane->queue_url),
                      SUP_S("error", err.msg));
        sup_ingest_note_error(g, err.msg);
    }
    for (size_t i = 0; i < n; i++)
        deleted += entries[i].result == SUP_OK;
    sup_metric_add(g->deleted, (int64_t)deleted);
    pthread_mutex_lock(&g->mutex);
    g->stats.deleted += deleted;
    pthread_mutex_unlock(&g->mutex);
}

/* --- one hand --- */

static void set_free(struct sup_hand *h)
{
    struct sup_lane *l = h->lane;
    struct sup_ingest *g = l->ingest;

    pthread_mutex_lock(&g->mutex);
    g->stats.in_hand -= h->batch.n;
    sup_metric_set(g->in_hand, (int64_t)g->stats.in_hand);
    pthread_mutex_unlock(&g->mutex);
    sup_metric_set(g->in_hand_bytes, (int64_t)(atomic_fetch_sub(&g->bytes, h->bytes) - h->bytes));
    if (h->bytes > SUP_HAND_KEEP_BYTES) {
        sup_json_simdjson.free_parser(h->parser); /* made again when it is needed */
        h->parser = NULL;
    }
    sup_sqs_batch_fini(&h->batch);
    pthread_mutex_lock(&l->mutex);
    h->state = SUP_HAND_FREE;
    pthread_cond_signal(&l->freed);
    pthread_mutex_unlock(&l->mutex);
}

/* Is it the store, rather than what it was given? */
static bool is_store_trouble(struct sup_lane *l, int code)
{
    return sup_code_is_transient(code) || code == SUP_EIO ||
           sup_writer_health(sup_apply_writer(l->ingest->opts.apply), NULL) != SUP_OK;
}

static void wait_again(struct sup_hand *h)
{
    struct sup_lane *l = h->lane;

    h->again_mono_ms =
        sup_mono_ms() + AGAIN_BASE_MS +
        sup_backoff_ms(&l->rng, AGAIN_BASE_MS, AGAIN_CAP_MS, h->tries < 16 ? h->tries : 16);
    h->tries++;
    pthread_mutex_lock(&l->mutex);
    h->state = SUP_HAND_WAITING;
    pthread_mutex_unlock(&l->mutex);
}

static void submit_alone(struct sup_hand *h)
{
    while (h->at < h->batch.n && h->results[h->at] != SUP_OK)
        h->at++;
    if (h->at == h->batch.n) {
        delete_committed(h);
        set_free(h);
        return;
    }
    sup_event_job_begin(h->job);
    sup_ingest_read(h, &h->lane->for_settler, h->at);
    sup_event_job_end(h->job);
    sup_ingest_submit(h, 0);
}

/* One of them cannot be committed; the others must not suffer for it. */
static void go_on_alone(struct sup_hand *h)
{
    if (!h->alone) {
        h->alone = true;
        h->at = 0;
    } else {
        if (h->code != SUP_OK)
            h->results[h->at] = h->code;
        h->at++;
    }
    submit_alone(h);
}

static bool is_closing(struct sup_lane *l)
{
    pthread_mutex_lock(&l->mutex);
    bool yes = l->closing;
    pthread_mutex_unlock(&l->mutex);
    return yes;
}

static void take_back(struct sup_hand *h)
{
    bool trouble = h->code != SUP_OK && is_store_trouble(h->lane, h->code);

    if (h->code == SUP_OK)
        sup_ingest_count(h->lane->ingest, sup_event_job_tally(h->job));
    if (h->code == SUP_ECLOSED || (trouble && is_closing(h->lane))) {
        change_visibility(h, 0);
        set_free(h);
    } else if (trouble) {
        wait_again(h);
    } else if (h->code != SUP_OK || h->alone) {
        go_on_alone(h);
    } else {
        delete_committed(h);
        set_free(h);
    }
}

static void submit_again(struct sup_hand *h)
{
    if (h->alone)
        submit_alone(h);
    else
        sup_ingest_submit(h, 0);
}

/* --- the thread --- */

static struct sup_hand *hand_in(struct sup_lane *l, enum sup_hand_state state)
{
    for (size_t i = 0; i < l->n; i++)
        if (l->hands[i].state == state)
            return &l->hands[i];
    return NULL;
}

static struct sup_hand *due_again(struct sup_lane *l, int64_t now)
{
    for (size_t i = 0; i < l->n; i++)
        if (l->hands[i].state == SUP_HAND_WAITING &&
            (l->closing || l->hands[i].again_mono_ms <= now))
            return &l->hands[i];
    return NULL;
}

static struct sup_hand *due_extension(struct sup_lane *l, int64_t now)
{
    for (size_t i = 0; i < l->n; i++)
        if (l->hands[i].state != SUP_HAND_FREE && l->hands[i].batch.n > 0 &&
            l->hands[i].extend_mono_ms <= now)
            return &l->hands[i];
    return NULL;
}

static int64_t until_next(struct sup_lane *l, int64_t now, int64_t ask_mono_ms)
{
    int64_t next = ask_mono_ms;

    for (size_t i = 0; i < l->n; i++) {
        const struct sup_hand *h = &l->hands[i];
        if (h->state == SUP_HAND_WAITING && h->again_mono_ms < next)
            next = h->again_mono_ms;
        if (h->state != SUP_HAND_FREE && h->batch.n > 0 && h->extend_mono_ms < next)
            next = h->extend_mono_ms;
    }
    return next > now ? next - now : 0;
}

/* Half of the time is left for the call, and for a call that fails. Longer than the queue's own:
 * who waits now may wait for long. */
static void extend(struct sup_hand *h)
{
    struct sup_lane *l = h->lane;

    pthread_mutex_lock(&l->mutex);
    int64_t ms = l->visibility_ms > VISIBILITY_MS ? l->visibility_ms : VISIBILITY_MS;
    ms = ms < VISIBILITY_MAX_MS ? ms : VISIBILITY_MAX_MS;
    h->extend_mono_ms = sup_mono_ms() + ms / 2;
    pthread_mutex_unlock(&l->mutex);
    change_visibility(h, (int)(ms / 1000));
}

/* Does one thing; false: nothing to do, and l->mutex is held. */
static bool do_one(struct sup_lane *l, int64_t now)
{
    pthread_mutex_lock(&l->mutex);
    struct sup_hand *late = due_extension(l, now);
    struct sup_hand *back = late ? NULL : hand_in(l, SUP_HAND_BACK);
    struct sup_hand *again = late || back ? NULL : due_again(l, now);
    if (!late && !back && !again)
        return false;
    pthread_mutex_unlock(&l->mutex);
    if (late)
        extend(late);
    if (back)
        take_back(back);
    if (again)
        submit_again(again);
    return true;
}

static bool all_free(const struct sup_lane *l)
{
    for (size_t i = 0; i < l->n; i++)
        if (l->hands[i].state != SUP_HAND_FREE)
            return false;
    return true;
}

void *sup_ingest_settle(void *lane)
{
    struct sup_lane *l = lane;
    int64_t ask = 0;
    bool end = false;

    while (!end) {
        int64_t now = sup_mono_ms();
        if (now >= ask && !sup_stop_is_set(&l->ingest->stop)) {
            ask_visibility(l);
            ask = sup_mono_ms() + ASK_AGAIN_MS;
        }
        if (do_one(l, now))
            continue;
        end = l->closing && all_free(l);
        if (!end)
            sup_cond_wait_ms(&l->back, &l->mutex, until_next(l, now, now >= ask ? now + 200 : ask));
        pthread_mutex_unlock(&l->mutex);
    }
    return NULL;
}
