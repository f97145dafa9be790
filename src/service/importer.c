#include "service/importer.h"

#include "aws/s3_object.h"
#include "aws/ses_import.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "base/text.h"
#include "service/apply_txn.h"
#include "service/importer_internal.h"
#include "service/status.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_EVERY_MS 1000
/* A job takes at least some seconds; SES allows about one call a second. */
#define POLL_MIN_MS 1000
#define POLL_MAX_MS 15000
/* After trouble that passes, and after a job that failed or was refused. */
#define RETRY_MS   5000
#define REFUSED_MS (10 * 60 * 1000)
#define OBJECT_MAX (64U << 20)
#define VALUE_MAX  (64U << 10)

/* The budget is used up: looked at again. */
#define BUDGET_MS 60000

/* --- calls --- */

/* Beginning a job is not urgent (see consider); one that was begun is brought to its end, for its
 * rows are held meanwhile. */
static int take_call(struct sup_importer *im, struct sup_err *err)
{
    if (sup_ses_calls_take(im->opts.calls, true, err) == SUP_OK)
        return SUP_OK;
    im->next_mono_ms = sup_mono_ms() + BUDGET_MS;
    return SUP_EAGAIN;
}

static void count_call(struct sup_importer *im, enum sup_report_call op, int code,
                       const struct sup_aws_error *aerr)
{
    const struct sup_ses_call_made m = {
        .op = op, .code = code, .aws = aerr, .for_run = im->state.run, .again = im->failed};

    sup_ses_calls_made(im->opts.calls, &m);
    im->failed = code != SUP_OK;
}

/* --- the state --- */

struct saving {
    struct sup_importer *im;
    struct sup_import_state next;
};

static int save_run(struct sup_apply *a, struct sup_txn *t, void *arg, struct sup_err *err)
{
    const struct saving *save = arg;
    const struct sup_import_state *s = &save->next;
    struct sup_buf value;

    (void)a;
    (void)err;
    sup_buf_init(&value, VALUE_MAX);
    sup_import_state_encode(s, &value);
    if (s->stage == SUP_IMPORT_NONE)
        sup_txn_delete(t, SUP_CF_META, sup_slice_str(SUP_META_IMPORT));
    else
        sup_txn_put(t, SUP_CF_META, sup_slice_str(SUP_META_IMPORT), sup_buf_slice(&value));
    sup_ses_calls_put(save->im->opts.calls, t);
    sup_buf_fini(&value);
    return SUP_OK;
}

/* Into the store first: what is done next is known to whoever comes after a crash. */
static int enter(struct sup_importer *im, enum sup_import_stage stage, struct sup_err *err)
{
    struct saving save = {.im = im, .next = im->state};
    int rc;

    save.next.stage = stage;
    rc = sup_apply_run(im->opts.apply, save_run, &save, err);
    if (rc == SUP_OK)
        im->state = save.next;
    return rc;
}

static void load(struct sup_importer *im)
{
    struct sup_buf value;

    sup_buf_init(&value, VALUE_MAX);
    if (sup_store_get(im->opts.store, NULL, SUP_CF_META, sup_slice_str(SUP_META_IMPORT), &value,
                      NULL) != SUP_OK ||
        sup_import_state_decode(sup_buf_slice(&value), &im->state, NULL) != SUP_OK)
        memset(&im->state, 0, sizeof(im->state));
    sup_buf_fini(&value);
    im->uncertain = im->state.stage == SUP_IMPORT_CREATING;
    if (im->state.stage != SUP_IMPORT_NONE)
        sup_log_info("import", "a job goes on", SUP_S("object", im->state.object_key));
}

static void set_error(struct sup_importer *im, const char *text)
{
    pthread_mutex_lock(&im->mutex);
    sup_text_copy(im->last_error, sizeof(im->last_error), text);
    pthread_mutex_unlock(&im->mutex);
}

static void s3_url(const struct sup_importer *im, char out[1280])
{
    snprintf(out, 1280, "s3://%s/%s", im->opts.config->ses.import_bucket, im->state.object_key);
}

/* --- steps --- */

static int begin(struct sup_importer *im, bool remove, struct sup_err *err)
{
    const struct sup_options *c = im->opts.config;

    memset(&im->state, 0, sizeof(im->state));
    im->state.remove = remove;
    im->state.begin_ms = sup_wall_ms();
    snprintf(im->state.object_key, sizeof(im->state.object_key),
             "%.256ssuppression-%.64s-%" PRId64 "-%016" PRIx64 ".json", c->ses.import_prefix,
             c->region, im->state.begin_ms, sup_random_u64());
    return enter(im, SUP_IMPORT_COLLECTING, err);
}

