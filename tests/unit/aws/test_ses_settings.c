/* Account, configuration sets and tenants: what is asked, what is made of odd answers, what is
 * sent. */
#include "aws_script.h"

#include "aws/ses_settings.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BOTH ((unsigned)SUP_REASON_BOUNCE | (unsigned)SUP_REASON_COMPLAINT)

/* ---- the account ---- */

static void account_body(char *out, size_t n, const char *attributes)
{
    snprintf(out, n, "{\"SendingEnabled\":true,\"ProductionAccessEnabled\":true%s%s}",
             attributes[0] ? ",\"SuppressionAttributes\":" : "", attributes);
}

/* Reads the account with these attributes, completes them, and returns what was sent. */
static json_t *complete(struct aws_script *w, const char *attributes)
{
    struct sup_ses_attributes read;
    struct sup_ses_account account;
    char body[1024];

    account_body(body, sizeof body, attributes);
    SCRIPT(w, {.body = body}, {.body = "{}"});
    assert_int_equal(sup_ses_read_account(w->aws, &account, &read, NULL, &w->e, &w->err), SUP_OK);
    assert_int_equal(sup_ses_complete_attributes(w->aws, &read, NULL, &w->e, &w->err), SUP_OK);
    sup_ses_attributes_fini(&read);
    assert_string_equal(w->target[1], "PUT /v2/email/account/suppression");
    json_t *sent = json_loads(w->body[1], 0, NULL);
    assert_true(json_is_object(sent));
    return sent;
}

/* Whatever was read, both reasons are in what is sent, and nothing else changes. */
static void test_attributes_are_completed(void **state)
{
    struct aws_script *w = *state;
    static const struct {
        const char *read, *sent;
    } rows[] = {
        {"", "{\"SuppressedReasons\":[\"BOUNCE\",\"COMPLAINT\"]}"},
        {"null", "{\"SuppressedReasons\":[\"BOUNCE\",\"COMPLAINT\"]}"},
        {"{}", "{\"SuppressedReasons\":[\"BOUNCE\",\"COMPLAINT\"]}"},
        {"{\"SuppressedReasons\":null}", "{\"SuppressedReasons\":[\"BOUNCE\",\"COMPLAINT\"]}"},
        {"{\"SuppressedReasons\":[]}", "{\"SuppressedReasons\":[\"BOUNCE\",\"COMPLAINT\"]}"},
        {"{\"SuppressedReasons\":[\"COMPLAINT\"]}",
         "{\"SuppressedReasons\":[\"COMPLAINT\",\"BOUNCE\"]}"},
        {"{\"SuppressedReasons\":[\"BOUNCE\",\"COMPLAINT\"]}",
         "{\"SuppressedReasons\":[\"BOUNCE\",\"COMPLAINT\"]}"},
        {"{\"SuppressedReasons\":[\"NEWER\"],\"ValidationAttributes\":{\"ConditionThreshold\":"
         "{\"ConditionThresholdEnabled\":\"ENABLED\",\"OverallConfidenceThreshold\":"
         "{\"ConfidenceVerdictThreshold\":\"HIGH\"}}},\"Later\":[1,{\"x\":null}]}",
         "{\"SuppressedReasons\":[\"NEWER\",\"BOUNCE\",\"COMPLAINT\"],\"ValidationAttributes\":"
         "{\"ConditionThreshold\":{\"ConditionThresholdEnabled\":\"ENABLED\","
         "\"OverallConfidenceThreshold\":{\"ConfidenceVerdictThreshold\":\"HIGH\"}}},"
         "\"Later\":[1,{\"x\":null}]}"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        json_t *sent = complete(w, rows[i].read);
        json_t *expected = json_loads(rows[i].sent, 0, NULL);
        if (!json_equal(sent, expected))
            fail_msg("of %s came %s", rows[i].read, w->body[1]);
        json_decref(sent);
        json_decref(expected);
    }
}

static bool same_rest(struct aws_script *w, const char *a, const char *b)
{
    struct sup_ses_attributes x, y;
    struct sup_ses_account account;
    char one[1024], two[1024];

    account_body(one, sizeof one, a);
    account_body(two, sizeof two, b);
    SCRIPT(w, {.body = one}, {.body = two});
    assert_int_equal(sup_ses_read_account(w->aws, &account, &x, NULL, &w->e, &w->err), SUP_OK);
    assert_int_equal(sup_ses_read_account(w->aws, &account, &y, NULL, &w->e, &w->err), SUP_OK);
    bool same = sup_ses_attributes_same_rest(&x, &y);
    sup_ses_attributes_fini(&x);
    sup_ses_attributes_fini(&y);
    return same;
}

static void test_the_rest_is_compared(void **state)
{
    struct aws_script *w = *state;

    assert_true(same_rest(w, "", "{\"SuppressedReasons\":[\"BOUNCE\"]}"));
    assert_true(same_rest(w, "{\"V\":{\"a\":1,\"b\":2}}", "{\"V\":{\"b\":2,\"a\":1}}"));
    assert_false(same_rest(w, "{\"V\":{\"a\":1}}", "{\"V\":{\"a\":2}}"));
    assert_false(same_rest(w, "{\"V\":{\"a\":1}}", ""));
}

static void test_odd_accounts(void **state)
{
    struct aws_script *w = *state;
    static const char *const odd[] = {"[]", "{\"SuppressedReasons\":\"BOUNCE\"}",
                                      "{\"SuppressedReasons\":[1]}"};
    struct sup_ses_attributes read;
    struct sup_ses_account account;
    char body[1024];

    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        account_body(body, sizeof body, odd[i]);
        SCRIPT(w, {.body = body});
        assert_int_equal(sup_ses_read_account(w->aws, &account, &read, NULL, &w->e, &w->err),
                         SUP_ECORRUPT);
        assert_null(read.owner);
    }
    SCRIPT(w, {.body = "{\"SendingEnabled\":true}"});
    assert_int_equal(sup_ses_read_account(w->aws, &account, &read, NULL, &w->e, &w->err),
                     SUP_ECORRUPT);
}

