#include "cli/ingest.h"

#include "base/clock.h"

#include <stdlib.h>
#include <string.h>

/* Less than the agent takes, which is 4 MiB: the more go in one commit, the fewer times the same
 * counts are written. */
#define BATCH_BYTES      ((size_t)4000 * 1000)
#define RECORD_SEPARATOR 0x1e /* RFC 7464: before each document */
#define WAIT_MS          200  /* before the first repetition of what the agent could not take now */
#define WAIT_MAX_MS      5000
#define PATIENCE_MS      60000

struct sup_ingesting *sup_ingesting_new(struct sup_cli *cli)
{
    struct sup_ingesting *g = calloc(1, sizeof(*g));

    if (g == NULL)
        return NULL;
    g->cli = cli;
    sup_buf_init(&g->batch, 2 * BATCH_BYTES);
    g->source = sup_source_new();
    g->tally = sup_tally_new(cli);
    if (g->source != NULL && g->tally != NULL)
        return g;
    sup_ingesting_free(g);
    return NULL;
}

void sup_ingesting_free(struct sup_ingesting *g)
{
    if (g == NULL)
        return;
    sup_journal_close(g->journal);
    sup_source_free(g->source);
    sup_tally_free(g->tally);
    sup_buf_fini(&g->batch);
    free(g);
}

/* --- the agent --- */

static void sleep_ms(long ms)
{
    const struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&t, NULL);
}

static int refusal(const json_t *answer, long status)
{
    if (status == 503)
        return SUP_EAGAIN;
    return strcmp(sup_cli_text(answer, "code", ""), sup_code_name(SUP_ELIMIT)) == 0 ? SUP_ELIMIT
                                                                                    : SUP_EINPUT;
}

/* Hands n documents over, from first on. The agent says 503 when its store is behind: that is what
 * waiting is for. SUP_ELIMIT: they are too many for it. */
static int post(struct sup_ingesting *g, size_t first, size_t n, json_t **answer,
                struct sup_err *err)
{
    const struct sup_call call = {.method = "POST",
                                  .target = "/v1/events?outcomes=no",
                                  .type = "application/json-seq",
                                  .body = (const char *)g->batch.p + g->at[first],
                                  .body_n = g->at[first + n] - g->at[first]};
    int64_t deadline = sup_mono_ms() + PATIENCE_MS;
    long wait = WAIT_MS, status = 0;

    for (;;) {
        int rc = sup_cli_call(g->cli, &call, answer, &status, err);
        if (rc == SUP_OK && status == 200 && json_is_object(*answer))
            return SUP_OK;
        if (rc == SUP_OK)
            rc = sup_err_set(err, refusal(*answer, status), "%s", sup_cli_detail(*answer));
        json_decref(*answer);
        *answer = NULL;
        if (rc != SUP_EAGAIN || sup_mono_ms() > deadline)
            return rc;
        sleep_ms(wait);
        wait = wait * 2 < WAIT_MAX_MS ? wait * 2 : WAIT_MAX_MS;
    }
}

/* What follows from a document can be many times its size: what the agent finds too much is handed
 * over by halves. */
static int hand_over(struct sup_ingesting *g, size_t first, size_t n, struct sup_err *err)
{
    json_t *answer = NULL;
    int rc = post(g, first, n, &answer, err);

    if (rc == SUP_OK)
        sup_tally_add(g->tally, g->object.name, answer, g->offsets + first, n);
    json_decref(answer);
    if (rc != SUP_ELIMIT || n == 1)
        return rc;
    rc = hand_over(g, first, n / 2, err);
    return rc == SUP_OK ? hand_over(g, first + n / 2, n - n / 2, err) : rc;
}

static int flush(struct sup_ingesting *g, bool done)
{
    struct sup_err err = {0};

    g->at[g->n] = g->batch.n;
    int rc = g->n > 0 ? hand_over(g, 0, g->n, &err) : SUP_OK;
    if (rc == SUP_OK)
        rc = sup_journal_note(g->journal, &g->object, g->next, done, &err);
    if (rc != SUP_OK) {
        g->no_agent = true;
        sup_cli_error(0, "ingest: %s: %s", g->object.name, err.msg);
    }
    sup_buf_reset(&g->batch);
    g->n = 0;
    return rc;
}

/* --- one object --- */

static int take_document(struct sup_ingesting *g, struct sup_slice document, uint64_t offset)
{
    int rc = SUP_OK;

    if (g->n == SUP_INGEST_BATCH_DOCUMENTS ||
        (g->n > 0 && g->batch.n + document.n + 1 > BATCH_BYTES))
        rc = flush(g, false);
    g->at[g->n] = g->batch.n;
    sup_buf_add_byte(&g->batch, RECORD_SEPARATOR);
    sup_buf_add_slice(&g->batch, document);
    g->offsets[g->n++] = offset;
    g->next = offset + document.n;
    return rc;
}

static void refuse(struct sup_ingesting *g, uint64_t offset, const char *why)
{
    sup_tally_refuse(g->tally, g->object.name, offset, why);
}

/* Documents up to `from` were acknowledged in an earlier run. */
static int read_documents(struct sup_ingesting *g, uint64_t from, struct sup_err *err)
{
    struct sup_slice document;
    uint64_t offset = 0;
    int rc;

    while ((rc = sup_source_next(g->source, &document, &offset, err)) == SUP_OK ||
           rc == SUP_ELIMIT) {
        if (offset < from)
            continue;
        if (rc == SUP_ELIMIT)
            refuse(g, offset, err->msg);
        else if (take_document(g, document, offset) != SUP_OK)
            return SUP_ECLOSED;
        sup_tally_progress(g->tally, sup_source_read(g->source));
    }
    return rc;
}

static void read_object(struct sup_ingesting *g, uint64_t from, sup_ingest_open_fn *open, void *arg)
{
    struct sup_err err = {0};
    int rc = open(arg, g->source, &err);

    g->next = from;
    if (rc == SUP_OK)
        rc = read_documents(g, from, &err);
    if (rc == SUP_ECLOSED)
        return;
    bool whole = rc == SUP_ENOTFOUND && err.code != SUP_ENOTFOUND;
    if (flush(g, whole) != SUP_OK || whole)
        return;
    if (rc == SUP_EINPUT) {
        refuse(g, 0, err.msg); /* Parquet and the like: said, not passed over */
        return;
    }
    g->lost = true;
    refuse(g, g->next, err.msg);
    sup_cli_error(0, "ingest: %s: %s", g->object.name, err.msg);
}

void sup_ingest_object(struct sup_ingesting *g, const struct sup_journal_object *o, bool known,
                       sup_ingest_open_fn *open, void *arg)
{
    uint64_t from = 0;
    bool done = false;

    g->object = *o;
    if (known)
        sup_journal_look_up(g->journal, &g->object, &from, &done);
    sup_tally_object(g->tally, g->object.size, done);
    if (!done)
        read_object(g, from, open, arg);
    sup_source_close(g->source);
    sup_tally_object_done(g->tally);
}
