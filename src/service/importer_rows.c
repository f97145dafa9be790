#include "aws/ses_import.h"
#include "base/array.h"
#include "base/clock.h"
#include "base/text.h"
#include "codec/keys.h"
#include "service/apply_txn.h"
#include "service/importer_internal.h"

#include <stdlib.h>
#include <string.h>

#define VALUE_MAX (64U << 10)
#define BATCH     256
/* While a job works on an entry the worker leaves it alone; a decision brings it back at once. */
#define HOLD_MS (24 * 3600 * 1000)
/* A row that SES refused in a job, and that no call can do either. */
#define REFUSED_WAIT_MS (6 * 3600 * 1000)

/* --- looking --- */

struct look {
    struct sup_importer *im;
    struct sup_snapshot *snap;
    struct sup_mem *mem;
    struct sup_buf value;
    struct sup_buf record;
    struct sup_ses_entry entry;
    struct sup_outbox_plan plan;
};

static void look_init(struct look *l, struct sup_importer *im)
{
    l->im = im;
    l->snap = sup_store_snapshot(im->opts.store);
    l->mem = sup_mem_new();
    sup_buf_init(&l->value, VALUE_MAX);
    sup_buf_init(&l->record, VALUE_MAX);
}

static void look_fini(struct look *l)
{
    sup_snapshot_free(l->im->opts.store, l->snap);
    sup_mem_free(l->mem);
    sup_buf_fini(&l->value);
    sup_buf_fini(&l->record);
}

static int decode(struct look *l, struct sup_slice key, bool has_record, int64_t now_ms,
                  struct sup_err *err)
{
    enum sup_reason desired = SUP_REASON_NONE;
    struct sup_record r;
    int rc = sup_ses_entry_decode(sup_buf_slice(&l->value), &l->entry, err);

    if (rc == SUP_OK && has_record) {
        sup_mem_reset(l->mem);
        rc = sup_record_decode(sup_buf_slice(&l->record), l->mem, &r, err);
        if (rc == SUP_OK)
            desired = sup_registers_effective(&r.registers, now_ms, NULL);
    }
    if (rc == SUP_OK)
        sup_outbox_plan(key, desired, &l->entry, &l->plan);
    return rc;
}

static int plan_of(struct look *l, struct sup_slice key, struct sup_err *err)
{
    struct sup_store *s = l->im->opts.store;
    struct sup_key k;
    int rc = sup_store_get(s, l->snap, SUP_CF_SES, key, &l->value, err);
    int found;

    if (rc != SUP_OK)
        return rc;
    sup_key_record(&k, sup_apply_hash(l->im->opts.apply), key);
    found = sup_store_get(s, l->snap, SUP_CF_RECORDS, sup_key_slice(&k), &l->record, err);
    if (found != SUP_OK && found != SUP_ENOTFOUND)
        return found;
    return decode(l, key, found == SUP_OK, sup_wall_ms(), err);
}

static bool has_slash(struct sup_slice key)
{
    return memchr(key.p, '/', key.n) != NULL;
}

/* Refused once by a call, an address with a '/' waits for hours: a job may take it all the same. */
static bool is_eligible(struct sup_slice key, int64_t due_ms, struct sup_slice value, int64_t now)
{
    struct sup_outbox_entry e;

    if (due_ms <= now)
        return true;
    return has_slash(key) && sup_outbox_entry_decode(value, &e, NULL) == SUP_OK && e.attempts == 1;
}

/* Calls each for every entry that a job may take. */
static int each_eligible(struct look *l,
                         int (*each)(void *arg, struct sup_slice key, int64_t due,
                                     struct sup_err *err),
                         void *arg, struct sup_err *err)
{
    struct sup_slice open = {NULL, 0};
    struct sup_iter *it = sup_iter_new(l->im->opts.store, l->snap, SUP_CF_OUTBOX, open, open);
    int64_t now = sup_wall_ms();
    int rc = it ? SUP_OK : sup_err_set(err, SUP_ENOMEM, "out of memory");

    for (; rc == SUP_OK && sup_iter_valid(it); sup_iter_next(it)) {
        struct sup_slice key;
        int64_t due = 0;
        if (sup_stop_is_set(&l->im->stop))
            rc = SUP_ECLOSED;
        else if (sup_key_timed_parse(sup_iter_key(it), &due, &key) && key.n <= SUP_ADDRESS_MAX &&
                 is_eligible(key, due, sup_iter_value(it), now))
            rc = each(arg, key, due, err);
    }
    if (rc == SUP_OK)
        rc = sup_iter_status(it, err);
    sup_iter_free(it);
    return rc;
}

