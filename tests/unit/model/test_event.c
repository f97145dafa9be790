#include "model/event.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void test_type_names_differ(void **state)
{
    (void)state;
    for (int a = SUP_EVENT_UNKNOWN; a <= SUP_EVENT_SUBSCRIPTION; a++) {
        const char *name = sup_event_type_name((enum sup_event_type)a);
        assert_true(strlen(name) > 0);
        for (int b = SUP_EVENT_UNKNOWN; b < a; b++)
            assert_string_not_equal(name, sup_event_type_name((enum sup_event_type)b));
    }
}

/* They stand in metrics and in stored dedup keys. */
static void test_type_names_are_those_of_ses(void **state)
{
    (void)state;
    assert_string_equal(sup_event_type_name(SUP_EVENT_BOUNCE), "Bounce");
    assert_string_equal(sup_event_type_name(SUP_EVENT_COMPLAINT), "Complaint");
    assert_string_equal(sup_event_type_name(SUP_EVENT_RENDERING_FAILURE), "Rendering Failure");
    assert_string_equal(sup_event_type_name(SUP_EVENT_DELIVERY_DELAY), "DeliveryDelay");
    assert_string_equal(sup_event_type_name((enum sup_event_type)999), "Unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_type_names_differ),
        cmocka_unit_test(test_type_names_are_those_of_ses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
