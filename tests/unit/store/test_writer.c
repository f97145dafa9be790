#include "store/memory.h"
#include "store/writer.h"
#include "store_test.h"

#include "base/thread.h"
#include "property.h"

#define DEADLINE_MS 20000

/* A job that appends its number to the order in which run and done happen. */
struct record {
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    int run[4096];
    int n_run;
    int done[4096];
    int n_done;
    int groups;
    size_t group_max; /* most jobs seen between two commits */
    int last_run_count;
};

struct test_job {
    struct sup_job job; /* first */
    struct record *r;
    int number;
    int fail_with;    /* run's answer */
    bool fail_in_txn; /* leaves a sticky error and answers SUP_OK */
    int code;         /* what done was told; -1: not yet */
    int done_count;
    char msg[SUP_ERR_MSG_MAX];
    char key[24];
};

/* The writer can be held at its first job, so that the others queue up behind it. */
struct gate {
    struct sup_job job;
    struct sup_stop entered;
    struct sup_stop open;
    struct sup_stop left;
};

static int gate_run(struct sup_job *job, struct sup_txn *t, struct sup_err *err)
{
    struct gate *g = (struct gate *)(void *)job;

    (void)t;
    (void)err;
    sup_stop_set(&g->entered);
    sup_stop_wait_ms(&g->open, DEADLINE_MS);
    return SUP_OK;
}

static void gate_done(struct sup_job *job, int code, const struct sup_err *err)
{
    struct gate *g = (struct gate *)(void *)job;

    (void)code;
    (void)err;
    sup_stop_set(&g->left);
}

static void gate_close(struct gate *g, struct sup_writer *w)
{
    *g = (struct gate){.job = {.run = gate_run, .done = gate_done}};
    sup_stop_init(&g->entered);
    sup_stop_init(&g->open);
    sup_stop_init(&g->left);
    assert_int_equal(sup_writer_submit(w, &g->job, -1), SUP_OK);
    assert_true(sup_stop_wait_ms(&g->entered, DEADLINE_MS));
}

static void gate_open(struct gate *g)
{
    sup_stop_set(&g->open);
    assert_true(sup_stop_wait_ms(&g->left, DEADLINE_MS));
}

static void gate_fini(struct gate *g)
{
    sup_stop_fini(&g->entered);
    sup_stop_fini(&g->open);
    sup_stop_fini(&g->left);
}

static int job_run(struct sup_job *job, struct sup_txn *t, struct sup_err *err)
{
    struct test_job *j = (struct test_job *)(void *)job;

    put_text(t, SUP_CF_RECORDS, j->key, "written");
    pthread_mutex_lock(&j->r->mutex);
    j->r->run[j->r->n_run++] = j->number;
    pthread_mutex_unlock(&j->r->mutex);
    if (j->fail_in_txn) {
        struct sup_buf tiny;
        sup_buf_init(&tiny, 1);
        (void)sup_txn_get(t, SUP_CF_RECORDS, sup_slice_str(j->key), &tiny);
        sup_buf_fini(&tiny);
    }
    if (j->fail_with != SUP_OK)
        return sup_err_set(err, j->fail_with, "job %d fails", j->number);
    return SUP_OK;
}

static void job_done(struct sup_job *job, int code, const struct sup_err *err)
{
    struct test_job *j = (struct test_job *)(void *)job;

    pthread_mutex_lock(&j->r->mutex);
    j->code = code;
    j->done_count++;
    snprintf(j->msg, sizeof(j->msg), "%s", err->msg);
    if (err->code != code)
        j->done_count = -1000;
    j->r->done[j->r->n_done++] = j->number;
    pthread_cond_broadcast(&j->r->cond);
    pthread_mutex_unlock(&j->r->mutex);
}

static void count_group(void *arg, int code)
{
    struct record *r = arg;

    (void)code;
    pthread_mutex_lock(&r->mutex);
    size_t n = (size_t)(r->n_run - r->last_run_count);
    r->last_run_count = r->n_run;
    if (n > r->group_max)
        r->group_max = n;
    r->groups++;
    pthread_mutex_unlock(&r->mutex);
}

