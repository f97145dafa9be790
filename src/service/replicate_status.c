/* How the mesh is, as this node sees it: for status and metrics. */
#include "base/array.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "base/text.h"
#include "service/replicate_internal.h"
#include "service/status.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Clock offset to a peer that is worth a warning. */
#define OFFSET_WARN_MS 500.0
/* Heartbeats that did not come: until then what the last one said stands. */
#define STALE_MS (2 * SUP_HEARTBEAT_MS)
/* Restarts put the logical clock up to 2 s ahead. */
#define AHEAD_WARN_MS 5000

static double age_s(const struct sup_peer *p, int64_t now)
{
    return p->level_mono_ms < 0 ? -1.0 : (double)(now - p->level_mono_ms) / 1000.0;
}

size_t sup_replicator_members(struct sup_replicator *r, struct sup_member_view *out, size_t max)
{
    size_t peers = r->n_peers;
    size_t n = 0;

    for (size_t i = 0; i < peers && n < max; i++) {
        struct sup_peer *p = &r->peers[i];
        if (p->retired)
            continue;
        pthread_mutex_lock(&p->mutex);
        out[n++] = (struct sup_member_view){
            .name = p->config->name, .region = p->region, .age_s = age_s(p, sup_mono_ms())};
        pthread_mutex_unlock(&p->mutex);
    }
    return n;
}

uint64_t sup_replicator_repaired(struct sup_replicator *r)
{
    size_t peers = r->n_peers;
    uint64_t n = 0;

    for (size_t i = 0; i < peers; i++) {
        struct sup_peer *p = &r->peers[i];
        pthread_mutex_lock(&p->mutex);
        n += p->repairs.decisions;
        pthread_mutex_unlock(&p->mutex);
    }
    return n;
}

/* --- one peer --- */

static void add_bytes(struct sup_session *s, struct sup_session_stats *stats,
                      struct sup_peer_status *out)
{
    if (!s)
        return;
    sup_session_stats(s, stats);
    out->bytes_in += stats->bytes_in;
    out->bytes_out += stats->bytes_out;
}

static void fill_traffic(struct sup_peer *p, struct sup_session_stats *stats,
                         struct sup_peer_status *s)
{
    s->bytes_in = p->bytes_in;
    s->bytes_out = p->bytes_out;
    add_bytes(p->session, stats, s);
    add_bytes(p->served, stats, s);
    s->reconnects = p->sessions > 0 ? p->sessions - 1 : 0;
    s->refusals = p->refusals;
    s->quarantined = p->quarantined;
    s->repairs = p->repairs.ended;
    s->repair_decisions = p->repairs.decisions;
    s->repair_bytes = p->repairs.bytes;
    s->last_repair_ms = p->repairs.last_ms;
}

/* What this node lacks of the peer's, and the peer of ours. */
static void fill_lag(struct sup_peer *p, const struct sup_vv *mine, int64_t now,
                     struct sup_peer_status *s)
{
    bool fresh = s->connected && p->level_mono_ms >= 0 && now - p->level_mono_ms < STALE_MS;

    s->lag_mutations = sup_vv_missing(mine, &p->vv);
    s->lag_seconds = s->lag_mutations > 0 || !fresh ? age_s(p, now) : 0;
    s->unacked_mutations = sup_vv_missing(&p->vv, mine);
    if (s->unacked_mutations == 0)
        p->behind_mono_ms = -1;
    else if (p->behind_mono_ms < 0)
        p->behind_mono_ms = now;
    s->unacked_seconds = p->behind_mono_ms < 0 ? 0 : (double)(now - p->behind_mono_ms) / 1000.0;
}

static void fill_core(struct sup_replicator *r, size_t peer, struct sup_peer_status *s)
{
    struct sup_replica_peer_view view;

    pthread_mutex_lock(&r->core_mutex);
    sup_replica_peer(r->core, peer, &view);
    pthread_mutex_unlock(&r->core_mutex);
    s->gaps = view.gaps;
    s->stalls = view.stalls;
    s->needs_repair = view.needs_repair;
}

/* Returns for how long it has been away; 0 when it is there. */
static int64_t fill(struct sup_peer *p, const struct sup_vv *mine, int64_t now,
                    struct sup_session_stats *stats, struct sup_peer_status *s)
{
    static const char *const memberships[] = {"unknown", "same", "newer", "older", "different"};
    int64_t away;

