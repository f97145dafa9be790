/* Backfill: archived events from files, through the agent, in memory that does not grow with them.
 */
#include "base/clock.h"
#include "cli/cli.h"
#include "cli/journal.h"
#include "cli/source.h"
#include "cli/tally.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BATCH_BYTES      ((size_t)1000 * 1000) /* less than the agent takes: 1 MiB */
#define BATCH_DOCUMENTS  1000
#define DEPTH_MAX        32
#define RECORD_SEPARATOR 0x1e /* RFC 7464: before each document */
#define WAIT_MS          200  /* before the first repetition of what the agent could not take now */
#define WAIT_MAX_MS      5000
#define PATIENCE_MS      60000

struct ingesting {
    struct sup_cli *cli;
    struct sup_source *source;
    struct sup_journal *journal;
    struct sup_tally *tally;
    struct sup_journal_object object;
    struct sup_buf batch;
    uint64_t offsets[BATCH_DOCUMENTS]; /* of its documents, in the object */
    size_t n;
    uint64_t next; /* offset behind the last document of the batch */
    bool no_agent; /* nothing more can be done */
    bool lost;     /* something could not be read at all */
};

/* --- the agent --- */

static void sleep_ms(long ms)
{
    const struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&t, NULL);
}

/* The agent says 503 when its store is behind: that is what waiting is for. */
static int post(struct ingesting *g, json_t **answer, struct sup_err *err)
{
    const struct sup_call call = {.method = "POST",
                                  .target = "/v1/events",
                                  .type = "application/json-seq",
                                  .body = (const char *)g->batch.p,
                                  .body_n = g->batch.n};
    int64_t deadline = sup_mono_ms() + PATIENCE_MS;
    long wait = WAIT_MS, status = 0;

    for (;;) {
        int rc = sup_cli_call(g->cli, &call, answer, &status, err);
        if (rc == SUP_OK && status == 200 && json_is_object(*answer))
            return SUP_OK;
        if (rc == SUP_OK)
            rc = sup_err_set(err, status == 503 ? SUP_EAGAIN : SUP_EINPUT, "%s",
                             sup_cli_detail(*answer));
        json_decref(*answer);
        *answer = NULL;
        if (rc != SUP_EAGAIN || sup_mono_ms() > deadline)
            return rc;
        sleep_ms(wait);
        wait = wait * 2 < WAIT_MAX_MS ? wait * 2 : WAIT_MAX_MS;
    }
}

