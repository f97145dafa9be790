/* SUMMARY_ASK and SUMMARY: round trips, what a peer may say, and damage. */
#include "codec/mesh_msg.h"
#include "golden.h"
#include "mesh.pb-c.h"
#include "property.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct fixture {
    struct sup_mesh_mem *mem;
    struct sup_mesh_msg in, out;
    struct sup_buf body;
    struct sup_err err;
};

static struct fixture f;

static int setup(void **state)
{
    (void)state;
    memset(&f, 0, sizeof(f));
    f.mem = sup_mesh_mem_new();
    sup_buf_init(&f.body, SUP_FRAME_BODY_MAX);
    return f.mem ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    sup_mesh_mem_free(f.mem);
    sup_buf_fini(&f.body);
    return 0;
}

static int decode(enum sup_frame_type type)
{
    memset(&f.out, 0xa5, sizeof(f.out));
    return sup_mesh_msg_decode(type, sup_buf_slice(&f.body), f.mem, &f.out, &f.err);
}

static void travel(enum sup_frame_type type)
{
    f.in.type = type;
    sup_buf_reset(&f.body);
    if (sup_mesh_msg_encode(&f.in, f.mem, &f.body, &f.err) != SUP_OK || decode(type) != SUP_OK)
        fail_msg("%s", f.err.msg);
    assert_int_equal(f.out.type, type);
    assert_true(f.out.u.summary.id == f.in.u.summary.id);
}

static void fill(struct sup_summary *s)
{
    *s = (struct sup_summary){.id = UINT64_MAX,
                              .healthy = true,
                              .converged = true,
                              .pending = 250000,
                              .failing = 3,
                              .has_report = true,
                              .n_problems = SUP_SUMMARY_PROBLEMS_MAX};
    snprintf(s->region, sizeof(s->region), "ap-northeast-1");
    snprintf(s->mode, sizeof(s->mode), "enforce");
    for (size_t i = 0; i < s->n_problems; i++) {
        memset(s->problems[i], 'a' + (int)i, SUP_SUMMARY_TEXT_MAX);
        s->problems[i][SUP_SUMMARY_TEXT_MAX] = '\0';
    }
    s->report = (struct sup_report){.started_ms = 1, .finished_ms = 2, .next_run_ms = 3};
    snprintf(s->report.id, sizeof(s->report.id), "20261124T104137.172Z-25c37f08");
    snprintf(s->report.region, sizeof(s->report.region), "ap-northeast-1");
    snprintf(s->report.mode, sizeof(s->report.mode), "enforce");
    snprintf(s->report.fuse, sizeof(s->report.fuse), "closed");
    for (size_t i = 0; i < SUP_N_COUNTS; i++)
        s->report.counts[i] = i + 1;
}

static void asks(void **state)
{
    (void)state;
    travel(SUP_FRAME_SUMMARY_ASK);
    f.in.u.summary.id = UINT64_MAX;
    travel(SUP_FRAME_SUMMARY_ASK);
}

static void summaries(void **state)
{
    const struct sup_summary *a = &f.in.u.summary, *b = &f.out.u.summary;

    (void)state;
    travel(SUP_FRAME_SUMMARY); /* all empty */
    assert_false(b->has_report || b->healthy || b->converged);
    assert_string_equal(b->region, "");
    fill(&f.in.u.summary);
    travel(SUP_FRAME_SUMMARY);
    assert_string_equal(a->region, b->region);
    assert_string_equal(a->mode, b->mode);
    assert_true(b->healthy && b->converged && b->has_report);
    assert_int_equal(b->pending, 250000);
    assert_int_equal(b->failing, 3);
    assert_int_equal(b->n_problems, a->n_problems);
    for (size_t i = 0; i < a->n_problems; i++)
        assert_string_equal(a->problems[i], b->problems[i]);
    assert_string_equal(a->report.id, b->report.id);
    assert_memory_equal(a->report.counts, b->report.counts, sizeof(a->report.counts));
    f.in.u.summary.n_problems++;
    assert_int_equal(sup_mesh_msg_encode(&f.in, f.mem, &f.body, &f.err), SUP_EINPUT);
}

/* What peers say ends on terminals, in logs and in JSON. */
static void texts_are_cleaned_and_cut(void **state)
{
    struct sup_summary *in = &f.in.u.summary;
    const struct sup_summary *out = &f.out.u.summary;

    (void)state;
    fill(in);
    snprintf(in->region, sizeof(in->region), "eu\x1b[2J\xff\n-west");
    snprintf(in->problems[0], sizeof(in->problems[0]), "\a caf\xc3\xa9");
    snprintf(in->report.error, sizeof(in->report.error), "line\r\nline");
    travel(SUP_FRAME_SUMMARY);
    assert_string_equal(out->region, "eu?[2J?"
                                     "?-west");
    assert_string_equal(out->problems[0], "? caf??");
    assert_string_equal(out->report.error, "line??line");
}

