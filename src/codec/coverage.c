#include "codec/coverage.h"

#include "base/array.h"
#include "base/text.h"
#include "codec/coverage_pb.h"

#include <string.h>

#define MEM_MAX (1U << 20)

const char *sup_coverage_state_name(enum sup_coverage_state s)
{
    static const char *const names[] = {[SUP_COVERAGE_NONE] = "none",
                                        [SUP_COVERAGE_COVERED] = "covered",
                                        [SUP_COVERAGE_GAPS] = "gaps",
                                        [SUP_COVERAGE_UNKNOWN] = "unknown"};
    return (size_t)s < SUP_COUNT(names) ? names[s] : "unknown";
}

const char *sup_coverage_managed_name(enum sup_coverage_managed m)
{
    static const char *const names[] = {[SUP_MANAGED_OFF] = "off",
                                        [SUP_MANAGED_COMPLETE] = "complete",
                                        [SUP_MANAGED_PLANNED] = "planned",
                                        [SUP_MANAGED_DONE] = "done",
                                        [SUP_MANAGED_FAILED] = "failed"};
    return (size_t)m < SUP_COUNT(names) ? names[m] : "unknown";
}

static void texts_of(struct sup_coverage_texts *t, void (*fn)(char *text))
{
    for (uint32_t i = 0; i < t->n; i++)
        fn(t->text[i]);
}

void sup_coverage_brief_texts(struct sup_coverage_brief *b, void (*fn)(char *text))
{
    fn(b->enforcement_status);
    fn(b->managed_text);
    texts_of(&b->gaps, fn);
    texts_of(&b->unknown, fn);
    texts_of(&b->notes, fn);
}

/* --- to protobuf --- */

static char *text(struct sup_pb_arena *a, const char *s)
{
    return sup_pb_text(a, sup_slice_str(s), SUP_COVERAGE_TEXT_MAX);
}

static char **texts_to_pb(const struct sup_coverage_texts *t, struct sup_pb_arena *a, size_t *n)
{
    char **out = t->n > 0 ? sup_pb_arena_alloc(a, t->n * sizeof(*out)) : NULL;

    *n = out ? t->n : 0;
    for (size_t i = 0; i < *n; i++)
        out[i] = text(a, t->text[i]);
    return out;
}

Supsync__Store__Coverage *sup_coverage_to_pb(const struct sup_coverage_brief *b,
                                             struct sup_pb_arena *a)
{
    Supsync__Store__Coverage *msg =
        b->state != SUP_COVERAGE_NONE ? sup_pb_arena_alloc(a, sizeof(*msg)) : NULL;

    if (!msg)
        return NULL;
    supsync__store__coverage__init(msg);
    msg->checked_ms = b->checked_ms;
    msg->state = (uint32_t)b->state;
    msg->reasons = b->reasons;
    msg->production_access = b->production_access;
    msg->sending_enabled = b->sending_enabled;
    msg->enforcement_status = text(a, b->enforcement_status);
    msg->sets = b->n_sets;
    msg->tenants = b->n_tenants;
    msg->tenants_known = b->tenants_known;
    msg->managed = (uint32_t)b->managed;
    msg->managed_text = text(a, b->managed_text);
    msg->gaps = texts_to_pb(&b->gaps, a, &msg->n_gaps);
    msg->unknown = texts_to_pb(&b->unknown, a, &msg->n_unknown);
    msg->notes = texts_to_pb(&b->notes, a, &msg->n_notes);
    msg->gaps_total = b->gaps.total;
    msg->unknown_total = b->unknown.total;
    msg->notes_total = b->notes.total;
    return msg;
}

/* --- from protobuf --- */

/* What is stored may be damaged: it comes out as text in any case. */
static void get_text(char *out, size_t cap, const char *s, struct sup_pb_arena *a)
{
    sup_text_copy(out, cap, sup_pb_text(a, sup_slice_str(s), cap - 1));
}

