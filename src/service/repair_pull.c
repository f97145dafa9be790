#include "service/repair.h"

#include "base/log.h"
#include "base/thread.h"
#include "core/repair_want.h"
#include "service/apply_txn.h"
#include "service/quarantine.h"
#include "service/repair_scan.h"
#include "service/sketch_keeper.h"

#include <stdlib.h>
#include <string.h>

#define SCAN_STEP   8192 /* records a step: some milliseconds */
#define FETCH_COUNT 2048 /* records a FETCH */
/* Of records that wait for their commit: more is not read from the link until then. The queue of
 * jobs counts messages, and each may have 4 MiB. */
#define WINDOW (16U << 20)

struct sup_repair_pull {
    struct sup_repair_env env;
    bool adopt;
    bool adopted;
    struct sup_repair_puller *machine;
    struct sup_repair_scan *scan;
    struct sup_mem *mem;
    struct sup_buf wants;
    struct sup_mesh_msg msg; /* being sent */
    struct sup_vv vv;        /* of the end */
    int failed;

    pthread_mutex_t mutex; /* all below */
    pthread_cond_t cond;
    size_t in_flight; /* jobs that have not come back */
    size_t bytes;     /* in them */
    int job_failed;
    uint64_t applied, quarantined;
};

struct sup_repair_pull *sup_repair_pull_new(const struct sup_repair_env *env, bool adopt)
{
    struct sup_repair_pull *p = calloc(1, sizeof(*p));

    if (!p)
        return NULL;
    p->env = *env;
    p->adopt = adopt;
    pthread_mutex_init(&p->mutex, NULL);
    sup_cond_init(&p->cond);
    sup_buf_init(&p->wants, FETCH_COUNT * SUP_REPAIR_WANT_SIZE_MAX);
    p->mem = sup_mem_new();
    p->machine = sup_repair_puller_new(sup_sketch_keeper_keys(sup_apply_keeper(env->apply)));
    if (!p->mem || !p->machine) {
        sup_repair_pull_free(p);
        return NULL;
    }
    return p;
}

void sup_repair_pull_free(struct sup_repair_pull *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->mutex);
    while (p->in_flight > 0)
        sup_cond_wait_ms(&p->cond, &p->mutex, -1);
    pthread_mutex_unlock(&p->mutex);
    sup_repair_scan_free(p->scan);
    sup_repair_puller_free(p->machine);
    sup_mem_free(p->mem);
    sup_buf_fini(&p->wants);
    pthread_cond_destroy(&p->cond);
    pthread_mutex_destroy(&p->mutex);
    free(p);
}

/* --- applying --- */

struct repair_job {
    struct sup_apply_job job;
    struct sup_repair_pull *pull;
    struct sup_mesh_mem *mem;
    const struct sup_repair_entry *entries;
    size_t n;
    size_t bytes; /* about what they take */
    uint64_t applied, quarantined;
};

static int job_run(struct sup_apply_job *job, struct sup_txn *t, struct sup_err *err)
{
    struct repair_job *j = (struct repair_job *)job;

    j->applied = j->quarantined = 0;
    for (size_t i = 0; i < j->n; i++) {
        const struct sup_repair_entry *e = &j->entries[i];
        struct sup_register reg;
        enum sup_class cls = SUP_CLASS_BOUNCE;
        enum sup_remote outcome = SUP_REMOTE_DUPLICATE;
        int rc = sup_register_decode(e->encoded, &reg, &cls, err);
        if (rc == SUP_OK)
            rc = sup_apply_repaired(job->apply, t, e->key, cls, e->encoded, &outcome, err);
        if (rc != SUP_OK)
            return rc;
        j->applied += outcome == SUP_REMOTE_APPLIED;
        if (outcome == SUP_REMOTE_QUARANTINED && j->quarantined++ == 0 &&
            sup_quarantine_is_full(job->apply))
            return sup_quarantine_refuse(err);
    }
    return SUP_OK;
}

