/* Rows of import jobs between the outbox and the list: whatever is decided meanwhile, whatever a
 * job refuses and wherever a crash comes, the list ends as it is decided. */
#include "aws/ses_import.h"
#include "base/clock.h"
#include "codec/keys.h"
#include "property.h"
#include "service/apply_txn.h"
#include "service/importer_internal.h"
#include "store/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ADDRESSES = 40, MANY = 600 };

struct world {
    struct sup_store *store;
    struct sup_apply *apply;
    struct sup_options config;
    struct sup_importer im;
    enum sup_reason listed[MANY]; /* SES's list */
    struct sup_import_row row[MANY];
    bool in_job[MANY]; /* as the object says */
    struct sup_rng rng;
};

/* Of each ten, five that need care in JSON or in a path. */
static const char *address(size_t i)
{
    static char text[SUP_ADDRESS_MAX + 1];
    static const char *const odd[] = {"a/b", "\"quo\\\"ted , \"", "\xc3\xbcmlaut",
                                      "{\"emailaddress\":\"x\"}", "\xf0\x9f\x93\xa8"};

    snprintf(text, sizeof(text), "%s%zu@x.com", i % 10 < 5 ? odd[i % 10] : "row", i);
    return text;
}

static size_t index_of(const char *spelling)
{
    for (size_t i = 0; i < MANY; i++) {
        if (strcmp(address(i), spelling) == 0)
            return i;
    }
    fail_msg("a row of nobody: %s", spelling);
    return 0;
}

/* A process that begins: what the one before had in memory is gone. */
static void importer_new(struct world *w, bool remove)
{
    memset(&w->im, 0, sizeof(w->im));
    w->im.opts.config = &w->config;
    w->im.opts.apply = w->apply;
    w->im.opts.store = w->store;
    w->im.state.remove = remove;
    w->im.state.begin_ms = sup_wall_ms();
    sup_stop_init(&w->im.stop);
    pthread_mutex_init(&w->im.mutex, NULL);
}

static void importer_end(struct world *w)
{
    sup_stop_fini(&w->im.stop);
    pthread_mutex_destroy(&w->im.mutex);
}

static struct world *world_new(uint64_t seed)
{
    struct sup_store_identity id = {.node = "a", .cluster = "c"};
    struct sup_apply_options o = {.max_clock_drift_ms = 60000, .dedup_ttl_ms = 1000000};
    struct world *w = calloc(1, sizeof(*w));
    struct sup_err err = {0};

    assert_non_null(w);
    sup_rng_seed(&w->rng, seed);
    sup_hash_key_derive("c", (struct sup_slice){NULL, 0}, &o.hash);
    assert_int_equal(sup_store_open_memory(&id, &w->store, NULL), SUP_OK);
    o.store = w->store;
    if (sup_apply_start(&o, &w->apply, &err) != SUP_OK)
        fail_msg("%s", err.msg);
    sup_apply_settle(w->apply, sup_apply_incarnation(w->apply));
    w->config.region = "eu-west-1";
    w->config.ses.import_threshold = 1;
    importer_new(w, false);
    return w;
}

static void world_free(struct world *w)
{
    importer_end(w);
    sup_apply_stop(w->apply);
    sup_apply_free(w->apply);
    sup_store_close(w->store);
    free(w);
}

/* --- decisions, and the worker's single calls --- */

struct act {
    struct world *w;
    size_t i;
    enum sup_state state;
    enum sup_class cls;
    bool due;                  /* only what is */
    enum sup_outbox_step done; /* what the worker did */
    enum sup_reason desired;
};

static int decide_run(struct sup_apply *a, struct sup_txn *t, void *arg, struct sup_err *err)
{
    const struct act *d = arg;
    struct sup_proposal p = {.key = sup_slice_str(address(d->i)),
                             .d = {.cls = d->cls, .state = d->state, .cause = SUP_CAUSE_OPERATOR}};
    struct sup_applied applied;

    return sup_apply_decide(a, t, &p, &applied, err);
}