    memset(s, 0, sizeof(*s));
    fill_core(p->r, p->index, s);
    pthread_mutex_lock(&p->mutex);
    s->name = p->config->name;
    s->url = p->config->url;
    s->connected = p->session != NULL;
    fill_lag(p, mine, now, s);
    fill_traffic(p, stats, s);
    s->last_contact_ms = p->contact_wall_ms;
    s->clock_offset_ms = p->clock_offset_ms;
    s->rtt_ms = p->rtt_ms;
    s->node_id = p->node_id;
    s->incarnation = p->incarnation;
    s->epoch = p->epoch;
    s->membership = memberships[p->membership];
    s->configured = p->configured;
    sup_text_copy(s->last_error, sizeof(s->last_error), p->last_error);
    away = s->connected ? 0 : now - p->absent_mono_ms;
    pthread_mutex_unlock(&p->mutex);
    return away;
}

/* --- status --- */

static void say_membership(const struct sup_peer_status *s, uint64_t epoch, struct sup_status *out)
{
    unsigned long long theirs = s->epoch;
    unsigned long long ours = epoch;

    if (!s->configured)
        sup_status_problem(out,
                           "peer %s left the configuration but still holds back the log: "
                           "decommission it, or put it back",
                           s->name);
    if (strcmp(s->membership, "newer") == 0)
        sup_status_problem(
            out, "our configuration is older than peer %s's: mesh.epoch is %llu, its %llu", s->name,
            ours, theirs);
    else if (strcmp(s->membership, "older") == 0)
        sup_status_problem(out,
                           "peer %s's configuration is older than ours: its mesh.epoch is %llu, "
                           "ours %llu",
                           s->name, theirs, ours);
    else if (strcmp(s->membership, "different") == 0)
        sup_status_problem(out, "peer %s has other members at the same mesh.epoch %llu", s->name,
                           ours);
}

static void say_problems(struct sup_replicator *r, const struct sup_peer_status *s, int64_t away,
                         struct sup_status *out)
{
    if (!s->connected && away >= atomic_load(&r->absence_alarm_ms))
        sup_status_problem(out, "peer %s is not connected%s%s", s->name,
                           s->last_error[0] ? ": " : "", s->last_error);
    else if (s->connected && fabs(s->clock_offset_ms) > OFFSET_WARN_MS)
        sup_status_problem(out, "clock of peer %s is %.0f ms off ours", s->name,
                           s->clock_offset_ms);
    if (s->needs_repair)
        sup_status_problem(out, "peer %s lacks what was trimmed from our log: it needs a repair",
                           s->name);
    say_membership(s, atomic_load(&r->epoch), out);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return x < y ? -1 : x > y;
}

/* With one peer nobody can tell whose clock is wrong. */
static void say_own_clock(struct sup_status *out)
{
    double offsets[SUP_STATUS_PEERS_MAX];
    size_t n = 0;
    double median;

    for (size_t i = 0; i < out->n_peers; i++) {
        if (out->peers[i].connected && out->peers[i].rtt_ms >= 0)
            offsets[n++] = out->peers[i].clock_offset_ms;
    }
    if (n < 2)
        return;
    qsort(offsets, n, sizeof(offsets[0]), by_value);
    /* The one of the middle two that is nearer to ours. */
    median = n % 2 == 1                                        ? offsets[n / 2]
             : fabs(offsets[n / 2]) < fabs(offsets[n / 2 - 1]) ? offsets[n / 2]
                                                               : offsets[n / 2 - 1];
    if (fabs(median) > OFFSET_WARN_MS)
        sup_status_problem(out, "our clock is %.0f ms %s those of most peers", fabs(median),
                           median > 0 ? "behind" : "ahead of");
}

/* Times only rise: a clock that was ahead when something was decided leaves its mark until the wall
 * clock has passed it. To go back would be to let what was decided since lose against what was
 * decided before. */
static void say_ahead(struct sup_replicator *r, struct sup_status *out)
{
    int64_t ahead = sup_apply_clock_ahead_ms(r->opts.apply);
    bool held_back = ahead > r->opts.config->mesh.max_clock_drift_ms;

    out->clock_ahead_ms = ahead > 0 ? ahead : 0;
    if (ahead > AHEAD_WARN_MS)
        sup_status_problem(out,
                           "this node's decisions are stamped %lld s ahead, since its clock or a "
                           "peer's was wrong%s",
                           (long long)(ahead / 1000),
                           held_back ? ": peers hold them back for so long" : "");
}