/* On the writer thread. After the unlock the puller may be gone. */
static void job_done(struct sup_apply_job *job, int code, const struct sup_err *err)
{
    struct repair_job *j = (struct repair_job *)job;
    struct sup_repair_pull *p = j->pull;

    if (code != SUP_OK)
        sup_log_error("repair", "records could not be applied",
                      SUP_S("error", err ? err->msg : sup_code_name(code)));
    sup_mesh_mem_free(j->mem);
    pthread_mutex_lock(&p->mutex);
    if (code == SUP_OK) {
        p->applied += j->applied;
        p->quarantined += j->quarantined;
    } else if (p->job_failed == SUP_OK) {
        p->job_failed = code;
    }
    p->in_flight--;
    p->bytes -= j->bytes;
    pthread_cond_broadcast(&p->cond);
    pthread_mutex_unlock(&p->mutex);
    free(j);
}

static size_t size_of(const struct sup_repair_records *r)
{
    size_t n = r->n * sizeof(*r->entries);

    for (size_t i = 0; i < r->n; i++)
        n += r->entries[i].key.n + r->entries[i].encoded.n;
    return n;
}

/* Takes mem over. Waits for commits while there is too much of it. */
static int submit(struct sup_repair_pull *p, const struct sup_repair_records *r,
                  struct sup_mesh_mem **mem)
{
    struct repair_job *j = calloc(1, sizeof(*j));
    int rc;

    if (!j)
        return SUP_ENOMEM;
    *j = (struct repair_job){.job = {.run = job_run, .done = job_done},
                             .pull = p,
                             .mem = *mem,
                             .entries = r->entries,
                             .n = r->n,
                             .bytes = size_of(r)};
    *mem = NULL;
    pthread_mutex_lock(&p->mutex);
    while (p->in_flight > 0 && p->bytes + j->bytes > WINDOW)
        sup_cond_wait_ms(&p->cond, &p->mutex, -1);
    p->in_flight++;
    p->bytes += j->bytes;
    pthread_mutex_unlock(&p->mutex);
    rc = sup_apply_submit(p->env.apply, &j->job, -1);
    if (rc != SUP_OK)
        job_done(&j->job, rc, NULL);
    return rc;
}

/* --- messages --- */

static int records(struct sup_repair_pull *p, const struct sup_repair_msg *msg,
                   struct sup_mesh_mem **mem)
{
    bool final = false;
    int rc = sup_repair_puller_records(p->machine, msg, &final);

    if (rc != SUP_OK)
        return rc;
    if (final && msg->u.records.last)
        sup_vv_copy(&p->vv, &msg->u.records.vv);
    return msg->u.records.n > 0 ? submit(p, &msg->u.records, mem) : SUP_OK;
}

int sup_repair_pull_message(struct sup_repair_pull *p, const struct sup_mesh_msg *msg,
                            struct sup_mesh_mem **mem, struct sup_err *err)
{
    int rc = SUP_EINPUT;

    if (msg->type == SUP_FRAME_REPAIR_SYMBOLS)
        rc = sup_repair_puller_symbols(p->machine, &msg->u.repair);
    else if (msg->type == SUP_FRAME_REPAIR_SUMS)
        rc = sup_repair_puller_sums(p->machine, &msg->u.repair);
    else if (msg->type == SUP_FRAME_REPAIR_RECORDS)
        rc = records(p, &msg->u.repair, mem);
    /* Busy, or two sets too different for their scans: no fault of the session. */
    if (rc == SUP_OK || rc == SUP_EAGAIN || rc == SUP_ELIMIT)
        return SUP_OK;
    return sup_err_set(err, rc, "repair: %s makes no sense here", sup_frame_type_name(msg->type));
}

/* --- steps --- */

static int copy(struct sup_repair_pull *p)
{
    struct sup_sketch_keeper *k = sup_apply_keeper(p->env.apply);
    struct sup_repair_set set;
    struct sup_sketch sketch;
    int rc = sup_sketch_keeper_copy(k, &sketch);

    if (rc != SUP_OK)
        return rc;
    sup_repair_set_init(&set, sup_sketch_keeper_keys(k));
    sup_repair_set_whole(&set, &sketch);
    sup_repair_puller_set(p->machine, &set);
    return SUP_OK;
}

static int scan(struct sup_repair_pull *p)
{
    struct sup_repair_set set;
    struct sup_err err = {0};
    int rc;

    if (!p->scan)
        p->scan = sup_repair_scan_new(p->env.store,
                                      sup_sketch_keeper_keys(sup_apply_keeper(p->env.apply)),
                                      sup_repair_puller_shards(p->machine));
    if (!p->scan)
        return SUP_ENOMEM;
    rc = sup_repair_scan_step(p->scan, SCAN_STEP, &set, &err);
    if (rc == SUP_EAGAIN)
        return SUP_OK;
    if (rc == SUP_OK)
        sup_repair_puller_set(p->machine, &set);
    else
        sup_log_error("repair", "cannot scan the records", SUP_S("error", err.msg));
    sup_repair_scan_free(p->scan);
    p->scan = NULL;
    return rc;
}

