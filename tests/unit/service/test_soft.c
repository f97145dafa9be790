/* Soft bounces from event to resend, on the store in memory: who claims what, what is forgotten and
 * when, and what too many of them come to. */
#include "base/clock.h"
#include "base/thread.h"
#include "core/classify.h"
#include "core/event_read.h"
#include "service/apply_txn.h"
#include "service/soft.h"
#include "service/soft_job.h"
#include "store/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HOUR ((int64_t)3600 * 1000)
#define DAY  (24 * HOUR)

struct world {
    struct sup_options config;
    struct sup_store *store;
    struct sup_apply *apply;
    struct sup_event_reader *reader;
    struct sup_soft_job *job;
    struct sup_verdicts verdicts;
    struct sup_soft_result total;
    unsigned numbers;
};

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    struct sup_store_identity id = {.node = "n1", .cluster = "test"};
    struct sup_apply_options o = {.max_clock_drift_ms = 60000, .dedup_ttl_ms = 15 * DAY};
    struct sup_err err = {0};

    if (!w || sup_store_open_memory(&id, &w->store, &err) != SUP_OK)
        return -1;
    w->config.soft = (struct sup_soft_options){.retention_ms = 14 * DAY,
                                               .escalation = SUP_ESCALATION_SHADOW,
                                               .consecutive = 5,
                                               .count = 3,
                                               .window_ms = 7 * DAY};
    o.store = w->store;
    sup_hash_key_derive("test", (struct sup_slice){NULL, 0}, &o.hash);
    if (sup_apply_start(&o, &w->apply, &err) != SUP_OK)
        return -1;
    w->reader = sup_event_reader_new();
    w->job = sup_soft_job_new(&w->config, w->apply);
    *state = w;
    return w->reader == NULL || w->job == NULL;
}

static int teardown(void **state)
{
    struct world *w = *state;

    sup_soft_job_free(w->job);
    sup_verdicts_fini(&w->verdicts);
    sup_event_reader_free(w->reader);
    sup_apply_stop(w->apply);
    sup_apply_free(w->apply);
    sup_store_close(w->store);
    free(w);
    return 0;
}

/* --- shorthand --- */

static int run_job(struct sup_apply *a, struct sup_txn *t, void *arg, struct sup_err *err)
{
    struct world *w = arg;
    struct sup_soft_result r;
    int rc = sup_soft_job_run(w->job, sup_apply_now_ms(a), t, &r, err);

    w->total.kept += r.kept;
    w->total.escalated += r.escalated;
    w->total.would_escalate += r.would_escalate;
    return rc;
}

static void feed(struct world *w, const char *json)
{
    const struct sup_classify_context ctx = {
        .region = SUP_SLICE_LIT("eu-west-1"), .now_ms = sup_wall_ms(), .sent_ms = SUP_NO_TIME};
    struct sup_event e;
    struct sup_err err = {0};

    if (sup_event_read(w->reader, sup_slice_str(json), &e, &err) != SUP_OK)
        fail_msg("%s: %s", json, err.msg);
    assert_int_equal(sup_classify(&e, &ctx, &w->verdicts), SUP_OK);
    sup_soft_job_reset(w->job);
    assert_int_equal(sup_soft_job_take(w->job, &e, &w->verdicts, &ctx), SUP_OK);
    if (sup_apply_run(w->apply, run_job, w, &err) != SUP_OK)
        fail_msg("%s", err.msg);
}

static void soft(struct world *w, const char *address, int64_t ago_ms)
{
    char t[SUP_TIME_STR_MAX], json[1000];

    sup_time_format(sup_wall_ms() - ago_ms, t);
    snprintf(json, sizeof(json),
             "{\"eventType\":\"Bounce\",\"bounce\":{\"bounceType\":\"Transient\",\"bounceSubType\":"
             "\"MailboxFull\",\"bouncedRecipients\":[{\"emailAddress\":\"%s\"}],\"timestamp\":"
             "\"%s\",\"feedbackId\":\"f-%u\"},\"mail\":{\"messageId\":\"m-%u\",\"destination\":["
             "\"%s\"],\"tags\":{\"campaign\":[\"spring\"]}}}",
             address, t, w->numbers, w->numbers, address);
    w->numbers++;
    feed(w, json);
}

static void delivery(struct world *w, const char *address, int64_t ago_ms)
{
    char t[SUP_TIME_STR_MAX], json[400];

    sup_time_format(sup_wall_ms() - ago_ms, t);
    snprintf(json, sizeof(json),
             "{\"eventType\":\"Delivery\",\"delivery\":{\"timestamp\":\"%s\",\"recipients\":[\"%s\""
             "]},\"mail\":{\"destination\":[\"%s\"]}}",
             t, address, address);
    feed(w, json);
}

static bool count_row(void *arg, const struct sup_soft_row *row)
{
    size_t *n = arg;
    struct sup_slice tags = row->s.tags, name, value;

    assert_true(sup_soft_next_tag(&tags, &name, &value));
    assert_true(sup_slice_eq(name, SUP_SLICE_LIT("campaign")));
    ++*n;
    return true;
}

static size_t waiting(struct world *w, bool due)
{
    size_t n = 0;

    assert_int_equal(sup_soft_list(w->store, due, 0, NULL, count_row, &n, NULL), SUP_OK);
    return n;
}

/* --- claiming --- */

#define CLAIMED 200
#define WORKERS 4

struct worker {
    struct world *w;
    pthread_t thread;
    atomic_uint *claimed; /* of each message, how often */
    size_t n;
};

