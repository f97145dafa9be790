#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/thread.h"

#include <signal.h>
#include <string.h>

struct seen {
    char name[16];
    sigset_t mask;
    int arg;
};

static void *look_around(void *arg)
{
    struct seen *s = arg;
    pthread_getname_np(pthread_self(), s->name, sizeof(s->name));
    pthread_sigmask(SIG_BLOCK, NULL, &s->mask);
    s->arg++;
    return s;
}

static void starts_named_and_without_signals(void **state)
{
    (void)state;
    sigset_t before;
    sigset_t after;
    pthread_sigmask(SIG_BLOCK, NULL, &before);
    struct seen seen = {.arg = 6};
    pthread_t t;
    assert_int_equal(sup_thread_start(&t, "a-name-that-is-too-long", look_around, &seen), SUP_OK);
    void *result;
    assert_int_equal(pthread_join(t, &result), 0);
    assert_ptr_equal(result, &seen);
    assert_int_equal(seen.arg, 7);
    assert_string_equal(seen.name, "a-name-that-is-");
    static const int blocked[] = {SIGTERM, SIGINT, SIGHUP, SIGPIPE, SIGUSR1, SIGCHLD, SIGALRM};
    for (size_t i = 0; i < sizeof(blocked) / sizeof(blocked[0]); i++)
        assert_int_equal(sigismember(&seen.mask, blocked[i]), 1);
    assert_int_equal(sigismember(&seen.mask, SIGSEGV), 0);
    pthread_sigmask(SIG_BLOCK, NULL, &after);
    for (int sig = 1; sig < 32; sig++)
        assert_int_equal(sigismember(&before, sig), sigismember(&after, sig));
}

static void cond_wait_times_out_on_the_monotonic_clock(void **state)
{
    (void)state;
    pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t c;
    sup_cond_init(&c);
    pthread_mutex_lock(&m);
    int64_t began = sup_mono_ns();
    while (sup_cond_wait_ms(&c, &m, 30)) /* true would be a spurious wake-up */
        began = sup_mono_ns();
    int64_t took = sup_mono_ns() - began;
    assert_true(took >= 30 * INT64_C(1000000));
    began = sup_mono_ns();
    while (sup_cond_wait_ms(&c, &m, 0))
        ;
    assert_true(sup_mono_ns() - began < 10 * INT64_C(1000000000));
    pthread_mutex_unlock(&m);
    pthread_cond_destroy(&c);
}

struct waiter {
    struct sup_stop *stop;
    atomic_int *ready;
    int64_t ms;
    bool was_set;
    int64_t waited_ms;
};

static void *wait_for_stop(void *arg)
{
    struct waiter *w = arg;
    int64_t began = sup_mono_ms();
    atomic_fetch_add(w->ready, 1);
    w->was_set = sup_stop_wait_ms(w->stop, w->ms);
    w->waited_ms = sup_mono_ms() - began;
    return NULL;
}

static void stop_wakes_all_waiters(void **state)
{
    (void)state;
    struct sup_stop stop;
    sup_stop_init(&stop);
    assert_false(sup_stop_is_set(&stop));
    atomic_int ready = 0;
    struct waiter waiters[8];
    pthread_t threads[8];
    for (int i = 0; i < 8; i++) {
        waiters[i] = (struct waiter){&stop, &ready, i % 2 ? 60000 : INT64_MAX, false, 0};
        assert_int_equal(sup_thread_start(&threads[i], "waiter", wait_for_stop, &waiters[i]),
                         SUP_OK);
    }
    int64_t deadline = sup_mono_ms() + 10000;
    while (atomic_load(&ready) < 8 && sup_mono_ms() < deadline)
        sched_yield();
    sup_stop_set(&stop);
    for (int i = 0; i < 8; i++) {
        pthread_join(threads[i], NULL);
        assert_true(waiters[i].was_set);
        assert_true(waiters[i].waited_ms < 30000);
    }
    assert_true(sup_stop_is_set(&stop));
    sup_stop_set(&stop); /* again is allowed */
    sup_stop_fini(&stop);
}

static void stop_wait_ends_in_time(void **state)
{
    (void)state;
    struct sup_stop stop;
    sup_stop_init(&stop);
    int64_t began = sup_mono_ns();
    assert_false(sup_stop_wait_ms(&stop, 20));
    assert_true(sup_mono_ns() - began >= 19 * INT64_C(1000000));
    assert_false(sup_stop_wait_ms(&stop, 0));
    assert_false(sup_stop_wait_ms(&stop, -1));
    sup_stop_set(&stop);
    began = sup_mono_ms();
    assert_true(sup_stop_wait_ms(&stop, 60000));
    assert_true(sup_stop_wait_ms(&stop, 0));
    assert_true(sup_stop_wait_ms(&stop, INT64_MAX)); /* no sum wraps around */
    assert_true(sup_mono_ms() - began < 30000);
    sup_stop_fini(&stop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(starts_named_and_without_signals),
        cmocka_unit_test(cond_wait_times_out_on_the_monotonic_clock),
        cmocka_unit_test(stop_wakes_all_waiters),
        cmocka_unit_test(stop_wait_ends_in_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