static void decide(struct world *w, size_t i, enum sup_state state, enum sup_class cls)
{
    struct act d = {.w = w, .i = i, .state = state, .cls = cls};

    assert_int_equal(sup_apply_run(w->apply, decide_run, &d, NULL), SUP_OK);
}

static int read_entry(struct sup_apply *a, struct sup_txn *t, struct act *d,
                      struct sup_ses_entry *e, struct sup_err *err)
{
    struct sup_mem *mem = sup_mem_new();
    struct sup_record record;
    struct sup_buf value;
    int rc = sup_apply_record(a, t, sup_slice_str(address(d->i)), mem, &record, err);

    d->desired = rc == SUP_OK ? sup_registers_effective(&record.registers, sup_wall_ms(), NULL)
                              : SUP_REASON_NONE;
    sup_mem_free(mem);
    sup_buf_init(&value, 1U << 20);
    rc = sup_txn_get(t, SUP_CF_SES, sup_slice_str(address(d->i)), &value);
    if (rc == SUP_OK)
        rc = sup_ses_entry_decode(sup_buf_slice(&value), e, err);
    sup_buf_fini(&value);
    return rc;
}

static void one_call(struct act *d, struct sup_ses_entry *e, const struct sup_outbox_plan *p)
{
    struct sup_ses_spelling *s = sup_ses_entry_spelling(e, p->spelling);
    enum sup_reason *listed = &d->w->listed[d->i];

    assert_non_null(s);
    if (p->step != SUP_OUTBOX_GET) {
        *listed = p->step == SUP_OUTBOX_PUT ? p->reason : SUP_REASON_NONE;
        s->write_op = p->step == SUP_OUTBOX_PUT ? SUP_SES_PUT : SUP_SES_DELETE;
        s->write_reason = *listed;
        s->write_begin_ms = s->write_end_ms = sup_wall_ms();
    }
    s->unverified = false;
    s->present = *listed != SUP_REASON_NONE;
    s->reason = *listed;
}

static int work_run(struct sup_apply *a, struct sup_txn *t, void *arg, struct sup_err *err)
{
    struct act *d = arg;
    struct sup_slice key = sup_slice_str(address(d->i));
    struct sup_outbox_plan p;
    struct sup_ses_entry e;
    struct sup_buf value;
    struct sup_key k;
    int rc = read_entry(a, t, d, &e, err);

    d->done = SUP_OUTBOX_DONE;
    if (rc != SUP_OK)
        return rc == SUP_ENOTFOUND ? SUP_OK : rc;
    if (e.outbox_due_ms == 0 || (d->due && e.outbox_due_ms > sup_apply_now_ms(a)))
        return SUP_OK;
    sup_outbox_plan(key, d->desired, &e, &p);
    d->done = p.step;
    if (p.step != SUP_OUTBOX_DONE) {
        one_call(d, &e, &p);
    } else {
        sup_key_timed(&k, e.outbox_due_ms, key);
        sup_txn_delete(t, SUP_CF_OUTBOX, sup_key_slice(&k));
        e.outbox_due_ms = 0;
    }
    sup_buf_init(&value, 1U << 20);
    sup_ses_entry_encode(&e, &value);
    sup_txn_put(t, SUP_CF_SES, key, sup_buf_slice(&value));
    sup_buf_fini(&value);
    return SUP_OK;
}

/* All calls for one address, if it is in the outbox; due: and its time has come. */
static void work(struct world *w, size_t i, bool due)
{
    struct act d = {.w = w, .i = i, .due = due};

    for (int calls = 0;; calls++) {
        assert_true(calls < 20);
        assert_int_equal(sup_apply_run(w->apply, work_run, &d, NULL), SUP_OK);
        if (d.done == SUP_OUTBOX_DONE)
            return;
    }
}

