#include "service/replicate_repair.h"

#include "base/array.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "service/apply_members.h"
#include "service/sketch_keeper.h"

#include <stdlib.h>
#include <string.h>

#define SEND_TIMEOUT_MS 10000

bool sup_peer_repair_root(struct sup_apply *apply, uint8_t root[SUP_REPAIR_ROOT_SIZE])
{
    struct sup_sketch_keeper *k = sup_apply_keeper(apply);
    struct sup_sketch_sum sum;

    if (!k)
        return false;
    sum = sup_sketch_keeper_root(k);
    sup_sketch_sum_put(&sum, root);
    return true;
}

static void count(const struct sup_peer_repair *r, uint64_t ended, uint64_t decisions,
                  uint64_t symbols, uint64_t bytes)
{
    const struct {
        const char *name, *help;
        uint64_t n;
    } counters[] = {
        {"supsync_repairs_total", "Repairs from a peer that ended", ended},
        {"supsync_repair_decisions_total", "Decisions that repair brought", decisions},
        {"supsync_repair_symbols_total", "Coded symbols received", symbols},
        {"supsync_repair_bytes_total", "Bytes of symbols, sums and decisions that repair took",
         bytes},
    };
    struct sup_buf label;

    sup_buf_init(&label, 512);
    sup_metric_label(&label, "peer", r->peer);
    for (size_t i = 0; i < SUP_COUNT(counters); i++)
        sup_metric_add(
            sup_metric(counters[i].name, sup_buf_str(&label), SUP_COUNTER, counters[i].help),
            (int64_t)counters[i].n);
    sup_buf_fini(&label);
}

void sup_peer_repair_begin(struct sup_peer_repair *r, const char *peer, struct sup_apply *apply,
                           struct sup_store *store, struct sup_session *session)
{
    const struct sup_hello *hello = sup_session_peer(session);
    bool able = sup_apply_keeper(apply) && hello->features & SUP_FEATURE_REPAIR;

    *r = (struct sup_peer_repair){
        .peer = peer, .apply = apply, .store = store, .session = able ? session : NULL};
    count(r, 0, 0, 0, 0); /* a counter that is not there cannot be seen to rise */
    sup_rng_seed(&r->rng, sup_random_u64());
    sup_repair_when_begin(&r->when, sup_mono_ms(), hello->node_id < sup_apply_node_id(apply));
}

void sup_peer_repair_end(struct sup_peer_repair *r)
{
    sup_repair_pull_free(r->pull);
    r->pull = NULL;
    r->session = NULL;
}

/* What the message brought, without frames and numbers. */
static uint64_t payload(const struct sup_mesh_msg *msg)
{
    const struct sup_repair_msg *m = &msg->u.repair;
    uint64_t n = 0;

    if (msg->type == SUP_FRAME_REPAIR_SYMBOLS)
        n = m->u.symbols.symbols.n;
    else if (msg->type == SUP_FRAME_REPAIR_SUMS)
        n = m->u.sums.sums.n;
    for (size_t i = 0; msg->type == SUP_FRAME_REPAIR_RECORDS && i < m->u.records.n; i++)
        n += m->u.records.entries[i].key.n + m->u.records.entries[i].encoded.n;
    return n;
}

int sup_peer_repair_message(struct sup_peer_repair *r, const struct sup_mesh_msg *msg,
                            struct sup_mesh_mem **mem, struct sup_err *err)
{
    if (!r->pull)
        return SUP_OK;
    r->bytes += payload(msg);
    return sup_repair_pull_message(r->pull, msg, mem, err);
}

void sup_peer_repair_adopt(struct sup_peer_repair *r)
{
    r->adopt = true;
}

void sup_peer_repair_count_in(struct sup_peer_repair *r, struct sup_peer_repair_count *total,
                              pthread_mutex_t *mutex)
{
    r->total = total;
    r->mutex = mutex;
}