/* ---- names ---- */

static void test_pages_of_sets(void **state)
{
    struct aws_script *w = *state;
    struct sup_ses_names page;

    SCRIPT(w, {.body = "{\"ConfigurationSets\":[\"a\",\"b\"],\"NextToken\":\"x+/=\"}"},
           {.body = "{\"ConfigurationSets\":[\"c\"],\"NextToken\":\"\"}"}, {.body = "{}"});
    assert_int_equal(sup_ses_sets_page(w->aws, NULL, &page, NULL, &w->e, &w->err), SUP_OK);
    assert_int_equal(page.n, 2);
    assert_string_equal(page.names[1], "b");
    assert_string_equal(page.next_token, "x+/=");
    sup_ses_names_fini(&page);
    assert_int_equal(sup_ses_sets_page(w->aws, "x+/=", &page, NULL, &w->e, &w->err), SUP_OK);
    assert_string_equal(w->target[1], "GET /v2/email/configuration-sets?NextToken=x%2B%2F%3D");
    assert_int_equal(page.n, 1);
    assert_null(page.next_token);
    sup_ses_names_fini(&page);
    assert_int_equal(sup_ses_sets_page(w->aws, NULL, &page, NULL, &w->e, &w->err), SUP_OK);
    assert_int_equal(page.n, 0);
    sup_ses_names_fini(&page);
}

/* Models since 2026 list by POST; whichever path is there, the list is found. */
static void test_sets_by_the_new_path(void **state)
{
    struct aws_script *w = *state;
    struct sup_ses_names page;

    SCRIPT(w, {.status = 404, .headers = "x-amzn-errortype: UnknownOperationException\r\n"},
           {.body = "{\"ConfigurationSets\":[\"a\"]}"});
    assert_int_equal(sup_ses_sets_page(w->aws, "t", &page, NULL, &w->e, &w->err), SUP_OK);
    assert_int_equal(page.n, 1);
    sup_ses_names_fini(&page);
    assert_string_equal(w->target[1], "POST /v2/email/list-configuration-sets");
    assert_string_equal(w->body[1], "{\"NextToken\":\"t\"}");
}

