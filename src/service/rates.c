#include "service/rates.h"

#include "base/array.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/thread.h"
#include "service/event_log.h"
#include "service/hook.h"
#include "service/internal.h"
#include "service/soft.h"
#include "service/status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_MS    60000
#define FIRST_MS   2000
#define ROWS_MAX   20000 /* names looked at; more are left out and said so in the log */
#define SOFT_LOOKS 60    /* soft bounces are trimmed once an hour */
/* Soft bounces in a row count however far apart they are, but not for ever. */
#define SOFT_MEMORY_MS (90LL * 24 * 3600 * 1000)
#define WATCHED_MAX    500 /* names whose level is remembered */
#define TRIM_BATCH     1000
#define ALERTS_MAX     64        /* of one look; more are only logged */
#define SHOWN_PARTS    1000000.0 /* metrics are whole numbers: millionths */

/* --- reading --- */

struct table {
    struct sup_rate_row *rows;
    size_t n, cap;
    uint32_t *index; /* hash → row + 1 */
    size_t index_n;
    bool full;
};

static size_t hash(enum sup_rate_kind kind, struct sup_slice name)
{
    uint64_t h = 14695981039346656037U ^ (uint64_t)kind;

    for (size_t i = 0; i < name.n; i++)
        h = (h ^ name.p[i]) * 1099511628211U;
    return (size_t)(h ^ h >> 32);
}

static int table_init(struct table *t)
{
    *t = (struct table){.index_n = 65536};
    t->index = calloc(t->index_n, sizeof(*t->index));
    return t->index ? SUP_OK : SUP_ENOMEM;
}

/* NULL: no memory, or too many. */
static struct sup_rate_row *row_of(struct table *t, enum sup_rate_kind kind, struct sup_slice name)
{
    size_t at = hash(kind, name);
    void *rows = t->rows;

    for (; t->index[at & (t->index_n - 1)] != 0; at++) {
        struct sup_rate_row *r = &t->rows[t->index[at & (t->index_n - 1)] - 1];
        if (r->kind == kind && strlen(r->name) == name.n &&
            (name.n == 0 || memcmp(r->name, name.p, name.n) == 0))
            return r;
    }
    if (t->n == ROWS_MAX || sup_array_grow(&rows, &t->cap, t->n + 1, sizeof(*t->rows)) != SUP_OK) {
        t->full = true;
        return NULL;
    }
    t->rows = rows;
    struct sup_rate_row *r = &t->rows[t->n++];
    memset(r, 0, sizeof(*r));
    r->kind = kind;
    if (name.n > 0)
        memcpy(r->name, name.p, name.n);
    t->index[at & (t->index_n - 1)] = (uint32_t)t->n;
    return r;
}

static uint32_t minute_now(void)
{
    return (uint32_t)(sup_wall_ms() / 60000);
}

static int read_minute(struct table *t, struct sup_iter *it, uint32_t minute, uint32_t age,
                       enum sup_rate_kind up_to)
{
    struct sup_rate_counts c;
    enum sup_rate_kind kind;
    struct sup_slice name;
    uint8_t from[4];
    uint32_t m;

    sup_put_be32(from, minute);
    for (sup_iter_seek(it, sup_slice_of(from, sizeof(from))); sup_iter_valid(it);
         sup_iter_next(it)) {
        if (!sup_key_rate_parse(sup_iter_key(it), &m, &kind, &name))
            return SUP_ECORRUPT;
        if (m != minute || kind > up_to)
            return SUP_OK;
        int rc = sup_rate_counts_decode(sup_iter_value(it), &c);
        if (rc != SUP_OK)
            return rc;
        struct sup_rate_row *r = row_of(t, kind, name);
        if (r)
            sup_rate_view_add(&r->view, age, &c);
    }
    return SUP_OK;
}

/* Minute by minute, the newest first, as windows by volume want it. */
static int read_all(struct sup_store *store, enum sup_rate_kind up_to, struct table *t,
                    struct sup_err *err)
{
    const struct sup_slice open = {NULL, 0};
    struct sup_snapshot *snap = sup_store_snapshot(store);
    struct sup_iter *it = sup_iter_new(store, snap, SUP_CF_RATES, open, open);
    uint32_t now = minute_now();
    int rc = it ? SUP_OK : SUP_ENOMEM;

