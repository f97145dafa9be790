#include "service/rate_job.h"

#include "base/array.h"
#include "codec/keys.h"
#include "codec/seen.h"
#include "service/seen.h"

#include <stdlib.h>
#include <string.h>

#define BYTES_MAX (16U << 20)
#define CELLS_MAX 65536
/* Marks outlive the minutes that they protect. */
#define MARK_MS ((int64_t)8 * 24 * 3600 * 1000)
#define KINDS   4
/* What is no older, or from no further in the future, is marked in sets of its minute. A set goes a
 * day later, when no send of its minute is counted any more. */
#define SETS_BACK    ((int64_t)SUP_RATE_MINUTES)
#define SETS_FORWARD ((int64_t)24 * 60)

/* A key of CF RATES and what the job adds to it. */
struct cell {
    size_t key_at, key_n;
    struct sup_rate_counts add;
};

struct item {
    size_t mark_at, mark_n;
    uint64_t hash;   /* of the same bytes */
    uint32_t minute; /* whose set has the mark; 0 = a mark of its own */
    uint32_t n;
    enum sup_rate_what what;
    bool global;
    uint32_t cells[KINDS];
    size_t n_cells;
};

struct sup_rate_job {
    struct sup_seen *seen;
    struct sup_buf bytes; /* keys of cells, identities of items */
    struct item *items;
    size_t n, cap;
    struct cell *cells;
    size_t n_cells, cap_cells;
    uint32_t *table;      /* hash → cell + 1; 0 = free */
    uint32_t last[KINDS]; /* of the item before, cell + 1: mostly the same again */
    size_t table_n;       /* a power of two */
    struct sup_buf value;
    /* of the event being taken */
    const struct sup_event *event;
    uint32_t minute;
    uint32_t set; /* the minute whose set has its marks; 0 = none */
    int failed;
};

struct sup_rate_job *sup_rate_job_new(struct sup_apply *apply)
{
    struct sup_rate_job *j = calloc(1, sizeof(*j));

    if (!j)
        return NULL;
    j->seen = sup_apply_seen(apply);
    sup_buf_init(&j->bytes, BYTES_MAX);
    sup_buf_init(&j->value, 256);
    j->table_n = 1024;
    j->table = calloc(j->table_n, sizeof(*j->table));
    if (j->table)
        return j;
    sup_rate_job_free(j);
    return NULL;
}

void sup_rate_job_free(struct sup_rate_job *j)
{
    if (!j)
        return;
    sup_buf_fini(&j->bytes);
    sup_buf_fini(&j->value);
    free(j->items);
    free(j->cells);
    free(j->table);
    free(j);
}

void sup_rate_job_reset(struct sup_rate_job *j)
{
    j->n = 0;
    j->n_cells = 0;
    memset(j->last, 0, sizeof(j->last));
    sup_buf_reset(&j->bytes);
    memset(j->table, 0, j->table_n * sizeof(*j->table));
}

bool sup_rate_job_empty(const struct sup_rate_job *j)
{
    return j->n == 0;
}

/* --- cells --- */

/* FNV-1a; a job has few cells, and a poor spread costs time only. */
static size_t hash(const uint8_t *p, size_t n)
{
    uint64_t h = 14695981039346656037U;

    for (size_t i = 0; i < n; i++)
        h = (h ^ p[i]) * 1099511628211U;
    return (size_t)(h ^ h >> 32);
}

static void place(struct sup_rate_job *j, uint32_t cell)
{
    const struct cell *c = &j->cells[cell];
    size_t at = hash(j->bytes.p + c->key_at, c->key_n);

    while (j->table[at & (j->table_n - 1)] != 0)
        at++;
    j->table[at & (j->table_n - 1)] = cell + 1;
}

static int make_room(struct sup_rate_job *j)
{
    void *cells = j->cells;
    int rc = sup_array_grow(&cells, &j->cap_cells, j->n_cells + 1, sizeof(*j->cells));

    j->cells = cells;
    if (rc != SUP_OK || 2 * (j->n_cells + 1) <= j->table_n)
        return rc;
    uint32_t *table = calloc(2 * j->table_n, sizeof(*table));
    if (!table)
        return SUP_ENOMEM;
    free(j->table);
    j->table = table;
    j->table_n *= 2;
    for (uint32_t i = 0; i < j->n_cells; i++)
        place(j, i);
    return SUP_OK;
}