static size_t rows_of(struct sup_store *s, enum sup_cf cf)
{
    struct sup_slice open = {NULL, 0};
    struct sup_iter *it = sup_iter_new(s, NULL, cf, open, open);
    size_t n = 0;

    for (; sup_iter_valid(it); sup_iter_next(it))
        n++;
    sup_iter_free(it);
    return n;
}

/* --- the job's object, read as SES reads it: a line, a row --- */

static size_t read_object(struct world *w)
{
    struct sup_buf body;
    struct sup_buf again;
    size_t n = 0;

    sup_buf_init(&body, 1U << 20);
    sup_buf_init(&again, 1U << 20);
    assert_int_equal(sup_import_body(&w->im, &body, NULL), SUP_OK);
    assert_int_equal(sup_import_body(&w->im, &again, NULL), SUP_OK);
    assert_true(sup_slice_eq(sup_buf_slice(&body), sup_buf_slice(&again)));
    memset(w->in_job, 0, sizeof(w->in_job));
    for (char *p = (char *)body.p, *end; n < MANY && p && *p; p = end + 1, n++) {
        end = strchr(p, '\n');
        assert_non_null(end);
        char *spelling = sup_ses_import_line_address(p, (size_t)(end - p));
        assert_non_null(spelling);
        size_t i = index_of(spelling);
        free(spelling);
        assert_false(w->in_job[i]);
        w->in_job[i] = true;
        *end = '\0';
        bool put = strstr(p, "\"reason\":\"") != NULL;
        assert_int_equal(put, !w->im.state.remove); /* never both in one job */
        w->row[i].reason = !put                         ? SUP_REASON_NONE
                           : strstr(p, "\"COMPLAINT\"") ? SUP_REASON_COMPLAINT
                                                        : SUP_REASON_BOUNCE;
    }
    sup_buf_fini(&body);
    sup_buf_fini(&again);
    assert_int_equal(n, rows_of(w->store, SUP_CF_IMPORT));
    return n;
}

static void collect(struct world *w, bool slashes, uint64_t max)
{
    uint64_t rows = 0;

    assert_int_equal(sup_import_collect(&w->im, slashes, max, &rows, NULL), SUP_OK);
    assert_true(rows <= max);
    assert_int_equal(read_object(w), rows);
}

/* SES does the rows but for some, of which it tells in a file. */
static void carry_out(struct world *w, unsigned percent_refused, struct sup_import_failed *failed)
{
    struct sup_buf text;

    sup_buf_init(&text, 1U << 20);
    for (size_t i = 0; i < MANY; i++) {
        if (!w->in_job[i])
            continue;
        if (property_chance(&w->rng, percent_refused))
            sup_ses_import_line(&text, address(i), w->row[i].reason);
        else
            w->listed[i] = w->row[i].reason;
    }
    assert_int_equal(sup_import_failed_parse(failed, sup_buf_slice(&text), NULL), SUP_OK);
    sup_buf_fini(&text);
}

static enum sup_reason desired(struct world *w, size_t i)
{
    struct act d = {.w = w, .i = i};

    assert_int_equal(sup_apply_run(w->apply, work_run, &d, NULL), SUP_OK);
    return d.desired;
}

/* --- properties --- */

static void random_decision(struct world *w)
{
    decide(w, sup_rng_below(&w->rng, ADDRESSES),
           sup_rng_below(&w->rng, 2) ? SUP_SUPPRESSED : SUP_CLEARED,
           sup_rng_below(&w->rng, 3) ? SUP_CLASS_MANUAL : SUP_CLASS_COMPLAINT);
}

