/* The books on calls: what counts as one, for whom, and a budget that outlives the process. */
#include "base/clock.h"
#include "service/ses_calls.h"
#include "service/status.h"
#include "store/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

struct world {
    struct sup_options config;
    struct sup_store *store;
    struct sup_apply *apply;
    struct sup_ses_calls *calls;
};

static void open_calls(struct world *w, uint64_t per_day)
{
    struct sup_err err = {0};

    w->config.ses.max_rps = 1;
    w->config.ses.max_calls_per_day = per_day;
    if (sup_ses_calls_open(&w->config, w->store, &w->calls, &err) != SUP_OK)
        fail_msg("%s", err.msg);
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    struct sup_store_identity id = {.node = "n1", .cluster = "test"};
    struct sup_apply_options o = {.max_clock_drift_ms = 60000, .dedup_ttl_ms = 1000};
    struct sup_err err = {0};

    assert_non_null(w);
    assert_int_equal(sup_store_open_memory(&id, &w->store, &err), SUP_OK);
    sup_hash_key_derive("test", (struct sup_slice){NULL, 0}, &o.hash);
    o.store = w->store;
    if (sup_apply_start(&o, &w->apply, &err) != SUP_OK)
        fail_msg("%s", err.msg);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    sup_ses_calls_free(w->calls);
    sup_apply_stop(w->apply);
    sup_apply_free(w->apply);
    sup_store_close(w->store);
    free(w);
    return 0;
}

static void made(struct world *w, enum sup_report_call op, int code, unsigned attempts,
                 bool for_run)
{
    struct sup_aws_error aws = {.attempts = attempts, .http_status = code == SUP_EAUTH ? 0 : 200};
    struct sup_ses_call_made m = {.op = op, .code = code, .aws = &aws, .for_run = for_run};

    sup_ses_calls_made(w->calls, &m);
}

static uint64_t used(struct world *w)
{
    struct sup_status *st = calloc(1, sizeof(*st));
    uint64_t n;

    assert_non_null(st);
    sup_ses_calls_status(w->calls, st);
    n = st->calls.used;
    free(st);
    return n;
}

static int put(struct sup_apply *a, struct sup_txn *t, void *arg, struct sup_err *err)
{
    (void)a;
    (void)err;
    sup_ses_calls_put(arg, t);
    return SUP_OK;
}

static void each_attempt_counts(void **state)
{
    struct world *w = *state;
    struct sup_status *st = calloc(1, sizeof(*st));
    uint64_t runs[SUP_N_CALLS];

    open_calls(w, 0);
    made(w, SUP_CALL_PUT, SUP_OK, 3, true);
    made(w, SUP_CALL_PUT, SUP_OK, 1, false);
    made(w, SUP_CALL_GET, SUP_EINPUT, 0, true);   /* refused before anything was sent */
    made(w, SUP_CALL_DELETE, SUP_EAUTH, 1, true); /* there were no credentials */
    struct sup_aws_error aws = {.attempts = 1, .http_status = 429, .throttled = true};
    struct sup_ses_call_made m = {
        .op = SUP_CALL_LIST, .code = SUP_EAGAIN, .aws = &aws, .for_run = true, .again = true};
    sup_ses_calls_made(w->calls, &m);
    sup_ses_calls_for_runs(w->calls, runs);
    assert_int_equal(runs[SUP_CALL_PUT], 3);
    assert_int_equal(runs[SUP_CALL_GET], 0);
    assert_int_equal(runs[SUP_CALL_DELETE], 0);
    assert_int_equal(runs[SUP_CALL_LIST], 1);
    assert_int_equal(runs[SUP_CALL_RETRIED], 3);
    assert_int_equal(runs[SUP_CALL_THROTTLED], 1);
    assert_non_null(st);
    sup_ses_calls_status(w->calls, st);
    assert_int_equal(st->calls.made[SUP_CALL_PUT], 4);
    assert_int_equal(st->calls.per_day, 0);
    assert_int_equal(st->n_problems, 0);
    free(st);
}

