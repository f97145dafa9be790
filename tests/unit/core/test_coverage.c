/* What counts for a mail: configuration set before tenant before account. */
#include "core/coverage.h"

#include "base/array.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define B    ((unsigned)SUP_REASON_BOUNCE)
#define C    ((unsigned)SUP_REASON_COMPLAINT)
#define BOTH (B | C)

#define ABSENT                                                                                     \
    {                                                                                              \
        0                                                                                          \
    }
#define SAYS(r, s)                                                                                 \
    {                                                                                              \
        .given = true, .has_reasons = true, .reasons = (r), .scope = SUP_SCOPE_##s                 \
    }
#define NO_REASONS(s)                                                                              \
    {                                                                                              \
        .given = true, .scope = SUP_SCOPE_##s                                                      \
    }

struct row {
    const char *what;
    struct sup_suppression account;
    struct sup_suppression tenant;
    struct sup_suppression set;
    unsigned protects; /* reasons whose entries surely suppress */
    unsigned gaps;
};

static const struct row rows[] = {
    {"the account alone", SAYS(BOTH, NONE), ABSENT, ABSENT, BOTH, 0},
    {"the account, one reason", SAYS(B, NONE), ABSENT, ABSENT, B, SUP_GAP_COMPLAINT},
    {"the account, the other", SAYS(C, NONE), ABSENT, ABSENT, C, SUP_GAP_BOUNCE},
    {"the account, none", SAYS(0, NONE), ABSENT, ABSENT, 0, SUP_GAP_BOUNCE | SUP_GAP_COMPLAINT},
    {"the account says nothing", ABSENT, ABSENT, ABSENT, 0, SUP_GAP_BOUNCE | SUP_GAP_COMPLAINT},
    {"the account, settings without reasons", NO_REASONS(NONE), ABSENT, ABSENT, 0,
     SUP_GAP_BOUNCE | SUP_GAP_COMPLAINT},

    {"a set overrides with all", SAYS(0, NONE), ABSENT, SAYS(BOTH, NONE), BOTH, 0},
    {"a set overrides with one", SAYS(BOTH, NONE), ABSENT, SAYS(C, NONE), C, SUP_GAP_BOUNCE},
    {"a set overrides with none", SAYS(BOTH, NONE), ABSENT, SAYS(0, NONE), 0,
     SUP_GAP_BOUNCE | SUP_GAP_COMPLAINT},
    {"a set with an empty block", SAYS(BOTH, NONE), ABSENT, NO_REASONS(NONE), 0, SUP_GAP_REASONS},
    {"a set with a scope alone", SAYS(BOTH, NONE), ABSENT, NO_REASONS(ACCOUNT), 0, SUP_GAP_REASONS},
    {"a set of scope ACCOUNT", SAYS(B, NONE), ABSENT, SAYS(BOTH, ACCOUNT), BOTH, 0},
    {"a set of scope TENANT, no tenant", SAYS(BOTH, NONE), ABSENT, SAYS(BOTH, TENANT), 0,
     SUP_GAP_TENANTS_LIST},
    {"a set of some new scope", SAYS(BOTH, NONE), ABSENT, SAYS(BOTH, OTHER), 0,
     SUP_GAP_UNKNOWN_SCOPE},

    {"a tenant that says nothing", SAYS(B, NONE), NO_REASONS(NONE), ABSENT, B, SUP_GAP_COMPLAINT},
    {"a tenant of scope ACCOUNT", SAYS(0, NONE), SAYS(BOTH, ACCOUNT), ABSENT, BOTH, 0},
    {"a tenant of scope ACCOUNT, no reasons", SAYS(BOTH, NONE), SAYS(0, ACCOUNT), ABSENT, 0,
     SUP_GAP_BOUNCE | SUP_GAP_COMPLAINT},
    {"a tenant of scope TENANT", SAYS(BOTH, NONE), SAYS(BOTH, TENANT), ABSENT, 0,
     SUP_GAP_TENANTS_LIST},
    {"a tenant with a scope alone", SAYS(BOTH, NONE), NO_REASONS(TENANT), ABSENT, 0,
     SUP_GAP_REASONS | SUP_GAP_TENANTS_LIST},

    {"set before tenant: scope", SAYS(BOTH, NONE), SAYS(BOTH, TENANT), SAYS(BOTH, ACCOUNT), BOTH,
     0},
    {"set before tenant: scope, the other way", SAYS(BOTH, NONE), SAYS(BOTH, ACCOUNT),
     SAYS(BOTH, TENANT), 0, SUP_GAP_TENANTS_LIST},
    {"set before tenant: reasons", SAYS(0, NONE), SAYS(0, ACCOUNT), SAYS(BOTH, NONE), BOTH, 0},
    {"set without a scope leaves the tenant's", SAYS(BOTH, NONE), SAYS(BOTH, TENANT),
     SAYS(BOTH, NONE), 0, SUP_GAP_TENANTS_LIST},
    {"tenant before account", SAYS(BOTH, NONE), SAYS(C, ACCOUNT), ABSENT, C, SUP_GAP_BOUNCE},
};