static void wait_done(struct record *r, int n)
{
    int64_t deadline = sup_mono_ms() + DEADLINE_MS;

    pthread_mutex_lock(&r->mutex);
    while (r->n_done < n)
        if (!sup_cond_wait_ms(&r->cond, &r->mutex, deadline - sup_mono_ms()))
            break;
    int done = r->n_done;
    pthread_mutex_unlock(&r->mutex);
    assert_int_equal(done, n);
}

struct fixture {
    struct sup_store *s;
    struct sup_writer *w;
    struct record r;
    struct test_job jobs[1000];
};

static void start(struct fixture *f, size_t queue_max, size_t group_max)
{
    struct sup_writer_opts opts = {
        .store = f->s,
        .queue_max = queue_max,
        .group_max_jobs = group_max,
        .committed = count_group,
        .arg = &f->r,
    };

    assert_int_equal(sup_writer_start(&opts, &f->w, NULL), SUP_OK);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    f->s = open_memory();
    pthread_mutex_init(&f->r.mutex, NULL);
    sup_cond_init(&f->r.cond);
    for (int i = 0; i < 1000; i++) {
        f->jobs[i] = (struct test_job){
            .job = {.run = job_run, .done = job_done}, .r = &f->r, .number = i, .code = -1};
        snprintf(f->jobs[i].key, sizeof(f->jobs[i].key), "job %04d", i);
    }
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    sup_writer_free(f->w);
    sup_store_close(f->s);
    pthread_cond_destroy(&f->r.cond);
    pthread_mutex_destroy(&f->r.mutex);
    free(f);
    return 0;
}

static void submit(struct fixture *f, int from, int to)
{
    for (int i = from; i < to; i++)
        assert_int_equal(sup_writer_submit(f->w, &f->jobs[i].job, -1), SUP_OK);
}

static void test_order_and_durability(void **state)
{
    struct fixture *f = *state;

    start(f, 16, 8);
    submit(f, 0, 200);
    wait_done(&f->r, 200);
    sup_store_memory_crash(f->s); /* done means synced */
    for (int i = 0; i < 200; i++) {
        assert_int_equal(f->r.run[i], i);
        assert_int_equal(f->r.done[i], i);
        assert_int_equal(f->jobs[i].code, SUP_OK);
        expect_text(f->s, NULL, SUP_CF_RECORDS, f->jobs[i].key, "written");
    }
}

static void test_failing_jobs_take_back_only_their_own(void **state)
{
    struct fixture *f = *state;
    struct gate g;

    start(f, 64, 64);
    gate_close(&g, f->w);
    f->jobs[2].fail_with = SUP_EINPUT;
    f->jobs[5].fail_in_txn = true;
    f->jobs[9].fail_with = SUP_ELIMIT;
    f->jobs[9].fail_in_txn = true;
    submit(f, 0, 10);
    gate_open(&g);
    wait_done(&f->r, 10);
    assert_int_equal(f->r.group_max, 10); /* all were of one group */
    for (int i = 0; i < 10; i++) {
        int code = i == 2 ? SUP_EINPUT : i == 5 || i == 9 ? SUP_ELIMIT : SUP_OK;
        assert_int_equal(f->r.done[i], i);
        assert_int_equal(f->jobs[i].code, code);
        expect_text(f->s, NULL, SUP_CF_RECORDS, f->jobs[i].key, code == SUP_OK ? "written" : NULL);
    }
    assert_string_equal(f->jobs[2].msg, "job 2 fails");
    assert_true(f->jobs[5].msg[0] != '\0');
    assert_string_equal(f->jobs[0].msg, "");
    assert_int_equal(sup_writer_health(f->w, NULL), SUP_OK);
    gate_fini(&g);
}