struct choosing {
    struct look l;
    bool planned; /* else only counted */
    uint64_t n;
    uint64_t slashed;
    struct sup_import_choice *out;
};

static int choose_one(void *arg, struct sup_slice key, int64_t due, struct sup_err *err)
{
    struct choosing *c = arg;
    int rc;

    (void)due;
    c->n++;
    c->slashed += has_slash(key);
    if (!c->planned)
        return SUP_OK;
    rc = plan_of(&c->l, key, err);
    if (rc == SUP_ENOTFOUND)
        return SUP_OK;
    c->out->puts += rc == SUP_OK && c->l.plan.step == SUP_OUTBOX_PUT;
    c->out->deletes += rc == SUP_OK && c->l.plan.step == SUP_OUTBOX_DELETE;
    c->out->slashes +=
        rc == SUP_OK && c->l.plan.step == SUP_OUTBOX_DELETE && strchr(c->l.plan.spelling, '/');
    return rc;
}

int sup_import_choose(struct sup_importer *im, struct sup_import_choice *out, struct sup_err *err)
{
    struct choosing *c = calloc(1, sizeof(*c));
    int rc;

    memset(out, 0, sizeof(*out));
    if (!c)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    look_init(&c->l, im);
    c->out = out;
    rc = c->l.mem ? each_eligible(&c->l, choose_one, c, err) : SUP_ENOMEM;
    if (rc == SUP_OK && (c->n >= im->opts.config->ses.import_threshold || c->slashed > 0)) {
        c->planned = true;
        rc = each_eligible(&c->l, choose_one, c, err);
    }
    look_fini(&c->l);
    free(c);
    return rc;
}

/* --- collecting --- */

struct item {
    char key[SUP_ADDRESS_MAX + 1];
    int64_t due_ms;
};

struct collecting {
    struct look l;
    bool slashes_only;
    uint64_t max;
    uint64_t rows;
    uint64_t rows_before; /* of the batch under way */
    bool run;             /* some come of a reconciliation */
    struct item *batch;
    size_t n;
};

static int read_in_txn(struct look *l, struct sup_apply *a, struct sup_txn *t, struct sup_slice key,
                       struct sup_err *err)
{
    struct sup_key k;
    int rc = sup_txn_get(t, SUP_CF_SES, key, &l->value);
    int found;

    if (rc != SUP_OK)
        return rc;
    sup_key_record(&k, sup_apply_hash(a), key);
    found = sup_txn_get(t, SUP_CF_RECORDS, sup_key_slice(&k), &l->record);
    if (found != SUP_OK && found != SUP_ENOTFOUND)
        return sup_err_set(err, found, "cannot read a record: %s", sup_code_name(found));
    return decode(l, key, found == SUP_OK, sup_apply_now_ms(a), err);
}

static int write_entry(struct look *l, struct sup_txn *t, struct sup_slice key, struct sup_err *err)
{
    sup_buf_reset(&l->value);
    sup_ses_entry_encode(&l->entry, &l->value);
    if (l->value.failed)
        return sup_err_set(err, l->value.failed, "SES entry is too large");
    sup_txn_put(t, SUP_CF_SES, key, sup_buf_slice(&l->value));
    return SUP_OK;
}

/* Moves the address's outbox entry to due_ms, or out of the outbox (0). error (may be NULL) counts
 * as a failed attempt. */