/* Is there enough for a job? */
static int consider(struct sup_importer *im, struct sup_err *err)
{
    uint64_t threshold = im->opts.config->ses.import_threshold;
    struct sup_import_choice choice;
    bool remove;
    bool slashes;
    int rc;

    if (!sup_ses_calls_may(im->opts.calls, false)) {
        im->next_mono_ms = sup_mono_ms() + BUDGET_MS;
        return SUP_OK;
    }
    rc = sup_import_choose(im, &choice, err);
    if (rc != SUP_OK ||
        (choice.puts < threshold && choice.deletes < threshold && choice.slashes == 0))
        return rc;
    remove = choice.puts < threshold;
    slashes = remove && choice.deletes < threshold;
    rc = begin(im, remove, err);
    if (rc == SUP_OK)
        rc = sup_import_collect(im, slashes,
                                remove ? SUP_SES_IMPORT_DELETES_MAX : SUP_SES_IMPORT_PUTS_MAX,
                                &im->state.rows, err);
    if (rc != SUP_OK)
        return rc;
    /* The worker, or a decision, may have taken them all meanwhile. */
    return enter(im, im->state.rows > 0 ? SUP_IMPORT_PREPARED : SUP_IMPORT_NONE, err);
}

static int put_object(struct sup_importer *im, struct sup_slice body, struct sup_err *err)
{
    struct sup_aws_error aerr = {0};
    int rc = sup_s3_put(im->opts.aws, im->opts.config->ses.import_bucket, im->state.object_key,
                        body, &im->stop, &aerr, err);

    count_call(im, SUP_CALL_S3_PUT, rc, &aerr);
    return rc;
}

static int write_object(struct sup_importer *im, struct sup_err *err)
{
    struct sup_buf body;
    int rc;

    sup_buf_init(&body, OBJECT_MAX);
    rc = sup_import_body(im, &body, err);
    if (rc == SUP_OK && body.n == 0)
        rc = enter(im, SUP_IMPORT_NONE, err); /* a crash came before the first row */
    else if (rc == SUP_OK)
        rc = put_object(im, sup_buf_slice(&body), err);
    if (rc == SUP_OK && body.n > 0) {
        im->uncertain = false;
        rc = enter(im, SUP_IMPORT_CREATING, err);
    }
    sup_buf_fini(&body);
    return rc;
}

struct search {
    struct sup_importer *im;
    char url[1280];
    struct sup_err *err;
    int rc;
    bool found;
};

static int get_job(struct sup_importer *im, const char *id, struct sup_ses_job *job,
                   struct sup_err *err)
{
    struct sup_aws_error aerr = {0};
    int rc = take_call(im, err);

    if (rc != SUP_OK)
        return rc;
    rc = sup_ses_get_import(im->opts.aws, id, job, &im->stop, &aerr, err);
    count_call(im, SUP_CALL_IMPORT_GET, rc, &aerr);
    return rc;
}

static bool is_ours(void *arg, const char *id)
{
    struct search *s = arg;
    struct sup_ses_job job;

    if (sup_stop_wait_ms(&s->im->stop, POLL_MIN_MS)) {
        s->rc = SUP_ECLOSED;
        return false;
    }
    s->rc = get_job(s->im, id, &job, s->err);
    if (s->rc != SUP_OK)
        return false;
    s->found = strcmp(job.s3_url, s->url) == 0;
    if (s->found)
        sup_text_copy(s->im->state.job_id, sizeof(s->im->state.job_id), id);
    sup_ses_job_fini(&job);
    return !s->found;
}

/* A job that was created without our hearing of it: the object's key is in no other. SES's clock
 * may be behind ours, hence the hour. */
static int find_job(struct sup_importer *im, bool *found, struct sup_err *err)
{
    struct search s = {.im = im, .err = err};
    struct sup_aws_error aerr = {0};
    int rc = take_call(im, err);

    if (rc != SUP_OK)
        return rc;
    s3_url(im, s.url);
    rc = sup_ses_list_imports(im->opts.aws, im->state.begin_ms - 3600 * 1000, is_ours, &s,
                              &im->stop, &aerr, err);
    count_call(im, SUP_CALL_IMPORT_LIST, rc, &aerr);
    *found = s.found;
    return rc == SUP_OK ? s.rc : rc;
}

