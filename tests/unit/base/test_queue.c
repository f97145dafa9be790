#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/queue.h"
#include "base/thread.h"

#include <stdlib.h>

static void *item(uintptr_t v)
{
    return (void *)v; // NOLINT(performance-no-int-to-ptr): the queue never looks behind its items
}

static uintptr_t pop_one(struct sup_queue *q)
{
    void *got = NULL;
    size_t n = 0;
    assert_int_equal(sup_queue_pop(q, &got, 1, &n, 0), SUP_OK);
    assert_int_equal(n, 1);
    return (uintptr_t)got;
}

static void first_in_first_out(void **state)
{
    (void)state;
    struct sup_queue *q = sup_queue_new(3);
    uintptr_t next_in = 1;
    uintptr_t next_out = 1;
    for (int round = 0; round < 100; round++) { /* the ring turns at every fill level */
        for (int i = 0; i <= round % 3; i++)
            assert_int_equal(sup_queue_push(q, item(next_in++), 0), SUP_OK);
        assert_int_equal(sup_queue_len(q), next_in - next_out);
        while (next_out < next_in)
            assert_int_equal(pop_one(q), next_out++);
    }
    sup_queue_close(q);
    sup_queue_free(q);
    sup_queue_free(NULL);
}

static void bounded_and_timed(void **state)
{
    (void)state;
    struct sup_queue *q = sup_queue_new(2);
    assert_int_equal(sup_queue_push(q, item(1), -1), SUP_OK);
    assert_int_equal(sup_queue_push(q, item(2), -1), SUP_OK);
    assert_int_equal(sup_queue_push(q, item(3), 0), SUP_ETIMEDOUT);
    int64_t began = sup_mono_ns();
    assert_int_equal(sup_queue_push(q, item(3), 20), SUP_ETIMEDOUT);
    assert_true(sup_mono_ns() - began >= 19 * INT64_C(1000000));
    assert_int_equal(sup_queue_len(q), 2);
    void *got[5];
    size_t n;
    assert_int_equal(sup_queue_pop(q, got, 0, &n, -1), SUP_OK); /* nothing asked for: no wait */
    assert_int_equal(n, 0);
    assert_int_equal(sup_queue_pop(q, got, 5, &n, 0), SUP_OK);
    assert_int_equal(n, 2);
    assert_ptr_equal(got[0], item(1));
    assert_ptr_equal(got[1], item(2));
    began = sup_mono_ns();
    assert_int_equal(sup_queue_pop(q, got, 5, &n, 20), SUP_ETIMEDOUT);
    assert_int_equal(n, 0);
    assert_true(sup_mono_ns() - began >= 19 * INT64_C(1000000));
    sup_queue_close(q);
    sup_queue_free(q);
}

static void close_drains_then_tells(void **state)
{
    (void)state;
    struct sup_queue *q = sup_queue_new(4);
    sup_queue_push(q, item(1), 0);
    sup_queue_push(q, item(2), 0);
    sup_queue_close(q);
    sup_queue_close(q);
    assert_int_equal(sup_queue_push(q, item(3), -1), SUP_ECLOSED);
    assert_int_equal(pop_one(q), 1);
    assert_int_equal(pop_one(q), 2);
    void *got;
    size_t n = 9;
    assert_int_equal(sup_queue_pop(q, &got, 1, &n, -1), SUP_ECLOSED);
    assert_int_equal(n, 0);
    sup_queue_free(q);
}

static void odd_capacities(void **state)
{
    (void)state;
    struct sup_queue *q = sup_queue_new(0); /* as one */
    assert_int_equal(sup_queue_push(q, item(1), 0), SUP_OK);
    assert_int_equal(sup_queue_push(q, item(2), 0), SUP_ETIMEDOUT);
    sup_queue_close(q);
    sup_queue_free(q);
    assert_null(sup_queue_new(SIZE_MAX));
    assert_null(sup_queue_new(SIZE_MAX / sizeof(void *)));
}

#define PRODUCERS 4
#define CONSUMERS 3
#define EACH      20000

struct shared {
    struct sup_queue *q;
    atomic_int producer;
    atomic_uchar seen[PRODUCERS][EACH];
    atomic_bool out_of_order;
};

