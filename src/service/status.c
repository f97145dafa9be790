#include "service/status.h"

#include "base/clock.h"
#include "base/text.h"
#include "service/internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void sup_status_problem(struct sup_status *out, const char *fmt, ...)
{
    va_list ap;

    if (out->n_problems == SUP_STATUS_PROBLEMS_MAX)
        return;
    va_start(ap, fmt);
    vsnprintf(out->problems[out->n_problems++], sizeof(out->problems[0]), fmt, ap);
    va_end(ap);
}

int sup_service_fatal(struct sup_service *s, struct sup_err *err)
{
    return sup_store_health(s->store, err) == SUP_EIO ? SUP_EIO : SUP_OK;
}

static uint64_t count(struct sup_service *s, enum sup_cf cf)
{
    struct sup_slice open = {NULL, 0};
    struct sup_iter *it = sup_iter_new(s->store, NULL, cf, open, open);
    uint64_t n = 0;

    for (; it && sup_iter_valid(it); sup_iter_next(it))
        n++;
    sup_iter_free(it);
    return n;
}

static bool join_status(struct sup_service *s, struct sup_status *out)
{
    struct sup_join_progress p = {.phase = SUP_JOIN_READY};
    struct sup_join_status *j = &out->join;

    if (s->replicator)
        sup_replicator_join_progress(s->replicator, &p);
    j->phase = sup_join_phase_name(p.phase);
    j->records = p.records;
    j->set = p.set;
    j->bytes = p.bytes;
    j->began_ms = p.phase == SUP_JOIN_READY ? SUP_NO_TIME : p.began_ms;
    (void)sup_text_copy(j->donor, sizeof(j->donor), p.donor);
    if (p.phase == SUP_JOIN_NEW)
        sup_status_problem(out, "joining: looks for a peer that has the set");
    else if (p.phase == SUP_JOIN_COPY)
        sup_status_problem(out, "joining: %llu of %llu records copied%s%.64s",
                           (unsigned long long)p.records, (unsigned long long)p.set,
                           p.donor[0] ? " from " : "", p.donor);
    else if (p.phase == SUP_JOIN_LOG || p.phase == SUP_JOIN_CHECK)
        sup_status_problem(out, "joining: %s",
                           p.phase == SUP_JOIN_LOG ? "the set is copied, pulls what came since"
                                                   : "compares the set with a second peer");
    return !s->replicator || sup_replicator_answers(s->replicator);
}

void sup_service_status(struct sup_service *s, struct sup_status *out)
{
    struct sup_err err = {0};
    bool level = true;
    bool answers;

    memset(out, 0, sizeof(*out));
    out->node = s->config->node;
    out->region = s->config->region;
    out->mode = s->config->ses.mode == SUP_MODE_OBSERVE ? "observe" : "enforce";
    out->node_id = sup_apply_node_id(s->apply);
    out->incarnation = sup_apply_incarnation(s->apply);
    out->queue.last_receive_ms = SUP_NO_TIME;
    out->started_ms = s->started_ms;
    out->records = sup_store_estimate_keys(s->store, SUP_CF_RECORDS);
    out->disk_bytes = sup_store_disk_bytes(s->store);
    out->quarantined = count(s, SUP_CF_QUARANTINE);
    out->outbox.evidence = count(s, SUP_CF_EVIDENCE);
    answers = join_status(s, out);
    if (sup_writer_health(sup_apply_writer(s->apply), &err) != SUP_OK)
        sup_status_problem(out, "the store cannot be written: %s", err.msg);
    if (out->quarantined > 0)
        sup_status_problem(out, "%llu mutations from the future are quarantined: a clock is wrong",
                           (unsigned long long)out->quarantined);
    if (s->ses)
        sup_ses_worker_status(s->ses, out);
    if (s->calls)
        sup_ses_calls_status(s->calls, out);
    if (s->ingest)
        sup_ingest_status(s->ingest, out);
    sup_sources_status(s->sources, out);
    sup_archive_watch_status(s->archives, out);
    if (s->replicator)
        sup_replicator_status(s->replicator, out, &level);
    if (s->importer)
        sup_importer_status(s->importer, out);
    out->last_scan_ms = SUP_NO_TIME;
    if (s->reconciler)
        level = sup_reconciler_status(s->reconciler, out) && level;
    if (s->coverage)
        sup_coverage_keeper_status(s->coverage, out);
    out->healthy = out->n_problems == 0;
    out->ready = err.code == SUP_OK && answers;
    out->converged = level && out->outbox.pending == 0 && s->config->ses.mode == SUP_MODE_ENFORCE;
}
