#include "base/array.h"
#include "model/decision.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void names(void **state)
{
    enum sup_class c = SUP_CLASS_MANUAL;

    (void)state;
    for (int i = 1; i <= SUP_N_CLASSES; i++) {
        assert_true(sup_class_parse(sup_class_name((enum sup_class)i), &c));
        assert_int_equal(c, i);
    }
    assert_true(sup_class_parse("CompLAINT", &c));
    assert_int_equal(c, SUP_CLASS_COMPLAINT);
    static const char *const none[] = {"", "unknown", "bounces", "bounc", " bounce", "1"};
    for (size_t i = 0; i < SUP_COUNT(none); i++)
        assert_false(sup_class_parse(none[i], &c));
    assert_int_equal(c, SUP_CLASS_COMPLAINT); /* left alone */

    /* any number has a name: it may come from a newer node */
    assert_string_equal(sup_class_name((enum sup_class)0), "unknown");
    assert_string_equal(sup_class_name((enum sup_class)99), "unknown");
    for (int i = 0; i <= SUP_CAUSE_LAST; i++) {
        for (int j = 0; j < i; j++)
            assert_string_not_equal(sup_cause_name((enum sup_cause)i),
                                    sup_cause_name((enum sup_cause)j));
    }
    assert_string_equal(sup_cause_name((enum sup_cause)(SUP_CAUSE_LAST + 1)), "unknown");
    assert_string_equal(sup_cause_name((enum sup_cause)0xffffffff), "unknown");
    assert_string_equal(sup_reason_name(SUP_REASON_BOUNCE), "BOUNCE");
    assert_string_equal(sup_reason_name(SUP_REASON_COMPLAINT), "COMPLAINT");
    assert_string_equal(sup_reason_name(SUP_REASON_NONE), "");
    assert_string_equal(sup_reason_name((enum sup_reason)7), "");
}

/* They are stored and sent: renumbering would change what old data means. */
static void numbers_are_for_ever(void **state)
{
    (void)state;
    assert_int_equal(SUP_CLASS_BOUNCE, 1);
    assert_int_equal(SUP_CLASS_COMPLAINT, 2);
    assert_int_equal(SUP_CLASS_MANUAL, 3);
    assert_int_equal(SUP_CLEARED, 0);
    assert_int_equal(SUP_SUPPRESSED, 1);
    assert_int_equal(SUP_CAUSE_EVENT, 1);
    assert_int_equal(SUP_CAUSE_GLOBAL_LIST, 2);
    assert_int_equal(SUP_CAUSE_NOT_SPAM, 3);
    assert_int_equal(SUP_CAUSE_OPERATOR, 4);
    assert_int_equal(SUP_CAUSE_ADOPTED, 5);
    assert_int_equal(SUP_CAUSE_BACKFILL, 6);
    assert_int_equal(SUP_CAUSE_ESCALATION, 7);
    assert_int_equal(SUP_CAUSE_IMPORT, 8);
    assert_int_equal(SUP_CAUSE_ADOPTED_FEEDBACK, 9);
    assert_int_equal(SUP_CAUSE_ADOPTED_MANUAL, 10);
}

static void expiry(void **state)
{
    struct sup_register r = {.present = true, .state = SUP_SUPPRESSED};

    (void)state;
    assert_true(sup_register_suppresses(&r, INT64_MAX)); /* 0 = never */
    r.expires_ms = 1000;
    assert_true(sup_register_suppresses(&r, 999));
    assert_false(sup_register_suppresses(&r, 1000));
    assert_false(sup_register_suppresses(&r, INT64_MAX));
    assert_true(sup_register_suppresses(&r, INT64_MIN));
    r.state = SUP_CLEARED;
    assert_false(sup_register_suppresses(&r, 0));
    r = (struct sup_register){.state = SUP_SUPPRESSED}; /* not present */
    assert_false(sup_register_suppresses(&r, 0));
}

/* Each register is absent, cleared, suppressed, or suppressed but expired: all 64 combinations. */
static void effective(void **state)
{
    (void)state;
    for (int combo = 0; combo < 64; combo++) {
        struct sup_registers rs;
        enum sup_class which = (enum sup_class)77;
        bool on[SUP_N_CLASSES];
        bool any = false;
        memset(&rs, 0, sizeof(rs));
        for (int i = 0; i < SUP_N_CLASSES; i++) {
            int kind = combo >> (2 * i) & 3;
            rs.r[i].present = kind != 0;
            rs.r[i].state = kind >= 2 ? SUP_SUPPRESSED : SUP_CLEARED;
            rs.r[i].expires_ms = kind == 3 ? 5 : 0;
            rs.r[i].time = (sup_hlc_time)(10 + i);
            on[i] = kind == 2;
            any = any || on[i];
        }
        enum sup_reason reason = sup_registers_effective(&rs, 5, &which);
        assert_int_equal(sup_registers_effective(&rs, 5, NULL), reason);
        if (on[SUP_CLASS_COMPLAINT - 1]) {
            assert_int_equal(reason, SUP_REASON_COMPLAINT);
            assert_int_equal(which, SUP_CLASS_COMPLAINT);
        } else if (any) {
            assert_int_equal(reason, SUP_REASON_BOUNCE);
            assert_int_equal(which, on[SUP_CLASS_BOUNCE - 1] ? SUP_CLASS_BOUNCE : SUP_CLASS_MANUAL);
        } else {
            enum sup_class newest = SUP_CLASS_BOUNCE;
            for (int i = 0; i < SUP_N_CLASSES; i++) {
                if (rs.r[i].present)
                    newest = (enum sup_class)(i + 1);
            }
            assert_int_equal(reason, SUP_REASON_NONE);
            assert_int_equal(which, newest);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
        cmocka_unit_test(numbers_are_for_ever),
        cmocka_unit_test(expiry),
        cmocka_unit_test(effective),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