/* The cell of this minute, kind and name, made when it is new. */
static int find_cell(struct sup_rate_job *j, enum sup_rate_kind kind, struct sup_slice name,
                     uint32_t *out)
{
    size_t at = j->bytes.n, i;

    sup_key_rate(&j->bytes, j->minute, kind, name);
    if (j->bytes.failed)
        return j->bytes.failed;
    for (size_t k = at + 5; k < j->bytes.n; k++)
        if (j->bytes.p[k] >= 'A' && j->bytes.p[k] <= 'Z' && kind != SUP_RATE_SET)
            j->bytes.p[k] = (uint8_t)(j->bytes.p[k] + 32); /* names of domains: case-blind */
    size_t n = j->bytes.n - at;
    for (i = hash(j->bytes.p + at, n); j->table[i & (j->table_n - 1)] != 0; i++) {
        *out = j->table[i & (j->table_n - 1)] - 1;
        const struct cell *c = &j->cells[*out];
        if (c->key_n == n && memcmp(j->bytes.p + c->key_at, j->bytes.p + at, n) == 0) {
            j->bytes.n = at;
            return SUP_OK;
        }
    }
    if (j->n_cells == CELLS_MAX)
        return SUP_ELIMIT;
    int rc = make_room(j);
    if (rc != SUP_OK)
        return rc;
    *out = (uint32_t)j->n_cells++;
    j->cells[*out] = (struct cell){.key_at = at, .key_n = n};
    place(j, *out);
    return SUP_OK;
}

/* Says no of names that are not as they are kept: too long, or in capitals. */
static bool is_cell(const struct sup_rate_job *j, uint32_t cell, enum sup_rate_kind kind,
                    struct sup_slice name)
{
    const struct cell *c = &j->cells[cell];
    const uint8_t *key = j->bytes.p + c->key_at;

    return c->key_n == 5 + name.n && sup_get_be32(key) == j->minute && key[4] == (uint8_t)kind &&
           (name.n == 0 || memcmp(key + 5, name.p, name.n) == 0);
}

/* --- taking --- */

static int add_cells(struct sup_rate_job *j, struct item *it, struct sup_slice domain)
{
    const struct {
        enum sup_rate_kind kind;
        struct sup_slice name;
    } names[KINDS] = {
        {SUP_RATE_REGION, {NULL, 0}},
        {SUP_RATE_SET, j->event->configuration_set},
        {SUP_RATE_IDENTITY, sup_rates_identity(j->event)},
        {SUP_RATE_DOMAIN, domain},
    };

    for (size_t i = 0; i < KINDS; i++) {
        if (names[i].name.n == 0 && names[i].kind != SUP_RATE_REGION)
            continue;
        uint32_t *cell = &it->cells[it->n_cells];
        int rc = SUP_OK;
        if (j->last[i] != 0 && is_cell(j, j->last[i] - 1, names[i].kind, names[i].name))
            *cell = j->last[i] - 1;
        else
            rc = find_cell(j, names[i].kind, names[i].name, cell);
        if (rc != SUP_OK)
            return rc;
        j->last[i] = *cell + 1;
        it->n_cells++;
    }
    return SUP_OK;
}

static int take_item(struct sup_rate_job *j, const struct sup_rate_item *item)
{
    void *items = j->items;
    struct item *it;
    int rc = sup_array_grow(&items, &j->cap, j->n + 1, sizeof(*j->items));

    j->items = items;
    if (rc != SUP_OK)
        return rc;
    it = &j->items[j->n];
    *it = (struct item){.n = item->n, .what = item->what, .global = item->global};
    rc = add_cells(j, it, item->domain);
    if (rc != SUP_OK)
        return rc;
    /* Apart from the marks of decisions, which a policy may leave out. */
    it->mark_at = j->bytes.n;
    sup_buf_add_str(&j->bytes, "rate");
    sup_classify_dedup_key(j->event, item->recipient, &j->bytes);
    it->mark_n = j->bytes.n - it->mark_at;
    if (j->bytes.failed)
        return j->bytes.failed;
    it->minute = j->set;
    if (it->minute > 0)
        it->hash = sup_seen_hash(sup_slice_of(j->bytes.p + it->mark_at, it->mark_n));
    j->n++;
    return SUP_OK;
}

static void on_item(void *arg, const struct sup_rate_item *item)
{
    struct sup_rate_job *j = arg;

    if (j->failed == SUP_OK)
        j->failed = take_item(j, item);
}

/* By a time of the event's own, which every copy of it tells alike, whatever envelope it came in,
 * and near which it comes: a send the mail's, the others that of what happened. */