static void one_job(struct world *w)
{
    struct sup_import_failed failed = {0};
    bool remove = sup_rng_below(&w->rng, 2);
    bool crash = sup_rng_below(&w->rng, 4) == 0;
    const char *error = sup_rng_below(&w->rng, 6) == 0 ? "the job failed" : "";

    importer_end(w);
    importer_new(w, remove);
    collect(w, false, 1 + sup_rng_below(&w->rng, ADDRESSES));
    if (crash) { /* the rows are what the next process finds */
        importer_end(w);
        importer_new(w, remove);
        (void)read_object(w);
    }
    for (uint64_t n = sup_rng_below(&w->rng, 6); n > 0; n--)
        random_decision(w);
    bool early = sup_rng_below(&w->rng, 2);
    if (early && error[0] == '\0')
        carry_out(w, 30, &failed);
    for (uint64_t n = sup_rng_below(&w->rng, 6); n > 0; n--) {
        random_decision(w);
        work(w, sup_rng_below(&w->rng, ADDRESSES), true);
    }
    if (!early && error[0] == '\0')
        carry_out(w, 30, &failed);
    assert_int_equal(sup_import_finish(&w->im, &failed, error, NULL), SUP_OK);
    sup_import_failed_fini(&failed);
    assert_int_equal(rows_of(w->store, SUP_CF_IMPORT), 0);
}

static void the_list_ends_as_decided(void **state)
{
    struct sup_rng rng = property_rng("the_list_ends_as_decided");
    size_t cases = property_cases(30);

    (void)state;
    for (size_t c = 0; c < cases; c++) {
        uint64_t seed = sup_rng_u64(&rng);
        struct world *w = world_new(seed);
        for (int step = 0; step < 12; step++) {
            for (uint64_t n = sup_rng_below(&w->rng, 20); n > 0; n--)
                random_decision(w);
            one_job(w);
        }
        for (size_t i = 0; i < ADDRESSES; i++)
            work(w, i, false);
        for (size_t i = 0; i < ADDRESSES; i++) {
            enum sup_reason want = desired(w, i);
            /* COMPLAINT outranks BOUNCE and may stay. */
            bool good = want == w->listed[i] ||
                        (want == SUP_REASON_BOUNCE && w->listed[i] == SUP_REASON_COMPLAINT);
            if (!good)
                fail_msg("seed %llu: %s is listed as %d, not %d", (unsigned long long)seed,
                         address(i), w->listed[i], want);
        }
        assert_int_equal(rows_of(w->store, SUP_CF_OUTBOX), 0);
        world_free(w);
    }
}

/* --- single points --- */

static void limits_and_kinds_are_kept_apart(void **state)
{
    struct world *w = world_new(1);
    struct sup_import_failed none = {0};
    struct sup_import_choice choice;
    size_t never_put = 0;

    (void)state;
    for (size_t i = 0; i < MANY; i++)
        decide(w, i, SUP_SUPPRESSED, SUP_CLASS_MANUAL);
    assert_int_equal(sup_import_choose(&w->im, &choice, NULL), SUP_OK);
    assert_int_equal(choice.puts, MANY);
    assert_int_equal(choice.deletes, 0);
    collect(w, false, 500);
    assert_int_equal(rows_of(w->store, SUP_CF_IMPORT), 500);
    /* What a job has in hand is in no other, and the worker leaves it alone. */
    assert_int_equal(sup_import_choose(&w->im, &choice, NULL), SUP_OK);
    assert_int_equal(choice.puts, MANY - 500);
    carry_out(w, 0, &none);
    assert_int_equal(sup_import_finish(&w->im, &none, "", NULL), SUP_OK);
    sup_import_failed_fini(&none);
    for (size_t i = 0; i < 100; i++) {
        decide(w, i, SUP_CLEARED, SUP_CLASS_MANUAL);
        never_put += w->listed[i] == SUP_REASON_NONE;
    }
    assert_int_equal(sup_import_choose(&w->im, &choice, NULL), SUP_OK);
    /* A clear deletes what may be there, put by us or not. */
    assert_int_equal(choice.deletes, 100);
    assert_int_equal(choice.slashes, 10);
    assert_int_equal(choice.puts, MANY - 500 - never_put);
    importer_end(w);
    importer_new(w, true);
    collect(w, true, 10000);
    assert_int_equal(rows_of(w->store, SUP_CF_IMPORT), choice.slashes);
    world_free(w);
}