static int move_outbox(struct look *l, struct sup_apply *a, struct sup_txn *t, struct sup_slice key,
                       int64_t due_ms, const char *error, struct sup_err *err)
{
    struct sup_outbox_entry o = {.queued_ms = sup_apply_now_ms(a)};
    struct sup_key k;
    int rc;

    if (l->entry.outbox_due_ms != 0) {
        sup_key_timed(&k, l->entry.outbox_due_ms, key);
        rc = sup_txn_get(t, SUP_CF_OUTBOX, sup_key_slice(&k), &l->value);
        if (rc == SUP_OK)
            (void)sup_outbox_entry_decode(sup_buf_slice(&l->value), &o, NULL);
        sup_txn_delete(t, SUP_CF_OUTBOX, sup_key_slice(&k));
    }
    l->entry.outbox_due_ms = due_ms;
    if (due_ms != 0) {
        o.attempts += error != NULL;
        if (error)
            sup_text_copy(o.last_error, sizeof(o.last_error), error);
        sup_key_timed(&k, due_ms, key);
        sup_buf_reset(&l->value);
        sup_outbox_entry_encode(&o, &l->value);
        sup_txn_put(t, SUP_CF_OUTBOX, sup_key_slice(&k), sup_buf_slice(&l->value));
        sup_apply_touch_outbox(a, due_ms);
    }
    return write_entry(l, t, key, err);
}

static bool is_of_a_run(struct collecting *c, struct sup_txn *t, const struct item *i)
{
    struct sup_outbox_entry o;
    struct sup_key k;

    sup_key_timed(&k, i->due_ms, sup_slice_str(i->key));
    return sup_txn_get(t, SUP_CF_OUTBOX, sup_key_slice(&k), &c->l.value) == SUP_OK &&
           sup_outbox_entry_decode(sup_buf_slice(&c->l.value), &o, NULL) == SUP_OK && o.run;
}

static int take_row(struct collecting *c, struct sup_apply *a, struct sup_txn *t,
                    const struct item *i, struct sup_err *err)
{
    enum sup_outbox_step wanted = c->l.im->state.remove ? SUP_OUTBOX_DELETE : SUP_OUTBOX_PUT;
    struct sup_slice key = sup_slice_str(i->key);
    struct sup_import_row row;
    struct sup_ses_spelling *s;
    int rc = read_in_txn(&c->l, a, t, key, err);

    if (rc != SUP_OK)
        return rc == SUP_ENOTFOUND ? SUP_OK : rc;
    if (c->l.entry.outbox_due_ms != i->due_ms || c->l.plan.step != wanted || c->rows >= c->max ||
        (c->slashes_only && !strchr(c->l.plan.spelling, '/')))
        return SUP_OK;
    s = sup_ses_entry_spelling(&c->l.entry, c->l.plan.spelling);
    if (!s)
        return SUP_OK;
    s->write_op = c->l.im->state.remove ? SUP_SES_DELETE : SUP_SES_PUT;
    s->write_reason = c->l.im->state.remove ? SUP_REASON_NONE : c->l.plan.reason;
    s->write_begin_ms = sup_apply_now_ms(a);
    s->write_end_ms = 0;
    sup_text_copy(row.spelling, sizeof(row.spelling), s->spelling);
    row.reason = s->write_reason;
    sup_buf_reset(&c->l.value);
    sup_import_row_encode(&row, &c->l.value);
    sup_txn_put(t, SUP_CF_IMPORT, key, sup_buf_slice(&c->l.value));
    c->rows++;
    c->run = c->run || is_of_a_run(c, t, i);
    return move_outbox(&c->l, a, t, key, sup_apply_now_ms(a) + HOLD_MS, NULL, err);
}

static int take_rows(struct sup_apply *a, struct sup_txn *t, void *arg, struct sup_err *err)
{
    struct collecting *c = arg;
    int rc = SUP_OK;

    c->rows = c->rows_before;
    for (size_t i = 0; rc == SUP_OK && i < c->n; i++)
        rc = take_row(c, a, t, &c->batch[i], err);
    return rc;
}

static int flush(struct collecting *c, struct sup_err *err)
{
    int rc = SUP_OK;

    if (c->n > 0)
        rc = sup_apply_run(c->l.im->opts.apply, take_rows, c, err);
    c->rows_before = c->rows;
    c->n = 0;
    return rc;
}

static int gather(void *arg, struct sup_slice key, int64_t due, struct sup_err *err)
{
    struct collecting *c = arg;
    struct item *i;

    if (c->rows >= c->max || (c->slashes_only && !has_slash(key)))
        return SUP_OK;
    i = &c->batch[c->n++];
    memcpy(i->key, key.p, key.n);
    i->key[key.n] = '\0';
    i->due_ms = due;
    return c->n == BATCH ? flush(c, err) : SUP_OK;
}