static void *produce(void *arg)
{
    struct shared *s = arg;
    uintptr_t me = (uintptr_t)atomic_fetch_add(&s->producer, 1);
    for (uintptr_t i = 0; i < EACH; i++) {
        /* Some with a short deadline, so that timing out and being woken race. */
        int64_t timeout_ms = i % 3 == 0 ? 1 : -1;
        int rc;
        do {
            rc = sup_queue_push(s->q, item(me << 32 | i), timeout_ms);
        } while (rc == SUP_ETIMEDOUT);
        if (rc != SUP_OK)
            return item(1);
    }
    return NULL;
}

static void *consume(void *arg)
{
    struct shared *s = arg;
    uintptr_t last[PRODUCERS] = {0};
    bool any[PRODUCERS] = {false};
    void *got[7];
    size_t n;
    int rc;
    for (uintptr_t turn = 0;; turn++) {
        rc = sup_queue_pop(s->q, got, 1 + turn % 7, &n, turn % 2 ? 1 : -1);
        if (rc == SUP_ECLOSED)
            return NULL;
        for (size_t i = 0; i < n; i++) {
            uintptr_t v = (uintptr_t)got[i];
            uintptr_t who = v >> 32;
            uintptr_t what = v & UINT32_MAX;
            atomic_fetch_add(&s->seen[who][what], 1);
            if (any[who] && what <= last[who])
                atomic_store(&s->out_of_order, true);
            any[who] = true;
            last[who] = what;
        }
    }
}

/* Each item arrives exactly once, and one producer's items reach one consumer in order. */
static void many_threads(void **state)
{
    (void)state;
    struct shared *s = calloc(1, sizeof(*s));
    s->q = sup_queue_new(16);
    pthread_t producers[PRODUCERS];
    pthread_t consumers[CONSUMERS];
    for (int i = 0; i < CONSUMERS; i++)
        assert_int_equal(sup_thread_start(&consumers[i], "consumer", consume, s), SUP_OK);
    for (int i = 0; i < PRODUCERS; i++)
        assert_int_equal(sup_thread_start(&producers[i], "producer", produce, s), SUP_OK);
    void *failed;
    for (int i = 0; i < PRODUCERS; i++) {
        pthread_join(producers[i], &failed);
        assert_null(failed);
    }
    sup_queue_close(s->q);
    for (int i = 0; i < CONSUMERS; i++)
        pthread_join(consumers[i], NULL);
    assert_int_equal(sup_queue_len(s->q), 0);
    for (int p = 0; p < PRODUCERS; p++) {
        for (int i = 0; i < EACH; i++)
            assert_int_equal(atomic_load(&s->seen[p][i]), 1);
    }
    assert_false(atomic_load(&s->out_of_order));
    sup_queue_free(s->q);
    free(s);
}

static void *pop_for_ever(void *arg)
{
    void *got;
    size_t n;
    return item((uintptr_t)sup_queue_pop(arg, &got, 1, &n, -1));
}

static void *push_for_ever(void *arg)
{
    return item((uintptr_t)sup_queue_push(arg, item(9), -1));
}

static void close_wakes_those_who_wait(void **state)
{
    (void)state;
    struct sup_queue *empty = sup_queue_new(1);
    struct sup_queue *full = sup_queue_new(1);
    sup_queue_push(full, item(1), 0);
    pthread_t threads[6];
    for (int i = 0; i < 6; i++) {
        int rc = i < 3 ? sup_thread_start(&threads[i], "pop", pop_for_ever, empty)
                       : sup_thread_start(&threads[i], "push", push_for_ever, full);
        assert_int_equal(rc, SUP_OK);
    }
    sup_queue_close(empty);
    sup_queue_close(full);
    for (int i = 0; i < 6; i++) {
        void *rc;
        pthread_join(threads[i], &rc);
        assert_int_equal((uintptr_t)rc, SUP_ECLOSED);
    }
    sup_queue_free(empty);
    sup_queue_free(full);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_in_first_out),
        cmocka_unit_test(bounded_and_timed),
        cmocka_unit_test(close_drains_then_tells),
        cmocka_unit_test(odd_capacities),
        cmocka_unit_test(many_threads),
        cmocka_unit_test(close_wakes_those_who_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
