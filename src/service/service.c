#include "service/service.h"

#include "base/clock.h"
#include "base/log.h"
#include "service/internal.h"
#include "service/rekey.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The longest that a drain may take before AWS calls under way are cut off. systemd kills after 90
 * s by default; a cut-off call is repeated at the next start. */
#define DRAIN_MS 15000

static void outbox_changed(void *arg)
{
    struct sup_service *s = arg;
    struct sup_ses_worker *ses = s->ses;

    if (ses)
        sup_ses_worker_wake(ses);
}

/* The secret that keys the hash of addresses: a file's bytes, or nothing. */
static int derive_hash(const struct sup_options *c, struct sup_hash_key *out, struct sup_err *err)
{
    uint8_t secret[4096];
    size_t n = 0;

    if (c->mesh.enabled && c->mesh.secret_file[0] != '\0') {
        FILE *f = fopen(c->mesh.secret_file, "re");
        if (!f)
            return sup_err_set(err, SUP_EINPUT, "mesh.secret_file: %s: %s", c->mesh.secret_file,
                               strerror(errno));
        n = fread(secret, 1, sizeof(secret), f);
        fclose(f);
        if (n < 16)
            return sup_err_set(err, SUP_EINPUT, "mesh.secret_file: %s: shorter than 16 bytes",
                               c->mesh.secret_file);
    }
    sup_hash_key_derive(c->mesh.enabled ? c->mesh.cluster : "", sup_slice_of(secret, n), out);
    explicit_bzero(secret, sizeof(secret));
    return SUP_OK;
}

static int open_store(struct sup_service *s, struct sup_err *err)
{
    const struct sup_options *c = s->config;
    struct sup_store_opts opts = {
        .dir = c->data_dir,
        .identity = {.node = c->node, .cluster = c->mesh.enabled ? c->mesh.cluster : ""},
        .cache_bytes = c->cache_bytes,
        .create = true,
    };
    int rc = sup_store_open(&opts, &s->store, err);

    return rc == SUP_OK ? rc : sup_err_prefix(err, rc, "data_dir %s", c->data_dir);
}

static int start_apply(struct sup_service *s, struct sup_err *err)
{
    struct sup_apply_options opts = {
        .store = s->store,
        .max_clock_drift_ms = s->config->mesh.max_clock_drift_ms,
        .dedup_ttl_ms = s->config->ingest.dedup_ttl_ms,
        .outbox_changed = outbox_changed,
        .arg = s,
    };
    int rc = derive_hash(s->config, &opts.hash, err);

    if (rc == SUP_OK)
        rc = sup_rekey(s->store, s->config->mesh.enabled ? s->config->mesh.cluster : "", &opts.hash,
                       err);
    if (rc == SUP_OK && s->config->mesh.enabled)
        rc = sup_sketch_keeper_open(s->store, &opts.hash, SUP_SKETCH_SYMBOLS, &s->keeper, err);
    opts.keeper = s->keeper;
    if (rc == SUP_OK)
        rc = sup_apply_start(&opts, &s->apply, err);
    /* With nobody to ask, nobody can have more of it. */
    if (rc == SUP_OK && !s->config->mesh.enabled)
        sup_apply_settle(s->apply, sup_apply_incarnation(s->apply));
    return rc;
}

static int start_aws(struct sup_service *s, struct sup_err *err)
{
    struct sup_aws_options opts = {
        .region = s->config->region,
        .endpoint_url = s->config->aws.endpoint_url[0] ? s->config->aws.endpoint_url : NULL,
        .stop = &s->abort,
    };

    return sup_aws_new(&s->aws, &opts, err);
}

/* Is what the reachable peers know here? */
static bool is_level(void *arg)
{
    struct sup_service *s = arg;
    struct sup_status *st = s->replicator ? calloc(1, sizeof(*st)) : NULL;
    bool level = true;

    if (st)
        sup_replicator_status(s->replicator, st, &level);
    free(st);
    return level;
}

static bool is_joining(void *arg)
{
    const struct sup_service *s = arg;

    return s->replicator && !sup_replicator_answers(s->replicator);
}