int sup_import_collect(struct sup_importer *im, bool slashes_only, uint64_t max, uint64_t *rows,
                       struct sup_err *err)
{
    struct collecting *c = calloc(1, sizeof(*c));
    int rc = SUP_ENOMEM;

    if (!c)
        return sup_err_set(err, rc, "out of memory");
    look_init(&c->l, im);
    c->slashes_only = slashes_only;
    c->max = max;
    c->batch = calloc(BATCH, sizeof(*c->batch));
    if (c->batch && c->l.mem)
        rc = each_eligible(&c->l, gather, c, err);
    if (rc == SUP_OK)
        rc = flush(c, err);
    *rows = c->rows;
    im->state.run = c->run;
    look_fini(&c->l);
    free(c->batch);
    free(c);
    return rc;
}

/* --- the object --- */

int sup_import_body(struct sup_importer *im, struct sup_buf *out, struct sup_err *err)
{
    struct sup_slice open = {NULL, 0};
    struct sup_iter *it = sup_iter_new(im->opts.store, NULL, SUP_CF_IMPORT, open, open);
    struct sup_import_row row;
    int rc = it ? SUP_OK : sup_err_set(err, SUP_ENOMEM, "out of memory");

    for (; rc == SUP_OK && sup_iter_valid(it); sup_iter_next(it)) {
        rc = sup_import_row_decode(sup_iter_value(it), &row, err);
        if (rc == SUP_OK)
            sup_ses_import_line(out, row.spelling, row.reason);
    }
    if (rc == SUP_OK)
        rc = sup_iter_status(it, err);
    if (rc == SUP_OK && out->failed)
        rc = sup_err_set(err, out->failed, "the import job's object is too large");
    sup_iter_free(it);
    return rc;
}

/* --- the end of the rows --- */