static void test_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < SUP_COUNT(rows); i++) {
        const struct row *r = &rows[i];
        struct sup_effective e;
        sup_coverage_effective(&r->account, r->tenant.given ? &r->tenant : NULL,
                               r->set.given ? &r->set : NULL, &e);
        if (sup_coverage_protects(&e) != r->protects || sup_coverage_gaps(&e) != r->gaps)
            fail_msg("%s: protects %u gaps %u, not %u and %u", r->what, sup_coverage_protects(&e),
                     sup_coverage_gaps(&e), r->protects, r->gaps);
    }
}

static void test_who_said_so(void **state)
{
    struct sup_suppression account = SAYS(BOTH, NONE), tenant = SAYS(B, TENANT),
                           set = SAYS(C, NONE);
    struct sup_effective e;
    (void)state;

    sup_coverage_effective(&account, NULL, NULL, &e);
    assert_int_equal(e.reasons_from, SUP_LEVEL_ACCOUNT);
    assert_int_equal(e.scope, SUP_SCOPE_ACCOUNT);
    sup_coverage_effective(&account, &tenant, &set, &e);
    assert_int_equal(e.reasons_from, SUP_LEVEL_SET);
    assert_int_equal(e.scope_from, SUP_LEVEL_TENANT);
    assert_int_equal(sup_coverage_own_gaps(&e, SUP_LEVEL_SET), SUP_GAP_BOUNCE);
    assert_int_equal(sup_coverage_own_gaps(&e, SUP_LEVEL_TENANT), SUP_GAP_TENANTS_LIST);
    assert_int_equal(sup_coverage_own_gaps(&e, SUP_LEVEL_ACCOUNT), 0);
}

/* Every setting that there can be of one level. */
static size_t all_settings(struct sup_suppression *out)
{
    size_t n = 0;

    out[n++] = (struct sup_suppression){0};
    for (int scope = SUP_SCOPE_NONE; scope <= SUP_SCOPE_OTHER; scope++) {
        out[n++] = (struct sup_suppression){.given = true, .scope = (enum sup_scope)scope};
        for (unsigned reasons = 0; reasons <= BOTH; reasons++)
            out[n++] = (struct sup_suppression){.given = true,
                                                .has_reasons = true,
                                                .reasons = reasons,
                                                .scope = (enum sup_scope)scope};
    }
    return n;
}

/* Exhaustive: a mail that is not covered has an account, a tenant or a set that shows it by itself;
 * and what shows by itself is not covered. */
