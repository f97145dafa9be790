#include "service/archive_watch.h"

#include "aws/s3_reader.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/text.h"
#include "core/archive_folder.h"
#include "core/archive_reader.h"
#include "service/archive_marks.h"
#include "service/event_lane.h"
#include "service/status.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_BYTES      ((size_t)500 * 1000) /* what follows from it fits one job */
#define BATCH_DOCUMENTS  1000
#define RECORD_SEPARATOR 0x1e              /* RFC 7464: before each document */
#define AHEAD_MS         (2 * 3600 * 1000) /* Firehose's clock and ours */
#define STORE_WAIT_MS    500
#define TROUBLE_AFTER_MS 60000 /* trouble that lasts is worth a status line */
#define FOLDER_MAX       2048

enum result { READ, UNREADABLE, FAILED, N_RESULTS };

struct watcher {
    struct sup_archive_watch *watch;
    const struct sup_archive_options *o;
    struct sup_archive_marks marks;
    struct sup_archive_reader *reader;
    struct sup_event_lane *lane;
    struct sup_s3_bucket bucket;
    struct sup_buf batch;
    size_t n; /* documents in it */
    pthread_t thread;
    bool started;
    /* of a pass */
    struct sup_buf until; /* keys from here on are not of this archive's time */
    bool failed;
    struct sup_err err; /* the first failure */
    /* under the mutex */
    int64_t trouble_ms; /* monotonic: since when; 0 = none */
    char trouble[240];
};

struct sup_archive_watch {
    struct sup_archive_watch_options opts;
    struct sup_stop stop;
    struct sup_event_lanes *lanes;
    struct sup_metric *objects[N_RESULTS];
    pthread_mutex_t mutex;
    struct watcher *watchers;
    size_t n;
};

/* --- one object --- */

static void log_refused(const struct watcher *w, const char *key)
{
    const struct sup_event_job *job = sup_event_lane_job(w->lane);
    size_t refused = 0;
    const char *why = "";

    for (size_t i = sup_event_job_documents(job); i > 0; i--) {
        struct sup_event_document d = sup_event_job_document(job, i - 1);
        if (d.outcome != SUP_OUTCOME_REFUSED)
            continue;
        why = d.why;
        refused++;
    }
    if (refused > 0)
        sup_log_warn("archive", "documents cannot be read and are left out",
                     SUP_S("bucket", w->o->bucket), SUP_S("object", key),
                     SUP_U("documents", refused), SUP_S("first", why));
}

/* Hands the batch over, as often as it takes: the store may be behind. */
static int flush(struct watcher *w, const char *key, struct sup_err *err)
{
    const struct sup_event_input in = {
        .body = sup_buf_slice(&w->batch), .stream = true, .cause = SUP_CAUSE_EVENT};
    int rc = SUP_OK;

    while (w->n > 0) {
        rc = sup_event_lane_run(w->lane, &in, err);
        if (!sup_code_is_transient(rc))
            break;
        if (sup_stop_wait_ms(&w->watch->stop, STORE_WAIT_MS))
            return sup_err_set(err, SUP_ECLOSED, "stopped");
    }
    if (rc == SUP_OK && w->n > 0)
        log_refused(w, key);
    sup_buf_reset(&w->batch);
    w->n = 0;
    return rc;
}

static int read_documents(struct watcher *w, const char *key, struct sup_err *err)
{
    struct sup_slice document;
    uint64_t offset;
    int rc;

    while ((rc = sup_archive_reader_next(w->reader, &document, &offset, err)) == SUP_OK ||
           rc == SUP_ELIMIT) {
        if (rc == SUP_ELIMIT) {
            sup_log_warn("archive", "a document is too long and left out", SUP_S("object", key),
                         SUP_U("offset", offset));
            continue;
        }
        if (w->n == BATCH_DOCUMENTS || (w->n > 0 && w->batch.n + document.n + 1 > BATCH_BYTES))
            rc = flush(w, key, err);
        if (rc != SUP_OK)
            return rc == SUP_EINPUT || rc == SUP_ECORRUPT ? SUP_EIO : rc; /* ours, not its */
        sup_buf_add_byte(&w->batch, RECORD_SEPARATOR);
        sup_buf_add_slice(&w->batch, document);
        w->n++;
    }
    return rc;
}