static void test_failed_commit_is_told_to_all(void **state)
{
    struct fixture *f = *state;
    struct sup_err err = {0};
    struct gate g;

    start(f, 64, 64);
    gate_close(&g, f->w);
    f->jobs[3].fail_with = SUP_EINPUT;
    submit(f, 0, 6);
    sup_store_memory_fail_commits(f->s, SUP_EIO);
    gate_open(&g);
    wait_done(&f->r, 6);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(f->jobs[i].code, SUP_EIO);
        assert_true(f->jobs[i].msg[0] != '\0');
        expect_text(f->s, NULL, SUP_CF_RECORDS, f->jobs[i].key, NULL);
    }
    assert_int_equal(sup_writer_health(f->w, &err), SUP_EIO);
    assert_true(err.msg[0] != '\0');
    sup_store_memory_fail_commits(f->s, SUP_OK);
    submit(f, 6, 7);
    wait_done(&f->r, 7);
    assert_int_equal(f->jobs[6].code, SUP_OK);
    assert_int_equal(sup_writer_health(f->w, &err), SUP_OK);
    gate_fini(&g);
}

static void test_groups_form_under_load(void **state)
{
    struct fixture *f = *state;
    struct gate g;

    start(f, 1000, 100);
    gate_close(&g, f->w);
    submit(f, 0, 1000);
    assert_int_equal(sup_writer_queue_len(f->w), 1000);
    gate_open(&g);
    wait_done(&f->r, 1000);
    assert_int_equal(f->r.group_max, 100);
    assert_int_equal(f->r.groups, 11); /* the gate's, and ten full ones */
    assert_int_equal(sup_writer_queue_len(f->w), 0);
    gate_fini(&g);
}

static void test_back_pressure(void **state)
{
    struct fixture *f = *state;
    struct gate g;

    start(f, 4, 2);
    gate_close(&g, f->w);
    submit(f, 0, 4);
    int64_t begun = sup_mono_ms();
    assert_int_equal(sup_writer_submit(f->w, &f->jobs[4].job, 0), SUP_ETIMEDOUT);
    assert_int_equal(sup_writer_submit(f->w, &f->jobs[4].job, 50), SUP_ETIMEDOUT);
    assert_true(sup_mono_ms() - begun >= 50);
    gate_open(&g);
    wait_done(&f->r, 4);
    assert_int_equal(f->jobs[4].code, -1); /* was refused: never runs */
    assert_int_equal(sup_writer_submit(f->w, &f->jobs[4].job, 0), SUP_OK);
    wait_done(&f->r, 5);
    gate_fini(&g);
}

static int no_run(void *arg, struct sup_txn *t, struct sup_err *err)
{
    (void)t;
    (void)err;
    *(bool *)arg = true;
    return SUP_OK;
}

static void test_stop_drains_and_refuses(void **state)
{
    struct fixture *f = *state;
    struct sup_err err = {0};
    bool ran = false;

    start(f, 1000, 7);
    submit(f, 0, 500);
    sup_writer_stop(f->w);
    assert_int_equal(f->r.n_done, 500);
    assert_int_equal(sup_writer_submit(f->w, &f->jobs[500].job, -1), SUP_ECLOSED);
    assert_int_equal(sup_writer_run(f->w, no_run, &ran, &err), SUP_ECLOSED);
    assert_false(ran);
    assert_true(err.msg[0] != '\0');
    sup_writer_stop(f->w); /* twice is fine */
    assert_int_equal(f->jobs[500].code, -1);
    sup_writer_free(NULL);
}

/* --- run --- */

static int put_one(void *arg, struct sup_txn *t, struct sup_err *err)
{
    if (arg == NULL)
        return sup_err_set(err, SUP_EINPUT, "nothing to put");
    put_text(t, SUP_CF_RECORDS, arg, "run");
    return SUP_OK;
}

static void test_run_waits(void **state)
{
    struct fixture *f = *state;
    struct sup_err err = {0};
    char key[] = "k";

    start(f, 4, 4);
    assert_int_equal(sup_writer_run(f->w, put_one, key, &err), SUP_OK);
    expect_text(f->s, NULL, SUP_CF_RECORDS, "k", "run");
    assert_int_equal(sup_writer_run(f->w, put_one, NULL, &err), SUP_EINPUT);
    assert_string_equal(err.msg, "nothing to put");
    assert_int_equal(sup_writer_run(f->w, put_one, NULL, NULL), SUP_EINPUT);
}