static bool note_claim(void *arg, const struct sup_soft_row *row)
{
    struct worker *k = arg;
    unsigned number = 0;
    char text[32];

    snprintf(text, sizeof(text), "%.*s", (int)row->s.message_id.n,
             (const char *)row->s.message_id.p);
    assert_int_equal(sscanf(text, "m-%u", &number), 1);
    assert_true(number < CLAIMED && row->s.lease != 0);
    atomic_fetch_add(&k->claimed[number], 1);
    k->n++;
    return true;
}

static void *work(void *arg)
{
    struct worker *k = arg;
    size_t before;

    do {
        before = k->n;
        if (sup_soft_claim(k->w->apply, 7, HOUR, note_claim, k, NULL) != SUP_OK)
            abort();
    } while (k->n > before);
    return NULL;
}

/* However many ask at the same moment: each soft bounce is one worker's. */
static void test_two_workers_never_get_the_same(void **state)
{
    struct world *w = *state;
    static atomic_uint claimed[CLAIMED];
    struct worker workers[WORKERS];
    size_t n = 0;

    for (unsigned i = 0; i < CLAIMED; i++) {
        char address[40];
        snprintf(address, sizeof(address), "w%u@example.com", i);
        soft(w, address, 2 * HOUR + i);
    }
    assert_int_equal(waiting(w, true), CLAIMED);
    for (size_t i = 0; i < WORKERS; i++) {
        workers[i] = (struct worker){.w = w, .claimed = claimed};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (size_t i = 0; i < WORKERS; i++) {
        pthread_join(workers[i].thread, NULL);
        n += workers[i].n;
    }
    assert_int_equal(n, CLAIMED);
    for (size_t i = 0; i < CLAIMED; i++)
        assert_int_equal(atomic_load(&claimed[i]), 1);
    assert_int_equal(waiting(w, true), 0);
    assert_int_equal(waiting(w, false), CLAIMED);
}

/* --- forgetting --- */

static void trim(struct world *w, int64_t retention_ms, int64_t memory_ms)
{
    struct sup_stop stop;

    sup_stop_init(&stop);
    sup_soft_trim(w->store, w->apply, retention_ms, memory_ms, &stop);
    sup_stop_fini(&stop);
}

static void test_retention(void **state)
{
    struct world *w = *state;

    soft(w, "old@example.com", 15 * DAY); /* older than the retention: not even kept */
    assert_int_equal(w->total.kept, 0);
    soft(w, "a@example.com", 13 * DAY);
    soft(w, "a@example.com", 2 * DAY);
    for (unsigned i = 0; i < 1200; i++) { /* more than one batch of the trimmer's */
        char address[40];
        snprintf(address, sizeof(address), "r%u@example.com", i);
        soft(w, address, 10 * DAY + i);
    }
    assert_int_equal(waiting(w, false), 1202);
    trim(w, 11 * DAY, 90 * DAY);
    assert_int_equal(waiting(w, false), 1201);
    trim(w, 9 * DAY, 90 * DAY);
    assert_int_equal(waiting(w, false), 1);
    /* What is remembered of an address outlives what waits: two more make three within a week. */
    soft(w, "r0@example.com", 9 * DAY);
    soft(w, "r0@example.com", 8 * DAY);
    assert_int_equal(w->total.would_escalate, 1);
    /* Past the memory, too, it begins anew. */
    trim(w, 1 * DAY, 1 * DAY);
    assert_int_equal(waiting(w, false), 0);
    soft(w, "a@example.com", 12 * HOUR);
    soft(w, "a@example.com", 11 * HOUR);
    assert_int_equal(w->total.would_escalate, 1);
}

/* --- delivered meanwhile, and never --- */

static void test_only_a_newer_delivery_heals(void **state)
{
    struct world *w = *state;

    soft(w, "a@example.com", 5 * HOUR);
    delivery(w, "a@example.com", 6 * HOUR);
    assert_int_equal(waiting(w, false), 1);
    soft(w, "a@example.com", 4 * HOUR);
    delivery(w, "a@example.com", 3 * HOUR);
    assert_int_equal(waiting(w, false), 0);
    soft(w, "a@example.com", 5 * HOUR + 1); /* late: it was delivered since */
    assert_int_equal(waiting(w, false), 0);
    soft(w, "a@example.com", 2 * HOUR);
    soft(w, "a@example.com", 1 * HOUR);
    assert_int_equal(waiting(w, false), 2);
    assert_int_equal(w->total.would_escalate, 0);
    soft(w, "a@example.com", 1 * HOUR + 1);
    assert_int_equal(w->total.would_escalate, 1);
}

static void test_enforced_ones_are_decided(void **state)
{
    struct world *w = *state;

    w->config.soft.escalation = SUP_ESCALATION_ENFORCE;
    for (int i = 3; i > 0; i--)
        soft(w, "dead@example.com", i * DAY);
    assert_int_equal(w->total.escalated, 1);
    assert_int_equal(w->total.would_escalate, 0);
    /* Claiming leaves out who is suppressed by now. */
    soft(w, "alive@example.com", 1 * DAY);
    size_t n = 0;
    assert_int_equal(sup_soft_claim(w->apply, 10, HOUR, count_row, &n, NULL), SUP_OK);
    assert_int_equal(n, 1);
    assert_int_equal(waiting(w, false), 1);
    /* Off: nothing is even counted. */
    w->config.soft.escalation = SUP_ESCALATION_OFF;
    for (int i = 6; i > 0; i--)
        soft(w, "off@example.com", i * DAY);
    assert_int_equal(w->total.escalated + w->total.would_escalate, 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_two_workers_never_get_the_same),
        TEST(test_retention),
        TEST(test_only_a_newer_delivery_heals),
        TEST(test_enforced_ones_are_decided),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
