#include "core/classify.h"

#include "base/array.h"
#include "core/event_read.h"
#include "property.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NOW  INT64_C(1767323045678)
#define THEN INT64_C(1767000000000)

#define S(text) sup_slice_str(text)

static struct sup_verdicts verdicts;

static int teardown(void **state)
{
    (void)state;
    sup_verdicts_fini(&verdicts);
    return 0;
}

/* An event of at most four recipients and destinations. */
struct made {
    struct sup_event e;
    struct sup_event_recipient r[4];
    struct sup_slice d[4];
};

static struct sup_event *make(struct made *m, enum sup_event_type type)
{
    memset(m, 0, sizeof(*m));
    m->e.type = type;
    m->e.event_ms = THEN;
    m->e.envelope_ms = SUP_NO_TIME;
    m->e.mail_ms = SUP_NO_TIME;
    m->e.recipients = m->r;
    m->e.destination = m->d;
    m->e.feedback_id = S("feedback-1");
    m->e.message_id = S("message-1");
    return &m->e;
}

static struct sup_event *make_bounce(struct made *m, const char *type, const char *sub_type)
{
    make(m, SUP_EVENT_BOUNCE);
    m->e.bounce_type = S(type);
    m->e.sub_type = S(sub_type);
    return &m->e;
}

static struct sup_event *make_complaint(struct made *m, const char *feedback, const char *sub_type)
{
    make(m, SUP_EVENT_COMPLAINT);
    m->e.feedback_type = S(feedback);
    m->e.sub_type = S(sub_type);
    return &m->e;
}

static void to(struct made *m, const char *address)
{
    m->d[m->e.n_destination++] = S(address);
}

static void about(struct made *m, const char *address, const char *action, const char *status)
{
    m->r[m->e.n_recipients++] = (struct sup_event_recipient){.address = S(address),
                                                             .action = S(action),
                                                             .status = S(status),
                                                             .diagnostic = S("smtp; 550")};
}

static const struct sup_verdicts *classify_with(const struct made *m,
                                                const struct sup_classify_policy *policy)
{
    const struct sup_classify_context ctx = {.region = SUP_SLICE_LIT("eu-west-1"),
                                             .now_ms = NOW,
                                             .sent_ms = SUP_NO_TIME,
                                             .policy = policy};

    assert_int_equal(sup_classify(&m->e, &ctx, &verdicts), SUP_OK);
    return &verdicts;
}

static const struct sup_verdicts *classify(const struct made *m)
{
    return classify_with(m, NULL);
}

static void check(size_t i, enum sup_verdict_kind kind, const char *rule, const char *key)
{
    assert_true(i < verdicts.n);
    const struct sup_event_verdict *v = &verdicts.v[i];
    if (v->kind != kind || strcmp(v->rule, rule) != 0 || strcmp(v->address.key, key) != 0)
        fail_msg("verdict %zu is %s %s %s, expected %s %s %s", i, sup_verdict_kind_name(v->kind),
                 v->rule, v->address.key, sup_verdict_kind_name(kind), rule, key);
}

/* --- the rule tables --- */

static void test_bounce_rules(void **state)
{
    static const struct {
        const char *type, *sub_type, *rule;
        enum sup_verdict_kind kind;
        enum sup_cause cause;
    } rows[] = {
        {"Permanent", "General", "bounce-permanent-general", SUP_VERDICT_SUPPRESS, SUP_CAUSE_EVENT},
        {"Permanent", "NoEmail", "bounce-permanent-no-email", SUP_VERDICT_SUPPRESS,
         SUP_CAUSE_EVENT},
        {"permanent", "noemail", "bounce-permanent-no-email", SUP_VERDICT_SUPPRESS,
         SUP_CAUSE_EVENT},
        {"Permanent", "Suppressed", "bounce-global-list", SUP_VERDICT_SUPPRESS,
         SUP_CAUSE_GLOBAL_LIST},
        {"Permanent", "OnAccountSuppressionList", "bounce-echo-account-list", SUP_VERDICT_ECHO, 0},
        {"Permanent", "OnTenantSuppressionList", "bounce-echo-tenant-list", SUP_VERDICT_ECHO, 0},
        {"Permanent", "OnPlanetSuppressionList", "bounce-echo-other-list", SUP_VERDICT_ECHO, 0},
        {"Permanent", "EmailValidationSuppressed", "bounce-validation", SUP_VERDICT_IGNORE, 0},
        {"Permanent", "UnsubscribedRecipient", "bounce-unsubscribed", SUP_VERDICT_IGNORE, 0},
        {"Permanent", "SomethingNew", "bounce-permanent-other", SUP_VERDICT_SUPPRESS,
         SUP_CAUSE_EVENT},
        {"Permanent", "", "bounce-permanent-other", SUP_VERDICT_SUPPRESS, SUP_CAUSE_EVENT},
        {"Transient", "General", "bounce-transient-general", SUP_VERDICT_SOFT, 0},
        {"Transient", "MailboxFull", "bounce-transient-mailbox-full", SUP_VERDICT_SOFT, 0},
        {"Transient", "MessageTooLarge", "bounce-transient-message-too-large", SUP_VERDICT_SOFT, 0},
        {"Transient", "ContentRejected", "bounce-transient-content-rejected", SUP_VERDICT_SOFT, 0},
        {"Transient", "AttachmentRejected", "bounce-transient-attachment-rejected",
         SUP_VERDICT_SOFT, 0},
        {"Transient", "CustomTimeoutExceeded", "bounce-transient-timeout", SUP_VERDICT_SOFT, 0},
        {"Transient", "SomethingNew", "bounce-transient-other", SUP_VERDICT_SOFT, 0},
        {"Undetermined", "Undetermined", "bounce-undetermined", SUP_VERDICT_SOFT, 0},
        {"", "", "bounce-other", SUP_VERDICT_SOFT, 0},
        {"Permanently", "General", "bounce-other", SUP_VERDICT_SOFT, 0},
    };

    (void)state;
    for (size_t i = 0; i < SUP_COUNT(rows); i++) {
        struct made m;
        make_bounce(&m, rows[i].type, rows[i].sub_type);
        to(&m, "a@example.com");
        about(&m, "a@example.com", "failed", "5.1.1");
        assert_int_equal(classify(&m)->n, 1);
        check(0, rows[i].kind, rows[i].rule, "a@example.com");
        assert_int_equal(verdicts.v[0].cause, rows[i].cause);
        assert_int_equal(verdicts.v[0].cls, SUP_CLASS_BOUNCE);
    }
}