static void test_pages_of_tenants(void **state)
{
    struct aws_script *w = *state;
    struct sup_ses_names page;

    SCRIPT(w,
           {.body = "{\"Tenants\":[{\"TenantName\":\"t1\",\"TenantId\":\"x\"},"
                    "{\"TenantName\":\"t2\"}],\"NextToken\":\"n\"}"},
           {.body = "{\"Tenants\":[]}"});
    assert_int_equal(sup_ses_tenants_page(w->aws, NULL, &page, NULL, &w->e, &w->err), SUP_OK);
    assert_string_equal(w->target[0], "POST /v2/email/tenants/list");
    assert_string_equal(w->body[0], "{}");
    assert_int_equal(page.n, 2);
    assert_string_equal(page.names[0], "t1");
    sup_ses_names_fini(&page);
    assert_int_equal(sup_ses_tenants_page(w->aws, "n", &page, NULL, &w->e, &w->err), SUP_OK);
    assert_string_equal(w->body[1], "{\"NextToken\":\"n\"}");
    assert_int_equal(page.n, 0);
    sup_ses_names_fini(&page);
}

/* None of these is a list: to take one for an empty page would be to say that there is nothing. */
static void test_odd_pages(void **state)
{
    struct aws_script *w = *state;
    static const char *const odd[] = {"{\"ConfigurationSets\":{}}",
                                      "{\"ConfigurationSets\":[1]}",
                                      "{\"ConfigurationSets\":[\"\"]}",
                                      "{\"Tenants\":[{\"Name\":\"x\"}]}",
                                      "{\"Tenants\":[\"x\"]}",
                                      "{\"Tenants\":[],\"NextToken\":7}",
                                      "{\"ConfigurationSets\":[],\"NextToken\":7}",
                                      "{\"message\":\"welcome\"}",
                                      "[]",
                                      "not JSON"};
    struct sup_ses_names page;

    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        SCRIPT(w, {.body = odd[i]});
        int sets = sup_ses_sets_page(w->aws, NULL, &page, NULL, &w->e, &w->err);
        sup_ses_names_fini(&page);
        int tenants = sup_ses_tenants_page(w->aws, NULL, &page, NULL, &w->e, &w->err);
        sup_ses_names_fini(&page);
        if (sets != SUP_ECORRUPT || tenants != SUP_ECORRUPT)
            fail_msg("%s: sets %d, tenants %d", odd[i], sets, tenants);
    }
}

static void test_tenants_that_nobody_knows(void **state)
{
    struct aws_script *w = *state;
    struct sup_ses_names page;

    SCRIPT(w, {.status = 404, .headers = "x-amzn-errortype: UnknownOperationException\r\n"},
           {.status = 403, .headers = "x-amzn-errortype: AccessDeniedException\r\n"});
    assert_int_equal(sup_ses_tenants_page(w->aws, NULL, &page, NULL, &w->e, &w->err),
                     SUP_ENOTFOUND);
    assert_int_equal(sup_ses_tenants_page(w->aws, NULL, &page, NULL, &w->e, &w->err), SUP_EAUTH);
}

/* ---- one of them ---- */

struct said {
    const char *body; /* of the block; "" = none */
    int code;
    struct sup_suppression s;
};
static const struct said saids[] = {
    {"", SUP_OK, {0}},
    {"null", SUP_OK, {0}},
    {"{}", SUP_OK, {.given = true}},
    {"{\"SuppressedReasons\":[]}", SUP_OK, {.given = true, .has_reasons = true}},
    {"{\"SuppressedReasons\":null,\"SuppressionScope\":null}", SUP_OK, {.given = true}},
    {"{\"SuppressedReasons\":[\"COMPLAINT\",\"BOUNCE\",\"NEWER\"]}",
     SUP_OK,
     {.given = true, .has_reasons = true, .reasons = BOTH}},
    {"{\"SuppressedReasons\":[\"BOUNCE\"],\"SuppressionScope\":\"TENANT\"}",
     SUP_OK,
     {.given = true, .has_reasons = true, .reasons = SUP_REASON_BOUNCE, .scope = SUP_SCOPE_TENANT}},
    {"{\"SuppressionScope\":\"ACCOUNT\"}", SUP_OK, {.given = true, .scope = SUP_SCOPE_ACCOUNT}},
    {"{\"SuppressionScope\":\"REGION\"}", SUP_OK, {.given = true, .scope = SUP_SCOPE_OTHER}},
    {"{\"SuppressionScope\":1}", SUP_ECORRUPT, {0}},
    {"{\"SuppressedReasons\":{}}", SUP_ECORRUPT, {0}},
    {"{\"SuppressedReasons\":[null]}", SUP_ECORRUPT, {0}},
    {"[]", SUP_ECORRUPT, {0}},
};