static void test_looking_at_each_is_enough(void **state)
{
    struct sup_suppression all[32];
    size_t n = all_settings(all), open = 0;
    (void)state;

    for (size_t a = 0; a < n; a++) {
        for (size_t t = 0; t < n; t++) {
            for (size_t s = 0; s < n; s++) {
                struct sup_effective whole, account, tenant, set;
                sup_coverage_effective(&all[a], &all[t], &all[s], &whole);
                sup_coverage_effective(&all[a], NULL, NULL, &account);
                sup_coverage_effective(&all[a], &all[t], NULL, &tenant);
                sup_coverage_effective(&all[a], NULL, &all[s], &set);
                bool gap = sup_coverage_protects(&whole) != BOTH;
                assert_int_equal(gap, sup_coverage_gaps(&whole) != 0);
                open += gap;
                if (gap)
                    assert_true((sup_coverage_own_gaps(&account, SUP_LEVEL_ACCOUNT) |
                                 sup_coverage_own_gaps(&tenant, SUP_LEVEL_TENANT) |
                                 sup_coverage_own_gaps(&set, SUP_LEVEL_SET)) != 0);
                assert_int_equal(sup_coverage_gaps(&whole),
                                 sup_coverage_own_gaps(&whole, SUP_LEVEL_ACCOUNT) |
                                     sup_coverage_own_gaps(&whole, SUP_LEVEL_TENANT) |
                                     sup_coverage_own_gaps(&whole, SUP_LEVEL_SET));
            }
        }
    }
    assert_true(open > 0 && open < n * n * n);
}

static size_t explain(enum sup_level level, unsigned gaps, char (*out)[SUP_COVERAGE_TEXT_MAX + 1])
{
    return sup_coverage_explain(level, "shop", gaps, out, SUP_COVERAGE_TEXTS);
}

static void test_texts(void **state)
{
    char out[SUP_COVERAGE_TEXTS][SUP_COVERAGE_TEXT_MAX + 1];
    (void)state;

    assert_int_equal(explain(SUP_LEVEL_SET, 0, out), 0);
    assert_int_equal(explain(SUP_LEVEL_ACCOUNT, SUP_GAP_COMPLAINT, out), 1);
    assert_non_null(strstr(out[0], "account: entries of reason COMPLAINT do not suppress"));
    assert_non_null(strstr(out[0], "manage_account_attributes"));
    assert_int_equal(explain(SUP_LEVEL_SET, SUP_GAP_BOUNCE | SUP_GAP_COMPLAINT, out), 1);
    assert_non_null(strstr(out[0], "configuration set shop: suppresses nothing at all"));
    assert_int_equal(explain(SUP_LEVEL_TENANT, SUP_GAP_BOUNCE | SUP_GAP_TENANTS_LIST, out), 2);
    assert_non_null(strstr(out[0], "tenant shop: entries of reason BOUNCE"));
    assert_non_null(strstr(out[1], "tenant shop: has a list of its own"));
    assert_int_equal(explain(SUP_LEVEL_SET, SUP_GAP_REASONS | SUP_GAP_UNKNOWN_SCOPE, out), 2);
    assert_non_null(strstr(out[0], "not documented"));
    assert_non_null(strstr(out[1], "not known to this version"));
    assert_int_equal(sup_coverage_explain(SUP_LEVEL_SET, "x", SUP_GAP_REASONS, out, 0), 0);
}

/* Whatever the name, no text is cut before what to do. */
static void test_texts_fit(void **state)
{
    char out[SUP_COVERAGE_TEXTS][SUP_COVERAGE_TEXT_MAX + 1];
    char name[200];
    (void)state;

    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    for (int level = SUP_LEVEL_ACCOUNT; level <= SUP_LEVEL_SET; level++) {
        for (unsigned gaps = 0; gaps < 32; gaps++) {
            size_t n =
                sup_coverage_explain((enum sup_level)level, name, gaps, out, SUP_COVERAGE_TEXTS);
            assert_true(n <= SUP_COVERAGE_TEXTS);
            for (size_t i = 0; i < n; i++)
                assert_true(strlen(out[i]) < SUP_COVERAGE_TEXT_MAX);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_who_said_so),
        cmocka_unit_test(test_looking_at_each_is_enough),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_texts_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