static void fill_refusals(struct sup_status *out)
{
    for (unsigned reason = 0; reason < SUP_STATUS_REFUSALS_MAX; reason++) {
        struct sup_refusal_status s = {.reason = sup_refusal_name(reason),
                                       .by_us = sup_session_refusals(reason, true),
                                       .by_peers = sup_session_refusals(reason, false)};
        if (s.by_us + s.by_peers > 0)
            out->refusals[out->n_refusals++] = s;
    }
}

static void fill_left(struct sup_peer *p, struct sup_status *out)
{
    struct sup_left_status *l = &out->left[out->n_left];

    if (out->n_left == SUP_STATUS_LEFT_MAX)
        return;
    pthread_mutex_lock(&p->mutex);
    if (p->n_rulings > 0) {
        const struct sup_peer_ruling *ruling = &p->rulings[p->n_rulings - 1];
        l->name = p->config->name;
        l->time_ms = ruling->time_ms;
        sup_text_copy(l->actor, sizeof(l->actor), ruling->actor);
        sup_text_copy(l->note, sizeof(l->note), ruling->note);
        out->n_left++;
        if (p->configured)
            sup_status_problem(out, "peer %s is configured, but was decommissioned",
                               p->config->name);
    }
    pthread_mutex_unlock(&p->mutex);
}

void sup_replicator_status(struct sup_replicator *r, struct sup_status *out, bool *level)
{
    struct sup_session_stats *stats = malloc(sizeof(*stats));
    size_t peers = r->n_peers;
    int64_t now = sup_mono_ms();
    struct sup_vv mine;

    *level = stats != NULL;
    sup_apply_vv(r->opts.apply, &mine);
    for (size_t i = 0; stats && i < peers; i++) {
        struct sup_peer *p = &r->peers[i];
        struct sup_peer_status *s = &out->peers[out->n_peers];
        int64_t away;
        if (p->retired) {
            fill_left(p, out);
            continue;
        }
        away = fill(p, &mine, now, stats, s);
        out->n_peers++;
        *level = *level && s->connected && s->lag_mutations == 0 && s->unacked_mutations == 0;
        say_problems(r, s, away, out);
    }
    out->epoch = atomic_load(&r->epoch);
    out->log_bytes = sup_apply_log_bytes(r->opts.apply);
    out->log_max_bytes = atomic_load(&r->log_max_bytes);
    say_own_clock(out);
    sup_replicator_tls_status(r, out);
    say_ahead(r, out);
    fill_refusals(out);
    free(stats);
}

/* --- metrics --- */

static const struct gauge {
    const char *name;
    enum sup_metric_type type;
    const char *help;
} gauges[] = {
    {"supsync_peer_connected", SUP_GAUGE, "1 while this node pulls from the peer"},
    {"supsync_peer_lag_mutations", SUP_GAUGE, "Mutations that the peer has and this node lacks"},
    {"supsync_peer_lag_milliseconds", SUP_GAUGE,
     "Since this node last knew that it had all of the peer's; -1 = never"},
    {"supsync_peer_unacked_mutations", SUP_GAUGE,
     "Mutations that this node has and the peer has not acknowledged"},
    {"supsync_peer_unacked_milliseconds", SUP_GAUGE, "For how long the peer has lacked some"},
    {"supsync_peer_last_contact_milliseconds", SUP_GAUGE,
     "Wall time when the peer was last heard, since 1970; -1 = never"},
    {"supsync_peer_clock_offset_milliseconds", SUP_GAUGE, "The peer's wall clock minus ours"},
    {"supsync_peer_rtt_microseconds", SUP_GAUGE, "Round trip to the peer; -1 = not known"},
    {"supsync_peer_bytes_in_total", SUP_COUNTER, "Bytes received from the peer"},
    {"supsync_peer_bytes_out_total", SUP_COUNTER, "Bytes sent to the peer"},
    {"supsync_peer_sessions_lost_total", SUP_COUNTER, "Sessions that had to be opened again"},
    {"supsync_peer_refusals_total", SUP_COUNTER, "Dials that ended in a refusal, by either side"},
    {"supsync_peer_quarantined_total", SUP_COUNTER, "Mutations from the future that it sent"},
    {"supsync_peer_gaps_total", SUP_COUNTER, "Sessions ended for a gap in its mutations"},
    {"supsync_peer_stalls_total", SUP_COUNTER, "Times that it sent nothing of what it had"},
    {"supsync_peer_needs_repair", SUP_GAUGE, "1: our log was trimmed past what it has"},
    {"supsync_peer_configuration_differs", SUP_GAUGE, "1: other mesh.epoch or members than ours"},
};