void sup_import_failed_fini(struct sup_import_failed *f)
{
    for (size_t i = 0; i < f->n; i++)
        free(f->spellings[i]);
    free(f->spellings);
    memset(f, 0, sizeof(*f));
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

int sup_import_failed_parse(struct sup_import_failed *f, struct sup_slice text, struct sup_err *err)
{
    const char *p = (const char *)text.p;
    const char *end = p + text.n;

    while (p < end) {
        const char *nl = memchr(p, '\n', (size_t)(end - p));
        size_t n = (size_t)((nl ? nl : end) - p);
        char *spelling = sup_ses_import_line_address(p, n);
        p += n + 1;
        if (!spelling)
            continue;
        if (sup_array_grow((void **)&f->spellings, &f->cap, f->n + 1, sizeof(*f->spellings)) !=
            SUP_OK) {
            free(spelling);
            return sup_err_set(err, SUP_ENOMEM, "out of memory");
        }
        f->spellings[f->n++] = spelling;
    }
    if (f->n > 0)
        qsort(f->spellings, f->n, sizeof(*f->spellings), compare);
    return SUP_OK;
}

struct finishing {
    struct look l;
    const struct sup_import_failed *failed;
    const char *error;
    size_t n; /* rows of the last batch */
    char (*keys)[SUP_ADDRESS_MAX + 1];
    struct sup_import_row *rows;
};

static bool is_failed(const struct finishing *f, const char *spelling)
{
    return f->error[0] != '\0' ||
           (f->failed->n > 0 && bsearch(&spelling, f->failed->spellings, f->failed->n,
                                        sizeof(*f->failed->spellings), compare) != NULL);
}

/* The job wrote this spelling some time between its begin and now. If the worker wrote it, too,
 * because something else was decided meanwhile, nobody knows which came last. */
static void record(struct finishing *f, struct sup_apply *a, const struct sup_import_row *row)
{
    bool remove = f->l.im->state.remove;
    struct sup_ses_spelling *s = sup_ses_entry_spelling(&f->l.entry, row->spelling);
    enum sup_ses_op op = remove ? SUP_SES_DELETE : SUP_SES_PUT;
    bool disputed;

    if (!s)
        return;
    disputed = s->write_op != op || s->write_reason != row->reason;
    s->unverified = disputed;
    s->present = !remove && !disputed;
    s->reason = s->present ? row->reason : SUP_REASON_NONE;
    s->last_update_ms = 0;
    if (remove && !s->unverified)
        s->noted_ms = 0;
    s->write_op = op;
    s->write_reason = row->reason;
    if (s->write_begin_ms == 0 || s->write_begin_ms > f->l.im->state.begin_ms)
        s->write_begin_ms = f->l.im->state.begin_ms;
    s->write_end_ms = sup_apply_now_ms(a);
}

static int finish_row(struct finishing *f, struct sup_apply *a, struct sup_txn *t, size_t i,
                      struct sup_err *err)
{
    const struct sup_import_row *row = &f->rows[i];
    struct sup_slice key = sup_slice_str(f->keys[i]);
    int64_t now = sup_apply_now_ms(a);
    bool failed = is_failed(f, row->spelling);
    const char *why = f->error[0] ? f->error : "SES refused this row of an import job";
    int rc = read_in_txn(&f->l, a, t, key, err);

    sup_txn_delete(t, SUP_CF_IMPORT, key);
    if (rc != SUP_OK)
        return rc == SUP_ENOTFOUND ? SUP_OK : rc;
    if (failed) {
        bool hopeless = f->l.im->state.remove && strchr(row->spelling, '/') != NULL;
        return move_outbox(&f->l, a, t, key, hopeless ? now + REFUSED_WAIT_MS : now, why, err);
    }
    record(f, a, row);
    rc = write_entry(&f->l, t, key, err);
    if (rc == SUP_OK)
        rc = read_in_txn(&f->l, a, t, key, err); /* plans anew */
    if (rc != SUP_OK)
        return rc;
    return move_outbox(&f->l, a, t, key, f->l.plan.step == SUP_OUTBOX_DONE ? 0 : now, NULL, err);
}

static int load_batch(struct finishing *f, struct sup_txn *t, struct sup_err *err)
{
    struct sup_slice open = {NULL, 0};
    struct sup_iter *it = sup_txn_iter(t, SUP_CF_IMPORT, open, open);
    int rc = it ? SUP_OK : sup_err_set(err, SUP_ENOMEM, "out of memory");

    for (f->n = 0; rc == SUP_OK && f->n < BATCH && sup_iter_valid(it); sup_iter_next(it)) {
        struct sup_slice key = sup_iter_key(it);
        if (key.n > SUP_ADDRESS_MAX) {
            rc = sup_err_set(err, SUP_ECORRUPT, "damaged key in the import family");
            break;
        }
        memcpy(f->keys[f->n], key.p, key.n);
        f->keys[f->n][key.n] = '\0';
        rc = sup_import_row_decode(sup_iter_value(it), &f->rows[f->n++], err);
    }
    sup_iter_free(it);
    return rc;
}

static int finish_some(struct sup_apply *a, struct sup_txn *t, void *arg, struct sup_err *err)
{
    struct finishing *f = arg;
    int rc = load_batch(f, t, err);

    for (size_t i = 0; rc == SUP_OK && i < f->n; i++)
        rc = finish_row(f, a, t, i, err);
    return rc;
}

int sup_import_finish(struct sup_importer *im, const struct sup_import_failed *failed,
                      const char *error, struct sup_err *err)
{
    struct finishing *f = calloc(1, sizeof(*f));
    int rc = SUP_ENOMEM;

    if (!f)
        return sup_err_set(err, rc, "out of memory");
    look_init(&f->l, im);
    f->failed = failed;
    f->error = error;
    f->keys = calloc(BATCH, sizeof(*f->keys));
    f->rows = calloc(BATCH, sizeof(*f->rows));
    if (f->keys && f->rows && f->l.mem)
        do
            rc = sup_apply_run(im->opts.apply, finish_some, f, err);
        while (rc == SUP_OK && f->n == BATCH && !sup_stop_is_set(&im->stop));
    if (rc == SUP_OK && f->n == BATCH)
        rc = SUP_ECLOSED;
    look_fini(&f->l);
    free(f->keys);
    free(f->rows);
    free(f);
    return rc;
}
