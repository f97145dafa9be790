/* A hash is fresh once, whatever fails, is forgotten, or is started anew in between. */
#include "service/seen.h"

#include "codec/seen.h"
#include "property.h"
#include "store/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MINUTES = 5, HASHES = 400 };

#define FIRST_MINUTE 29000000U

struct world {
    struct sup_store *store;
    struct sup_seen *seen;
    bool stands[MINUTES][HASHES]; /* durable */
    bool now[MINUTES][HASHES];    /* in the open transaction, too */
};

static int setup(void **state)
{
    const struct sup_store_identity id = {.node = "a", .cluster = "c"};
    struct world *w = calloc(1, sizeof(*w));

    w->seen = sup_seen_new();
    if (!w->seen || sup_store_open_memory(&id, &w->store, NULL) != SUP_OK)
        return -1;
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    sup_seen_free(w->seen);
    sup_store_close(w->store);
    free(w);
    return 0;
}

static size_t chunks_of(struct world *w, uint32_t minute)
{
    uint8_t lower[SUP_SEEN_KEY_BYTES], upper[SUP_SEEN_KEY_BYTES];
    size_t n = 0;

    sup_key_seen(lower, minute, 0);
    sup_key_seen(upper, minute + 1, 0);
    struct sup_iter *it =
        sup_iter_new(w->store, NULL, SUP_CF_SEEN, sup_slice_of(lower, sizeof(lower)),
                     sup_slice_of(upper, sizeof(upper)));
    for (; sup_iter_valid(it); sup_iter_next(it))
        n++;
    sup_iter_free(it);
    return n;
}

static bool mark(struct world *w, struct sup_txn *t, uint32_t minute, uint64_t hash)
{
    struct sup_err err = {0};
    bool fresh = false;

    if (sup_seen_mark(w->seen, t, minute, hash, &fresh, &err) != SUP_OK)
        fail_msg("%s", err.msg);
    return fresh;
}

static void write_all(struct world *w, struct sup_txn *t)
{
    struct sup_err err = {0};

    if (sup_seen_write(w->seen, t, &err) != SUP_OK)
        fail_msg("%s", err.msg);
}

static void restart(struct world *w)
{
    sup_seen_free(w->seen);
    w->seen = sup_seen_new();
    assert_non_null(w->seen);
}

/* --- what follows from one mark --- */

static void test_a_hash_is_fresh_once(void **state)
{
    struct world *w = *state;
    struct sup_txn *t = sup_txn_begin(w->store);

    assert_true(mark(w, t, FIRST_MINUTE, 7));
    assert_false(mark(w, t, FIRST_MINUTE, 7));
    assert_true(mark(w, t, FIRST_MINUTE + 1, 7));
    assert_true(mark(w, t, FIRST_MINUTE, 0));
    assert_false(mark(w, t, FIRST_MINUTE, 0));
    write_all(w, t);
    assert_int_equal(sup_txn_commit(t, true, NULL), SUP_OK);
    restart(w);
    t = sup_txn_begin(w->store);
    assert_false(mark(w, t, FIRST_MINUTE, 7));
    assert_false(mark(w, t, FIRST_MINUTE + 1, 7));
    assert_false(mark(w, t, FIRST_MINUTE, 0));
    assert_true(mark(w, t, FIRST_MINUTE + 1, 0));
    sup_txn_abort(t);
}

static void test_what_was_not_committed_is_fresh_again(void **state)
{
    struct world *w = *state;
    struct sup_txn *t = sup_txn_begin(w->store);

    assert_true(mark(w, t, FIRST_MINUTE, 7));
    write_all(w, t);
    sup_txn_abort(t);
    sup_seen_forget(w->seen);
    t = sup_txn_begin(w->store);
    assert_true(mark(w, t, FIRST_MINUTE, 7));
    sup_txn_abort(t);
}

/* A job that fails takes others' marks out of memory; the transaction has them. */
static void test_forgetting_within_a_transaction_loses_nothing(void **state)
{
    struct world *w = *state;
    struct sup_txn *t = sup_txn_begin(w->store);

    assert_true(mark(w, t, FIRST_MINUTE, 7));
    write_all(w, t);
    sup_seen_forget(w->seen);
    assert_false(mark(w, t, FIRST_MINUTE, 7));
    sup_txn_abort(t);
}