    for (uint32_t age = 0; rc == SUP_OK && age < SUP_RATE_MINUTES && age <= now; age++)
        rc = read_minute(t, it, now - age, age, up_to);
    if (rc == SUP_OK)
        rc = sup_iter_status(it, err);
    else
        sup_err_set(err, rc, "the counts of the rates cannot be read");
    sup_iter_free(it);
    sup_snapshot_free(store, snap);
    if (t->full)
        sup_log_warn("rates", "more names than are looked at", SUP_I("looked at", ROWS_MAX));
    return rc;
}

/* --- watching --- */

struct watched {
    enum sup_rate_kind kind;
    char name[SUP_RATE_NAME_MAX + 1];
    enum sup_rate_level bounces, complaints;
};

/* For the hook, which runs without the mutex. */
struct alert {
    const char *what;
    enum sup_rate_kind kind;
    char name[SUP_RATE_NAME_MAX + 1];
    enum sup_rate_level before, after;
    double value;
};

struct sup_rates {
    const struct sup_options *config;
    struct sup_rate_rules rules;
    struct alert alerts[ALERTS_MAX];
    size_t n_alerts;
    struct sup_store *store;
    struct sup_apply *apply;
    struct sup_stop stop;
    pthread_t thread;
    bool started;
    struct sup_metric *hooks, *hook_failures;
    struct sup_metric *bounce_rate[SUP_RATE_WINDOWS], *complaint_rate[SUP_RATE_WINDOWS];
    pthread_mutex_t mutex;
    struct watched watched[WATCHED_MAX]; /* those that are not fine */
    size_t n;
    char problems[4][160];
    size_t n_problems;
};

static struct watched *watched_of(struct sup_rates *r, const struct sup_rate_row *row)
{
    for (size_t i = 0; i < r->n; i++)
        if (r->watched[i].kind == row->kind && strcmp(r->watched[i].name, row->name) == 0)
            return &r->watched[i];
    return NULL;
}

static void judge(struct sup_rates *r, struct sup_rate_row *row)
{
    const struct watched *w = watched_of(r, row);

    row->bounces = sup_rate_bounce_level(&r->rules, &row->view, w ? w->bounces : SUP_RATE_FINE);
    row->complaints =
        sup_rate_complaint_level(&r->rules, &row->view, w ? w->complaints : SUP_RATE_FINE);
}

/* Of the windows that have the floor's volume, the worst. */
static double worst(const struct sup_rates *r, const struct sup_rate_row *row, bool bounces)
{
    uint64_t floor = bounces ? r->rules.floor_bounces : r->rules.floor_complaints;
    double value = 0;

    for (size_t i = 0; i < SUP_RATE_WINDOWS; i++) {
        const struct sup_rate_counts *c = &row->view.window[i];
        double rate = bounces ? sup_rate_bounces(c) : sup_rate_complaints(c);
        if (c->n[SUP_RATE_SENDS] >= floor && rate > value)
            value = rate;
    }
    return value;
}

static void keep_alert(struct sup_rates *r, const struct sup_rate_row *row, bool bounces,
                       enum sup_rate_level before, enum sup_rate_level after)
{
    if (r->config->rates.n_hook == 0 || r->n_alerts == ALERTS_MAX)
        return;
    struct alert *a = &r->alerts[r->n_alerts++];
    *a = (struct alert){.what = bounces ? "bounces" : "complaints",
                        .kind = row->kind,
                        .before = before,
                        .after = after,
                        .value = worst(r, row, bounces)};
    memcpy(a->name, row->name, sizeof(a->name));
}

static void tell(struct sup_rates *r, const struct sup_rate_row *row, bool bounces,
                 enum sup_rate_level before, enum sup_rate_level after)
{
    const char *what = bounces ? "bounces" : "complaints";

