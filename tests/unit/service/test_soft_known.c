/* No address with a state is ever missed; few without one are looked up. */
#include "service/soft_known.h"

#include "codec/soft_value.h"
#include "property.h"
#include "store/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define STATES 100000

struct world {
    struct sup_store *store;
    struct sup_soft_known *known;
};

static int setup(void **state)
{
    const struct sup_store_identity id = {.node = "a", .cluster = "c"};
    struct world *w = calloc(1, sizeof(*w));

    w->known = sup_soft_known_new();
    if (!w->known || sup_store_open_memory(&id, &w->store, NULL) != SUP_OK)
        return -1;
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    sup_soft_known_free(w->known);
    sup_store_close(w->store);
    free(w);
    return 0;
}

static bool ask(struct world *w, const char *kind, int i)
{
    struct sup_err err = {0};
    char address[64];
    bool maybe = false;

    snprintf(address, sizeof(address), "%s%d@example.com", kind, i);
    if (sup_soft_known_ask(w->known, w->store, sup_slice_str(address), &maybe, &err) != SUP_OK)
        fail_msg("%s", err.msg);
    return maybe;
}

static void add(struct world *w, const char *kind, int i)
{
    char address[64];

    snprintf(address, sizeof(address), "%s%d@example.com", kind, i);
    sup_soft_known_add(w->known, sup_slice_str(address));
}

/* States of before the start, and what else is in the family. */
static void fill(struct world *w, int n)
{
    static const uint8_t id[SUP_SOFT_ID] = "0123456789abcde";
    struct sup_txn *t = sup_txn_begin(w->store);
    struct sup_buf key;
    char address[64];

    sup_buf_init(&key, 1024);
    for (int i = 0; i < n; i++) {
        snprintf(address, sizeof(address), "stored%d@example.com", i);
        sup_buf_reset(&key);
        sup_key_soft_address(&key, sup_slice_str(address));
        sup_txn_put(t, SUP_CF_SOFT, sup_buf_slice(&key), SUP_SLICE_LIT("state"));
    }
    sup_buf_reset(&key);
    sup_key_soft_due(&key, 1764000000000, id);
    sup_txn_put(t, SUP_CF_SOFT, sup_buf_slice(&key), SUP_SLICE_LIT("waits"));
    sup_buf_reset(&key);
    sup_key_soft_id(&key, id);
    sup_txn_put(t, SUP_CF_SOFT, sup_buf_slice(&key), SUP_SLICE_LIT("due"));
    sup_buf_fini(&key);
    assert_int_equal(sup_txn_commit(t, true, NULL), SUP_OK);
}

static void test_none_is_missed(void **state)
{
    struct world *w = *state;

    fill(w, 1000);
    add(w, "early", 0); /* before it has looked at the store */
    for (int i = 0; i < 1000; i++)
        assert_true(ask(w, "stored", i));
    assert_true(ask(w, "early", 0));
    for (int i = 0; i < STATES; i++)
        add(w, "added", i);
    for (int i = 0; i < STATES; i++)
        assert_true(ask(w, "added", i));
}

/* With a hundred thousand, about 6 of 10000: 2.4 % of the bits are set. */
static void test_few_in_vain(void **state)
{
    struct world *w = *state;
    int in_vain = 0;

    assert_false(ask(w, "any", 1));
    for (int i = 0; i < STATES; i++)
        add(w, "added", i);
    for (int i = 0; i < STATES; i++)
        in_vain += ask(w, "other", i);
    if (in_vain > STATES / 500)
        fail_msg("%d of %d", in_vain, STATES);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {TEST(test_none_is_missed), TEST(test_few_in_vain)};

    sup_soft_known_free(NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