/* SUP_OK: done, for good. SUP_EINPUT, SUP_ECORRUPT: done, but (the rest of) it cannot be read. */
static int read_object(struct watcher *w, const struct sup_s3_object *o, struct sup_err *err)
{
    struct sup_s3_reader s3;
    struct sup_err later = {0};

    sup_s3_reader_init(&s3, &w->bucket, o, &w->watch->stop);
    int rc = sup_archive_reader_begin(w->reader, sup_s3_reader_read, &s3, err);
    if (rc == SUP_OK)
        rc = read_documents(w, o->key, err);
    if (rc == SUP_ENOTFOUND && err->code != SUP_ENOTFOUND)
        rc = SUP_OK; /* the end, not "no such object" */
    sup_s3_reader_fini(&s3);
    if (rc == SUP_OK || rc == SUP_ECORRUPT) {
        int last = flush(w, o->key, &later);
        if (last != SUP_OK)
            return sup_err_set(err, last == SUP_EINPUT || last == SUP_ECORRUPT ? SUP_EIO : last,
                               "%s", later.msg);
    }
    sup_buf_reset(&w->batch);
    w->n = 0;
    return rc;
}

static void fail(struct watcher *w, int rc, const struct sup_err *err)
{
    if (!w->failed)
        sup_err_set(&w->err, rc, "%s", err->msg);
    w->failed = true;
}

/* False: the pass is over. */
static bool take_object(struct watcher *w, const struct sup_s3_object *o)
{
    struct sup_err err = {0};
    int rc = read_object(w, o, &err);
    bool unreadable = rc == SUP_EINPUT || rc == SUP_ECORRUPT;

    if (unreadable)
        sup_log_warn("archive", "an object cannot be read and is left out",
                     SUP_S("bucket", w->o->bucket), SUP_S("object", o->key),
                     SUP_S("error", err.msg));
    if (rc == SUP_OK || unreadable)
        rc = sup_archive_marks_add(&w->marks, o->key, o->etag, &err);
    if (rc == SUP_OK) {
        sup_metric_add(w->watch->objects[unreadable ? UNREADABLE : READ], 1);
        return true;
    }
    if (rc == SUP_ECLOSED)
        return false;
    sup_metric_add(w->watch->objects[FAILED], 1);
    fail(w, rc, &err);
    /* What one object does not give, the next may; S3 or the store in trouble wait for the next
     * pass. */
    return !sup_code_is_transient(rc) && rc != SUP_ENOMEM;
}

/* --- a pass --- */

static bool each(void *arg, const struct sup_s3_object *o)
{
    struct watcher *w = arg;

    if (sup_stop_is_set(&w->watch->stop))
        return false;
    if (strcmp(o->key, sup_buf_str(&w->until)) >= 0 &&
        strncmp(o->key, sup_buf_str(&w->until), w->until.n) != 0)
        return false;
    if (o->size == 0 || sup_archive_marks_has(&w->marks, o->key, o->etag))
        return true;
    return take_object(w, o);
}

static void folder(const struct watcher *w, int64_t ms, struct sup_buf *out)
{
    sup_buf_reset(out);
    sup_buf_add_str(out, w->o->prefix);
    sup_archive_folder(w->o->folders, ms, out);
}

/* Where the archive was left; the first time, as far back as the configuration says. */
static int where(struct watcher *w, int64_t now, int64_t *begin, struct sup_err *err)
{
    int rc = sup_archive_marks_begin(&w->marks, begin, err);

    if (rc != SUP_ENOTFOUND)
        return rc;
    *begin = now - w->o->since_ms;
    return sup_archive_marks_advance(&w->marks, *begin, "", err);
}

static int pass(struct watcher *w, struct sup_err *err)
{
    int64_t now = sup_wall_ms(), begin = 0;
    struct sup_s3_listing listing = {.prefix = w->o->prefix, .stop = &w->watch->stop};
    struct sup_buf from;
    int rc = where(w, now, &begin, err);

    sup_buf_init(&from, FOLDER_MAX);
    w->failed = false;
    folder(w, now + AHEAD_MS, &w->until);
    folder(w, begin, &from);
    listing.start_after = sup_buf_str(&from);
    if (rc == SUP_OK)
        rc = sup_s3_list(&w->bucket, &listing, each, w, err);
    if (rc == SUP_OK && w->failed)
        rc = sup_err_set(err, w->err.code, "%s", w->err.msg);
    if (rc == SUP_OK && !sup_stop_is_set(&w->watch->stop) && now - w->o->late_ms > begin) {
        folder(w, now - w->o->late_ms, &from);
        rc = sup_archive_marks_advance(&w->marks, now - w->o->late_ms, sup_buf_str(&from), err);
    }
    sup_buf_fini(&from);
    return rc;
}

static void note(struct watcher *w, int rc, const struct sup_err *err)
{
    bool was;

    pthread_mutex_lock(&w->watch->mutex);
    was = w->trouble_ms != 0;
    if (rc == SUP_OK)
        w->trouble_ms = 0;
    else if (!was)
        w->trouble_ms = sup_mono_ms();
    sup_text_copy(w->trouble, sizeof(w->trouble), rc == SUP_OK ? "" : err->msg);
    pthread_mutex_unlock(&w->watch->mutex);
    if (rc != SUP_OK && !was)
        sup_log_error("archive", "cannot be read", SUP_S("bucket", w->o->bucket),
                      SUP_S("prefix", w->o->prefix), SUP_S("error", err->msg));
    if (rc == SUP_OK && was)
        sup_log_info("archive", "is read again", SUP_S("bucket", w->o->bucket),
                     SUP_S("prefix", w->o->prefix));
}

