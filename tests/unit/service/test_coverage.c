/* Audits of coverage against an SES that answers, lags, refuses, and whose settings others change,
 * too. */
#include "aws_script.h"

#include "service/coverage_internal.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* --- an SES --- */

struct fake_ses {
    unsigned reasons;
    const char *validation; /* JSON of ValidationAttributes; NULL = none */
    bool sandbox, paused;
    const char *enforcement;
    int hidden;           /* reads after a write that still show the state before */
    bool thief;           /* somebody takes COMPLAINT out after each write */
    const char *moved_to; /* somebody sets ValidationAttributes to this after a write */
    int put_status;       /* 0 = fine */
    int list_tenants_status;
    int get_set_status;
    int throttles; /* of the next calls */
    bool same_token;
    const char *sets, *tenants; /* JSON lists: of names, of objects */
    const char *set_options;    /* JSON: of every set; NULL = none */
    const char *tenant_attributes;

    unsigned shown; /* what hidden reads show */
    const char *shown_validation;
    int puts, gets;
    char put_body[1024]; /* the last one */
    int sets_got, tenants_got;
};

struct fixture {

    struct http_peer *peer;
    struct fake_ses ses;
    struct sup_aws *aws;
    struct sup_options config;
    struct sup_coverage_options opts;
    struct sup_stop stop;
    struct sup_rate rates[SUP_N_ASKS];
};

static const char *reasons_json(unsigned reasons)
{
    static const char *const lists[] = {"[]", "[\"BOUNCE\"]", "[\"COMPLAINT\"]",
                                        "[\"BOUNCE\",\"COMPLAINT\"]"};
    return lists[reasons & 3];
}

static void answer_account(struct fake_ses *s, struct peer_reply *reply)
{
    char body[1024];
    bool old = s->hidden > 0 && s->puts > 0;
    const char *validation = old ? s->shown_validation : s->validation;

    s->gets++;
    if (old)
        s->hidden--;
    snprintf(body, sizeof body,
             "{\"SendingEnabled\":%s,\"ProductionAccessEnabled\":%s,\"EnforcementStatus\":\"%s\","
             "\"SuppressionAttributes\":{\"SuppressedReasons\":%s%s%s}}",
             s->paused ? "false" : "true", s->sandbox ? "false" : "true",
             s->enforcement ? s->enforcement : "HEALTHY", reasons_json(old ? s->shown : s->reasons),
             validation ? ",\"ValidationAttributes\":" : "", validation ? validation : "");
    peer_body(reply, body);
}

static unsigned reasons_of(const json_t *list)
{
    unsigned reasons = 0;

    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *name = json_string_value(json_array_get(list, i));
        reasons |= strcmp(name, "BOUNCE") == 0 ? 1U : strcmp(name, "COMPLAINT") == 0 ? 2U : 0U;
    }
    return reasons;
}

/* As the live service: what is left out is cleared. */
static void take_put(struct fake_ses *s, const struct peer_request *req)
{
    json_t *body = json_loadb(req->body, req->body_n, 0, NULL);

    s->puts++;
    snprintf(s->put_body, sizeof s->put_body, "%.*s", (int)req->body_n, req->body);
    s->shown = s->reasons;
    s->shown_validation = s->validation;
    s->reasons = reasons_of(json_object_get(body, "SuppressedReasons"));
    if (json_object_get(body, "ValidationAttributes") == NULL)
        s->validation = NULL;
    if (s->thief)
        s->reasons &= 1U;
    if (s->moved_to)
        s->validation = s->moved_to;
    json_decref(body);
}

static void answer_list(struct peer_reply *reply, const char *key, const char *list, bool same)
{
    char body[65536];

    snprintf(body, sizeof body, "{\"%s\":%s%s}", key, list ? list : "[]",
             same ? ",\"NextToken\":\"t\"" : "");
    peer_body(reply, body);
}

static void answer_one(struct peer_reply *reply, const char *head, const char *key,
                       const char *block, const char *tail)
{
    char body[1024];

    snprintf(body, sizeof body, "%s%s%s%s%s%s", head, block ? ",\"" : "", block ? key : "",
             block ? "\":" : "", block ? block : "", tail);
    peer_body(reply, body);
}