struct sup_peer_metrics {
    struct sup_metric *m[SUP_COUNT(gauges)];
};

static struct sup_peer_metrics *metrics_of(struct sup_peer *p)
{
    struct sup_buf label;

    if (p->metrics || !(p->metrics = calloc(1, sizeof(*p->metrics))))
        return p->metrics;
    sup_buf_init(&label, 512);
    sup_metric_label(&label, "peer", p->config->name);
    for (size_t i = 0; i < SUP_COUNT(gauges); i++)
        p->metrics->m[i] =
            sup_metric(gauges[i].name, sup_buf_str(&label), gauges[i].type, gauges[i].help);
    sup_buf_fini(&label);
    return p->metrics;
}

static void set_metrics(const struct sup_peer_metrics *m, const struct sup_peer_status *s)
{
    const int64_t values[] = {
        s->connected,
        (int64_t)s->lag_mutations,
        s->lag_seconds < 0 ? -1 : (int64_t)(s->lag_seconds * 1000),
        (int64_t)s->unacked_mutations,
        (int64_t)(s->unacked_seconds * 1000),
        s->last_contact_ms == SUP_NO_TIME ? -1 : s->last_contact_ms,
        (int64_t)s->clock_offset_ms,
        s->rtt_ms < 0 ? -1 : (int64_t)(s->rtt_ms * 1000),
        (int64_t)s->bytes_in,
        (int64_t)s->bytes_out,
        (int64_t)s->reconnects,
        (int64_t)s->refusals,
        (int64_t)s->quarantined,
        (int64_t)s->gaps,
        (int64_t)s->stalls,
        s->needs_repair,
        strcmp(s->membership, "same") != 0 && strcmp(s->membership, "unknown") != 0,
    };
    _Static_assert(SUP_COUNT(values) == SUP_COUNT(gauges), "one value a gauge");

    for (size_t i = 0; i < SUP_COUNT(values); i++)
        sup_metric_set(m->m[i], values[i]);
}

static void set_own_metrics(struct sup_replicator *r, size_t members)
{
    int64_t ahead = sup_apply_clock_ahead_ms(r->opts.apply);

    sup_metric_set(sup_metric("supsync_members", NULL, SUP_GAUGE,
                              "Members of the mesh as this node knows them, itself included"),
                   (int64_t)members + 1);
    sup_metric_set(sup_metric("supsync_members_epoch", NULL, SUP_GAUGE, "mesh.epoch"),
                   (int64_t)atomic_load(&r->epoch));
    sup_metric_set(sup_metric("supsync_log_bytes", NULL, SUP_GAUGE, "Log kept for peers, in bytes"),
                   (int64_t)sup_apply_log_bytes(r->opts.apply));
    sup_metric_set(sup_metric("supsync_clock_ahead_milliseconds", NULL, SUP_GAUGE,
                              "How far new decisions are stamped ahead of the wall clock"),
                   ahead > 0 ? ahead : 0);
}

/* A peer that was decommissioned is absent from these from then on: its last values would be alarms
 * for ever. */
static void clear_metrics(struct sup_peer *p)
{
    for (size_t i = 0; p->metrics && i < SUP_COUNT(gauges); i++) {
        if (gauges[i].type == SUP_GAUGE)
            sup_metric_set(p->metrics->m[i], 0);
    }
}

void sup_replicator_measure(struct sup_replicator *r)
{
    struct sup_session_stats *stats = malloc(sizeof(*stats));
    struct sup_vv *mine = malloc(sizeof(*mine));
    size_t peers = r->n_peers;
    size_t members = 0;

    if (stats && mine)
        sup_apply_vv(r->opts.apply, mine);
    for (size_t i = 0; stats && mine && i < peers; i++) {
        struct sup_peer *p = &r->peers[i];
        struct sup_peer_status s;
        if (p->retired) {
            clear_metrics(p);
            continue;
        }
        members++;
        (void)fill(p, mine, sup_mono_ms(), stats, &s);
        if (metrics_of(p))
            set_metrics(p->metrics, &s);
    }
    set_own_metrics(r, members);
    sup_replicator_tls_measure(r);
    free(mine);
    free(stats);
}
