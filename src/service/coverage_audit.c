/* One audit: the account, every configuration set, every tenant. */
#include "base/clock.h"
#include "base/text.h"
#include "service/coverage_internal.h"

#include <stdio.h>
#include <string.h>

/* Throttles in a row until a call is given up. */
#define THROTTLES_MAX 20
#define TOKEN_MAX     8192

/* --- pace --- */

static int wait_for_rate(struct sup_audit *a, struct sup_rate *rate)
{
    int64_t wait;

    while ((wait = sup_rate_take(rate, sup_mono_ms())) > 0) {
        if (sup_stop_wait_ms(a->stop, wait))
            return SUP_ECLOSED;
    }
    return sup_stop_is_set(a->stop) ? SUP_ECLOSED : SUP_OK;
}

static void book(struct sup_audit *a, enum sup_coverage_call op, int rc, bool again)
{
    struct sup_ses_call_made made = {.op = op == SUP_ASK_ACCOUNT ? SUP_CALL_ACCOUNT
                                                                 : SUP_CALL_SETTINGS,
                                     .code = rc,
                                     .aws = &a->aerr,
                                     .for_run = (a->how & SUP_AUDIT_FOR_RUN) != 0,
                                     .again = again};

    if (a->opts->calls)
        sup_ses_calls_made(a->opts->calls, &made);
}

static int admit(struct sup_audit *a, struct sup_rate *rate, struct sup_err *err)
{
    int rc = wait_for_rate(a, rate);

    if (rc != SUP_OK)
        return sup_err_set(err, rc, "the agent is stopping");
    return a->opts->calls ? sup_ses_calls_take(a->opts->calls, false, err) : SUP_OK;
}

int sup_audit_call(struct sup_audit *a, enum sup_coverage_call op,
                   int (*fn)(struct sup_audit *a, void *arg, struct sup_err *err), void *arg,
                   struct sup_err *err)
{
    struct sup_rate *rate = &a->rates[op];

    for (unsigned throttles = 0;;) {
        memset(&a->aerr, 0, sizeof(a->aerr));
        int rc = admit(a, rate, err);
        if (rc != SUP_OK)
            return rc;
        rc = fn(a, arg, err);
        book(a, op, rc, throttles > 0);
        if (a->aerr.throttled)
            sup_rate_throttled(rate, sup_mono_ms());
        else if (rc == SUP_OK)
            sup_rate_success(rate, sup_mono_ms());
        if (rc == SUP_OK || !a->aerr.throttled || ++throttles == THROTTLES_MAX)
            return rc;
    }
}

/* --- lists of names --- */

struct list {
    enum sup_coverage_call page_op;
    enum sup_level level;
    const char *what; /* "configuration sets" */
    const char *permissions;
    struct sup_coverage_items *items;
    int (*page)(struct sup_aws *a, const char *token, struct sup_ses_names *out,
                struct sup_stop *stop, struct sup_aws_error *aerr, struct sup_err *err);
    int (*read)(struct sup_audit *a, void *arg, struct sup_err *err); /* arg: struct reading */
    enum sup_coverage_call read_op;

    const char *token;
    struct sup_ses_names names;
};

struct reading {
    const char *name;
    struct sup_coverage_item *item;
};

static int ask_page(struct sup_audit *a, void *arg, struct sup_err *err)
{
    struct list *l = arg;

    return l->page(a->opts->aws, l->token, &l->names, a->stop, &a->aerr, err);
}

static int ask_set(struct sup_audit *a, void *arg, struct sup_err *err)
{
    struct reading *r = arg;

    r->item->sending = true;
    return sup_ses_get_set(a->opts->aws, r->name, &r->item->own, a->stop, &a->aerr, err);
}

static int ask_tenant(struct sup_audit *a, void *arg, struct sup_err *err)
{
    struct reading *r = arg;

    return sup_ses_get_tenant(a->opts->aws, r->name, &r->item->own, &r->item->sending, a->stop,
                              &a->aerr, err);
}

static void judge(struct sup_audit *a, const struct list *l, struct sup_coverage_item *item)
{
    bool tenant = l->level == SUP_LEVEL_TENANT;

    sup_coverage_effective(&a->account, tenant ? &item->own : NULL, tenant ? NULL : &item->own,
                           &item->effective);
    sup_coverage_say_gaps(a->out, l->level, item->name, &item->effective);
}

/* SUP_ECLOSED, SUP_ELIMIT (there are too many), else SUP_OK: an item that cannot be read is one
 * that nobody knows of whether it is covered. */