static uint64_t repaired(void *arg)
{
    const struct sup_service *s = arg;

    return s->replicator ? sup_replicator_repaired(s->replicator) : 0;
}

static uint64_t ask_coverage(void *arg, bool write)
{
    const struct sup_service *s = arg;

    return sup_coverage_keeper_ask(s->coverage, SUP_AUDIT_FOR_RUN | (write ? SUP_AUDIT_WRITES : 0));
}

/* Of the audit that was asked for, if it is over within ms; else the newest. */
static void get_coverage(void *arg, uint64_t ticket, int64_t ms, struct sup_coverage_brief *out)
{
    const struct sup_service *s = arg;
    struct sup_coverage *c;

    (void)sup_coverage_keeper_wait(s->coverage, ticket, ms, NULL);
    c = sup_coverage_keeper_get(s->coverage);
    if (c)
        *out = c->brief;
    sup_coverage_drop(c);
}

static int start_workers(struct sup_service *s, struct sup_err *err)
{
    struct sup_ses_worker_options ses = {.config = s->config,
                                         .aws = s->aws,
                                         .calls = s->calls,
                                         .apply = s->apply,
                                         .store = s->store};
    struct sup_replicator_options mesh = {.config = s->config,
                                          .apply = s->apply,
                                          .store = s->store,
                                          .summary = sup_service_summary,
                                          .arg = s};
    struct sup_ingest_options ingest = {.config = s->config, .aws = s->aws, .apply = s->apply};
    struct sup_archive_watch_options archives = {
        .config = s->config, .aws = s->aws, .apply = s->apply, .store = s->store};
    struct sup_importer_options importer = {.config = s->config,
                                            .aws = s->aws,
                                            .calls = s->calls,
                                            .apply = s->apply,
                                            .store = s->store};
    struct sup_reconciler_options reconciler = {.config = s->config,
                                                .aws = s->aws,
                                                .calls = s->calls,
                                                .apply = s->apply,
                                                .store = s->store,
                                                .level = is_level,
                                                .joining = is_joining,
                                                .repaired = repaired,
                                                .ask_coverage = ask_coverage,
                                                .get_coverage = get_coverage,
                                                .arg = s};
    struct sup_coverage_options coverage = {.config = s->config,
                                            .aws = s->aws,
                                            .calls = s->calls,
                                            .apply = s->apply,
                                            .store = s->store};
    struct sup_ses_worker *worker = NULL;
    int rc = sup_ses_worker_start(&ses, &worker, err);

    s->ses = worker;
    if (worker)
        sup_ses_worker_wake(worker); /* for what was committed meanwhile */
    if (rc == SUP_OK)
        rc = sup_sources_start(s->config, s->store, s->apply, &s->sources, err);
    if (rc == SUP_OK)
        rc = sup_housekeeper_start(s->apply, s->store,
                                   s->config->mesh.enabled ? 0 : s->config->mesh.log_max_bytes,
                                   &s->housekeeper, err);
    if (rc == SUP_OK && s->config->mesh.enabled)
        rc = sup_replicator_start(&mesh, &s->replicator, err);
    if (rc == SUP_OK && s->config->n_queues > 0)
        rc = sup_ingest_start(&ingest, &s->ingest, err);
    if (rc == SUP_OK && s->config->n_archives > 0)
        rc = sup_archive_watch_start(&archives, &s->archives, err);
    if (rc == SUP_OK && s->config->ses.import_bucket[0] != '\0' &&
        s->config->ses.mode == SUP_MODE_ENFORCE)
        rc = sup_importer_start(&importer, &s->importer, err);
    if (rc == SUP_OK)
        rc = sup_coverage_keeper_start(&coverage, &s->coverage, err);
    if (rc == SUP_OK)
        rc = sup_reconciler_start(&reconciler, &s->reconciler, err);
    return rc;
}

int sup_service_start(const struct sup_options *options, struct sup_service **out,
                      struct sup_err *err)
{
    struct sup_service *s = calloc(1, sizeof(*s));
    int rc;

