#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/metrics.h"
#include "base/thread.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* The registry is one per process, so that each test uses names of its own. */

static int occurrences(const char *text, const char *what)
{
    int n = 0;
    for (const char *p = strstr(text, what); p != NULL; p = strstr(p + 1, what))
        n++;
    return n;
}

static void same_pair_same_object(void **state)
{
    (void)state;
    struct sup_metric *a = sup_metric("same_total", "x=\"1\"", SUP_COUNTER, "h");
    assert_ptr_equal(a, sup_metric("same_total", "x=\"1\"", SUP_COUNTER, "h"));
    assert_ptr_not_equal(a, sup_metric("same_total", "x=\"2\"", SUP_COUNTER, "h"));
    assert_ptr_not_equal(a, sup_metric("same_total", NULL, SUP_COUNTER, "h"));
    assert_ptr_equal(sup_metric("same_total", NULL, SUP_COUNTER, "h"),
                     sup_metric("same_total", "", SUP_COUNTER, "h"));
    /* Name and labels do not run into each other. */
    assert_ptr_not_equal(sup_metric("same_a", "b", SUP_GAUGE, "h"),
                         sup_metric("same_ab", "", SUP_GAUGE, "h"));
}

static void add_and_set(void **state)
{
    (void)state;
    struct sup_metric *c = sup_metric("adds_total", NULL, SUP_COUNTER, "h");
    assert_int_equal(sup_metric_get(c), 0);
    sup_metric_add(c, 1);
    sup_metric_add(c, 41);
    assert_int_equal(sup_metric_get(c), 42);
    struct sup_metric *g = sup_metric("sets", NULL, SUP_GAUGE, "h");
    sup_metric_set(g, -7);
    assert_int_equal(sup_metric_get(g), -7);
}

static void text_format_groups_by_name(void **state)
{
    (void)state;
    sup_metric_add(
        sup_metric("fmt_events_total", "type=\"Bounce\"", SUP_COUNTER, "Events, by type"), 3);
    sup_metric_set(sup_metric("fmt_depth", NULL, SUP_GAUGE, "a \\ back\nslash \"q\""), -2);
    sup_metric_add(
        sup_metric("fmt_events_total", "type=\"Complaint\"", SUP_COUNTER, "another help, unused"),
        4);
    struct sup_buf out;
    sup_buf_init(&out, 1 << 20);
    sup_metrics_write(&out);
    const char *text = sup_buf_str(&out);
    assert_non_null(strstr(text, "# HELP fmt_events_total Events, by type\n"
                                 "# TYPE fmt_events_total counter\n"
                                 "fmt_events_total{type=\"Bounce\"} 3\n"
                                 "fmt_events_total{type=\"Complaint\"} 4\n"));
    assert_non_null(strstr(text, "# HELP fmt_depth a \\\\ back\\nslash \"q\"\n"
                                 "# TYPE fmt_depth gauge\n"
                                 "fmt_depth -2\n"));
    assert_int_equal(occurrences(text, "# HELP fmt_events_total "), 1);
    assert_int_equal(occurrences(text, "# TYPE fmt_events_total "), 1);
    assert_int_equal(text[out.n - 1], '\n');
    sup_buf_fini(&out);
}

static void labels_are_escaped(void **state)
{
    (void)state;
    struct sup_buf labels;
    sup_buf_init(&labels, 1000);
    sup_metric_label(&labels, "peer", "a\"b\\c\nd");
    sup_buf_add_str(&labels, ",");
    sup_metric_label(&labels, "none", NULL);
    assert_string_equal(sup_buf_str(&labels), "peer=\"a\\\"b\\\\c\\nd\",none=\"\"");
    sup_metric_add(sup_metric("escaped_total", sup_buf_str(&labels), SUP_COUNTER, "h"), 1);
    struct sup_buf out;
    sup_buf_init(&out, 1 << 20);
    sup_metrics_write(&out);
    assert_non_null(
        strstr(sup_buf_str(&out), "\nescaped_total{peer=\"a\\\"b\\\\c\\nd\",none=\"\"} 1\n"));
    sup_buf_fini(&out);
    sup_buf_fini(&labels);
}

static void writing_past_a_maximum_fails_whole(void **state)
{
    (void)state;
    struct sup_buf out;
    sup_buf_init(&out, 30);
    sup_metrics_write(&out);
    assert_int_equal(out.failed, SUP_ELIMIT);
    assert_string_equal(sup_buf_str(&out), "");
    sup_buf_fini(&out);
}

#define ADDS 50000

static void *adder(void *arg)
{
    (void)arg;
    for (int i = 0; i < ADDS; i++) {
        /* Looked up anew now and then, as a caller without a place for the pointer does. */
        static _Thread_local struct sup_metric *m;
        if (i % 1000 == 0)
            m = sup_metric("race_total", "k=\"v\"", SUP_COUNTER, "h");
        sup_metric_add(m, 1);
    }
    return NULL;
}

static void updates_from_many_threads_add_up(void **state)
{
    (void)state;
    pthread_t threads[6];
    for (int i = 0; i < 6; i++)
        assert_int_equal(sup_thread_start(&threads[i], "adder", adder, NULL), SUP_OK);
    struct sup_buf out;
    sup_buf_init(&out, 1 << 20);
    for (int i = 0; i < 50; i++) { /* scrapes meanwhile */
        sup_buf_reset(&out);
        sup_metrics_write(&out);
        assert_int_equal(out.failed, SUP_OK);
    }
    sup_buf_fini(&out);
    for (int i = 0; i < 6; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(sup_metric_get(sup_metric("race_total", "k=\"v\"", SUP_COUNTER, "h")),
                     6 * ADDS);
}

/* Last, since it fills the registry. */
static void full_registry_still_answers(void **state)
{
    (void)state;
    struct sup_metric *overflow = NULL;
    int own = 0;
    for (int i = 0; i < 5000; i++) {
        char labels[40];
        (void)snprintf(labels, sizeof(labels), "i=\"%d\"", i);
        struct sup_metric *m = sup_metric("many_total", labels, SUP_COUNTER, "h");
        assert_non_null(m);
        sup_metric_add(m, 1);
        if (sup_metric_get(m) == 1 && overflow == NULL)
            own++;
        if (i == 4998)
            overflow = m;
        if (i == 4999)
            assert_ptr_equal(m, overflow);
    }
    assert_true(own > 4000 && own <= 4097);
    assert_int_equal(sup_metric_get(sup_metric("adds_total", NULL, SUP_COUNTER, "h")), 42);
    struct sup_buf out;
    sup_buf_init(&out, 1 << 20);
    sup_metrics_write(&out);
    const char *text = sup_buf_str(&out);
    assert_int_equal(occurrences(text, "# TYPE many_total counter\n"), 1);
    assert_non_null(strstr(text, "\nsupsync_metrics_refused_total "));
    assert_null(strstr(text, "\nsupsync_metrics_refused_total 0\n"));
    sup_buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_pair_same_object),
        cmocka_unit_test(add_and_set),
        cmocka_unit_test(text_format_groups_by_name),
        cmocka_unit_test(labels_are_escaped),
        cmocka_unit_test(writing_past_a_maximum_fails_whole),
        cmocka_unit_test(updates_from_many_threads_add_up),
        cmocka_unit_test(full_registry_still_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