static void test_complaint_rules(void **state)
{
    static const struct {
        const char *feedback, *sub_type, *rule;
        enum sup_verdict_kind kind;
        enum sup_cause cause;
    } rows[] = {
        {"abuse", "", "complaint-abuse", SUP_VERDICT_SUPPRESS, SUP_CAUSE_EVENT},
        {"fraud", "", "complaint-fraud", SUP_VERDICT_SUPPRESS, SUP_CAUSE_EVENT},
        {"virus", "", "complaint-virus", SUP_VERDICT_SUPPRESS, SUP_CAUSE_EVENT},
        {"other", "", "complaint-other", SUP_VERDICT_SUPPRESS, SUP_CAUSE_EVENT},
        {"", "", "complaint-no-type", SUP_VERDICT_SUPPRESS, SUP_CAUSE_EVENT},
        {"opt-out", "", "complaint-unknown-type", SUP_VERDICT_SUPPRESS, SUP_CAUSE_EVENT},
        {"not-spam", "", "complaint-not-spam", SUP_VERDICT_CLEAR, SUP_CAUSE_NOT_SPAM},
        {"Not-Spam", "", "complaint-not-spam", SUP_VERDICT_CLEAR, SUP_CAUSE_NOT_SPAM},
        {"auth-failure", "", "complaint-auth-failure", SUP_VERDICT_IGNORE, 0},
        {"abuse", "OnAccountSuppressionList", "complaint-echo-account-list", SUP_VERDICT_ECHO, 0},
        {"", "OnTenantSuppressionList", "complaint-echo-tenant-list", SUP_VERDICT_ECHO, 0},
        {"not-spam", "OnOtherSuppressionList", "complaint-echo-other-list", SUP_VERDICT_ECHO, 0},
    };

    (void)state;
    for (size_t i = 0; i < SUP_COUNT(rows); i++) {
        struct made m;
        make_complaint(&m, rows[i].feedback, rows[i].sub_type);
        to(&m, "a@example.com");
        about(&m, "a@example.com", "", "");
        assert_int_equal(classify(&m)->n, 1);
        check(0, rows[i].kind, rows[i].rule, "a@example.com");
        assert_int_equal(verdicts.v[0].cause, rows[i].cause);
        assert_int_equal(verdicts.v[0].cls, SUP_CLASS_COMPLAINT);
    }
}

static void test_other_events_say_nothing(void **state)
{
    (void)state;
    for (int t = SUP_EVENT_UNKNOWN; t <= SUP_EVENT_SUBSCRIPTION; t++) {
        struct made m;
        if (t == SUP_EVENT_BOUNCE || t == SUP_EVENT_COMPLAINT)
            continue;
        make(&m, (enum sup_event_type)t);
        m.e.bounce_type = S("Permanent");
        to(&m, "a@example.com");
        about(&m, "a@example.com", "failed", "5.1.1");
        assert_int_equal(classify(&m)->n, 0);
    }
}

/* --- how recipients fared --- */

