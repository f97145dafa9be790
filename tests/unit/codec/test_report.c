#include "codec/evidence.h"
#include "codec/import_state.h"
#include "codec/report.h"

#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct sup_buf buf;

static int setup(void **state)
{
    (void)state;
    sup_buf_init(&buf, 1U << 20);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    sup_buf_fini(&buf);
    return 0;
}

static void report_comes_back(void **state)
{
    struct sup_report in = {.id = "20261124T075200.123Z-00000001",
                            .region = "eu-west-1",
                            .mode = "enforce",
                            .fuse = "closed",
                            .plan = "20261124T075100.000Z-00000002",
                            .error = "no",
                            .started_ms = 5,
                            .finished_ms = 6,
                            .next_run_ms = 7,
                            .converged = true,
                            .estimated_calls = 8,
                            .estimated_jobs = 9,
                            .estimated_ms = 10,
                            .calls_per_day = 13,
                            .budget_used_up = true,
                            .n_found = 12,
                            .n_differences = 11};
    struct sup_report out;

    (void)state;
    for (size_t i = 0; i < SUP_N_COUNTS; i++)
        in.counts[i] = 1000 + i;
    for (size_t i = 0; i < SUP_N_CALLS; i++)
        in.calls[i] = 2000 + i;
    sup_report_encode(&in, &buf);
    assert_int_equal(buf.failed, 0);
    memset(&out, 0xff, sizeof(out));
    assert_int_equal(sup_report_decode(sup_buf_slice(&buf), &out, NULL), SUP_OK);
    assert_string_equal(out.id, in.id);
    assert_string_equal(out.region, in.region);
    assert_string_equal(out.mode, in.mode);
    assert_string_equal(out.fuse, in.fuse);
    assert_string_equal(out.plan, in.plan);
    assert_string_equal(out.error, in.error);
    assert_int_equal(out.started_ms, 5);
    assert_int_equal(out.finished_ms, 6);
    assert_int_equal(out.next_run_ms, 7);
    assert_true(out.converged);
    assert_int_equal(out.estimated_calls, 8);
    assert_int_equal(out.estimated_jobs, 9);
    assert_int_equal(out.estimated_ms, 10);
    assert_int_equal(out.n_found, 12);
    assert_int_equal(out.n_differences, 11);
    assert_memory_equal(out.counts, in.counts, sizeof(in.counts));
    assert_memory_equal(out.calls, in.calls, sizeof(in.calls));
    assert_int_equal(out.calls_per_day, 13);
    assert_true(out.budget_used_up);
}

static void difference_comes_back_and_foreign_bytes_are_replaced(void **state)
{
    struct sup_difference in = {.address = "foo@x.com",
                                .spelling = "Foo@x.com",
                                .kind = SUP_DIFF_EXTRA,
                                .cause = SUP_WHY_ADDED,
                                .action = SUP_DO_ADOPT_ADD,
                                .result = SUP_DIFF_DONE,
                                .reason = SUP_REASON_COMPLAINT,
                                .source = SUP_SOURCE_MANUAL,
                                .time_ms = 77,
                                .error = "cut \xc3"};
    struct sup_difference out;

    (void)state;
    sup_difference_encode(&in, &buf);
    assert_int_equal(sup_difference_decode(sup_buf_slice(&buf), &out, NULL), SUP_OK);
    assert_string_equal(out.address, in.address);
    assert_string_equal(out.spelling, in.spelling);
    assert_int_equal(out.kind, in.kind);
    assert_int_equal(out.cause, in.cause);
    assert_int_equal(out.action, in.action);
    assert_int_equal(out.result, in.result);
    assert_int_equal(out.reason, in.reason);
    assert_int_equal(out.source, in.source);
    assert_int_equal(out.time_ms, 77);
    assert_string_equal(out.error, "cut ?");
}