static void handle(void *arg, const struct peer_request *req, struct peer_reply *reply)
{
    struct fake_ses *s = arg;

    if (s->throttles > 0) {
        s->throttles--;
        reply->status = 429;
        reply->headers = "x-amzn-errortype: TooManyRequestsException\r\n";
        return;
    }
    if (strcmp(req->target, "/v2/email/account") == 0) {
        answer_account(s, reply);
    } else if (strcmp(req->target, "/v2/email/account/suppression") == 0) {
        reply->status = s->put_status;
        if (s->put_status == 0)
            take_put(s, req);
    } else if (strncmp(req->target, "/v2/email/configuration-sets/", 29) == 0) {
        s->sets_got++;
        reply->status = s->get_set_status;
        answer_one(reply, "{\"ConfigurationSetName\":\"x\"", "SuppressionOptions", s->set_options,
                   "}");
    } else if (strncmp(req->target, "/v2/email/configuration-sets", 28) == 0) {
        answer_list(reply, "ConfigurationSets", s->sets, s->same_token);
    } else if (strcmp(req->target, "/v2/email/tenants/list") == 0) {
        reply->status = s->list_tenants_status;
        answer_list(reply, "Tenants", s->tenants, false);
    } else if (strcmp(req->target, "/v2/email/tenants/get") == 0) {
        s->tenants_got++;
        answer_one(reply, "{\"Tenant\":{\"TenantName\":\"x\"", "SuppressionAttributes",
                   s->tenant_attributes, "}}");
    } else {
        reply->status = 404;
    }
}

/* --- the fixture --- */

static int64_t now(void *arg)
{
    (void)arg;
    return AWS_SCRIPT_NOW_MS;
}