/* --- sizes --- */

static void test_small_chunks_are_put_together_when_read_again(void **state)
{
    struct world *w = *state;
    enum { CHUNKS = 100 };

    for (uint64_t i = 0; i < CHUNKS; i++) {
        struct sup_txn *t = sup_txn_begin(w->store);
        assert_true(mark(w, t, FIRST_MINUTE, i + 1));
        write_all(w, t);
        assert_int_equal(sup_txn_commit(t, true, NULL), SUP_OK);
    }
    assert_int_equal(chunks_of(w, FIRST_MINUTE), CHUNKS);
    for (int round = 0; round < 2; round++) {
        restart(w);
        struct sup_txn *t = sup_txn_begin(w->store);
        for (uint64_t i = 0; i < CHUNKS; i++)
            assert_false(mark(w, t, FIRST_MINUTE, i + 1));
        assert_true(mark(w, t, FIRST_MINUTE, (uint64_t)CHUNKS + 1 + (uint64_t)round));
        write_all(w, t);
        assert_int_equal(sup_txn_commit(t, true, NULL), SUP_OK);
        assert_int_equal(chunks_of(w, FIRST_MINUTE), 2 + round);
    }
}

static void test_a_minute_has_a_limit(void **state)
{
    struct world *w = *state;
    struct sup_txn *t = sup_txn_begin(w->store);
    struct sup_err err;
    bool fresh;

    for (uint64_t i = 1; i <= SUP_SEEN_MINUTE_MAX; i++)
        if (!mark(w, t, FIRST_MINUTE, i * 0x9e3779b97f4a7c15U))
            fail_msg("hash %llu is not fresh", (unsigned long long)i);
    assert_int_equal(sup_seen_mark(w->seen, t, FIRST_MINUTE, 1, &fresh, &err), SUP_ELIMIT);
    assert_false(mark(w, t, FIRST_MINUTE, 0x9e3779b97f4a7c15U));
    assert_true(mark(w, t, FIRST_MINUTE + 1, 1));
    write_all(w, t);
    assert_int_equal(sup_txn_commit(t, true, NULL), SUP_OK);
    restart(w);
    t = sup_txn_begin(w->store);
    assert_int_equal(sup_seen_mark(w->seen, t, FIRST_MINUTE, 1, &fresh, &err), SUP_ELIMIT);
    assert_false(mark(w, t, FIRST_MINUTE, 0x9e3779b97f4a7c15U));
    sup_txn_abort(t);
}

static void test_memory_has_a_limit(void **state)
{
    struct world *w = *state;
    enum { EACH = 3000, MANY = 1500 }; /* 64 KiB each: three times what fits */

    for (uint32_t m = 0; m < MANY; m++) {
        struct sup_txn *t = sup_txn_begin(w->store);
        for (uint64_t i = 0; i < EACH; i++)
            (void)mark(w, t, FIRST_MINUTE + m, (i + 1) * 0x9e3779b97f4a7c15U);
        write_all(w, t);
        assert_int_equal(sup_txn_commit(t, true, NULL), SUP_OK);
        if (sup_seen_bytes(w->seen) > SUP_SEEN_BYTES_MAX + (1U << 20))
            fail_msg("%llu bytes", (unsigned long long)sup_seen_bytes(w->seen));
    }
    assert_true(sup_seen_bytes(w->seen) > SUP_SEEN_BYTES_MAX / 2);
    struct sup_txn *t = sup_txn_begin(w->store);
    for (uint32_t m = 0; m < MANY; m += 97)
        assert_false(mark(w, t, FIRST_MINUTE + m, 0x9e3779b97f4a7c15U));
    sup_txn_abort(t);
    sup_seen_forget(w->seen);
    assert_int_equal(sup_seen_bytes(w->seen), 0);
}

/* Minutes that share a place in memory. */
static void test_minutes_far_apart(void **state)
{
    struct world *w = *state;
    struct sup_txn *t = sup_txn_begin(w->store);
    struct sup_err err;
    bool fresh;

    assert_true(mark(w, t, 16384, 7));
    assert_int_equal(sup_seen_mark(w->seen, t, 2 * 16384, 7, &fresh, &err), SUP_ELIMIT);
    write_all(w, t);
    assert_true(mark(w, t, 2 * 16384, 7));
    write_all(w, t);
    assert_false(mark(w, t, 16384, 7));
    assert_false(mark(w, t, 2 * 16384, 7));
    sup_txn_abort(t);
}