static int flush(struct ingesting *g, bool done)
{
    struct sup_err err = {0};
    json_t *answer = NULL;
    int rc = g->n > 0 ? post(g, &answer, &err) : SUP_OK;

    if (rc == SUP_OK && g->n > 0)
        sup_tally_add(g->tally, g->object.name, answer, g->offsets, g->n);
    json_decref(answer);
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

static int take_document(struct ingesting *g, struct sup_slice document, uint64_t offset)
{
    int rc = SUP_OK;

    if (g->n == BATCH_DOCUMENTS || (g->n > 0 && g->batch.n + document.n + 1 > BATCH_BYTES))
        rc = flush(g, false);
    sup_buf_add_byte(&g->batch, RECORD_SEPARATOR);
    sup_buf_add_slice(&g->batch, document);
    g->offsets[g->n++] = offset;
    g->next = offset + document.n;
    return rc;
}

static void refuse(struct ingesting *g, uint64_t offset, const char *why)
{
    sup_tally_refuse(g->tally, g->object.name, offset, why);
}

/* Documents up to `from` were acknowledged in an earlier run. */
static int read_documents(struct ingesting *g, uint64_t from, struct sup_err *err)
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

static void read_object(struct ingesting *g, uint64_t from)
{
    struct sup_err err = {0};
    int rc = sup_source_open(g->source, g->object.name, &err);

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

static void ingest_object(struct ingesting *g, const char *name, const struct stat *st)
{
    uint64_t from = 0;
    bool done = false;

    g->object = (struct sup_journal_object){.name = name};
    if (st != NULL && S_ISREG(st->st_mode)) {
        g->object.size = (uint64_t)st->st_size;
        g->object.changed_ms = (int64_t)st->st_mtim.tv_sec * 1000 + st->st_mtim.tv_nsec / 1000000;
        sup_journal_look_up(g->journal, &g->object, &from, &done);
    }
    sup_tally_object(g->tally, g->object.size, done);
    if (!done)
        read_object(g, from);
    sup_source_close(g->source);
    sup_tally_object_done(g->tally);
}

/* --- folders --- */

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Names in the folder, sorted: archives are named by time, and older events go first. */
static char **names_in(const char *path, size_t *n)
{
    DIR *d = opendir(path);
    char **names = NULL;
    size_t cap = 0;
    struct dirent *e;

    *n = 0;
    while (d != NULL && (e = readdir(d)) != NULL) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        if (*n == cap) {
            cap = cap == 0 ? 64 : cap * 2;
            char **more = reallocarray(names, cap, sizeof(*names));
            if (more == NULL)
                break;
            names = more;
        }
        if ((names[*n] = strdup(e->d_name)) == NULL)
            break;
        ++*n;
    }
    if (d != NULL)
        closedir(d);
    if (names != NULL)
        qsort(names, *n, sizeof(*names), by_name);
    return names;
}

static void walk(struct ingesting *g, const char *path, unsigned depth, bool count_only)
{
    struct stat st;
    bool standard_input = strcmp(path, "-") == 0;

    if (!standard_input && stat(path, &st) != 0) {
        g->lost |= !count_only;
        if (!count_only)
            sup_cli_error(0, "ingest: %s: %s", path, strerror(errno));
        return;
    }
    if (standard_input || !S_ISDIR(st.st_mode)) {
        if (count_only)
            sup_tally_expect(g->tally, standard_input ? 0 : (uint64_t)st.st_size);
        else if (!g->no_agent)
            ingest_object(g, path, standard_input ? NULL : &st);
        return;
    }
    size_t n = 0;
    char **names = depth < DEPTH_MAX ? names_in(path, &n) : NULL;
    for (size_t i = 0; i < n; i++) {
        struct sup_buf inner;
        sup_buf_init(&inner, 65536);
        sup_buf_addf(&inner, "%s%s%s", path, path[strlen(path) - 1] == '/' ? "" : "/", names[i]);
        walk(g, sup_buf_str(&inner), depth + 1, count_only);
        sup_buf_fini(&inner);
        free(names[i]);
    }
    free(names);
}

/* --- the command --- */

static int run(struct ingesting *g, int argc, char **argv, int at)
{
    for (int i = at; i < argc; i++)
        walk(g, argv[i], 0, true);
    for (int i = at; i < argc && !g->no_agent; i++)
        walk(g, argv[i], 0, false);
    sup_tally_print(g->tally);
    if (g->no_agent || g->lost)
        return SUP_EXIT_UNKNOWN;
    return sup_tally_refused(g->tally) > 0 ? SUP_EXIT_NO : SUP_EXIT_OK;
}

int sup_cmd_ingest(struct sup_cli *cli, int argc, char **argv)
{
    const char *resume = NULL;
    const struct sup_cli_option options[] = {{"resume", &resume, NULL}};
    struct sup_err err = {0};
    int at = sup_cli_options(cli, argc, argv, options, 1);

    if (at < 0)
        return sup_cli_exit(at);
    if (at == argc)
        return sup_cli_usage_error(cli, "give files, folders, or \"-\" for standard input");
    struct ingesting *g = calloc(1, sizeof(*g));
    if (g == NULL)
        return sup_cli_error(SUP_EXIT_UNKNOWN, "ingest: out of memory");
    g->cli = cli;
    sup_buf_init(&g->batch, 2 * BATCH_BYTES);
    g->source = sup_source_new();
    g->tally = sup_tally_new(cli);
    int status = SUP_EXIT_UNKNOWN;
    if (g->source == NULL || g->tally == NULL)
        sup_cli_error(status, "ingest: out of memory");
    else if (sup_journal_open(&g->journal, resume, &err) != SUP_OK)
        sup_cli_error(status, "ingest: --resume: %s", err.msg);
    else
        status = run(g, argc, argv, at);
    sup_journal_close(g->journal);
    sup_source_free(g->source);
    sup_tally_free(g->tally);
    sup_buf_fini(&g->batch);
    free(g);
    return status;
}