    if (before == after)
        return;
    if (after > before)
        sup_log_warn("rates", "a threshold was passed", SUP_S("rate", what),
                     SUP_S("kind", sup_rate_kind_name(row->kind)), SUP_S("name", row->name),
                     SUP_S("level", sup_rate_level_name(after)));
    else
        sup_log_info("rates", "a rate went down", SUP_S("rate", what),
                     SUP_S("kind", sup_rate_kind_name(row->kind)), SUP_S("name", row->name),
                     SUP_S("level", sup_rate_level_name(after)));
    keep_alert(r, row, bounces, before, after);
}

/* One at a time: a look waits for the hooks of the last one. */
static void run_hooks(struct sup_rates *r)
{
    const struct sup_hook hook = {.argv = r->config->rates.hook,
                                  .n = r->config->rates.n_hook,
                                  .timeout_ms = r->config->rates.hook_timeout_ms};

    for (size_t i = 0; i < r->n_alerts && !sup_stop_is_set(&r->stop); i++) {
        const struct alert *a = &r->alerts[i];
        const struct sup_alert alert = {.node = r->config->node,
                                        .region = r->config->region,
                                        .rate = a->what,
                                        .kind = sup_rate_kind_name(a->kind),
                                        .name = a->name,
                                        .before = sup_rate_level_name(a->before),
                                        .level = sup_rate_level_name(a->after),
                                        .value = a->value,
                                        .time_ms = sup_wall_ms()};
        struct sup_err err = {0};
        int rc = sup_hook_run(&hook, &alert, &r->stop, &err);
        sup_metric_add(rc == SUP_OK ? r->hooks : r->hook_failures, 1);
        if (rc == SUP_OK)
            sup_log_info("rates", "hook done", SUP_S("hook", hook.argv[0]), SUP_S("rate", a->what),
                         SUP_S("level", alert.level));
        else
            sup_log_error("rates", "hook failed", SUP_S("hook", hook.argv[0]),
                          SUP_S("rate", a->what), SUP_S("level", alert.level),
                          SUP_S("error", err.msg));
    }
    r->n_alerts = 0;
}

static void add_problem(struct sup_rates *r, const struct sup_rate_row *row, const char *what,
                        enum sup_rate_level l)
{
    if (l < SUP_RATE_REVIEW || r->n_problems == SUP_COUNT(r->problems))
        return;
    snprintf(r->problems[r->n_problems++], sizeof(r->problems[0]),
             "%s rate of %s%s%.60s: SES may %s (estimate; see supsync rates)", what,
             row->kind == SUP_RATE_REGION ? "the Region" : sup_rate_kind_name(row->kind),
             row->kind == SUP_RATE_REGION ? "" : " ", row->name,
             l == SUP_RATE_PAUSE ? "pause sending" : "review the account");
}

/* Under mutex. */
static void remember(struct sup_rates *r, const struct table *t)
{
    size_t n = 0;

    for (size_t i = 0; i < t->n; i++) {
        const struct sup_rate_row *row = &t->rows[i];
        const struct watched *w = watched_of(r, row);
        tell(r, row, true, w ? w->bounces : SUP_RATE_FINE, row->bounces);
        tell(r, row, false, w ? w->complaints : SUP_RATE_FINE, row->complaints);
    }
    r->n_problems = 0;
    for (size_t i = 0; i < t->n; i++) {
        const struct sup_rate_row *row = &t->rows[i];
        if (row->bounces == SUP_RATE_FINE && row->complaints == SUP_RATE_FINE)
            continue;
        add_problem(r, row, "bounce", row->bounces);
        add_problem(r, row, "complaint", row->complaints);
        if (n == WATCHED_MAX)
            continue;
        struct watched *w = &r->watched[n++];
        *w = (struct watched){
            .kind = row->kind, .bounces = row->bounces, .complaints = row->complaints};
        memcpy(w->name, row->name, sizeof(w->name));
    }
    r->n = n;
}

static void show_metrics(struct sup_rates *r, const struct table *t)
{
    for (size_t i = 0; i < t->n; i++) {
        if (t->rows[i].kind != SUP_RATE_REGION)
            continue;
        for (size_t w = 0; w < SUP_RATE_WINDOWS; w++) {
            const struct sup_rate_counts *c = &t->rows[i].view.window[w];
            sup_metric_set(r->bounce_rate[w], (int64_t)(sup_rate_bounces(c) * SHOWN_PARTS));
            sup_metric_set(r->complaint_rate[w], (int64_t)(sup_rate_complaints(c) * SHOWN_PARTS));
        }
    }
}

