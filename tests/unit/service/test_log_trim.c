/* The log of a node without a mesh has an end, too. */
#include "service/log_trim.h"

#include "codec/keys.h"
#include "replica_node.h"
#include "service/apply_txn.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define DECISIONS 10000 /* more than one transaction's */

static int decide_run(struct sup_apply *a, struct sup_txn *t, void *arg, struct sup_err *err)
{
    int rc = SUP_OK;

    (void)arg;
    for (size_t i = 0; rc == SUP_OK && i < DECISIONS; i++) {
        char address[64];
        struct sup_applied out;
        int len = snprintf(address, sizeof(address), "u%zu@example.com", i);
        struct sup_proposal p = {.key = sup_slice_of(address, (size_t)len),
                                 .d = {.cls = SUP_CLASS_MANUAL, .state = SUP_SUPPRESSED}};
        rc = sup_apply_decide(a, t, &p, &out, err);
    }
    return rc;
}

static size_t entries(struct replica_node *n)
{
    struct sup_slice open = {NULL, 0};
    struct sup_iter *it = sup_iter_new(n->store, NULL, SUP_CF_LOG, open, open);
    size_t k = 0;

    for (; sup_iter_valid(it); sup_iter_next(it))
        k++;
    sup_iter_free(it);
    return k;
}

static void the_older_half_goes_past_the_cap(void **state)
{
    struct replica_node n;
    struct sup_stop stop;
    struct sup_vv floor;
    uint64_t bytes;

    (void)state;
    sup_stop_init(&stop);
    replica_node_open(&n, "a", 16);
    assert_int_equal(sup_apply_run(n.apply, decide_run, NULL, NULL), SUP_OK);
    bytes = sup_apply_log_bytes(n.apply);
    sup_log_trim_alone(n.apply, bytes, &stop); /* as much as there may be */
    assert_int_equal(entries(&n), DECISIONS);
    sup_log_trim_alone(n.apply, bytes - 1, &stop);
    assert_int_equal(entries(&n), DECISIONS / 2);
    assert_true(sup_apply_log_bytes(n.apply) < bytes * 6 / 10);
    sup_apply_floor(n.apply, &floor);
    assert_int_equal(sup_vv_get(&floor, sup_apply_incarnation(n.apply)), DECISIONS / 2);
    for (int i = 0; i < 20; i++)
        sup_log_trim_alone(n.apply, 1, &stop);
    assert_int_equal(entries(&n), 0);
    assert_int_equal(sup_apply_log_bytes(n.apply), 0);
    replica_node_close(&n);
    sup_stop_fini(&stop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_older_half_goes_past_the_cap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