static int create_job(struct sup_importer *im, struct sup_err *err)
{
    struct sup_aws_error aerr = {0};
    char url[1280];
    bool found = false;
    int rc = SUP_OK;

    if (im->uncertain)
        rc = find_job(im, &found, err);
    if (rc == SUP_OK && !found)
        rc = take_call(im, err);
    if (rc == SUP_OK && !found) {
        s3_url(im, url);
        im->uncertain = true;
        rc = sup_ses_create_import(im->opts.aws, url, im->state.remove, im->state.job_id, &im->stop,
                                   &aerr, err);
        count_call(im, SUP_CALL_IMPORT, rc, &aerr);
        /* An answer that says no is certain. Of several attempts inside, an earlier one may have
         * come through. */
        im->uncertain = rc != SUP_OK &&
                        (aerr.attempts > 1 || aerr.http_status < 400 || aerr.http_status >= 500);
    }
    if (rc != SUP_OK)
        return rc;
    im->poll_ms = POLL_MIN_MS;
    sup_log_info("import", "job created", SUP_S("job", im->state.job_id),
                 SUP_S("action", im->state.remove ? "DELETE" : "PUT"),
                 SUP_U("rows", im->state.rows));
    return enter(im, SUP_IMPORT_RUNNING, err);
}

/* Takes the rows back, or through; error "" = the job is done. */
static int end_job(struct sup_importer *im, const struct sup_import_failed *failed,
                   const char *error, struct sup_err *err)
{
    struct sup_aws_error aerr = {0};
    /* Left behind it does no harm. Before the rows are ended, so that a run which waits for them
     * counts it. */
    int rc = sup_s3_delete(im->opts.aws, im->opts.config->ses.import_bucket, im->state.object_key,
                           &im->stop, &aerr, NULL);

    count_call(im, SUP_CALL_S3_DELETE, rc, &aerr);
    rc = sup_import_finish(im, failed, error, err);
    return rc == SUP_OK ? enter(im, SUP_IMPORT_NONE, err) : rc;
}

/* Fetches the rows that failed. A list that is not there, or cannot be read, or is shorter than it
 * should be, is one that names nothing. */
static int fetch_failed(struct sup_importer *im, const struct sup_ses_job *job,
                        struct sup_import_failed *failed, struct sup_err *err)
{
    struct sup_aws_error aerr = {0};
    struct sup_buf text;
    int rc;

    if (job->failed == 0 || !job->failed_url)
        return SUP_OK;
    sup_buf_init(&text, OBJECT_MAX);
    rc = sup_s3_get_presigned(im->opts.aws, job->failed_url, &text, &im->stop, &aerr, err);
    count_call(im, SUP_CALL_S3_GET, rc, &aerr);
    if (rc == SUP_OK)
        rc = sup_import_failed_parse(failed, sup_buf_slice(&text), err);
    else if (rc != SUP_ECLOSED && !sup_code_is_transient(rc))
        rc = SUP_OK;
    if (failed->n < job->failed)
        sup_import_failed_fini(failed);
    sup_buf_fini(&text);
    return rc;
}

static int complete(struct sup_importer *im, const struct sup_ses_job *job, struct sup_err *err)
{
    struct sup_import_failed failed = {0};
    int rc = fetch_failed(im, job, &failed, err);
    bool known = job->failed == 0 || failed.n > 0;

    /* Which rows failed cannot be told: none is taken for done, and each is looked after singly. A
     * job that processed less than it says is found out by the next scans. */
    if (rc == SUP_OK)
        rc = end_job(im, &failed, known ? "" : "a row of an import job failed", err);
    if (rc == SUP_OK) {
        sup_log_info("import", "job completed", SUP_S("job", job->id),
                     SUP_U("processed", job->processed), SUP_U("failed", job->failed));
        set_error(im, known ? "" : "SES did not say which rows of an import job failed");
        /* Or they would be in the next job at once, and in the one behind it. */
        if (!known)
            im->next_mono_ms = sup_mono_ms() + REFUSED_MS;
    }
    sup_import_failed_fini(&failed);
    return rc;
}

static int give_up(struct sup_importer *im, const char *why, struct sup_err *err)
{
    struct sup_import_failed none = {0};
    int rc;

    sup_log_error("import", "job failed; its rows are written one by one", SUP_S("error", why));
    set_error(im, why);
    rc = end_job(im, &none, why[0] ? why : "the import job failed", err);
    if (rc == SUP_OK)
        im->next_mono_ms = sup_mono_ms() + REFUSED_MS;
    return rc;
}