static void test_action_and_status(void **state)
{
    static const struct {
        const char *type, *action, *status;
        enum sup_verdict_kind kind;
        const char *rule;
    } rows[] = {
        {"Permanent", "", "", SUP_VERDICT_SUPPRESS, "bounce-permanent-general"},
        {"Permanent", "failed", "", SUP_VERDICT_SUPPRESS, "bounce-permanent-general"},
        {"Permanent", "Failed", " 5.0.0", SUP_VERDICT_SUPPRESS, "bounce-permanent-general"},
        {"Permanent", "", "5.1.1", SUP_VERDICT_SUPPRESS, "bounce-permanent-general"},
        {"Permanent", "", "rubbish", SUP_VERDICT_SUPPRESS, "bounce-permanent-general"},
        {"Permanent", "delayed", "4.0.0", SUP_VERDICT_SOFT, "recipient-delayed"},
        {"Permanent", "delayed", "", SUP_VERDICT_SOFT, "recipient-delayed"},
        {"Permanent", "failed", "4.4.7", SUP_VERDICT_SOFT, "recipient-status-transient"},
        {"Permanent", "", "4.2.2", SUP_VERDICT_SOFT, "recipient-status-transient"},
        {"Permanent", "pondered", "5.1.1", SUP_VERDICT_SOFT, "recipient-action-unknown"},
        {"Permanent", "delivered", "2.0.0", SUP_VERDICT_IGNORE, "recipient-not-failed"},
        {"Permanent", "relayed", "", SUP_VERDICT_IGNORE, "recipient-not-failed"},
        {"Permanent", "expanded", "5.1.1", SUP_VERDICT_IGNORE, "recipient-not-failed"},
        {"Permanent", "", "2.1.5", SUP_VERDICT_IGNORE, "recipient-not-failed"},
        {"Transient", "failed", "5.1.2", SUP_VERDICT_SOFT, "bounce-transient-general"},
        {"Transient", "failed", "4.4.7", SUP_VERDICT_SOFT, "bounce-transient-general"},
        {"Transient", "delayed", "4.4.7", SUP_VERDICT_SOFT, "bounce-transient-general"},
        {"Transient", "", "", SUP_VERDICT_IGNORE, "bounce-transient-no-status"},
        {"Transient", "failed", "", SUP_VERDICT_IGNORE, "bounce-transient-no-status"},
        {"Transient", "delivered", "4.0.0", SUP_VERDICT_IGNORE, "recipient-not-failed"},
    };

    (void)state;
    for (size_t i = 0; i < SUP_COUNT(rows); i++) {
        struct made m;
        make_bounce(&m, rows[i].type, "General");
        to(&m, "a@example.com");
        about(&m, "a@example.com", rows[i].action, rows[i].status);
        classify(&m);
        check(0, rows[i].kind, rows[i].rule, "a@example.com");
        if (rows[i].kind != SUP_VERDICT_SUPPRESS)
            assert_int_equal(verdicts.v[0].cause, SUP_CAUSE_UNKNOWN);
    }
}

/* The developer guide's own sample. */
static void test_each_recipient_for_itself(void **state)
{
    struct made m;

    (void)state;
    make_bounce(&m, "Permanent", "General");
    to(&m, "r1@example.com");
    to(&m, "r2@example.com");
    to(&m, "r3@example.com");
    about(&m, "r1@example.com", "failed", "5.0.0");
    about(&m, "r2@example.com", "delayed", "4.0.0");
    assert_int_equal(classify(&m)->n, 2);
    check(0, SUP_VERDICT_SUPPRESS, "bounce-permanent-general", "r1@example.com");
    check(1, SUP_VERDICT_SOFT, "recipient-delayed", "r2@example.com");
    assert_string_equal(verdicts.sub_type, "Permanent/General");
}

/* --- who it is about --- */

static void test_only_destination_is_who_bounced(void **state)
{
    struct made m;

    (void)state;
    make_bounce(&m, "Permanent", "General");
    to(&m, "Anna <Anna@Example.COM>");
    about(&m, "forwarded@elsewhere.example", "failed", "5.1.1");
    assert_int_equal(classify(&m)->n, 1);
    check(0, SUP_VERDICT_SUPPRESS, "bounce-permanent-general", "anna@example.com");
    /* The other address's spelling is not one of hers. */
    assert_int_equal(verdicts.v[0].n_spellings, 1);
    assert_string_equal(verdicts.v[0].spellings[0], "Anna@example.com");
    assert_true(sup_slice_eq(verdicts.v[0].recipient, S("forwarded@elsewhere.example")));
    m.r[0].address = S("not an address");
    assert_int_equal(classify(&m)->n, 1);
    check(0, SUP_VERDICT_SUPPRESS, "bounce-permanent-general", "anna@example.com");
}