static uint32_t set_of(const struct sup_event *e, int64_t now_ms)
{
    int64_t ms = e->type == SUP_EVENT_SEND ? e->mail_ms : e->event_ms;
    int64_t minute = ms / 60000, now = now_ms / 60000;

    if (ms == SUP_NO_TIME || minute <= 0)
        return 0;
    return minute > now - SETS_BACK && minute < now + SETS_FORWARD ? (uint32_t)minute : 0;
}

int sup_rate_job_take(struct sup_rate_job *j, const struct sup_event *event,
                      const struct sup_verdicts *vs, const struct sup_classify_context *ctx)
{
    j->event = event;
    j->minute = sup_rates_minute(event, ctx);
    j->set = set_of(event, ctx->now_ms);
    j->failed = SUP_OK;
    if (ctx->now_ms / 60000 - j->minute >= SUP_RATE_MINUTES)
        return SUP_OK;
    sup_rates_of(event, vs, on_item, j);
    return j->failed;
}

/* --- counting --- */

static int own_mark(struct sup_rate_job *j, const struct item *it, int64_t now_ms,
                    struct sup_txn *t, bool *fresh)
{
    struct sup_key k;
    uint8_t expiry[8];

    sup_key_dedup(&k, sup_slice_of(j->bytes.p + it->mark_at, it->mark_n));
    int rc = sup_txn_get(t, SUP_CF_DEDUP, sup_key_slice(&k), &j->value);
    *fresh = rc == SUP_ENOTFOUND;
    if (rc != SUP_ENOTFOUND)
        return rc;
    sup_put_be64(expiry, (uint64_t)(now_ms + MARK_MS));
    sup_txn_put(t, SUP_CF_DEDUP, sup_key_slice(&k), sup_slice_of(expiry, sizeof(expiry)));
    return SUP_OK;
}

/* Marks the item; *fresh: it was not marked. */
static int mark(struct sup_rate_job *j, const struct item *it, int64_t now_ms, struct sup_txn *t,
                bool *fresh, struct sup_err *err)
{
    int rc = SUP_ELIMIT;

    if (it->minute > 0)
        rc = sup_seen_mark(j->seen, t, it->minute, it->hash, fresh, err);
    return rc == SUP_ELIMIT ? own_mark(j, it, now_ms, t, fresh) : rc;
}

static void count(struct sup_rate_job *j, const struct item *it)
{
    struct sup_rate_counts c = {0};

    c.n[it->what] = it->n;
    if (it->global)
        c.n[SUP_RATE_GLOBAL] = it->n;
    for (size_t i = 0; i < it->n_cells; i++)
        sup_rate_counts_add(&j->cells[it->cells[i]].add, &c);
}

static int write_cell(struct sup_rate_job *j, const struct cell *c, struct sup_txn *t,
                      struct sup_err *err)
{
    static const struct sup_rate_counts none;
    struct sup_slice key = sup_slice_of(j->bytes.p + c->key_at, c->key_n);
    struct sup_rate_counts sum = {0};

    if (memcmp(&c->add, &none, sizeof(none)) == 0)
        return SUP_OK;
    int rc = sup_txn_get(t, SUP_CF_RATES, key, &j->value);
    if (rc == SUP_OK)
        rc = sup_rate_counts_decode(sup_buf_slice(&j->value), &sum);
    if (rc != SUP_OK && rc != SUP_ENOTFOUND)
        return sup_err_set(err, rc, "cannot read a count of the rates");
    sup_rate_counts_add(&sum, &c->add);
    sup_buf_reset(&j->value);
    sup_rate_counts_encode(&sum, &j->value);
    sup_txn_put(t, SUP_CF_RATES, key, sup_buf_slice(&j->value));
    return SUP_OK;
}

int sup_rate_job_run(struct sup_rate_job *j, int64_t now_ms, struct sup_txn *t, struct sup_err *err)
{
    int rc = SUP_OK;

    for (size_t i = 0; i < j->n_cells; i++)
        j->cells[i].add = (struct sup_rate_counts){0};
    for (size_t i = 0; i < j->n && rc == SUP_OK; i++) {
        bool fresh = false;
        rc = mark(j, &j->items[i], now_ms, t, &fresh, err);
        if (rc != SUP_OK)
            return sup_err_set(err, rc, "cannot read a mark of the rates");
        if (fresh)
            count(j, &j->items[i]);
    }
    if (rc == SUP_OK && j->n > 0)
        rc = sup_seen_write(j->seen, t, err);
    for (size_t i = 0; i < j->n_cells && rc == SUP_OK; i++)
        rc = write_cell(j, &j->cells[i], t, err);
    return rc;
}