static void check_said(const char *what, const struct said *expected, int code,
                       const struct sup_suppression *s)
{
    if (code != expected->code ||
        (code == SUP_OK &&
         (s->given != expected->s.given || s->has_reasons != expected->s.has_reasons ||
          s->reasons != expected->s.reasons || s->scope != expected->s.scope)))
        fail_msg("%s %s: code %d, given %d, reasons %d %u, scope %d", what, expected->body, code,
                 s->given, s->has_reasons, s->reasons, (int)s->scope);
}

static void test_what_a_set_says(void **state)
{
    struct aws_script *w = *state;
    struct sup_suppression s;
    char body[512];

    for (size_t i = 0; i < sizeof saids / sizeof saids[0]; i++) {
        snprintf(body, sizeof body, "{\"ConfigurationSetName\":\"s\"%s%s}",
                 saids[i].body[0] ? ",\"SuppressionOptions\":" : "", saids[i].body);
        SCRIPT(w, {.body = body});
        int code = sup_ses_get_set(w->aws, "a b/c", &s, NULL, &w->e, &w->err);
        check_said("set", &saids[i], code, &s);
        assert_string_equal(w->target[0], "GET /v2/email/configuration-sets/a%20b%2Fc");
    }
    SCRIPT(w, {.body = "{}"}, {.status = 404});
    assert_int_equal(sup_ses_get_set(w->aws, "s", &s, NULL, &w->e, &w->err), SUP_ECORRUPT);
    assert_int_equal(sup_ses_get_set(w->aws, "s", &s, NULL, &w->e, &w->err), SUP_ENOTFOUND);
}

static void test_what_a_tenant_says(void **state)
{
    struct aws_script *w = *state;
    struct sup_suppression s;
    bool sending;
    char body[512];

    for (size_t i = 0; i < sizeof saids / sizeof saids[0]; i++) {
        snprintf(body, sizeof body, "{\"Tenant\":{\"TenantName\":\"t\"%s%s}}",
                 saids[i].body[0] ? ",\"SuppressionAttributes\":" : "", saids[i].body);
        SCRIPT(w, {.body = body});
        int code = sup_ses_get_tenant(w->aws, "t\"1", &s, &sending, NULL, &w->e, &w->err);
        check_said("tenant", &saids[i], code, &s);
        assert_string_equal(w->target[0], "POST /v2/email/tenants/get");
        assert_string_equal(w->body[0], "{\"TenantName\":\"t\\\"1\"}");
        assert_true(sending);
    }
    SCRIPT(w, {.body = "{\"Tenant\":{\"SendingStatus\":\"DISABLED\"}}"}, {.body = "{}"});
    assert_int_equal(sup_ses_get_tenant(w->aws, "t", &s, &sending, NULL, &w->e, &w->err), SUP_OK);
    assert_false(sending);
    assert_int_equal(sup_ses_get_tenant(w->aws, "t", &s, &sending, NULL, &w->e, &w->err),
                     SUP_ECORRUPT);
}

#define WITH_SCRIPT(t) cmocka_unit_test_setup_teardown(t, aws_script_setup, aws_script_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SCRIPT(test_attributes_are_completed),
        WITH_SCRIPT(test_the_rest_is_compared),
        WITH_SCRIPT(test_odd_accounts),
        WITH_SCRIPT(test_pages_of_sets),
        WITH_SCRIPT(test_sets_by_the_new_path),
        WITH_SCRIPT(test_pages_of_tenants),
        WITH_SCRIPT(test_odd_pages),
        WITH_SCRIPT(test_tenants_that_nobody_knows),
        WITH_SCRIPT(test_what_a_set_says),
        WITH_SCRIPT(test_what_a_tenant_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