static void test_match_among_destinations(void **state)
{
    struct made m;

    (void)state;
    make_bounce(&m, "Permanent", "General");
    to(&m, "b@example.com");
    to(&m, "Foo.Bar@Example.com");
    about(&m, "\"Foo\" <foo.BAR@EXAMPLE.com>", "failed", "5.1.1");
    assert_int_equal(classify(&m)->n, 1);
    check(0, SUP_VERDICT_SUPPRESS, "bounce-permanent-general", "foo.bar@example.com");
    assert_int_equal(verdicts.v[0].n_spellings, 2);
    assert_string_equal(verdicts.v[0].spellings[0], "foo.BAR@example.com");
    assert_string_equal(verdicts.v[0].spellings[1], "Foo.Bar@example.com");
}

static void test_unmapped_is_not_suppressed(void **state)
{
    struct made m;

    (void)state;
    make_bounce(&m, "Permanent", "General");
    about(&m, "c@example.com", "failed", "5.1.1");
    classify(&m); /* no destination at all */
    check(0, SUP_VERDICT_UNMAPPED, "recipient-unmapped", "c@example.com");
    to(&m, "a@example.com");
    to(&m, "b@example.com");
    classify(&m);
    check(0, SUP_VERDICT_UNMAPPED, "recipient-unmapped", "c@example.com");
    /* +tags are addresses of their own. */
    m.r[0].address = S("a+x@example.com");
    classify(&m);
    check(0, SUP_VERDICT_UNMAPPED, "recipient-unmapped", "a+x@example.com");
    m.e.bounce_type = S("Transient");
    classify(&m);
    check(0, SUP_VERDICT_UNMAPPED, "recipient-unmapped", "a+x@example.com");
    /* What decides nothing stays what it is. */
    m.e.sub_type = S("OnAccountSuppressionList");
    classify(&m);
    check(0, SUP_VERDICT_ECHO, "bounce-echo-account-list", "a+x@example.com");
    make_complaint(&m, "abuse", "");
    to(&m, "a@example.com");
    to(&m, "b@example.com");
    about(&m, "c@example.com", "", "");
    classify(&m);
    check(0, SUP_VERDICT_UNMAPPED, "recipient-unmapped", "c@example.com");
}

static void test_bad_addresses(void **state)
{
    static const char *const bad[] = {
        "", "x", "@", "a@", "a@b c@d", "a\x01@example.com", "\xff@example.com"};
    struct made m;

    (void)state;
    for (size_t i = 0; i < SUP_COUNT(bad); i++) {
        make_bounce(&m, "Permanent", "General");
        to(&m, "a@example.com");
        to(&m, "b@example.com");
        about(&m, bad[i], "failed", "5.1.1");
        classify(&m);
        check(0, SUP_VERDICT_BAD_ADDRESS, "recipient-bad-address", "");
        assert_int_equal(verdicts.v[0].n_spellings, 0);
        /* The only destination cannot be read: the recipient may be anyone. */
        make_bounce(&m, "Permanent", "General");
        to(&m, bad[i]);
        about(&m, "a@example.com", "failed", "5.1.1");
        classify(&m);
        check(0, SUP_VERDICT_UNMAPPED, "recipient-unmapped", "a@example.com");
    }
    /* A NUL in the middle, as \u0000 gives. */
    make_bounce(&m, "Permanent", "General");
    about(&m, "a", "failed", "5.1.1");
    m.r[0].address = sup_slice_of("a\0b@example.com", 15);
    classify(&m);
    check(0, SUP_VERDICT_BAD_ADDRESS, "recipient-bad-address", "");
    /* Two unreadable ones are two. */
    about(&m, "", "", "");
    assert_int_equal(classify(&m)->n, 2);
}

static void test_simulator_never_counts(void **state)
{
    static const char *const sims[] = {"bounce@simulator.amazonses.com",
                                       "Complaint+x@Simulator.AmazonSES.com",
                                       "suppressionlist@simulator.amazonses.com"};
    struct made m;

    (void)state;
    for (size_t i = 0; i < SUP_COUNT(sims); i++) {
        make_bounce(&m, "Permanent", i == 2 ? "Suppressed" : "General");
        to(&m, sims[i]);
        about(&m, sims[i], "failed", "5.1.1");
        classify(&m);
        assert_int_equal(verdicts.v[0].kind, SUP_VERDICT_SIMULATOR);
        make_complaint(&m, "not-spam", "");
        to(&m, sims[i]);
        about(&m, sims[i], "", "");
        classify(&m);
        assert_int_equal(verdicts.v[0].kind, SUP_VERDICT_SIMULATOR);
    }
    /* Not of the mail either: still the simulator. */
    make_bounce(&m, "Permanent", "General");
    about(&m, sims[0], "failed", "5.1.1");
    classify(&m);
    assert_int_equal(verdicts.v[0].kind, SUP_VERDICT_SIMULATOR);
}