void sup_peer_repair_now(struct sup_peer_repair *r)
{
    r->now = true;
}

void sup_peer_repair_hold(struct sup_peer_repair *r, bool holds)
{
    r->holds = holds;
}

static int send_on(void *arg, const struct sup_mesh_msg *msg)
{
    const struct sup_peer_repair *r = arg;

    return sup_session_send(r->session, msg, SEND_TIMEOUT_MS);
}

static bool due(struct sup_peer_repair *r, const struct sup_session_stats *stats)
{
    uint8_t root[SUP_REPAIR_ROOT_SIZE];
    struct sup_vv mine;

    if (r->adopt || r->now || r->holds)
        return r->adopt || r->now;
    if (!stats->has_root || !sup_peer_repair_root(r->apply, root))
        return false;
    sup_apply_vv(r->apply, &mine);
    return sup_repair_when_due(
        &r->when, sup_mono_ms(), stats->roots_heard, memcmp(root, stats->root, sizeof(root)) == 0,
        sup_vv_covers(&mine, &stats->vv) && sup_vv_covers(&stats->vv, &mine));
}

static void start(struct sup_peer_repair *r)
{
    struct sup_repair_env env = {.apply = r->apply,
                                 .store = r->store,
                                 .member = sup_apply_member(r->apply, r->peer),
                                 .send = send_on,
                                 .arg = r};

    r->pull = sup_repair_pull_new(&env, r->adopt);
    r->adopt = r->now = false;
    r->began_ms = sup_mono_ms();
    if (!r->pull)
        sup_repair_when_done(&r->when, r->began_ms, SUP_REPAIR_REFUSED, &r->rng);
}

static void finished(struct sup_peer_repair *r, const struct sup_repair_report *report)
{
    int64_t now = sup_mono_ms();
    enum sup_repair_outcome outcome = report->code == SUP_EAGAIN ? SUP_REPAIR_REFUSED
                                      : report->applied > 0      ? SUP_REPAIR_NEWS
                                                                 : SUP_REPAIR_NO_NEWS;

    sup_repair_when_done(&r->when, now, outcome, &r->rng);
    sup_repair_pull_free(r->pull);
    r->pull = NULL;
    count(r, 1, report->applied, report->stats.symbols, r->bytes);
    if (r->total) {
        pthread_mutex_lock(r->mutex);
        r->total->ended++;
        r->total->decisions += report->applied;
        r->total->bytes += r->bytes;
        r->total->last_ms = sup_wall_ms();
        pthread_mutex_unlock(r->mutex);
    }
    r->bytes = 0;
    if (report->code != SUP_OK && report->code != SUP_EAGAIN)
        sup_log_warn("repair", "a repair failed", SUP_S("peer", r->peer),
                     SUP_S("code", sup_code_name(report->code)));
    else if (report->code == SUP_OK)
        sup_log_info("repair", "compared with a peer", SUP_S("peer", r->peer),
                     SUP_U("missing", report->stats.missing),
                     SUP_U("changed", report->stats.changed),
                     SUP_U("only_here", report->stats.surplus), SUP_U("applied", report->applied),
                     SUP_U("symbols", report->stats.symbols), SUP_I("ms", now - r->began_ms));
}

bool sup_peer_repair_step(struct sup_peer_repair *r, const struct sup_session_stats *stats,
                          bool *ended, int *code)
{
    struct sup_repair_report report;
    enum sup_repair_step step;

    if (ended)
        *ended = false;
    if (!r->session)
        return false;
    if (!r->pull && due(r, stats))
        start(r);
    if (!r->pull)
        return false;
    step = sup_repair_pull_step(r->pull, &report);
    if (step == SUP_REPAIR_STEP_OVER) {
        finished(r, &report);
        if (ended) {
            *ended = true;
            *code = report.code;
        }
    }
    return step == SUP_REPAIR_STEP_AGAIN;
}