static int setup(void **state)
{
    static const struct sup_aws_env env = {.getenv = aws_script_env, .wall_ms = now};
    struct fixture *f = calloc(1, sizeof *f);
    struct sup_err err;

    f->ses.reasons = 3;
    f->peer = peer_start(handle, &f->ses);
    struct sup_aws_options o = {
        .region = "eu-west-1", .endpoint_url = peer_url(f->peer), .max_attempts = 1, .env = &env};
    if (sup_aws_new(&f->aws, &o, &err) != SUP_OK)
        fail_msg("%s", err.msg);
    f->config.ses.mode = SUP_MODE_ENFORCE;
    f->config.ses.manage_account_attributes = true;
    f->opts = (struct sup_coverage_options){.config = &f->config, .aws = f->aws};
    sup_stop_init(&f->stop);
    for (int i = 0; i < SUP_N_ASKS; i++)
        sup_rate_init(&f->rates[i], 1000, 1000, 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    sup_aws_free(f->aws);
    peer_stop(f->peer);
    sup_stop_fini(&f->stop);
    free(f);
    return 0;
}

/* The result is the caller's. */
static struct sup_coverage *audit(struct fixture *f, bool write)
{
    struct sup_audit a = {.opts = &f->opts,
                          .stop = &f->stop,
                          .rates = f->rates,
                          .how = write ? SUP_AUDIT_WRITES : 0,
                          .out = sup_coverage_new()};
    struct sup_err err = {0};
    int rc = sup_audit_run(&a, &err);

    if (rc != SUP_OK)
        fail_msg("audit: %s", err.msg);
    return a.out;
}

/* --- the account's attributes --- */

#define VALIDATION                                                                                 \
    "{\"ConditionThreshold\":{\"ConditionThresholdEnabled\":\"ENABLED\","                          \
    "\"OverallConfidenceThreshold\":{\"ConfidenceVerdictThreshold\":\"HIGH\"}}}"

static void test_what_is_missing_is_switched_on(void **state)
{
    struct fixture *f = *state;

    for (unsigned before = 0; before < 3; before++) {
        f->ses.reasons = before;
        f->ses.validation = VALIDATION;
        f->ses.puts = 0;
        struct sup_coverage *c = audit(f, true);
        assert_int_equal(f->ses.puts, 1);
        assert_int_equal(f->ses.reasons, 3);
        assert_non_null(f->ses.validation);
        assert_non_null(strstr(f->ses.put_body, "\"ValidationAttributes\":" VALIDATION));
        assert_int_equal(c->brief.managed, SUP_MANAGED_DONE);
        assert_int_equal(c->brief.state, SUP_COVERAGE_COVERED);
        assert_int_equal(c->brief.reasons, 3);
        assert_int_equal(c->n_changes, 1);
        assert_int_equal(c->changes[0].before, before);
        assert_int_equal(c->changes[0].after, 3);
        assert_null(strstr(c->brief.managed_text, "somebody"));
        sup_coverage_drop(c);
    }
}

static void test_nothing_is_written_without_need(void **state)
{
    struct fixture *f = *state;
    struct sup_coverage *c = audit(f, true);

    assert_int_equal(c->brief.managed, SUP_MANAGED_COMPLETE);
    assert_int_equal(f->ses.puts, 0);
    assert_int_equal(f->ses.gets, 1);
    sup_coverage_drop(c);
    f->config.ses.manage_account_attributes = false;
    f->ses.reasons = 1;
    c = audit(f, true);
    assert_int_equal(c->brief.managed, SUP_MANAGED_OFF);
    assert_int_equal(c->brief.state, SUP_COVERAGE_GAPS);
    assert_int_equal(f->ses.puts, 0);
    sup_coverage_drop(c);
}

/* A dry run, an audit that somebody asked for, and mode observe say what would be done. */
static void test_what_would_be_done(void **state)
{
    struct fixture *f = *state;

    f->ses.reasons = 2;
    for (int observe = 0; observe < 2; observe++) {
        f->config.ses.mode = observe ? SUP_MODE_OBSERVE : SUP_MODE_ENFORCE;
        struct sup_coverage *c = audit(f, observe);
        assert_int_equal(c->brief.managed, SUP_MANAGED_PLANNED);
        assert_non_null(strstr(c->brief.managed_text, "is COMPLAINT, would become BOUNCE and"));
        assert_int_equal(c->brief.state, SUP_COVERAGE_GAPS);
        assert_int_equal(c->n_changes, 0);
        sup_coverage_drop(c);
    }
    assert_int_equal(f->ses.puts, 0);
}

static void test_a_write_that_shows_late(void **state)
{
    struct fixture *f = *state;

    f->ses.reasons = 0;
    f->ses.hidden = 2;
    struct sup_coverage *c = audit(f, true);
    assert_int_equal(f->ses.puts, 1);
    assert_int_equal(f->ses.gets, 4);
    assert_int_equal(c->brief.managed, SUP_MANAGED_DONE);
    assert_int_equal(c->brief.state, SUP_COVERAGE_COVERED);
    sup_coverage_drop(c);
}

/* Who takes it out again each time is not fought with for ever, and the gap is told. */
static void test_somebody_takes_it_out_again(void **state)
{
    struct fixture *f = *state;

    f->ses.reasons = 1;
    f->ses.thief = true;
    struct sup_coverage *c = audit(f, true);
    assert_int_equal(f->ses.puts, 3);
    assert_int_equal(c->brief.managed, SUP_MANAGED_FAILED);
    assert_non_null(strstr(c->brief.managed_text, "still BOUNCE: somebody else sets it"));
    assert_int_equal(c->brief.state, SUP_COVERAGE_GAPS);
    assert_int_equal(c->brief.reasons, 1);
    assert_int_equal(c->n_changes, 1); /* that it was written stays known */
    assert_int_equal(c->changes[0].after, 1);
    sup_coverage_drop(c);
}

static void test_somebody_changes_the_rest_meanwhile(void **state)
{
    struct fixture *f = *state;

    f->ses.reasons = 1;
    f->ses.validation = VALIDATION;
    f->ses.moved_to = "{\"ConditionThreshold\":{\"ConditionThresholdEnabled\":\"DISABLED\"}}";
    struct sup_coverage *c = audit(f, true);
    assert_int_equal(f->ses.puts, 1);
    assert_ptr_equal(f->ses.validation, f->ses.moved_to);
    assert_int_equal(c->brief.managed, SUP_MANAGED_DONE);
    assert_non_null(strstr(c->brief.managed_text, "by somebody else"));
    sup_coverage_drop(c);
}

static void test_a_write_that_is_refused(void **state)
{
    struct fixture *f = *state;
    static const struct {
        int status;
        const char *says;
    } rows[] = {{403, "allow ses:PutAccountSuppressionAttributes"}, {400, "HTTP 400"}};

    f->ses.reasons = 1;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        f->ses.put_status = rows[i].status;
        struct sup_coverage *c = audit(f, true);
        assert_int_equal(c->brief.managed, SUP_MANAGED_FAILED);
        assert_non_null(strstr(c->brief.managed_text, rows[i].says));
        assert_int_equal(c->brief.state, SUP_COVERAGE_GAPS);
        assert_true(c->sets.known && c->tenants.known); /* the audit goes on */
        assert_int_equal(c->n_changes, 0);
        sup_coverage_drop(c);
    }
}

static void test_throttles_are_waited_out(void **state)
{
    struct fixture *f = *state;

    f->ses.reasons = 0;
    f->ses.throttles = 3;
    struct sup_coverage *c = audit(f, true);
    assert_int_equal(c->brief.managed, SUP_MANAGED_DONE);
    assert_int_equal(f->ses.puts, 1);
    assert_true(f->rates[SUP_ASK_ACCOUNT].rps < 1000);
    sup_coverage_drop(c);
}