    if (!s)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    s->config = options;
    s->started_ms = sup_wall_ms();
    sup_stop_init(&s->abort);
    rc = open_store(s, err);
    if (rc == SUP_OK)
        rc = start_apply(s, err);
    if (rc == SUP_OK)
        rc = start_aws(s, err);
    if (rc == SUP_OK)
        rc = sup_ses_calls_open(options, s->store, &s->calls, err);
    if (rc == SUP_OK)
        rc = start_workers(s, err);
    if (rc != SUP_OK) {
        sup_service_stop(s);
        sup_service_free(s);
        return rc;
    }
    atomic_store(&s->started, true);
    sup_log_info("service", "started", SUP_S("node", options->node),
                 SUP_S("region", options->region), SUP_U("node_id", sup_apply_node_id(s->apply)),
                 SUP_U("incarnation", sup_apply_incarnation(s->apply)));
    *out = s;
    return SUP_OK;
}

/* A put or delete under way when the agent stops may take so long: most are done then, and what
 * became of them is known. */
#define GRACE_MS 500

/* Cuts AWS calls off when the drain takes too long. */
struct watchdog {
    struct sup_service *s;
    struct sup_stop done;
    pthread_t thread;
    bool started;
};

static void *watchdog_main(void *arg)
{
    struct watchdog *w = arg;

    if (!sup_stop_wait_ms(&w->done, DRAIN_MS)) {
        sup_log_warn("service", "draining takes too long; AWS calls are cut off");
        sup_stop_set(&w->s->abort);
    }
    return NULL;
}

void sup_service_close(struct sup_service *s)
{
    sup_coverage_keeper_close(s->coverage);
    sup_reconciler_close(s->reconciler);
    sup_importer_close(s->importer);
    sup_ses_worker_close(s->ses);
    sup_sources_close(s->sources);
}

static int save_calls(struct sup_apply *a, struct sup_txn *t, void *arg, struct sup_err *err)
{
    (void)a;
    (void)err;
    sup_ses_calls_put(arg, t);
    return SUP_OK;
}

void sup_service_stop(struct sup_service *s)
{
    struct watchdog w = {.s = s};

    sup_stop_init(&w.done);
    w.started = sup_thread_start(&w.thread, "drain-watchdog", watchdog_main, &w) == SUP_OK;
    sup_service_close(s);
    /* From the sources inwards: what still comes in finds everything behind it alive. */
    sup_sources_stop(s->sources);
    sup_archive_watch_stop(s->archives);
    sup_ingest_stop(s->ingest);
    /* Nobody speaks with AWS any more whose calls are worth waiting for. */
    sup_ses_worker_drain(s->ses, GRACE_MS);
    sup_stop_set(&s->abort);
    sup_reconciler_stop(s->reconciler);
    sup_coverage_keeper_stop(s->coverage);
    sup_importer_stop(s->importer);
    sup_ses_worker_stop(s->ses);
    sup_replicator_stop(s->replicator);
    sup_housekeeper_stop(s->housekeeper);
    if (s->calls)
        (void)sup_apply_run(s->apply, save_calls, s->calls, NULL);
    sup_apply_stop(s->apply);
    sup_stop_set(&w.done);
    if (w.started)
        pthread_join(w.thread, NULL);
    sup_stop_fini(&w.done);
}

void sup_service_free(struct sup_service *s)
{
    if (!s)
        return;
    sup_ingest_free(s->ingest);
    sup_archive_watch_free(s->archives);
    sup_sources_free(s->sources);
    sup_reconciler_free(s->reconciler);
    sup_coverage_keeper_free(s->coverage);
    sup_importer_free(s->importer);
    sup_replicator_free(s->replicator);
    sup_housekeeper_free(s->housekeeper);
    sup_apply_free(s->apply);
    sup_sketch_keeper_free(s->keeper);
    sup_ses_worker_free(s->ses);
    sup_ses_calls_free(s->calls);
    sup_aws_free(s->aws);
    sup_store_close(s->store);
    sup_stop_fini(&s->abort);
    free(s);
}