static void test_twice_named_is_one(void **state)
{
    struct made m;

    (void)state;
    make_bounce(&m, "Permanent", "General");
    to(&m, "Foo@example.com");
    to(&m, "b@example.com");
    about(&m, "Foo@example.com", "delayed", "4.0.0");
    about(&m, "b@example.com", "", "");
    about(&m, "foo@example.com", "failed", "5.1.1");
    about(&m, "FOO@example.com", "delayed", "4.0.0");
    assert_int_equal(classify(&m)->n, 2);
    check(0, SUP_VERDICT_SUPPRESS, "bounce-permanent-general", "foo@example.com");
    check(1, SUP_VERDICT_SUPPRESS, "bounce-permanent-general", "b@example.com");
    assert_int_equal(verdicts.v[0].n_spellings, 3);
    /* And so is a complaint that names one person twice: not ambiguous. */
    make_complaint(&m, "abuse", "");
    to(&m, "a@example.com");
    to(&m, "b@example.com");
    about(&m, "a@example.com", "", "");
    about(&m, "A@example.com", "", "");
    assert_int_equal(classify(&m)->n, 1);
    check(0, SUP_VERDICT_SUPPRESS, "complaint-abuse", "a@example.com");
}

static void test_no_recipients(void **state)
{
    struct made m;

    (void)state;
    make_complaint(&m, "", "OnAccountSuppressionList");
    assert_int_equal(classify(&m)->n, 0);
    to(&m, "a@example.com");
    assert_int_equal(classify(&m)->n, 1);
    check(0, SUP_VERDICT_ECHO, "complaint-echo-account-list", "a@example.com");
    to(&m, "b@example.com");
    assert_int_equal(classify(&m)->n, 2);
    check(0, SUP_VERDICT_AMBIGUOUS, "recipients-not-named", "a@example.com");
    check(1, SUP_VERDICT_AMBIGUOUS, "recipients-not-named", "b@example.com");
    make_bounce(&m, "Permanent", "General");
    to(&m, "a@example.com");
    classify(&m);
    check(0, SUP_VERDICT_SUPPRESS, "bounce-permanent-general", "a@example.com");
    to(&m, "b@example.com");
    const struct sup_classify_policy all = {.suppress_ambiguous_complaints = true};
    classify_with(&m, &all); /* of complaints, not of bounces that name nobody */
    check(0, SUP_VERDICT_AMBIGUOUS, "recipients-not-named", "a@example.com");
}

/* --- policy --- */

static void test_ambiguous_complaints(void **state)
{
    const struct sup_classify_policy all = {.suppress_ambiguous_complaints = true};
    struct made m;

    (void)state;
    make_complaint(&m, "abuse", "");
    to(&m, "a@example.com");
    to(&m, "b@example.com");
    to(&m, "c@example.org");
    about(&m, "a@example.com", "", "");
    about(&m, "b@example.com", "", "");
    assert_int_equal(classify(&m)->n, 2);
    check(0, SUP_VERDICT_AMBIGUOUS, "complaint-several-recipients", "a@example.com");
    check(1, SUP_VERDICT_AMBIGUOUS, "complaint-several-recipients", "b@example.com");
    assert_int_equal(verdicts.v[0].cls, SUP_CLASS_COMPLAINT);
    assert_int_equal(verdicts.v[0].cause, SUP_CAUSE_UNKNOWN);
    classify_with(&m, &all);
    check(0, SUP_VERDICT_SUPPRESS, "complaint-abuse", "a@example.com");
    check(1, SUP_VERDICT_SUPPRESS, "complaint-abuse", "b@example.com");
    /* One of them took back a complaint; clearing both would undo another's. */
    m.e.feedback_type = S("not-spam");
    classify_with(&m, &all);
    check(0, SUP_VERDICT_AMBIGUOUS, "complaint-several-recipients", "a@example.com");
    m.e.feedback_type = S("auth-failure");
    classify(&m);
    check(0, SUP_VERDICT_IGNORE, "complaint-auth-failure", "a@example.com");
    /* Bounces of several are each certain. */
    make_bounce(&m, "Permanent", "General");
    to(&m, "a@example.com");
    to(&m, "b@example.com");
    about(&m, "a@example.com", "", "");
    about(&m, "b@example.com", "", "");
    classify(&m);
    check(0, SUP_VERDICT_SUPPRESS, "bounce-permanent-general", "a@example.com");
}

static void test_global_list_policy(void **state)
{
    const struct sup_classify_policy ttl = {.global_list_ttl_ms = 14 * 86400 * INT64_C(1000)};
    const struct sup_classify_policy off = {.ignore_global_list = true};
    struct made m;

    (void)state;
    make_bounce(&m, "Permanent", "Suppressed");
    to(&m, "a@example.com");
    about(&m, "a@example.com", "failed", "5.1.1");
    classify(&m);
    assert_int_equal(verdicts.v[0].expires_ms, 0);
    classify_with(&m, &ttl);
    check(0, SUP_VERDICT_SUPPRESS, "bounce-global-list", "a@example.com");
    assert_int_equal(verdicts.v[0].expires_ms, THEN + ttl.global_list_ttl_ms);
    classify_with(&m, &off);
    check(0, SUP_VERDICT_IGNORE, "bounce-global-list-ignored", "a@example.com");
    m.e.sub_type = S("General");
    classify_with(&m, &ttl);
    assert_int_equal(verdicts.v[0].expires_ms, 0);
}