/* A stop, or a crash, between two transactions of the end. */
static void an_end_that_is_cut_off_goes_on(void **state)
{
    struct world *w = world_new(2);
    struct sup_import_failed failed = {0};

    (void)state;
    for (size_t i = 0; i < MANY; i++)
        decide(w, i, SUP_SUPPRESSED, SUP_CLASS_MANUAL);
    collect(w, false, SUP_SES_IMPORT_PUTS_MAX);
    carry_out(w, 10, &failed);
    assert_true(failed.n > 0);
    sup_stop_set(&w->im.stop);
    assert_int_equal(sup_import_finish(&w->im, &failed, "", NULL), SUP_ECLOSED);
    size_t left = rows_of(w->store, SUP_CF_IMPORT);
    assert_true(left > 0 && left < MANY);
    importer_end(w);
    importer_new(w, false);
    assert_int_equal(sup_import_finish(&w->im, &failed, "", NULL), SUP_OK);
    assert_int_equal(rows_of(w->store, SUP_CF_IMPORT), 0);
    /* Only what was refused still waits: for single calls. */
    assert_int_equal(rows_of(w->store, SUP_CF_OUTBOX), failed.n);
    sup_import_failed_fini(&failed);
    for (size_t i = 0; i < MANY; i++)
        work(w, i, false);
    for (size_t i = 0; i < MANY; i++)
        assert_int_equal(w->listed[i], SUP_REASON_BOUNCE);
    world_free(w);
}

static size_t parsed(const char *text)
{
    struct sup_import_failed f = {0};
    size_t n;

    assert_int_equal(sup_import_failed_parse(&f, sup_slice_str(text), NULL), SUP_OK);
    n = f.n;
    sup_import_failed_fini(&f);
    return n;
}

/* Whatever is not a line with an address names nobody. */
static void lists_of_failed_rows(void **state)
{
    struct sup_rng rng = property_rng("lists_of_failed_rows");
    struct sup_buf text;

    (void)state;
    assert_int_equal(parsed(""), 0);
    assert_int_equal(parsed("{\"emailAddress\":\"a@x.com\"}"), 1);
    assert_int_equal(parsed("{\"emailAddress\":\"a@x.com\"}\r\n\n{\"emailAddress\":\"b@x.com\"}\n"),
                     2);
    assert_int_equal(parsed("{\"emailAddress\":\"a@x.com\"}\n{\"emailAddress\":\"b@x"), 1);
    assert_int_equal(parsed("\x1f\x8b\x08garbage\nnull\n[]\n7\n{\"emailAddress\":7}\n{}\n"), 0);
    sup_buf_init(&text, 1U << 20);
    for (size_t c = 0; c < property_cases(300); c++) {
        struct sup_import_failed f = {0};
        sup_buf_reset(&text);
        for (size_t i = 0; i < 8; i++)
            sup_ses_import_line(&text, address(i), SUP_REASON_BOUNCE);
        property_mutate(&rng, text.p, text.n);
        assert_int_equal(sup_import_failed_parse(&f, sup_buf_slice(&text), NULL), SUP_OK);
        for (size_t i = 1; i < f.n; i++)
            assert_true(strcmp(f.spellings[i - 1], f.spellings[i]) <= 0);
        sup_import_failed_fini(&f);
    }
    sup_buf_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_list_ends_as_decided),
        cmocka_unit_test(limits_and_kinds_are_kept_apart),
        cmocka_unit_test(an_end_that_is_cut_off_goes_on),
        cmocka_unit_test(lists_of_failed_rows),
    };
    return cmocka_run_group_tests(tests, property_setup, NULL);
}
