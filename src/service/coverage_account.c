/* The account: whether it may send and list at all, which reasons count, and, if that is wanted,
 * switching on the ones that are missing. */
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "service/coverage_internal.h"

#include <stdio.h>
#include <string.h>

/* Writes an audit makes at the most: who takes a reason out again and again means it. */
#define WRITES_MAX 3
/* Looks after a write until it is taken for lost: nobody says that SES reads its writes at once. */
#define LOOKS_MAX 3

struct account {
    struct sup_ses_account a;
    struct sup_ses_attributes attributes;
};

static int ask_account(struct sup_audit *a, void *arg, struct sup_err *err)
{
    struct account *acc = arg;
    struct sup_ses_attributes attributes;
    int rc = sup_ses_read_account(a->opts->aws, &acc->a, &attributes, a->stop, &a->aerr, err);

    if (rc != SUP_OK)
        return rc;
    sup_ses_attributes_fini(&acc->attributes);
    acc->attributes = attributes;
    return SUP_OK;
}

static int put_account(struct sup_audit *a, void *arg, struct sup_err *err)
{
    const struct account *acc = arg;

    return sup_ses_complete_attributes(a->opts->aws, &acc->attributes, a->stop, &a->aerr, err);
}

static const char *reasons_name(unsigned reasons)
{
    static const char *const names[] = {"none", "BOUNCE", "COMPLAINT", "BOUNCE and COMPLAINT"};

    return names[reasons & SUP_COVERS_ALL];
}

static bool is_complete(const struct account *acc)
{
    return (acc->a.suppressed_reasons & SUP_COVERS_ALL) == SUP_COVERS_ALL;
}

/* --- completing the attributes --- */

/* Until the reasons show; SUP_EAGAIN: they do not. */
static int look_again(struct sup_audit *a, struct account *acc, struct sup_err *err)
{
    for (int i = 0; i < LOOKS_MAX; i++) {
        int rc = sup_audit_call(a, SUP_ASK_ACCOUNT, ask_account, acc, err);
        if (rc != SUP_OK || is_complete(acc))
            return rc;
    }
    return sup_err_set(err, SUP_EAGAIN,
                       "written, but read back it is still %s: somebody else sets it, too",
                       reasons_name(acc->a.suppressed_reasons));
}

struct completing {
    struct account *acc; /* what was read last */
    unsigned before;     /* reasons */
    bool written;        /* SES took a write, whatever was read then */
    bool rest_moved;     /* other attributes are not as they were sent */
};

/* True: to be tried again. */
static bool write_and_look(struct sup_audit *a, struct completing *c, int *rc, struct sup_err *err)
{
    struct account sent = *c->acc;

    c->acc->attributes.owner = NULL; /* sent holds it now */
    *rc = sup_audit_call(a, SUP_PUT_ACCOUNT, put_account, &sent, err);
    c->written = c->written || *rc == SUP_OK;
    if (*rc == SUP_OK)
        *rc = look_again(a, c->acc, err);
    if (c->acc->attributes.owner) {
        c->rest_moved = !sup_ses_attributes_same_rest(&sent.attributes, &c->acc->attributes);
        sup_ses_attributes_fini(&sent.attributes);
    } else {
        c->acc->attributes = sent.attributes;
    }
    return *rc == SUP_EAGAIN && !a->aerr.throttled;
}

static int complete(struct sup_audit *a, struct completing *c, struct sup_err *err)
{
    int rc = SUP_OK;

    for (int i = 0; i < WRITES_MAX && write_and_look(a, c, &rc, err); i++)
        ;
    return rc;
}

/* Before anything is sent, so that a crash cannot leave a change of which nobody knows. */
static int announce(struct sup_audit *a, const struct completing *c, struct sup_err *err)
{
    struct sup_coverage_change change = {
        .time_ms = sup_wall_ms(), .before = c->before, .after = SUP_COVERS_ALL};

    snprintf(change.text, sizeof(change.text),
             "account attributes: SuppressedReasons is %s, is being set to %s; what came of it is "
             "not known",
             reasons_name(c->before), reasons_name(SUP_COVERS_ALL));
    sup_coverage_add_change(a->out, &change);
    sup_log_info("coverage", "completing the account attributes",
                 SUP_S("before", reasons_name(c->before)));
    return a->opts->apply ? sup_coverage_store(a->opts, a->before, a->out, err) : SUP_OK;
}

