#include "service/coverage.h"

#include "aws/ses_sets.h"
#include "base/clock.h"
#include "base/text.h"
#include "core/rate.h"
#include "service/internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define ALL           (SUP_COVERS_BOUNCE | SUP_COVERS_COMPLAINT)
#define THROTTLES_MAX 20

struct audit {
    struct sup_service *s;
    struct sup_rate rate;
    unsigned account_reasons;
    unsigned throttles;
    void (*set)(void *arg, const struct sup_coverage_set *c);
    void (*gap)(void *arg, const char *text);
    void (*note)(void *arg, const char *text);
    void *arg;
};

static void __attribute__((format(printf, 3, 4)))
tell(void (*to)(void *arg, const char *text), void *arg, const char *fmt, ...)
{
    char text[320];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    to(arg, text);
}

/* SUP_ECLOSED: the agent stops. */
static int wait_for_rate(struct audit *a)
{
    for (;;) {
        int64_t wait = sup_rate_take(&a->rate, sup_mono_ms());
        if (wait == 0)
            return SUP_OK;
        if (sup_reconciler_wait(a->s->reconciler, wait))
            return SUP_ECLOSED;
    }
}

/* Whether a call that was throttled is to be made again. */
static bool again(struct audit *a, int rc, const struct sup_aws_error *aerr)
{
    if (rc == SUP_OK)
        sup_rate_success(&a->rate, sup_mono_ms());
    if (rc == SUP_OK || !aerr->throttled || ++a->throttles > THROTTLES_MAX)
        return false;
    sup_rate_throttled(&a->rate, sup_mono_ms());
    return true;
}

static const char *missing(unsigned reasons)
{
    switch (ALL & ~reasons) {
    case ALL:
        return "BOUNCE and COMPLAINT";
    case SUP_COVERS_BOUNCE:
        return "BOUNCE";
    default:
        return "COMPLAINT";
    }
}

static int audit_account(struct audit *a, struct sup_coverage_account *out, struct sup_err *err)
{
    struct sup_ses_account account;
    struct sup_aws_error aerr;
    int rc;

    do {
        rc = wait_for_rate(a);
        if (rc != SUP_OK)
            return rc;
        memset(&aerr, 0, sizeof(aerr));
        rc = sup_ses_get_account(a->s->aws, &account, sup_reconciler_stop_flag(a->s->reconciler),
                                 &aerr, err);
    } while (again(a, rc, &aerr));
    if (rc != SUP_OK)
        return rc;
    *out = (struct sup_coverage_account){.sending_enabled = account.sending_enabled,
                                         .production_access = account.production_access,
                                         .reasons = account.suppressed_reasons & ALL};
    sup_text_copy(out->enforcement_status, sizeof(out->enforcement_status),
                  account.enforcement_status);
    a->account_reasons = out->reasons;
    if (out->reasons != ALL)
        tell(a->gap, a->arg, "account: entries of reason %s do not suppress",
             missing(out->reasons));
    if (!out->production_access)
        tell(a->gap, a->arg, "account: in the sandbox, SES refuses to write the list");
    if (!out->sending_enabled)
        tell(a->note, a->arg, "account: sending is paused; after 90 days SES removes all entries");
    if (strcmp(out->enforcement_status, "HEALTHY") != 0)
        tell(a->note, a->arg, "account: enforcement status %s", out->enforcement_status);
    return SUP_OK;
}

static int audit_set(struct audit *a, const char *name, struct sup_err *err)
{
    struct sup_coverage_set c = {.name = name};
    struct sup_aws_error aerr;
    struct sup_ses_set set;
    int rc;

    do {
        rc = wait_for_rate(a);
        if (rc != SUP_OK)
            return rc;
        memset(&aerr, 0, sizeof(aerr));
        rc = sup_ses_get_set(a->s->aws, name, &set, sup_reconciler_stop_flag(a->s->reconciler),
                             &aerr, err);
    } while (again(a, rc, &aerr));
    if (rc == SUP_ENOTFOUND) /* deleted since it was listed */
        return SUP_OK;
    if (rc != SUP_OK)
        return rc;
    c.overrides = set.overrides;
    c.reasons = set.overrides ? set.reasons & ALL : a->account_reasons;
    c.scope = set.scope;
    a->set(a->arg, &c);
    if (set.overrides && c.reasons != ALL)
        tell(a->gap, a->arg, "configuration set %s: entries of reason %s do not suppress", name,
             missing(c.reasons));
    if (strcmp(set.scope, "TENANT") == 0)
        tell(a->gap, a->arg, "configuration set %s: looks at tenants' lists only", name);
    return SUP_OK;
}

static int audit_sets(struct audit *a, struct sup_err *err)
{
    struct sup_ses_sets page = {0};
    struct sup_aws_error aerr;
    char token[8192] = "";
    int rc;

    do {
        do {
            rc = wait_for_rate(a);
            if (rc != SUP_OK)
                return rc;
            memset(&aerr, 0, sizeof(aerr));
            rc = sup_ses_sets_page(a->s->aws, token[0] ? token : NULL, &page,
                                   sup_reconciler_stop_flag(a->s->reconciler), &aerr, err);
        } while (again(a, rc, &aerr));
        for (size_t i = 0; rc == SUP_OK && i < page.n; i++)
            rc = audit_set(a, page.names[i], err);
        if (rc == SUP_OK && page.next_token && strcmp(page.next_token, token) == 0)
            rc = sup_err_set(err, SUP_ECORRUPT, "SES gave the same NextToken twice");
        sup_text_copy(token, sizeof(token), page.next_token ? page.next_token : "");
        sup_ses_sets_fini(&page);
    } while (rc == SUP_OK && token[0] != '\0');
    return rc;
}

int sup_service_coverage(struct sup_service *s, struct sup_coverage_account *account,
                         void (*set)(void *arg, const struct sup_coverage_set *c),
                         void (*gap)(void *arg, const char *text),
                         void (*note)(void *arg, const char *text), void *arg, struct sup_err *err)
{
    struct audit a = {.s = s, .set = set, .gap = gap, .note = note, .arg = arg};
    int rc;

    sup_rate_init(&a.rate, 0, s->config->ses.max_rps, sup_mono_ms());
    rc = audit_account(&a, account, err);
    if (rc == SUP_OK)
        rc = audit_sets(&a, err);
    if (rc == SUP_ECLOSED)
        sup_err_set(err, rc, "the agent is stopping");
    return rc;
}