static int audit_item(struct sup_audit *a, struct list *l, const char *name, struct sup_err *err)
{
    struct reading r = {name, sup_coverage_add(l->items, name)};
    struct sup_err why = {0};
    int rc;

    if (!r.item)
        return sup_err_set(err, SUP_ELIMIT, "there are more than can be looked at");
    rc = sup_audit_call(a, l->read_op, l->read, &r, &why);
    if (rc == SUP_ECLOSED)
        return sup_err_set(err, rc, "%s", why.msg);
    if (rc == SUP_ENOTFOUND) { /* deleted since it was listed */
        l->items->n--;
        return SUP_OK;
    }
    r.item->unread = rc != SUP_OK;
    if (rc == SUP_OK)
        judge(a, l, r.item);
    else
        sup_coverage_say(a->out, SUP_COVERAGE_UNKNOWN_TEXTS, "%s %s: not known: %s",
                         l->level == SUP_LEVEL_TENANT ? "tenant" : "configuration set",
                         r.item->name, why.msg);
    return SUP_OK;
}

static int audit_page(struct sup_audit *a, struct list *l, char token[TOKEN_MAX],
                      struct sup_err *err)
{
    int rc = sup_audit_call(a, l->page_op, ask_page, l, err);
    const char *next = rc == SUP_OK && l->names.next_token ? l->names.next_token : "";

    for (size_t i = 0; rc == SUP_OK && i < l->names.n; i++)
        rc = audit_item(a, l, l->names.names[i], err);
    if (rc == SUP_OK && next[0] != '\0' && (strlen(next) >= TOKEN_MAX || strcmp(next, token) == 0))
        rc = sup_err_set(err, SUP_ECORRUPT, "SES gave the same NextToken twice, or a huge one");
    if (rc == SUP_OK)
        sup_text_copy(token, TOKEN_MAX, next);
    sup_ses_names_fini(&l->names);
    return rc;
}

static void explain(struct sup_audit *a, const struct list *l, int rc, const struct sup_err *why)
{
    if (rc == SUP_ENOTFOUND && l->level == SUP_LEVEL_TENANT)
        sup_coverage_say(a->out, SUP_COVERAGE_UNKNOWN_TEXTS,
                         "%s: not known: SES has no such operation here", l->what);
    else if (rc == SUP_EAUTH)
        sup_coverage_say(a->out, SUP_COVERAGE_UNKNOWN_TEXTS, "%s: not known: allow %s (%s)",
                         l->what, l->permissions, a->aerr.code[0] ? a->aerr.code : "access denied");
    else
        sup_coverage_say(a->out, SUP_COVERAGE_UNKNOWN_TEXTS, "%s: not known: %s", l->what,
                         why->msg);
}

/* SUP_OK or SUP_ECLOSED. */
static int audit_list(struct sup_audit *a, struct list *l, struct sup_err *err)
{
    char token[TOKEN_MAX] = "";
    struct sup_err why = {0};
    int rc;

    do {
        l->token = token[0] ? token : NULL;
        rc = audit_page(a, l, token, &why);
    } while (rc == SUP_OK && token[0] != '\0');
    l->items->known = rc == SUP_OK;
    if (rc == SUP_ECLOSED)
        return sup_err_set(err, rc, "%s", why.msg);
    if (rc != SUP_OK)
        explain(a, l, rc, &why);
    return SUP_OK;
}

int sup_audit_run(struct sup_audit *a, struct sup_err *err)
{
    struct list sets = {.page_op = SUP_ASK_SETS,
                        .read_op = SUP_ASK_SET,
                        .level = SUP_LEVEL_SET,
                        .what = "configuration sets",
                        .permissions = "ses:ListConfigurationSets and ses:GetConfigurationSet",
                        .items = &a->out->sets,
                        .page = sup_ses_sets_page,
                        .read = ask_set};
    struct list tenants = {.page_op = SUP_ASK_TENANTS,
                           .read_op = SUP_ASK_TENANT,
                           .level = SUP_LEVEL_TENANT,
                           .what = "tenants",
                           .permissions = "ses:ListTenants and ses:GetTenant",
                           .items = &a->out->tenants,
                           .page = sup_ses_tenants_page,
                           .read = ask_tenant};
    int rc;

    a->out->brief.checked_ms = sup_wall_ms();
    rc = sup_audit_account(a, err);
    if (rc == SUP_OK)
        rc = audit_list(a, &sets, err);
    if (rc == SUP_OK)
        rc = audit_list(a, &tenants, err);
    if (rc == SUP_OK)
        sup_coverage_conclude(a->out);
    return rc;
}