static void look(struct sup_rates *r)
{
    struct sup_err err = {0};
    struct table t;
    int rc = table_init(&t);

    if (rc == SUP_OK)
        rc = read_all(r->store, SUP_RATE_IDENTITY, &t, &err);
    if (rc == SUP_OK) {
        pthread_mutex_lock(&r->mutex);
        for (size_t i = 0; i < t.n; i++)
            judge(r, &t.rows[i]);
        remember(r, &t);
        pthread_mutex_unlock(&r->mutex);
        show_metrics(r, &t);
        run_hooks(r);
    } else {
        sup_log_error("rates", "cannot look at the rates", SUP_S("error", err.msg));
    }
    free(t.rows);
    free(t.index);
}

/* --- trimming --- */

/* Keys of both families begin with the minute. */
struct trimming {
    struct sup_store *store;
    enum sup_cf cf;
    uint32_t before;
    size_t n;
};

static int trim_run(struct sup_apply *a, struct sup_txn *txn, void *arg, struct sup_err *err)
{
    struct trimming *tr = arg;
    uint8_t end[4];

    (void)a;
    tr->n = 0;
    sup_put_be32(end, tr->before);
    struct sup_iter *it = sup_iter_new(tr->store, NULL, tr->cf, (struct sup_slice){NULL, 0},
                                       sup_slice_of(end, sizeof(end)));
    if (!it)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    for (; sup_iter_valid(it) && tr->n < TRIM_BATCH; sup_iter_next(it), tr->n++)
        sup_txn_delete(txn, tr->cf, sup_iter_key(it));
    int rc = sup_iter_status(it, err);
    sup_iter_free(it);
    return rc;
}

static void trim_before(struct sup_rates *r, enum sup_cf cf, uint32_t before)
{
    struct trimming tr = {.store = r->store, .cf = cf, .before = before, .n = TRIM_BATCH};

    while (tr.n == TRIM_BATCH && !sup_stop_is_set(&r->stop) &&
           sup_apply_run(r->apply, trim_run, &tr, NULL) == SUP_OK)
        ;
}

static void trim(struct sup_rates *r)
{
    uint32_t past = minute_now() - SUP_RATE_MINUTES;

    trim_before(r, SUP_CF_RATES, past - 60);
    trim_before(r, SUP_CF_SEEN, past - 24 * 60); /* behind what rate_job still marks there */
}

static void trim_others(struct sup_rates *r)
{
    const struct sup_options *c = r->config;

    int64_t memory =
        c->soft.window_ms > SOFT_MEMORY_MS ? c->soft.window_ms : (int64_t)SOFT_MEMORY_MS;

    sup_soft_trim(r->store, r->apply, c->soft.retention_ms, memory, &r->stop);
    sup_event_log_trim(r->store, r->apply, c->events.retention_ms, c->events.max_bytes, &r->stop);
}

/* --- running --- */

static void *rates_main(void *arg)
{
    struct sup_rates *r = arg;
    int64_t wait = FIRST_MS;
    unsigned looks = 0;

    while (!sup_stop_wait_ms(&r->stop, wait)) {
        look(r);
        trim(r);
        if (looks++ % SOFT_LOOKS == 0)
            trim_others(r);
        wait = LOOK_MS;
    }
    return NULL;
}