/* --- sets and tenants --- */

static void test_gaps_are_named(void **state)
{
    struct fixture *f = *state;

    f->ses.sets = "[\"none\",\"other\"]";
    f->ses.set_options = "{\"SuppressedReasons\":[]}";
    f->ses.tenants = "[{\"TenantName\":\"own\"}]";
    f->ses.tenant_attributes =
        "{\"SuppressedReasons\":[\"BOUNCE\",\"COMPLAINT\"],\"SuppressionScope\":\"TENANT\"}";
    struct sup_coverage *c = audit(f, true);
    assert_int_equal(c->brief.state, SUP_COVERAGE_GAPS);
    assert_int_equal(c->brief.gaps.total, 3);
    assert_non_null(strstr(c->texts[SUP_COVERAGE_GAP_TEXTS][0], "configuration set none: "));
    assert_non_null(strstr(c->texts[SUP_COVERAGE_GAP_TEXTS][1], "configuration set other: "));
    assert_non_null(strstr(c->texts[SUP_COVERAGE_GAP_TEXTS][2], "tenant own: has a list"));
    assert_int_equal(c->brief.n_sets, 2);
    assert_int_equal(c->brief.n_tenants, 1);
    sup_coverage_drop(c);
    /* What says nothing is as the account. */
    f->ses.set_options = f->ses.tenant_attributes = NULL;
    c = audit(f, true);
    assert_int_equal(c->brief.state, SUP_COVERAGE_COVERED);
    assert_int_equal(sup_coverage_gaps(&c->tenants.items[0].effective), 0);
    sup_coverage_drop(c);
}

static void unknown(struct fixture *f, const char *says)
{
    struct sup_coverage *c = audit(f, true);

    assert_int_equal(c->brief.state, SUP_COVERAGE_UNKNOWN);
    if (strstr(c->brief.unknown.text[0], says) == NULL)
        fail_msg("%s", c->brief.unknown.text[0]);
    sup_coverage_drop(c);
}

/* Never a failure, and never a claim. */
static void test_what_cannot_be_read_is_not_known(void **state)
{
    struct fixture *f = *state;

    f->ses.list_tenants_status = 403;
    unknown(f, "tenants: not known: allow ses:ListTenants and ses:GetTenant");
    f->ses.list_tenants_status = 404;
    unknown(f, "tenants: not known: SES has no such operation here");
    f->ses.list_tenants_status = 400;
    unknown(f, "tenants: not known: SES ListTenants");
    f->ses.list_tenants_status = 0;
    f->ses.tenants = "[7]";
    unknown(f, "tenants: not known: SES ListTenants: odd item");
    f->ses.tenants = NULL;
    f->ses.sets = "[\"s\"]";
    f->ses.get_set_status = 500;
    unknown(f, "configuration set s: not known");
    f->ses.get_set_status = 404; /* deleted meanwhile */
    struct sup_coverage *c = audit(f, true);
    assert_int_equal(c->brief.state, SUP_COVERAGE_COVERED);
    assert_int_equal(c->brief.n_sets, 0);
    sup_coverage_drop(c);
    f->ses.get_set_status = 0;
    f->ses.same_token = true;
    unknown(f, "the same NextToken twice");
}

/* A gap that was found is one, whatever else could not be read. */
static void test_a_gap_weighs_more_than_not_knowing(void **state)
{
    struct fixture *f = *state;

    f->config.ses.manage_account_attributes = false;
    f->ses.reasons = 1;
    f->ses.list_tenants_status = 403;
    struct sup_coverage *c = audit(f, true);
    assert_int_equal(c->brief.state, SUP_COVERAGE_GAPS);
    assert_int_equal(c->brief.unknown.total, 1);
    assert_false(c->brief.tenants_known);
    sup_coverage_drop(c);
}

static void test_states_of_the_account(void **state)
{
    struct fixture *f = *state;

    f->ses.sandbox = true;
    struct sup_coverage *c = audit(f, true);
    assert_int_equal(c->brief.state, SUP_COVERAGE_GAPS);
    assert_non_null(strstr(c->brief.gaps.text[0], "sandbox"));
    sup_coverage_drop(c);
    f->ses.sandbox = false;
    f->ses.paused = true;
    f->ses.enforcement = "PROBATION";
    c = audit(f, true);
    assert_int_equal(c->brief.state, SUP_COVERAGE_COVERED);
    assert_int_equal(c->brief.notes.total, 2);
    assert_non_null(strstr(c->brief.notes.text[0], "PutAccountSendingAttributes"));
    assert_non_null(strstr(c->brief.notes.text[1], "PROBATION"));
    sup_coverage_drop(c);
    f->ses.paused = false;
    f->ses.enforcement = "SHUTDOWN";
    c = audit(f, true);
    assert_non_null(strstr(c->brief.notes.text[0], "Support Center"));
    sup_coverage_drop(c);
}