static void texts_from_pb(struct sup_coverage_texts *out, char *const *texts, size_t n,
                          uint64_t total, struct sup_pb_arena *a)
{
    out->total = total;
    while (out->n < n && out->n < SUP_COVERAGE_KEPT_MAX) {
        get_text(out->text[out->n], sizeof(out->text[0]), texts[out->n], a);
        out->n++;
    }
    if (out->total < out->n)
        out->total = out->n;
}

void sup_coverage_from_pb(const Supsync__Store__Coverage *msg, struct sup_pb_arena *a,
                          struct sup_coverage_brief *out)
{
    memset(out, 0, sizeof(*out));
    if (!msg)
        return;
    out->checked_ms = msg->checked_ms;
    out->state = msg->state <= SUP_COVERAGE_UNKNOWN ? (enum sup_coverage_state)msg->state
                                                    : SUP_COVERAGE_UNKNOWN;
    out->reasons = msg->reasons;
    out->production_access = msg->production_access;
    out->sending_enabled = msg->sending_enabled;
    get_text(out->enforcement_status, sizeof(out->enforcement_status), msg->enforcement_status, a);
    out->n_sets = msg->sets;
    out->n_tenants = msg->tenants;
    out->tenants_known = msg->tenants_known;
    out->managed = msg->managed <= SUP_MANAGED_FAILED ? (enum sup_coverage_managed)msg->managed
                                                      : SUP_MANAGED_OFF;
    get_text(out->managed_text, sizeof(out->managed_text), msg->managed_text, a);
    texts_from_pb(&out->gaps, msg->gaps, msg->n_gaps, msg->gaps_total, a);
    texts_from_pb(&out->unknown, msg->unknown, msg->n_unknown, msg->unknown_total, a);
    texts_from_pb(&out->notes, msg->notes, msg->n_notes, msg->notes_total, a);
}

/* --- the history --- */

void sup_coverage_history_encode(const struct sup_coverage_history *h, struct sup_buf *out)
{
    Supsync__Store__CoverageState msg = SUPSYNC__STORE__COVERAGE_STATE__INIT;
    Supsync__Store__CoverageChange changes[SUP_COVERAGE_CHANGES_MAX];
    Supsync__Store__CoverageChange *list[SUP_COVERAGE_CHANGES_MAX];
    struct sup_pb_arena a;

    sup_pb_arena_init(&a, MEM_MAX);
    msg.last = sup_coverage_to_pb(&h->last, &a);
    for (size_t i = 0; i < h->n_changes; i++) {
        supsync__store__coverage_change__init(&changes[i]);
        changes[i].time_ms = h->changes[i].time_ms;
        changes[i].before = h->changes[i].before;
        changes[i].after = h->changes[i].after;
        changes[i].text = text(&a, h->changes[i].text);
        list[i] = &changes[i];
    }
    msg.n_changes = h->n_changes;
    msg.changes = list;
    sup_pb_pack(&msg.base, out);
    sup_pb_arena_reset(&a);
}

int sup_coverage_history_decode(struct sup_slice bytes, struct sup_coverage_history *out,
                                struct sup_err *err)
{
    const Supsync__Store__CoverageState *msg;
    struct sup_pb_arena a;
    int rc = SUP_OK;

    memset(out, 0, sizeof(*out));
    sup_pb_arena_init(&a, MEM_MAX);
    msg =
        sup_pb_unpack(&supsync__store__coverage_state__descriptor, &a, bytes, "coverage", &rc, err);
    if (rc == SUP_OK) {
        sup_coverage_from_pb(msg->last, &a, &out->last);
        for (size_t i = 0; i < msg->n_changes && i < SUP_COVERAGE_CHANGES_MAX; i++) {
            struct sup_coverage_change *c = &out->changes[out->n_changes++];
            c->time_ms = msg->changes[i]->time_ms;
            c->before = msg->changes[i]->before;
            c->after = msg->changes[i]->after;
            get_text(c->text, sizeof(c->text), msg->changes[i]->text, &a);
        }
    }
    sup_pb_arena_reset(&a);
    return rc;
}