/* --- time, decision, dedup --- */

static int64_t time_of(int64_t event, int64_t envelope, int64_t sent)
{
    const struct sup_event e = {.event_ms = event, .envelope_ms = envelope};
    const struct sup_classify_context ctx = {.now_ms = NOW, .sent_ms = sent};

    return sup_classify_time(&e, &ctx);
}

static void test_time(void **state)
{
    const int64_t none = SUP_NO_TIME;

    (void)state;
    assert_int_equal(time_of(THEN, none, none), THEN);
    assert_int_equal(time_of(THEN, THEN - 5, THEN - 3), THEN - 5);
    assert_int_equal(time_of(THEN, THEN + 5, THEN - 3), THEN - 3);
    assert_int_equal(time_of(none, THEN, none), THEN);
    assert_int_equal(time_of(none, none, THEN), THEN);
    assert_int_equal(time_of(none, none, none), NOW);
    assert_int_equal(time_of(NOW + 1, none, none), NOW);
    assert_int_equal(time_of(NOW + 999999, NOW + 5, NOW + 7), NOW);
    /* An ISP's clock in the future does not win against AWS's own. */
    assert_int_equal(time_of(NOW + 999999, THEN, THEN + 1), THEN);
    assert_int_equal(time_of(0, none, none), 0);
}

static void test_decision(void **state)
{
    const struct sup_classify_context ctx = {
        .region = SUP_SLICE_LIT("eu-west-1"), .now_ms = NOW, .sent_ms = SUP_NO_TIME};
    struct sup_decision d;
    struct made m;

    (void)state;
    make_bounce(&m, "Permanent", "NoEmail");
    to(&m, "a@example.com");
    about(&m, "A@Example.com", "failed", "5.1.1");
    classify(&m);
    sup_verdict_decision(&verdicts.v[0], &verdicts, &m.e, &ctx, &d);
    assert_int_equal(d.cls, SUP_CLASS_BOUNCE);
    assert_int_equal(d.state, SUP_SUPPRESSED);
    assert_int_equal(d.cause, SUP_CAUSE_EVENT);
    assert_int_equal(sup_hlc_ms(d.time), THEN);
    assert_int_equal(d.origin, 0);
    assert_true(sup_slice_eq(d.evidence.region, S("eu-west-1")));
    assert_true(sup_slice_eq(d.evidence.feedback_id, S("feedback-1")));
    assert_true(sup_slice_eq(d.evidence.message_id, S("message-1")));
    assert_true(sup_slice_eq(d.evidence.sub_type, S("Permanent/NoEmail")));
    assert_true(sup_slice_eq(d.evidence.status, S("5.1.1")));
    assert_true(sup_slice_eq(d.evidence.diagnostic, S("smtp; 550")));
    assert_true(sup_slice_eq(d.evidence.spelling, S("A@Example.com")));

    make_complaint(&m, "not-spam", "");
    to(&m, "a@example.com");
    about(&m, "a@example.com", "", "");
    classify(&m);
    sup_verdict_decision(&verdicts.v[0], &verdicts, &m.e, &ctx, &d);
    assert_int_equal(d.cls, SUP_CLASS_COMPLAINT);
    assert_int_equal(d.state, SUP_CLEARED);
    assert_int_equal(d.cause, SUP_CAUSE_NOT_SPAM);
    assert_true(sup_slice_eq(d.evidence.sub_type, S("not-spam")));
}

static void test_long_texts_are_cut(void **state)
{
    const struct sup_classify_context ctx = {.now_ms = NOW, .sent_ms = SUP_NO_TIME};
    struct sup_decision d;
    struct made m;
    char text[2000];

    (void)state;
    for (size_t i = 0; i < sizeof(text); i += 2)
        memcpy(text + i, "\xc3\xa9", 2);
    text[0] = 'x'; /* so that a cut at an even length would halve a character */
    text[1] = 'x';
    text[2] = 'x';
    for (size_t i = 3; i + 1 < sizeof(text); i += 2)
        memcpy(text + i, "\xc3\xa9", 2);
    make_bounce(&m, "Permanent", "");
    m.e.sub_type = sup_slice_of(text, sizeof(text) - 1);
    m.e.feedback_id = m.e.sub_type;
    to(&m, "a@example.com");
    about(&m, "a@example.com", "failed", "5.1.1");
    m.r[0].diagnostic = m.e.sub_type;
    classify(&m);
    sup_verdict_decision(&verdicts.v[0], &verdicts, &m.e, &ctx, &d);
    assert_true(d.evidence.diagnostic.n <= SUP_EVIDENCE_MAX &&
                d.evidence.diagnostic.n > SUP_EVIDENCE_MAX - 4);
    assert_int_equal(d.evidence.diagnostic.p[d.evidence.diagnostic.n - 1], 0xa9);
    assert_true(d.evidence.feedback_id.n <= SUP_EVIDENCE_MAX);
    assert_int_equal((unsigned char)verdicts.sub_type[strlen(verdicts.sub_type) - 1], 0xa9);
}

