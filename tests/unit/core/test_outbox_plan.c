#include "core/outbox_plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct sup_slice KEY = {(const uint8_t *)"foo@x.com", 9};

static struct sup_ses_spelling *add(struct sup_ses_entry *e, const char *spelling, bool present,
                                    enum sup_reason reason, bool unverified, int64_t noted_ms)
{
    struct sup_ses_spelling *s = sup_ses_entry_spelling(e, spelling);

    assert_non_null(s);
    s->present = present;
    s->reason = reason;
    s->unverified = unverified;
    s->noted_ms = noted_ms;
    return s;
}

static void expect(const struct sup_ses_entry *e, enum sup_reason desired,
                   enum sup_outbox_step step, const char *spelling)
{
    struct sup_outbox_plan plan;

    sup_outbox_plan(KEY, desired, e, &plan);
    assert_int_equal(plan.step, step);
    assert_string_equal(plan.spelling, spelling);
    if (step == SUP_OUTBOX_PUT)
        assert_int_equal(plan.reason, desired);
}

static void unknown_address_is_put_by_its_key(void **state)
{
    struct sup_ses_entry e;

    (void)state;
    sup_ses_entry_init(&e);
    expect(&e, SUP_REASON_BOUNCE, SUP_OUTBOX_PUT, "foo@x.com");
    expect(&e, SUP_REASON_NONE, SUP_OUTBOX_DONE, "");
}

static void noted_spelling_is_looked_up_before_a_put(void **state)
{
    struct sup_ses_entry e;
    struct sup_ses_spelling *s;

    (void)state;
    sup_ses_entry_init(&e);
    s = add(&e, "Foo@x.com", false, SUP_REASON_NONE, true, 5);
    expect(&e, SUP_REASON_BOUNCE, SUP_OUTBOX_GET, "Foo@x.com");
    s->unverified = false; /* looked up, absent */
    expect(&e, SUP_REASON_BOUNCE, SUP_OUTBOX_PUT, "Foo@x.com");
    s->present = true; /* looked up, listed */
    s->reason = SUP_REASON_BOUNCE;
    expect(&e, SUP_REASON_BOUNCE, SUP_OUTBOX_DONE, "");
}

static void complaint_outranks_bounce_and_stays(void **state)
{
    struct sup_ses_entry e;

    (void)state;
    sup_ses_entry_init(&e);
    add(&e, "Foo@x.com", true, SUP_REASON_BOUNCE, false, 0);
    expect(&e, SUP_REASON_COMPLAINT, SUP_OUTBOX_PUT, "Foo@x.com");
    e.spellings[0].reason = SUP_REASON_COMPLAINT;
    expect(&e, SUP_REASON_COMPLAINT, SUP_OUTBOX_DONE, "");
    expect(&e, SUP_REASON_BOUNCE, SUP_OUTBOX_DONE, "");
}

static void clear_deletes_every_spelling(void **state)
{
    struct sup_ses_entry e;

    (void)state;
    sup_ses_entry_init(&e);
    add(&e, "Foo@x.com", true, SUP_REASON_BOUNCE, false, 0);
    add(&e, "FOO@x.com", false, SUP_REASON_NONE, true, 3);
    add(&e, "foo@x.com", false, SUP_REASON_NONE, false, 0);
    expect(&e, SUP_REASON_NONE, SUP_OUTBOX_DELETE, "Foo@x.com");
    e.spellings[0].present = false;
    expect(&e, SUP_REASON_NONE, SUP_OUTBOX_DELETE, "FOO@x.com");
    e.spellings[1].unverified = false;
    expect(&e, SUP_REASON_NONE, SUP_OUTBOX_DONE, "");
}

/* --- whatever the state: executing the plan on a faithful list ends, and ends right --- */

struct list {
    char spelling[SUP_SPELLINGS_MAX + 1][SUP_ADDRESS_MAX + 1];
    enum sup_reason reason[SUP_SPELLINGS_MAX + 1];
    size_t n;
};

static int find(const struct list *l, const char *spelling)
{
    for (size_t i = 0; i < l->n; i++) {
        if (strcmp(l->spelling[i], spelling) == 0)
            return (int)i;
    }
    return -1;
}

static void execute(struct list *l, struct sup_ses_entry *e, const struct sup_outbox_plan *p)
{
    struct sup_ses_spelling *s = sup_ses_entry_spelling(e, p->spelling);
    int at = find(l, p->spelling);

    assert_non_null(s);
    s->unverified = false;
    if (p->step == SUP_OUTBOX_PUT) {
        if (at < 0) {
            at = (int)l->n++;
            snprintf(l->spelling[at], sizeof(l->spelling[at]), "%s", p->spelling);
        }
        l->reason[at] = p->reason;
        s->present = true;
        s->reason = p->reason;
    } else if (p->step == SUP_OUTBOX_GET) {
        s->present = at >= 0;
        s->reason = at >= 0 ? l->reason[at] : SUP_REASON_NONE;
    } else {
        if (at >= 0) {
            l->n--;
            memmove(l->spelling[at], l->spelling[l->n], sizeof(l->spelling[at]));
            l->reason[at] = l->reason[l->n];
        }
        s->present = false;
    }
}

static uint32_t next(uint32_t *seed)
{
    *seed = *seed * 1664525U + 1013904223U;
    return *seed >> 16;
}

static void plans_converge(void **state)
{
    static const char *const spellings[] = {"foo@x.com", "Foo@x.com", "fOO@x.com"};

    (void)state;
    for (uint32_t seed = 1; seed < 5000; seed++) {
        struct sup_ses_entry e;
        struct list l = {.n = 0};
        uint32_t r = seed;
        enum sup_reason desired = (enum sup_reason)(next(&r) % 3);
        int steps = 0;
        sup_ses_entry_init(&e);
        for (size_t i = 0; i < 3; i++) {
            bool listed = next(&r) % 2;
            if (listed) {
                snprintf(l.spelling[l.n], sizeof(l.spelling[0]), "%s", spellings[i]);
                l.reason[l.n++] = next(&r) % 2 ? SUP_REASON_BOUNCE : SUP_REASON_COMPLAINT;
            }
            /* What is listed is known, or suspected. */
            if (listed && next(&r) % 2)
                add(&e, spellings[i], true, l.reason[l.n - 1], false, next(&r) % 9);
            else if (listed || next(&r) % 2)
                add(&e, spellings[i], false, SUP_REASON_NONE, true, next(&r) % 9);
        }
        for (;;) {
            struct sup_outbox_plan p;
            sup_outbox_plan(KEY, desired, &e, &p);
            if (p.step == SUP_OUTBOX_DONE)
                break;
            execute(&l, &e, &p);
            if (++steps > 8)
                fail_msg("seed %u does not end", seed);
        }
        bool good = desired == SUP_REASON_NONE ? l.n == 0 : false;
        for (size_t i = 0; i < l.n && desired != SUP_REASON_NONE; i++)
            good = good || l.reason[i] == desired || l.reason[i] == SUP_REASON_COMPLAINT;
        if (!good)
            fail_msg("seed %u ends wrong", seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unknown_address_is_put_by_its_key),
        cmocka_unit_test(noted_spelling_is_looked_up_before_a_put),
        cmocka_unit_test(complaint_outranks_bounce_and_stays),
        cmocka_unit_test(clear_deletes_every_spelling),
        cmocka_unit_test(plans_converge),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