static int run_inside(void *arg, struct sup_txn *t, struct sup_err *err)
{
    char key[] = "inner";

    (void)t;
    return sup_writer_run(arg, put_one, key, err);
}

static void test_run_on_the_writer_thread_is_refused(void **state)
{
    struct fixture *f = *state;
    struct sup_err err = {0};

    start(f, 4, 4);
    assert_int_equal(sup_writer_run(f->w, run_inside, f->w, &err), SUP_EBUG);
}

/* --- done callbacks that submit: more of them at once than the queue holds --- */

struct chain {
    struct sup_job job; /* first */
    struct sup_writer *w;
    struct record *r;
    int left;
    int refused;
};

static int chain_run(struct sup_job *job, struct sup_txn *t, struct sup_err *err)
{
    (void)job;
    (void)err;
    put_text(t, SUP_CF_LOG, "chain", "link");
    return SUP_OK;
}

static void chain_done(struct sup_job *job, int code, const struct sup_err *err)
{
    struct chain *c = (struct chain *)(void *)job;

    (void)err;
    if (code == SUP_OK && --c->left > 0) {
        if (sup_writer_submit(c->w, &c->job, -1) != SUP_OK)
            c->refused++;
        return;
    }
    pthread_mutex_lock(&c->r->mutex);
    c->r->n_done++;
    pthread_cond_broadcast(&c->r->cond);
    pthread_mutex_unlock(&c->r->mutex);
}

static void test_done_may_submit(void **state)
{
    struct fixture *f = *state;
    struct chain chains[20];
    struct gate g;

    start(f, 3, 24);
    for (size_t i = 0; i < 20; i++)
        chains[i] = (struct chain){
            .job = {.run = chain_run, .done = chain_done}, .w = f->w, .r = &f->r, .left = 50};
    gate_close(&g, f->w);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(sup_writer_submit(f->w, &chains[i].job, -1), SUP_OK);
    gate_open(&g);
    for (size_t i = 3; i < 20; i++)
        assert_int_equal(sup_writer_submit(f->w, &chains[i].job, -1), SUP_OK);
    wait_done(&f->r, 20);
    for (size_t i = 0; i < 20; i++) {
        assert_int_equal(chains[i].left, 0);
        assert_int_equal(chains[i].refused, 0);
    }
    gate_fini(&g);
}

/* --- the hooks --- */

struct hooks {
    int begun;
    int ended;
    int committed;
    int last_code;
    int fail_begin;
    int fail_end;
};

static int hook_begin(void *arg, struct sup_txn *t, struct sup_err *err)
{
    struct hooks *h = arg;

    put_text(t, SUP_CF_META, "begun", "yes");
    h->begun++;
    return h->fail_begin == SUP_OK ? SUP_OK : sup_err_set(err, h->fail_begin, "begin fails");
}

static int hook_end(void *arg, struct sup_txn *t, struct sup_err *err)
{
    struct hooks *h = arg;

    put_text(t, SUP_CF_META, "ended", "yes");
    h->ended++;
    return h->fail_end == SUP_OK ? SUP_OK : sup_err_set(err, h->fail_end, "end fails");
}

static void hook_committed(void *arg, int code)
{
    struct hooks *h = arg;

    h->committed++;
    h->last_code = code;
}

static void test_hooks(void **state)
{
    struct fixture *f = *state;
    struct hooks h = {0};
    struct sup_err err = {0};
    char key[] = "k";
    struct sup_writer_opts opts = {.store = f->s,
                                   .queue_max = 4,
                                   .group_max_jobs = 4,
                                   .begin = hook_begin,
                                   .end = hook_end,
                                   .committed = hook_committed,
                                   .arg = &h};

    assert_int_equal(sup_writer_start(&opts, &f->w, &err), SUP_OK);
    h.fail_begin = SUP_EAGAIN;
    assert_int_equal(sup_writer_run(f->w, put_one, key, &err), SUP_EAGAIN);
    assert_string_equal(err.msg, "begin fails");
    assert_int_equal(h.ended, 0);
    assert_int_equal(h.last_code, SUP_EAGAIN);
    h.fail_begin = SUP_OK;
    h.fail_end = SUP_ELIMIT;
    assert_int_equal(sup_writer_run(f->w, put_one, key, &err), SUP_ELIMIT);
    assert_string_equal(err.msg, "end fails");
    expect_text(f->s, NULL, SUP_CF_RECORDS, "k", NULL);
    expect_text(f->s, NULL, SUP_CF_META, "begun", NULL);
    h.fail_end = SUP_OK;
    assert_int_equal(sup_writer_run(f->w, put_one, key, &err), SUP_OK);
    expect_text(f->s, NULL, SUP_CF_RECORDS, "k", "run");
    expect_text(f->s, NULL, SUP_CF_META, "begun", "yes");
    expect_text(f->s, NULL, SUP_CF_META, "ended", "yes");
    sup_writer_stop(f->w);
    assert_int_equal(h.begun, 3);
    assert_int_equal(h.ended, 2);
    assert_int_equal(h.committed, 3);
    assert_int_equal(h.last_code, SUP_OK);
}