static void what_was_queued_in_a_run_is_for_it(void **state)
{
    struct world *w = *state;

    open_calls(w, 0);
    assert_false(sup_ses_calls_is_for_run(w->calls, INT64_MAX)); /* none has begun */
    sup_ses_calls_run_began(w->calls, 1000);
    assert_true(sup_ses_calls_is_for_run(w->calls, 1000));
    assert_false(sup_ses_calls_is_for_run(w->calls, 999));
}

/* Across a midnight of the machine that runs it the counts begin anew: not now, then. */
static void away_from_midnight(void)
{
    const struct timespec moment = {.tv_nsec = 50000000};

    while (86400000 - sup_wall_ms() % 86400000 < 5000)
        nanosleep(&moment, NULL);
}

static void the_budget_outlives_the_process(void **state)
{
    struct world *w = *state;
    struct sup_status *st = calloc(1, sizeof(*st));
    struct sup_err err = {0};

    away_from_midnight();
    open_calls(w, 10);
    for (int i = 0; i < 4; i++)
        assert_int_equal(sup_ses_calls_take(w->calls, false, &err), SUP_OK);
    made(w, SUP_CALL_PUT, SUP_OK, 1, false);    /* one that was taken */
    made(w, SUP_CALL_LIST, SUP_OK, 3, false);   /* two more than were taken */
    made(w, SUP_CALL_S3_PUT, SUP_OK, 3, false); /* not SES's */
    assert_int_equal(used(w), 6);
    assert_int_equal(sup_apply_run(w->apply, put, w->calls, &err), SUP_OK);
    sup_ses_calls_free(w->calls);
    open_calls(w, 10);
    assert_int_equal(used(w), 6);
    for (int i = 0; i < 3; i++)
        assert_int_equal(sup_ses_calls_take(w->calls, false, &err), SUP_OK);
    assert_false(sup_ses_calls_may(w->calls, false));
    assert_true(sup_ses_calls_may(w->calls, true));
    assert_int_equal(sup_ses_calls_take(w->calls, false, &err), SUP_ELIMIT);
    assert_non_null(strstr(err.msg, "max_calls_per_day"));
    assert_in_range(sup_ses_calls_wait_ms(w->calls), 1, 86400000);
    assert_int_equal(sup_ses_calls_take(w->calls, true, &err), SUP_OK);
    assert_int_equal(sup_ses_calls_take(w->calls, true, &err), SUP_ELIMIT);
    assert_non_null(st);
    sup_ses_calls_status(w->calls, st);
    assert_int_equal(st->calls.used, 10);
    assert_int_equal(st->n_problems, 1);
    free(st);
}

static void a_plan_needs_days_only_where_the_day_is_too_short(void **state)
{
    struct world *w = *state;

    away_from_midnight();
    open_calls(w, 100);
    assert_int_equal(sup_ses_calls_spread_ms(w->calls, 80, 0), 0);
    assert_in_range(sup_ses_calls_spread_ms(w->calls, 91, 0), 1, 86400000 + 1000);
    assert_in_range(sup_ses_calls_spread_ms(w->calls, 90 * 4, 0), 2LL * 86400000, 4LL * 86400000);
    sup_ses_calls_free(w->calls);
    open_calls(w, 0);
    assert_int_equal(sup_ses_calls_spread_ms(w->calls, UINT64_MAX, 0), 0);
    assert_int_equal(sup_ses_calls_wait_ms(w->calls), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_attempt_counts, setup, teardown),
        cmocka_unit_test_setup_teardown(what_was_queued_in_a_run_is_for_it, setup, teardown),
        cmocka_unit_test_setup_teardown(the_budget_outlives_the_process, setup, teardown),
        cmocka_unit_test_setup_teardown(a_plan_needs_days_only_where_the_day_is_too_short, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