static void dedup(const struct sup_event *e, const char *recipient, struct sup_buf *out)
{
    sup_buf_reset(out);
    sup_classify_dedup_key(e, S(recipient), out);
    assert_int_equal(out->failed, SUP_OK);
}

static bool same_dedup(const struct sup_event *a, const char *ra, const struct sup_event *b,
                       const char *rb)
{
    struct sup_buf x, y;

    sup_buf_init(&x, 4096);
    sup_buf_init(&y, 4096);
    dedup(a, ra, &x);
    dedup(b, rb, &y);
    bool same = sup_slice_eq(sup_buf_slice(&x), sup_buf_slice(&y));
    sup_buf_fini(&x);
    sup_buf_fini(&y);
    return same;
}

static void test_dedup_key(void **state)
{
    struct made a, b;

    (void)state;
    make_bounce(&a, "Permanent", "General");
    make_bounce(&b, "Permanent", "General");
    /* Identity feedback and event publishing tell the same bounce. */
    b.e.from_event_publishing = true;
    b.e.envelope_ms = NOW;
    b.e.sns_message_id = S("other");
    b.e.message_id = S("other");
    assert_true(same_dedup(&a.e, "x", &b.e, "x"));
    assert_false(same_dedup(&a.e, "x", &b.e, "y"));
    b.e.feedback_id = S("feedback-2");
    assert_false(same_dedup(&a.e, "x", &b.e, "x"));
    /* Where the id ends and the recipient begins is part of the key. */
    a.e.feedback_id = S("ab");
    b.e.feedback_id = S("a");
    assert_false(same_dedup(&a.e, "c", &b.e, "bc"));
    /* Without a feedbackId. */
    a.e.feedback_id = b.e.feedback_id = (struct sup_slice){0};
    assert_false(same_dedup(&a.e, "x", &b.e, "x"));
    b.e.message_id = a.e.message_id;
    assert_true(same_dedup(&a.e, "x", &b.e, "x"));
    b.e.event_ms++;
    assert_false(same_dedup(&a.e, "x", &b.e, "x"));
    b.e.event_ms--;
    b.e.type = SUP_EVENT_COMPLAINT;
    assert_false(same_dedup(&a.e, "x", &b.e, "x"));
}

/* --- properties --- */

static const char *pick(struct sup_rng *rng, const char *const *list, size_t n)
{
    return list[sup_rng_below(rng, n)];
}

#define PICK(list) pick(rng, list, SUP_COUNT(list))

static void random_event(struct sup_rng *rng, struct made *m)
{
    static const char *const types[] = {"Permanent", "Transient", "Undetermined", "", "New"};
    static const char *const subs[] = {"General",
                                       "NoEmail",
                                       "Suppressed",
                                       "OnAccountSuppressionList",
                                       "MailboxFull",
                                       "UnsubscribedRecipient",
                                       "",
                                       "Other"};
    static const char *const feedback[] = {"abuse", "not-spam", "auth-failure", "", "fraud"};
    static const char *const people[] = {"a@x.com",
                                         "A@x.com",
                                         "b@x.com",
                                         "Bob <b@X.com>",
                                         "c@y.com",
                                         "bad",
                                         "bounce@simulator.amazonses.com",
                                         "d@z.com"};
    static const char *const actions[] = {"failed", "delayed", "", "delivered"};
    static const char *const statuses[] = {"5.1.1", "4.4.7", "", "2.0.0", "x"};

    if (property_chance(rng, 60))
        make_bounce(m, PICK(types), PICK(subs));
    else
        make_complaint(m, PICK(feedback), PICK(subs));
    for (uint64_t n = sup_rng_below(rng, 5); n > 0; n--)
        to(m, PICK(people));
    for (uint64_t n = sup_rng_below(rng, 5); n > 0; n--)
        about(m, PICK(people), PICK(actions), PICK(statuses));
}

static bool is_destination(const struct made *m, const char *key)
{
    struct sup_address a;

    for (size_t i = 0; i < m->e.n_destination; i++)
        if (sup_address_parse_mailbox((const char *)m->d[i].p, m->d[i].n, &a, NULL) == SUP_OK &&
            strcmp(a.key, key) == 0)
            return true;
    return false;
}