static void states_come_back(void **state)
{
    struct sup_scan_state *scan = calloc(2, sizeof(*scan));
    struct sup_fuse fuse = {.state = SUP_FUSE_CONFIRMED,
                            .removals = 3,
                            .listed = 4,
                            .since_ms = 5,
                            .run = "r",
                            .actor = "me"};
    struct sup_fuse fuse_out;
    struct sup_scan_entry entry = {SUP_REASON_BOUNCE, 1700000000123, 77};
    struct sup_scan_entry entry_out;

    (void)state;
    assert_non_null(scan);
    scan[0] =
        (struct sup_scan_state){.scan = UINT64_MAX, .started_ms = 1, .entries = 2, .pages = 3};
    memset(scan[0].token, 'x', SUP_SCAN_TOKEN_MAX);
    sup_scan_state_encode(&scan[0], &buf);
    assert_int_equal(sup_scan_state_decode(sup_buf_slice(&buf), &scan[1], NULL), SUP_OK);
    assert_memory_equal(&scan[0], &scan[1], sizeof(scan[0]));
    free(scan);
    sup_buf_reset(&buf);
    sup_fuse_encode(&fuse, &buf);
    assert_int_equal(sup_fuse_decode(sup_buf_slice(&buf), &fuse_out, NULL), SUP_OK);
    assert_int_equal(fuse_out.state, SUP_FUSE_CONFIRMED);
    assert_int_equal(fuse_out.removals, 3);
    assert_int_equal(fuse_out.listed, 4);
    assert_int_equal(fuse_out.since_ms, 5);
    assert_string_equal(fuse_out.run, "r");
    assert_string_equal(fuse_out.actor, "me");
    sup_buf_reset(&buf);
    sup_scan_entry_encode(&entry, &buf);
    assert_int_equal(sup_scan_entry_decode(sup_buf_slice(&buf), &entry_out, NULL), SUP_OK);
    assert_int_equal(entry_out.reason, SUP_REASON_BOUNCE);
    assert_int_equal(entry_out.last_update_ms, 1700000000123);
    assert_int_equal(entry_out.scan, 77);
}

static void import_comes_back(void **state)
{
    struct sup_import_state in = {.stage = SUP_IMPORT_CREATING,
                                  .remove = true,
                                  .object_key = "supsync/a.json",
                                  .job_id = "j",
                                  .begin_ms = 5,
                                  .rows = 6,
                                  .run = true};
    struct sup_import_state out;
    struct sup_import_row row = {.spelling = "Foo@x.com", .reason = SUP_REASON_BOUNCE};
    struct sup_import_row row_out;

    (void)state;
    sup_import_state_encode(&in, &buf);
    assert_int_equal(sup_import_state_decode(sup_buf_slice(&buf), &out, NULL), SUP_OK);
    assert_int_equal(out.stage, SUP_IMPORT_CREATING);
    assert_true(out.remove);
    assert_string_equal(out.object_key, in.object_key);
    assert_string_equal(out.job_id, in.job_id);
    assert_int_equal(out.begin_ms, 5);
    assert_int_equal(out.rows, 6);
    assert_true(out.run);
    sup_buf_reset(&buf);
    sup_import_row_encode(&row, &buf);
    assert_int_equal(sup_import_row_decode(sup_buf_slice(&buf), &row_out, NULL), SUP_OK);
    assert_string_equal(row_out.spelling, row.spelling);
    assert_int_equal(row_out.reason, row.reason);
    row.spelling[0] = '\0';
    sup_buf_reset(&buf);
    sup_import_row_encode(&row, &buf);
    assert_int_equal(sup_import_row_decode(sup_buf_slice(&buf), &row_out, NULL), SUP_ECORRUPT);
}

static void questions_come_back(void **state)
{
    struct sup_evidence_wanted in = {.spelling = "Foo@x.com",
                                     .reason = SUP_REASON_COMPLAINT,
                                     .last_update_ms = 1700000000123,
                                     .decided_ms = 1700000000100,
                                     .queued_ms = 1700000000200,
                                     .attempts = 3};
    struct sup_evidence_wanted out;

    (void)state;
    sup_evidence_wanted_encode(&in, &buf);
    assert_int_equal(sup_evidence_wanted_decode(sup_buf_slice(&buf), &out, NULL), SUP_OK);
    assert_string_equal(out.spelling, in.spelling);
    assert_int_equal(out.reason, in.reason);
    assert_int_equal(out.last_update_ms, in.last_update_ms);
    assert_int_equal(out.decided_ms, in.decided_ms);
    assert_int_equal(out.queued_ms, in.queued_ms);
    assert_int_equal(out.attempts, 3);
    /* Cut anywhere it is damaged or without what a later field said; never more than that. */
    for (size_t n = 0; n < buf.n; n++) {
        int rc = sup_evidence_wanted_decode(sup_slice_of(buf.p, n), &out, NULL);
        assert_true(rc == SUP_ECORRUPT || (rc == SUP_OK && strcmp(out.spelling, in.spelling) == 0));
    }
    in.reason = SUP_REASON_NONE;
    sup_buf_reset(&buf);
    sup_evidence_wanted_encode(&in, &buf);
    assert_int_equal(sup_evidence_wanted_decode(sup_buf_slice(&buf), &out, NULL), SUP_ECORRUPT);
}

static void newer_formats_are_refused(void **state)
{
    static const uint8_t report[] = {0x08, 0x7f};
    static const uint8_t no_format[] = {0x12, 0x00};
    static const uint8_t stage[] = {0x08, 0x7f};
    struct sup_import_state import;
    struct sup_report r;
    struct sup_fuse f;

    (void)state;
    assert_int_equal(sup_report_decode(sup_slice_of(report, 2), &r, NULL), SUP_EVERSION);
    assert_int_equal(sup_report_decode(sup_slice_of(no_format, 2), &r, NULL), SUP_ECORRUPT);
    assert_int_equal(sup_fuse_decode(sup_slice_of(stage, 2), &f, NULL), SUP_EVERSION);
    assert_int_equal(sup_import_state_decode(sup_slice_of(stage, 2), &import, NULL), SUP_EVERSION);
}