static void *watcher_main(void *arg)
{
    struct watcher *w = arg;

    do {
        struct sup_err err = {0};
        int rc = pass(w, &err);
        if (rc != SUP_ECLOSED)
            note(w, rc, &err);
    } while (!sup_stop_wait_ms(&w->watch->stop, w->o->interval_ms));
    return NULL;
}

/* --- all of them --- */

static int watcher_start(struct sup_archive_watch *watch, struct watcher *w,
                         const struct sup_archive_options *o, struct sup_err *err)
{
    w->watch = watch;
    w->o = o;
    w->marks = (struct sup_archive_marks){.store = watch->opts.store,
                                          .apply = watch->opts.apply,
                                          .bucket = o->bucket,
                                          .prefix = o->prefix};
    sup_buf_init(&w->batch, 2 * BATCH_BYTES + SUP_ARCHIVE_DOCUMENT_MAX);
    sup_buf_init(&w->until, FOLDER_MAX);
    w->reader = sup_archive_reader_new();
    w->lane = sup_event_lane_take(watch->lanes);
    if (!w->reader || !w->lane)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    int rc = sup_s3_bucket_init(&w->bucket, watch->opts.aws, o->bucket, o->region, err);
    if (rc != SUP_OK)
        return sup_err_prefix(err, rc, "archives");
    rc = sup_thread_start(&w->thread, "archive", watcher_main, w);
    w->started = rc == SUP_OK;
    return rc == SUP_OK ? rc : sup_err_set(err, rc, "cannot start a thread for an archive");
}

int sup_archive_watch_start(const struct sup_archive_watch_options *opts,
                            struct sup_archive_watch **out, struct sup_err *err)
{
    static const char *const labels[N_RESULTS] = {"result=\"read\"", "result=\"unreadable\"",
                                                  "result=\"failed\""};
    struct sup_archive_watch *w = calloc(1, sizeof(*w));
    size_t n = opts->config->n_archives;
    int rc = SUP_OK;

    if (!w)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    w->opts = *opts;
    sup_stop_init(&w->stop);
    pthread_mutex_init(&w->mutex, NULL);
    for (size_t i = 0; i < N_RESULTS; i++)
        w->objects[i] = sup_metric("supsync_archive_objects_total", labels[i], SUP_COUNTER,
                                   "Objects of watched archives, by what became of them");
    w->watchers = calloc(n, sizeof(*w->watchers));
    if (!w->watchers || sup_event_lanes_new(opts->config, opts->apply, n, &w->lanes) != SUP_OK)
        rc = sup_err_set(err, SUP_ENOMEM, "out of memory");
    while (rc == SUP_OK && w->n < n) {
        rc = watcher_start(w, &w->watchers[w->n], &opts->config->archives[w->n], err);
        w->n++;
    }
    if (rc != SUP_OK) {
        sup_archive_watch_stop(w);
        sup_archive_watch_free(w);
        return rc;
    }
    *out = w;
    return SUP_OK;
}

void sup_archive_watch_stop(struct sup_archive_watch *w)
{
    if (!w)
        return;
    sup_stop_set(&w->stop);
    for (size_t i = 0; i < w->n; i++) {
        if (w->watchers[i].started)
            pthread_join(w->watchers[i].thread, NULL);
        w->watchers[i].started = false;
    }
}

void sup_archive_watch_free(struct sup_archive_watch *w)
{
    if (!w)
        return;
    for (size_t i = 0; i < w->n; i++) {
        struct watcher *one = &w->watchers[i];
        if (one->lane)
            sup_event_lane_give(one->lane);
        sup_archive_reader_free(one->reader);
        sup_s3_bucket_fini(&one->bucket);
        sup_buf_fini(&one->until);
        sup_buf_fini(&one->batch);
    }
    sup_event_lanes_free(w->lanes);
    free(w->watchers);
    pthread_mutex_destroy(&w->mutex);
    sup_stop_fini(&w->stop);
    free(w);
}

void sup_archive_watch_status(struct sup_archive_watch *w, struct sup_status *out)
{
    if (!w)
        return;
    pthread_mutex_lock(&w->mutex);
    for (size_t i = 0; i < w->n; i++) {
        const struct watcher *one = &w->watchers[i];
        if (one->trouble_ms != 0 && sup_mono_ms() - one->trouble_ms >= TROUBLE_AFTER_MS)
            sup_status_problem(out, "archive s3://%s/%s cannot be read: %s", one->o->bucket,
                               one->o->prefix, one->trouble);
    }
    pthread_mutex_unlock(&w->mutex);
}