static void test_a_damaged_chunk_is_noticed(void **state)
{
    struct world *w = *state;
    uint8_t key[SUP_SEEN_KEY_BYTES];
    struct sup_err err = {0};
    bool fresh;

    sup_key_seen(key, FIRST_MINUTE, 3);
    struct sup_txn *t = sup_txn_begin(w->store);
    sup_txn_put(t, SUP_CF_SEEN, sup_slice_of(key, sizeof(key)), SUP_SLICE_LIT("123456789"));
    assert_int_equal(sup_seen_mark(w->seen, t, FIRST_MINUTE, 7, &fresh, &err), SUP_ECORRUPT);
    assert_true(mark(w, t, FIRST_MINUTE + 1, 7));
    sup_txn_abort(t);
}

/* --- any order of things --- */

static void run_jobs(struct world *w, struct sup_rng *r, struct sup_txn *t)
{
    size_t jobs = sup_rng_below(r, 4);

    for (size_t job = 0; job < jobs; job++) {
        bool before[MINUTES][HASHES];
        memcpy(before, w->now, sizeof(before));
        sup_txn_mark(t);
        for (size_t i = sup_rng_below(r, 60); i > 0; i--) {
            size_t m = sup_rng_below(r, MINUTES), h = sup_rng_below(r, HASHES);
            bool fresh = mark(w, t, FIRST_MINUTE + (uint32_t)m, h + 1);
            if (fresh == w->now[m][h])
                fail_msg("minute %zu, hash %zu: fresh is %d", m, h, fresh);
            w->now[m][h] = true;
        }
        write_all(w, t);
        if (property_chance(r, 20)) {
            sup_txn_rollback_to_mark(t);
            sup_seen_forget(w->seen);
            memcpy(w->now, before, sizeof(before));
        }
    }
}

static void test_any_order(void **state)
{
    struct world *w = *state;
    struct sup_rng r = property_rng("seen");

    for (size_t i = property_cases(400); i > 0; i--) {
        struct sup_txn *t = sup_txn_begin(w->store);
        memcpy(w->now, w->stands, sizeof(w->now));
        run_jobs(w, &r, t);
        if (property_chance(&r, 20)) {
            sup_txn_abort(t); /* as after a failed commit */
            sup_seen_forget(w->seen);
        } else {
            assert_int_equal(sup_txn_commit(t, true, NULL), SUP_OK);
            memcpy(w->stands, w->now, sizeof(w->now));
        }
        if (property_chance(&r, 10))
            restart(w);
    }
}

static void test_keys(void **state)
{
    uint8_t key[SUP_SEEN_KEY_BYTES], later[SUP_SEEN_KEY_BYTES];
    uint32_t minute = 0;
    uint64_t chunk = 0;

    (void)state;
    sup_key_seen(key, FIRST_MINUTE, 258);
    assert_true(sup_key_seen_parse(sup_slice_of(key, sizeof(key)), &minute, &chunk));
    assert_int_equal(minute, FIRST_MINUTE);
    assert_int_equal(chunk, 258);
    assert_false(sup_key_seen_parse(sup_slice_of(key, sizeof(key) - 1), &minute, &chunk));
    sup_key_seen(later, FIRST_MINUTE + 1, 0);
    assert_true(memcmp(key, later, sizeof(key)) < 0);
    /* Stored: a hash must stay what it is. */
    assert_int_equal(sup_seen_hash(SUP_SLICE_LIT("rate")), UINT64_C(0xbaa2230f538abe5));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys),
        cmocka_unit_test_setup_teardown(test_a_hash_is_fresh_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_was_not_committed_is_fresh_again, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_forgetting_within_a_transaction_loses_nothing, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_small_chunks_are_put_together_when_read_again, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_minute_has_a_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_memory_has_a_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_minutes_far_apart, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_damaged_chunk_is_noticed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_any_order, setup, teardown),
    };
    return cmocka_run_group_tests(tests, property_setup, NULL);
}