/* Differences of a report stand behind its head, in their order, and in front of its end. */
static void keys_are_in_order(void **state)
{
    struct sup_report_key head, first, second, end, next;

    (void)state;
    sup_report_key(&head, "20261124T075200.123Z-00000001");
    sup_report_key_difference(&first, "20261124T075200.123Z-00000001", 255);
    sup_report_key_difference(&second, "20261124T075200.123Z-00000001", 256);
    sup_report_key_end(&end, "20261124T075200.123Z-00000001");
    sup_report_key(&next, "20261124T075200.123Z-00000002");
    assert_true(sup_slice_cmp(sup_slice_of(head.b, head.n), sup_slice_of(first.b, first.n)) < 0);
    assert_true(sup_slice_cmp(sup_slice_of(first.b, first.n), sup_slice_of(second.b, second.n)) <
                0);
    assert_true(sup_slice_cmp(sup_slice_of(second.b, second.n), sup_slice_of(end.b, end.n)) < 0);
    assert_true(sup_slice_cmp(sup_slice_of(end.b, end.n), sup_slice_of(next.b, next.n)) < 0);
}

static void names_are_known(void **state)
{
    (void)state;
    for (int i = SUP_DIFF_MISSING; i <= SUP_DIFF_UNMANAGED; i++)
        assert_string_not_equal(sup_diff_kind_name((enum sup_diff_kind)i), "unknown");
    for (int i = SUP_WHY_NEVER_LISTED; i <= SUP_WHY_UNKNOWN_REASON; i++)
        assert_string_not_equal(sup_diff_cause_name((enum sup_diff_cause)i), "unknown");
    for (int i = SUP_DO_NOTHING; i <= SUP_DO_REPORT; i++)
        assert_string_not_equal(sup_diff_action_name((enum sup_diff_action)i), "unknown");
    for (int i = SUP_DIFF_NONE; i <= SUP_DIFF_WITHHELD; i++)
        assert_string_not_equal(sup_diff_result_name((enum sup_diff_result)i), "unknown");
    for (int i = 0; i < SUP_N_COUNTS; i++)
        assert_string_not_equal(sup_report_count_name((enum sup_report_count)i), "unknown");
    for (int i = 0; i < SUP_N_CALLS; i++)
        assert_string_not_equal(sup_report_call_name((enum sup_report_call)i), "unknown");
    assert_string_equal(sup_diff_kind_name((enum sup_diff_kind)99), "unknown");
    assert_string_equal(sup_fuse_state_name((enum sup_fuse_state)99), "unknown");
}

/* Damaged bytes are an error or a value within its limits, never a crash. */
static void damaged_bytes_are_survived(void **state)
{
    struct sup_difference d = {.address = "foo@x.com", .error = "e"};
    struct sup_report *r = calloc(1, sizeof(*r));
    struct sup_rng g;
    uint64_t seed = sup_random_u64();

    (void)state;
    assert_non_null(r);
    printf("seed %llu\n", (unsigned long long)seed);
    sup_rng_seed(&g, seed);
    for (int i = 0; i < 20000; i++) {
        sup_buf_reset(&buf);
        if (i % 2)
            sup_difference_encode(&d, &buf);
        else
            sup_report_encode(r, &buf);
        buf.p[sup_rng_below(&g, buf.n)] = (uint8_t)sup_rng_u64(&g);
        struct sup_slice s = {buf.p, 1 + sup_rng_below(&g, buf.n)};
        struct sup_difference out;
        struct sup_report report;
        if (sup_difference_decode(s, &out, NULL) == SUP_OK)
            assert_true(strlen(out.address) <= SUP_ADDRESS_MAX);
        if (sup_report_decode(s, &report, NULL) == SUP_OK)
            assert_true(strlen(report.id) <= SUP_REPORT_ID_MAX);
    }
    free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(report_comes_back, setup, teardown),
        cmocka_unit_test_setup_teardown(difference_comes_back_and_foreign_bytes_are_replaced, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(states_come_back, setup, teardown),
        cmocka_unit_test_setup_teardown(import_comes_back, setup, teardown),
        cmocka_unit_test_setup_teardown(questions_come_back, setup, teardown),
        cmocka_unit_test(newer_formats_are_refused),
        cmocka_unit_test(keys_are_in_order),
        cmocka_unit_test(names_are_known),
        cmocka_unit_test_setup_teardown(damaged_bytes_are_survived, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