static void finish(struct sup_audit *a, const struct completing *c, int rc,
                   const struct sup_err *why)
{
    struct sup_coverage_brief *b = &a->out->brief;
    struct sup_coverage_change *change = &a->out->changes[a->out->n_changes - 1];
    unsigned after = c->acc->a.suppressed_reasons & SUP_COVERS_ALL;

    b->managed = rc == SUP_OK ? SUP_MANAGED_DONE : SUP_MANAGED_FAILED;
    if (rc == SUP_OK)
        snprintf(b->managed_text, sizeof(b->managed_text),
                 "account attributes: SuppressedReasons was %s, is %s now%s",
                 reasons_name(c->before), reasons_name(after),
                 c->rest_moved ? "; other attributes changed meanwhile, by somebody else" : "");
    else
        snprintf(b->managed_text, sizeof(b->managed_text), "account attributes: %s%.160s",
                 rc == SUP_EAUTH && !c->written ? "allow ses:PutAccountSuppressionAttributes: "
                                                : "",
                 why->msg);
    if (rc == SUP_OK)
        sup_log_warn("coverage", "account attributes completed",
                     SUP_S("before", reasons_name(c->before)), SUP_S("after", reasons_name(after)));
    else
        sup_log_error("coverage", "account attributes cannot be completed",
                      SUP_S("error", why->msg));
    if (!c->written) { /* nothing was changed after all */
        a->out->n_changes--;
        return;
    }
    change->after = after;
    sup_text_copy(change->text, sizeof(change->text), b->managed_text);
}

/* SUP_OK whatever became of it, or SUP_ECLOSED. */
static int manage(struct sup_audit *a, struct account *acc, struct sup_err *err)
{
    const struct sup_options *c = a->opts->config;
    struct sup_coverage_brief *b = &a->out->brief;
    struct completing completing = {.acc = acc,
                                    .before = acc->a.suppressed_reasons & SUP_COVERS_ALL};
    struct sup_err why = {0};
    int rc;

    if (!c->ses.manage_account_attributes || is_complete(acc)) {
        b->managed = is_complete(acc) && c->ses.manage_account_attributes ? SUP_MANAGED_COMPLETE
                                                                          : SUP_MANAGED_OFF;
        return SUP_OK;
    }
    if (!(a->how & SUP_AUDIT_WRITES) || c->ses.mode == SUP_MODE_OBSERVE) {
        b->managed = SUP_MANAGED_PLANNED;
        snprintf(b->managed_text, sizeof(b->managed_text),
                 "account attributes: SuppressedReasons is %s, would become %s%s",
                 reasons_name(completing.before), reasons_name(SUP_COVERS_ALL),
                 c->ses.mode == SUP_MODE_OBSERVE ? ", but ses.mode is observe" : "");
        return SUP_OK;
    }
    rc = announce(a, &completing, &why);
    if (rc == SUP_OK)
        rc = complete(a, &completing, &why);
    if (rc == SUP_ECLOSED)
        return sup_err_set(err, rc, "%s", why.msg);
    finish(a, &completing, rc, &why);
    return SUP_OK;
}

/* --- the audit --- */

static void say_state(struct sup_coverage *c, const struct sup_ses_account *a)
{
    if (!a->production_access)
        sup_coverage_say(c, SUP_COVERAGE_GAP_TEXTS,
                         "account: in the sandbox: SES refuses to write the list until production "
                         "access is requested and granted in this Region");
    if (!a->sending_enabled)
        sup_coverage_say(c, SUP_COVERAGE_NOTE_TEXTS,
                         "account: sending is paused: after 90 days SES removes all entries; "
                         "resume it with PutAccountSendingAttributes");
    if (strcmp(a->enforcement_status, "PROBATION") == 0)
        sup_coverage_say(c, SUP_COVERAGE_NOTE_TEXTS,
                         "account: under review (PROBATION): mend what the reputation page of the "
                         "SES console names, and answer the case there");
    else if (strcmp(a->enforcement_status, "SHUTDOWN") == 0)
        sup_coverage_say(c, SUP_COVERAGE_NOTE_TEXTS,
                         "account: AWS shut sending down (SHUTDOWN): answer the case in the AWS "
                         "Support Center; after 90 days SES removes all entries");
    else if (strcmp(a->enforcement_status, "HEALTHY") != 0 && a->enforcement_status[0] != '\0')
        sup_coverage_say(c, SUP_COVERAGE_NOTE_TEXTS, "account: enforcement status %s",
                         a->enforcement_status);
}

static void conclude(struct sup_audit *a, const struct sup_ses_account *acc)
{
    struct sup_coverage_brief *b = &a->out->brief;
    struct sup_effective e;

    a->account = (struct sup_suppression){
        .given = true, .has_reasons = true, .reasons = acc->suppressed_reasons};
    b->reasons = acc->suppressed_reasons & SUP_COVERS_ALL;
    b->production_access = acc->production_access;
    b->sending_enabled = acc->sending_enabled;
    sup_text_copy(b->enforcement_status, sizeof(b->enforcement_status), acc->enforcement_status);
    sup_coverage_effective(&a->account, NULL, NULL, &e);
    sup_coverage_say_gaps(a->out, SUP_LEVEL_ACCOUNT, "", &e);
    say_state(a->out, acc);
}

int sup_audit_account(struct sup_audit *a, struct sup_err *err)
{
    struct account acc = {0};
    int rc = sup_audit_call(a, SUP_ASK_ACCOUNT, ask_account, &acc, err);

    if (rc == SUP_OK)
        rc = manage(a, &acc, err);
    if (rc == SUP_OK)
        conclude(a, &acc.a);
    sup_ses_attributes_fini(&acc.attributes);
    return rc;
}