static void put_pb(const Supsync__Mesh__Summary *pb)
{
    uint8_t bytes[32768];
    size_t n = supsync__mesh__summary__get_packed_size(pb);

    assert_true(n <= sizeof(bytes));
    supsync__mesh__summary__pack(pb, bytes);
    sup_buf_reset(&f.body);
    sup_buf_add(&f.body, bytes, n);
}

/* A newer program may say more, and at greater length, than this one keeps. */
static void more_than_is_kept(void **state)
{
    Supsync__Mesh__Summary pb = SUPSYNC__MESH__SUMMARY__INIT;
    char text[1000];
    char *problems[20];
    uint8_t unreadable[] = {0xff, 0xff, 0xff};

    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    for (size_t i = 0; i < 20; i++)
        problems[i] = text;
    pb.region = pb.mode = text;
    pb.problems = problems;
    pb.n_problems = 20;
    pb.report = (ProtobufCBinaryData){.len = sizeof(unreadable), .data = unreadable};
    put_pb(&pb);
    assert_int_equal(decode(SUP_FRAME_SUMMARY), SUP_OK);
    assert_int_equal(strlen(f.out.u.summary.region), sizeof(f.out.u.summary.region) - 1);
    assert_int_equal(f.out.u.summary.n_problems, SUP_SUMMARY_PROBLEMS_MAX);
    assert_int_equal(strlen(f.out.u.summary.problems[7]), SUP_SUMMARY_TEXT_MAX);
    assert_false(f.out.u.summary.has_report);
}

/* Both came after version 1 was spoken: who does not know them goes on. */
static void older_readers_skip_them(void **state)
{
    (void)state;
    assert_int_equal(sup_frame_type_flags(SUP_FRAME_SUMMARY_ASK), SUP_FRAME_SKIPPABLE);
    assert_int_equal(sup_frame_type_flags(SUP_FRAME_SUMMARY), SUP_FRAME_SKIPPABLE);
    assert_int_equal(sup_frame_type_flags(SUP_FRAME_TRIMMED), SUP_FRAME_SKIPPABLE);
    for (unsigned type = SUP_FRAME_HELLO; type <= SUP_FRAME_ACK; type++)
        assert_int_equal(sup_frame_type_flags(type), 0);
    assert_string_equal(sup_frame_type_name(SUP_FRAME_SUMMARY), "SUMMARY");
}

static void damage(void **state)
{
    struct sup_rng r = property_rng("summary damage");

    (void)state;
    for (size_t i = property_cases(3000); i > 0; i--) {
        fill(&f.in.u.summary);
        travel(SUP_FRAME_SUMMARY);
        property_mutate(&r, f.body.p, f.body.n);
        if (decode(SUP_FRAME_SUMMARY) != SUP_OK)
            continue;
        assert_true(f.out.u.summary.n_problems <= SUP_SUMMARY_PROBLEMS_MAX);
        for (const char *t = f.out.u.summary.region; *t != '\0'; t++)
            assert_true(*t >= ' ' && *t < 0x7f);
    }
}

/* Without a report: those grow, and have golden bytes of their own as stored values. */
static void golden_bytes(void **state)
{
    struct sup_summary *s = &f.in.u.summary;
    struct sup_buf hex;

    (void)state;
    sup_buf_init(&hex, 16384);
    s->id = 300;
    travel(SUP_FRAME_SUMMARY_ASK);
    golden_add_frame(&hex, SUP_FRAME_SUMMARY_ASK, sup_buf_slice(&f.body));
    *s = (struct sup_summary){
        .id = 300, .healthy = true, .pending = 250000, .failing = 3, .n_problems = 2};
    snprintf(s->region, sizeof(s->region), "ap-northeast-1");
    snprintf(s->mode, sizeof(s->mode), "enforce");
    snprintf(s->problems[0], sizeof(s->problems[0]), "the fuse has tripped");
    snprintf(s->problems[1], sizeof(s->problems[1]), "peer eu-west-1 is absent");
    travel(SUP_FRAME_SUMMARY);
    golden_add_frame(&hex, SUP_FRAME_SUMMARY, sup_buf_slice(&f.body));
    golden_check("v1-summary", &hex);
    sup_buf_fini(&hex);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(asks, setup, teardown),
        cmocka_unit_test_setup_teardown(summaries, setup, teardown),
        cmocka_unit_test_setup_teardown(texts_are_cleaned_and_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(more_than_is_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(older_readers_skip_them, setup, teardown),
        cmocka_unit_test_setup_teardown(damage, setup, teardown),
        cmocka_unit_test_setup_teardown(golden_bytes, setup, teardown),
    };

    return cmocka_run_group_tests(tests, property_setup, NULL);
}