/* --- bounds --- */

static void test_more_gaps_than_are_kept(void **state)
{
    struct fixture *f = *state;
    char list[65536] = "[";
    size_t n = 1;

    for (int i = 0; i < 300; i++)
        n += (size_t)snprintf(list + n, sizeof list - n, "%s\"set-%d\"", i > 0 ? "," : "", i);
    snprintf(list + n, sizeof list - n, "]");
    f->ses.sets = list;
    f->ses.set_options = "{\"SuppressedReasons\":[\"BOUNCE\"],\"SuppressionScope\":\"TENANT\"}";
    struct sup_coverage *c = audit(f, true);
    assert_int_equal(c->brief.gaps.total, 600);
    assert_int_equal(c->brief.gaps.n, SUP_COVERAGE_KEPT_MAX);
    assert_int_equal(c->n_texts[SUP_COVERAGE_GAP_TEXTS], 600);
    assert_int_equal(f->ses.sets_got, 300);
    sup_coverage_drop(c);
}

/* Names of any kind come out as text that can be shown. */
static void test_odd_names(void **state)
{
    struct fixture *f = *state;

    f->ses.sets =
        "[\"a\\u001b[31mb\",\"\\u00fcn\\u00efcode-that-is-longer-than-the-sixty-four-bytes-"
        "of-a-name-\\u00fc\\u00fc\\u00fc\\u00fc\\u00fc\\u00fc\\u00fc\\u00fc\"]";
    f->ses.set_options = "{\"SuppressedReasons\":[]}";
    struct sup_coverage *c = audit(f, true);
    assert_int_equal(c->brief.gaps.total, 2);
    assert_string_equal(c->sets.items[0].name, "a?[31mb");
    for (size_t i = 0; i < 2; i++) {
        json_t *v = json_string(c->brief.gaps.text[i]);
        assert_non_null(v); /* sound UTF-8 */
        json_decref(v);
        assert_null(strchr(c->brief.gaps.text[i], 0x1b));
    }
    sup_coverage_drop(c);
}

static void test_it_ends_when_the_agent_stops(void **state)
{
    struct fixture *f = *state;
    struct sup_audit a = {.opts = &f->opts,
                          .stop = &f->stop,
                          .rates = f->rates,
                          .how = SUP_AUDIT_WRITES,
                          .out = sup_coverage_new()};
    struct sup_err err = {0};

    f->ses.reasons = 0;
    sup_stop_set(&f->stop);
    assert_int_equal(sup_audit_run(&a, &err), SUP_ECLOSED);
    assert_int_equal(f->ses.puts, 0);
    sup_coverage_drop(a.out);
}

/* The oldest go, the newest stay. */
static void test_changes_have_an_end(void **state)
{
    struct sup_coverage *c = sup_coverage_new();
    (void)state;

    for (int i = 0; i < SUP_COVERAGE_CHANGES_MAX + 7; i++) {
        struct sup_coverage_change change = {.time_ms = i};
        sup_coverage_add_change(c, &change);
    }
    assert_int_equal(c->n_changes, SUP_COVERAGE_CHANGES_MAX);
    assert_int_equal(c->changes[0].time_ms, 7);
    assert_int_equal(c->changes[c->n_changes - 1].time_ms, SUP_COVERAGE_CHANGES_MAX + 6);
    sup_coverage_drop(c);
}

#define WITH_SES(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SES(test_what_is_missing_is_switched_on),
        WITH_SES(test_nothing_is_written_without_need),
        WITH_SES(test_what_would_be_done),
        WITH_SES(test_a_write_that_shows_late),
        WITH_SES(test_somebody_takes_it_out_again),
        WITH_SES(test_somebody_changes_the_rest_meanwhile),
        WITH_SES(test_a_write_that_is_refused),
        WITH_SES(test_throttles_are_waited_out),
        WITH_SES(test_gaps_are_named),
        WITH_SES(test_what_cannot_be_read_is_not_known),
        WITH_SES(test_a_gap_weighs_more_than_not_knowing),
        WITH_SES(test_states_of_the_account),
        WITH_SES(test_more_gaps_than_are_kept),
        WITH_SES(test_odd_names),
        WITH_SES(test_it_ends_when_the_agent_stops),
        cmocka_unit_test(test_changes_have_an_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