static int send(struct sup_repair_pull *p)
{
    sup_repair_puller_message(p->machine, &p->msg.type, &p->msg.u.repair);
    return p->env.send(p->env.arg, &p->msg);
}

struct lookup {
    uint64_t key;
    struct sup_repair_want want;
    unsigned found;
};

static int found(void *arg, struct sup_slice address, const struct sup_registers *registers)
{
    struct lookup *l = arg;

    (void)address;
    l->found++;
    sup_repair_want_make(l->key, registers, &l->want);
    return SUP_OK;
}

static int fetch(struct sup_repair_pull *p)
{
    static const struct sup_registers none;
    const struct sup_repair_wanted *w;
    struct sup_repair_fetch *m = &p->msg.u.repair.u.fetch;
    int rc = SUP_OK;

    memset(&p->msg.u.repair, 0, sizeof(p->msg.u.repair));
    p->msg.type = SUP_FRAME_REPAIR_FETCH;
    m->count = sup_repair_puller_wants(p->machine, &p->msg.u.repair.round, &w, FETCH_COUNT);
    sup_buf_reset(&p->wants);
    for (size_t i = 0; rc == SUP_OK && i < m->count; i++) {
        struct lookup l = {.key = w[i].key};
        if (w[i].changed)
            rc = sup_repair_look_up(p->env.store, w[i].key, p->mem, found, &l, NULL);
        /* Two addresses of one hash: what we have of them is not said, and both are sent. */
        if (l.found != 1)
            sup_repair_want_make(w[i].key, &none, &l.want);
        sup_repair_want_pack(&l.want, &p->wants);
    }
    m->wants = sup_buf_slice(&p->wants);
    return rc == SUP_OK ? p->env.send(p->env.arg, &p->msg) : rc;
}

static int adopt_run(struct sup_apply *a, struct sup_txn *t, void *arg, struct sup_err *err)
{
    const struct sup_repair_pull *p = arg;

    sup_apply_from(a, p->env.member);
    return sup_apply_adopt_vv(a, t, &p->vv, err);
}

/* SUP_OK, SUP_EAGAIN while jobs are under way, or their failure. */
static int jobs(struct sup_repair_pull *p)
{
    int rc;

    pthread_mutex_lock(&p->mutex);
    rc = p->in_flight > 0 ? SUP_EAGAIN : p->job_failed;
    pthread_mutex_unlock(&p->mutex);
    return rc;
}

static enum sup_repair_step finish(struct sup_repair_pull *p, struct sup_repair_report *report)
{
    int rc = jobs(p);

    if (rc == SUP_EAGAIN)
        return SUP_REPAIR_STEP_WAIT;
    if (rc == SUP_OK)
        rc = p->failed != SUP_OK ? p->failed : sup_repair_puller_result(p->machine);
    if (rc == SUP_OK && p->adopt && !p->adopted) {
        rc = sup_apply_run(p->env.apply, adopt_run, p, NULL);
        p->adopted = rc == SUP_OK;
    }
    report->code = rc;
    report->stats = *sup_repair_puller_stats(p->machine);
    report->applied = p->applied;
    report->quarantined = p->quarantined;
    report->equal = rc == SUP_OK && p->applied == 0;
    return SUP_REPAIR_STEP_OVER;
}

enum sup_repair_step sup_repair_pull_step(struct sup_repair_pull *p,
                                          struct sup_repair_report *report)
{
    enum sup_repair_action action = sup_repair_puller_next(p->machine);

    if (p->failed != SUP_OK || action == SUP_REPAIR_OVER)
        return finish(p, report);
    switch (action) {
    case SUP_REPAIR_COPY:
        p->failed = copy(p);
        break;
    case SUP_REPAIR_SCAN:
        p->failed = scan(p);
        break;
    case SUP_REPAIR_SEND:
        p->failed = send(p);
        break;
    case SUP_REPAIR_FETCH:
        p->failed = fetch(p);
        break;
    default:
        return SUP_REPAIR_STEP_WAIT;
    }
    return SUP_REPAIR_STEP_AGAIN;
}