static void test_bad_options(void **state)
{
    struct fixture *f = *state;
    struct sup_err err = {0};
    struct sup_writer_opts opts = {.store = f->s, .queue_max = 0, .group_max_jobs = 1};

    assert_int_equal(sup_writer_start(&opts, &f->w, &err), SUP_EINPUT);
    assert_null(f->w);
    opts.queue_max = 1;
    opts.group_max_jobs = 0;
    assert_int_equal(sup_writer_start(&opts, &f->w, &err), SUP_EINPUT);
}

/* --- many threads; commits that fail now and then: each done exactly once, and told the truth ---
 */

#define THREADS 4
#define EACH    250

struct producer {
    struct fixture *f;
    int from;
    uint64_t seed;
};

static void *producer_main(void *arg)
{
    struct producer *p = arg;
    struct sup_rng rng;

    sup_rng_seed(&rng, p->seed);
    for (int i = p->from; i < p->from + EACH; i++) {
        struct test_job *j = &p->f->jobs[i];
        j->fail_with = sup_rng_below(&rng, 10) == 0 ? SUP_EINPUT : SUP_OK;
        if (sup_rng_below(&rng, 20) == 0)
            sup_store_memory_fail_commits(p->f->s, sup_rng_below(&rng, 2) == 0 ? SUP_EIO : SUP_OK);
        if (sup_writer_submit(p->f->w, &j->job, -1) != SUP_OK)
            return arg;
    }
    return NULL;
}

static void test_each_done_exactly_once(void **state)
{
    struct fixture *f = *state;
    struct sup_rng rng = property_rng("producers");
    struct producer producers[THREADS];
    pthread_t threads[THREADS];
    int ok = 0;

    start(f, 8, 5);
    for (int i = 0; i < THREADS; i++) {
        producers[i] = (struct producer){f, i * EACH, sup_rng_u64(&rng)};
        assert_int_equal(sup_thread_start(&threads[i], "producer", producer_main, &producers[i]),
                         SUP_OK);
    }
    for (int i = 0; i < THREADS; i++) {
        void *failed = NULL;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    sup_writer_stop(f->w);
    assert_int_equal(f->r.n_done, THREADS * EACH);
    for (int i = 0; i < THREADS * EACH; i++) {
        const struct test_job *j = &f->jobs[i];
        assert_int_equal(j->done_count, 1);
        expect_text(f->s, NULL, SUP_CF_RECORDS, j->key, j->code == SUP_OK ? "written" : NULL);
        if (j->fail_with != SUP_OK)
            assert_int_not_equal(j->code, SUP_OK);
        ok += j->code == SUP_OK;
    }
    assert_true(ok > 0);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(order_and_durability),
        CASE(failing_jobs_take_back_only_their_own),
        CASE(failed_commit_is_told_to_all),
        CASE(groups_form_under_load),
        CASE(back_pressure),
        CASE(stop_drains_and_refuses),
        CASE(run_waits),
        CASE(run_on_the_writer_thread_is_refused),
        CASE(done_may_submit),
        CASE(hooks),
        CASE(bad_options),
        CASE(each_done_exactly_once),
    };

    return cmocka_run_group_tests(tests, property_setup, NULL);
}