static void register_metrics(struct sup_rates *r)
{
    struct sup_buf label;

    r->hooks = sup_metric("supsync_alert_hooks_total", "result=\"ok\"", SUP_COUNTER,
                          "Runs of the hook for rates that passed a threshold");
    r->hook_failures = sup_metric("supsync_alert_hooks_total", "result=\"failed\"", SUP_COUNTER,
                                  "Runs of the hook for rates that passed a threshold");
    sup_buf_init(&label, 128);
    for (size_t i = 0; i < SUP_RATE_WINDOWS; i++) {
        sup_buf_reset(&label);
        sup_metric_label(&label, "window", sup_rate_windows[i].name);
        r->bounce_rate[i] =
            sup_metric("supsync_bounce_rate_ppm", sup_buf_str(&label), SUP_GAUGE,
                       "Hard bounces per million sends of the Region (estimate), by window");
        r->complaint_rate[i] =
            sup_metric("supsync_complaint_rate_ppm", sup_buf_str(&label), SUP_GAUGE,
                       "Complaints per million sends of the Region (estimate), by window");
    }
    sup_buf_fini(&label);
}

int sup_rates_start(const struct sup_options *config, struct sup_store *store,
                    struct sup_apply *apply, struct sup_rates **out, struct sup_err *err)
{
    struct sup_rates *r = calloc(1, sizeof(*r));

    if (!r)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    r->config = config;
    r->store = store;
    r->apply = apply;
    r->rules = (struct sup_rate_rules){.floor_bounces = config->rates.floor_bounces,
                                       .floor_complaints = config->rates.floor_complaints,
                                       .leave = config->rates.leave_percent / 100};
    sup_stop_init(&r->stop);
    pthread_mutex_init(&r->mutex, NULL);
    register_metrics(r);
    if (sup_thread_start(&r->thread, "rates", rates_main, r) != SUP_OK) {
        sup_rates_free(r);
        return sup_err_set(err, SUP_EAGAIN, "cannot start a thread");
    }
    r->started = true;
    *out = r;
    return SUP_OK;
}

void sup_rates_stop(struct sup_rates *r)
{
    if (!r || !r->started)
        return;
    sup_stop_set(&r->stop);
    pthread_join(r->thread, NULL);
    r->started = false;
}

void sup_rates_free(struct sup_rates *r)
{
    if (!r)
        return;
    pthread_mutex_destroy(&r->mutex);
    sup_stop_fini(&r->stop);
    free(r);
}

void sup_rates_status(struct sup_rates *r, struct sup_status *out)
{
    pthread_mutex_lock(&r->mutex);
    for (size_t i = 0; i < r->n_problems; i++)
        sup_status_problem(out, "%s", r->problems[i]);
    pthread_mutex_unlock(&r->mutex);
}

/* --- asking --- */

static int by_sends(const void *a, const void *b)
{
    const struct sup_rate_row *x = a, *y = b;
    uint64_t sx = x->view.window[2].n[SUP_RATE_SENDS], sy = y->view.window[2].n[SUP_RATE_SENDS];

    if (x->kind != y->kind)
        return x->kind < y->kind ? -1 : 1;
    if (sx != sy)
        return sx > sy ? -1 : 1;
    return strcmp(x->name, y->name);
}

/* At most max of each kind stay. */
static void cut(struct table *t, size_t max)
{
    size_t n = 0, of_kind = 0;

    for (size_t i = 0; i < t->n; i++) {
        of_kind = i > 0 && t->rows[i].kind == t->rows[i - 1].kind ? of_kind + 1 : 1;
        if (of_kind <= max && n != i)
            memmove(&t->rows[n], &t->rows[i], sizeof(t->rows[n]));
        n += of_kind <= max;
    }
    t->n = n;
}

int sup_service_rates(struct sup_service *s, enum sup_rate_kind up_to, size_t max,
                      struct sup_rate_row **rows, size_t *n, struct sup_err *err)
{
    struct sup_rates *r = s->sources->rates;
    struct table t;
    int rc = table_init(&t);

    if (rc == SUP_OK)
        rc = read_all(s->store, up_to, &t, err);
    if (rc == SUP_OK) {
        pthread_mutex_lock(&r->mutex);
        for (size_t i = 0; i < t.n; i++)
            judge(r, &t.rows[i]);
        pthread_mutex_unlock(&r->mutex);
        if (t.n > 0)
            qsort(t.rows, t.n, sizeof(*t.rows), by_sends);
        cut(&t, max);
    }
    free(t.index);
    if (rc != SUP_OK) {
        free(t.rows);
        return rc;
    }
    *rows = t.rows;
    *n = t.n;
    return SUP_OK;
}