static int poll_job(struct sup_importer *im, struct sup_err *err)
{
    struct sup_ses_job job;
    int rc = get_job(im, im->state.job_id, &job, err);

    if (rc == SUP_ENOTFOUND)
        return give_up(im, "SES does not know the import job any more", err);
    if (rc != SUP_OK)
        return rc;
    if (job.state == SUP_SES_JOB_COMPLETED) {
        rc = complete(im, &job, err);
    } else if (job.state == SUP_SES_JOB_FAILED) {
        rc = give_up(im, job.error, err);
    } else {
        im->next_mono_ms = sup_mono_ms() + im->poll_ms;
        im->poll_ms = im->poll_ms * 2 > POLL_MAX_MS ? POLL_MAX_MS : im->poll_ms * 2;
    }
    sup_ses_job_fini(&job);
    return rc;
}

static int step(struct sup_importer *im, struct sup_err *err)
{
    switch (im->state.stage) {
    case SUP_IMPORT_NONE:
        return consider(im, err);
    case SUP_IMPORT_COLLECTING: /* a crash came while rows were moved: those that were will do */
        return enter(im, SUP_IMPORT_PREPARED, err);
    case SUP_IMPORT_PREPARED:
        return write_object(im, err);
    case SUP_IMPORT_CREATING:
        return create_job(im, err);
    case SUP_IMPORT_RUNNING:
        return poll_job(im, err);
    }
    return SUP_EBUG;
}

/* --- the thread --- */

static void after_trouble(struct sup_importer *im, int rc, const char *text)
{
    struct sup_err err = {0};
    bool refused = (rc == SUP_EINPUT || rc == SUP_ENOTFOUND || rc == SUP_ELIMIT) &&
                   (im->state.stage == SUP_IMPORT_PREPARED ||
                    (im->state.stage == SUP_IMPORT_CREATING && !im->uncertain));

    if (rc == SUP_ECLOSED)
        return;
    set_error(im, text);
    if (im->next_mono_ms < sup_mono_ms() + RETRY_MS)
        im->next_mono_ms = sup_mono_ms() + RETRY_MS;
    if (refused)
        (void)give_up(im, text, &err);
    else
        sup_log_warn("import", "cannot go on now", SUP_S("error", text));
}

static void *importer_main(void *arg)
{
    struct sup_importer *im = arg;

    load(im);
    while (!sup_stop_is_set(&im->stop)) {
        struct sup_err err = {0};
        int64_t wait = im->next_mono_ms - sup_mono_ms();
        int rc;
        if (im->state.stage == SUP_IMPORT_NONE && wait < LOOK_EVERY_MS)
            wait = LOOK_EVERY_MS;
        if (wait > 0 && sup_stop_wait_ms(&im->stop, wait))
            break;
        rc = step(im, &err);
        if (rc != SUP_OK)
            after_trouble(im, rc, err.msg);
    }
    return NULL;
}

int sup_importer_start(const struct sup_importer_options *opts, struct sup_importer **out,
                       struct sup_err *err)
{
    struct sup_importer *im = calloc(1, sizeof(*im));

    if (!im)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    im->opts = *opts;
    im->poll_ms = POLL_MIN_MS;
    sup_stop_init(&im->stop);
    pthread_mutex_init(&im->mutex, NULL);
    if (sup_thread_start(&im->thread, "importer", importer_main, im) != SUP_OK) {
        sup_importer_free(im);
        return sup_err_set(err, SUP_EAGAIN, "cannot start a thread");
    }
    im->started = true;
    *out = im;
    return SUP_OK;
}

void sup_importer_close(struct sup_importer *im)
{
    if (im)
        sup_stop_set(&im->stop);
}

void sup_importer_stop(struct sup_importer *im)
{
    if (!im || !im->started)
        return;
    sup_importer_close(im);
    pthread_join(im->thread, NULL);
    im->started = false;
}

void sup_importer_free(struct sup_importer *im)
{
    if (!im)
        return;
    pthread_mutex_destroy(&im->mutex);
    sup_stop_fini(&im->stop);
    free(im);
}

void sup_importer_status(struct sup_importer *im, struct sup_status *out)
{
    pthread_mutex_lock(&im->mutex);
    if (im->last_error[0] != '\0')
        sup_status_problem(out, "import jobs: %s", im->last_error);
    pthread_mutex_unlock(&im->mutex);
}