/* What must hold of any event at all. */
static void check_promises(const struct made *m)
{
    for (size_t i = 0; i < verdicts.n; i++) {
        const struct sup_event_verdict *v = &verdicts.v[i];
        bool decides = v->kind == SUP_VERDICT_SUPPRESS || v->kind == SUP_VERDICT_CLEAR;
        assert_true(!decides || is_destination(m, v->address.key));
        assert_true(!decides || !sup_address_is_simulator(&v->address));
        assert_true(!decides || v->n_spellings > 0);
        assert_true(decides == (v->cause != SUP_CAUSE_UNKNOWN));
        assert_true(v->kind != SUP_VERDICT_CLEAR || v->cls == SUP_CLASS_COMPLAINT);
        for (size_t k = 0; k < v->n_spellings; k++) {
            struct sup_address a;
            assert_int_equal(sup_address_parse(v->spellings[k], strlen(v->spellings[k]), &a, NULL),
                             SUP_OK);
            assert_string_equal(a.key, v->address.key);
            assert_string_equal(a.spelling, v->spellings[k]);
        }
        for (size_t k = 0; k < i; k++)
            assert_true(v->address.key_len == 0 ||
                        strcmp(verdicts.v[k].address.key, v->address.key) != 0);
    }
}

static const struct sup_event_verdict *verdict_of(const struct sup_verdicts *vs, const char *key)
{
    for (size_t i = 0; i < vs->n; i++)
        if (strcmp(vs->v[i].address.key, key) == 0)
            return &vs->v[i];
    return NULL;
}

static void test_promises_and_order(void **state)
{
    struct sup_rng rng = property_rng("classify");
    size_t cases = property_cases(20000), decided = 0;
    const struct sup_classify_context ctx = {.now_ms = NOW, .sent_ms = SUP_NO_TIME};
    struct sup_verdicts again = {0};

    (void)state;
    for (size_t i = 0; i < cases; i++) {
        struct made m, r;
        random_event(&rng, &m);
        classify(&m);
        check_promises(&m);
        /* Neither the order of recipients nor that of destinations changes what is decided. */
        r = m;
        for (size_t k = 0; k < m.e.n_recipients; k++)
            r.r[k] = m.r[m.e.n_recipients - 1 - k];
        for (size_t k = 0; k < m.e.n_destination; k++)
            r.d[k] = m.d[m.e.n_destination - 1 - k];
        r.e.recipients = r.r;
        r.e.destination = r.d;
        assert_int_equal(sup_classify(&r.e, &ctx, &again), SUP_OK);
        assert_int_equal(again.n, verdicts.n);
        for (size_t k = 0; k < verdicts.n; k++) {
            const struct sup_event_verdict *v = &verdicts.v[k],
                                           *w = verdict_of(&again, v->address.key);
            bool decides = v->kind == SUP_VERDICT_SUPPRESS || v->kind == SUP_VERDICT_CLEAR;
            decided += decides;
            assert_non_null(w);
            if (w == NULL) /* for gcc, which does not know that the assertion does not return */
                return;
            assert_true(!decides || (w->kind == v->kind && w->cause == v->cause));
            assert_true(decides ||
                        (w->kind != SUP_VERDICT_SUPPRESS && w->kind != SUP_VERDICT_CLEAR));
        }
    }
    print_message("%zu events, %zu decisions\n", cases, decided);
    assert_true(decided > cases / 20);
    sup_verdicts_fini(&again);
}

static void test_names(void **state)
{
    (void)state;
    for (int a = SUP_VERDICT_IGNORE; a <= SUP_VERDICT_BAD_ADDRESS; a++)
        for (int b = SUP_VERDICT_IGNORE; b < a; b++)
            assert_string_not_equal(sup_verdict_kind_name((enum sup_verdict_kind)a),
                                    sup_verdict_kind_name((enum sup_verdict_kind)b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bounce_rules),
        cmocka_unit_test(test_complaint_rules),
        cmocka_unit_test(test_other_events_say_nothing),
        cmocka_unit_test(test_action_and_status),
        cmocka_unit_test(test_each_recipient_for_itself),
        cmocka_unit_test(test_only_destination_is_who_bounced),
        cmocka_unit_test(test_match_among_destinations),
        cmocka_unit_test(test_unmapped_is_not_suppressed),
        cmocka_unit_test(test_bad_addresses),
        cmocka_unit_test(test_simulator_never_counts),
        cmocka_unit_test(test_twice_named_is_one),
        cmocka_unit_test(test_no_recipients),
        cmocka_unit_test(test_ambiguous_complaints),
        cmocka_unit_test(test_global_list_policy),
        cmocka_unit_test(test_time),
        cmocka_unit_test(test_decision),
        cmocka_unit_test(test_long_texts_are_cut),
        cmocka_unit_test(test_dedup_key),
        cmocka_unit_test(test_promises_and_order),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, property_setup, teardown);
}
