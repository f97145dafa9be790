#include "core/classify_rules.h"

#include "base/array.h"

#include <string.h>

#define BOUNCE    SUP_CLASS_BOUNCE
#define COMPLAINT SUP_CLASS_COMPLAINT

/* clang-format off */

/* Sub types: SES developer guide, "Amazon SNS notification contents", "Bounce types" (the list of
 * 2026). Sub types of Permanent that are not about the mailbox:
 *  Suppressed                 SES's own global list. It counts in the bounce rate, but says only
 *                             that somebody's mail bounced within the last 14 days: weak evidence.
 *  On…SuppressionList         the account's or tenant's list was already there first: an echo, not
 *                             attempted, not counted; it may arrive after an un-suppress.
 *  EmailValidationSuppressed  Auto Validation withheld it: a prediction.
 *  UnsubscribedRecipient      of one contact list or topic: does not hold for other mail.
 * Transient/General includes automatic replies of people who are away. */
static const struct sup_classify_rule bounce_rules[] = {
    {"bounce-permanent-general", "Permanent", "General", SUP_VERDICT_SUPPRESS, BOUNCE, SUP_CAUSE_EVENT, false},
    {"bounce-permanent-no-email", "Permanent", "NoEmail", SUP_VERDICT_SUPPRESS, BOUNCE, SUP_CAUSE_EVENT, false},
    {"bounce-global-list", "Permanent", "Suppressed", SUP_VERDICT_SUPPRESS, BOUNCE, SUP_CAUSE_GLOBAL_LIST, false},
    {"bounce-echo-account-list", NULL, "OnAccountSuppressionList", SUP_VERDICT_ECHO, BOUNCE, SUP_CAUSE_UNKNOWN, false},
    {"bounce-echo-tenant-list", NULL, "OnTenantSuppressionList", SUP_VERDICT_ECHO, BOUNCE, SUP_CAUSE_UNKNOWN, false},
    {"bounce-echo-other-list", NULL, "On*SuppressionList", SUP_VERDICT_ECHO, BOUNCE, SUP_CAUSE_UNKNOWN, false},
    {"bounce-validation", "Permanent", "EmailValidationSuppressed", SUP_VERDICT_IGNORE, BOUNCE, SUP_CAUSE_UNKNOWN, false},
    {"bounce-unsubscribed", "Permanent", "UnsubscribedRecipient", SUP_VERDICT_IGNORE, BOUNCE, SUP_CAUSE_UNKNOWN, false},
    {"bounce-permanent-other", "Permanent", NULL, SUP_VERDICT_SUPPRESS, BOUNCE, SUP_CAUSE_EVENT, false},
    {"bounce-transient-general", "Transient", "General", SUP_VERDICT_SOFT, BOUNCE, SUP_CAUSE_UNKNOWN, true},
    {"bounce-transient-mailbox-full", "Transient", "MailboxFull", SUP_VERDICT_SOFT, BOUNCE, SUP_CAUSE_UNKNOWN, false},
    {"bounce-transient-message-too-large", "Transient", "MessageTooLarge", SUP_VERDICT_SOFT, BOUNCE, SUP_CAUSE_UNKNOWN, false},
    {"bounce-transient-content-rejected", "Transient", "ContentRejected", SUP_VERDICT_SOFT, BOUNCE, SUP_CAUSE_UNKNOWN, false},
    {"bounce-transient-attachment-rejected", "Transient", "AttachmentRejected", SUP_VERDICT_SOFT, BOUNCE, SUP_CAUSE_UNKNOWN, false},
    {"bounce-transient-timeout", "Transient", "CustomTimeoutExceeded", SUP_VERDICT_SOFT, BOUNCE, SUP_CAUSE_UNKNOWN, false},
    {"bounce-transient-other", "Transient", NULL, SUP_VERDICT_SOFT, BOUNCE, SUP_CAUSE_UNKNOWN, false},
    {"bounce-undetermined", "Undetermined", NULL, SUP_VERDICT_SOFT, BOUNCE, SUP_CAUSE_UNKNOWN, false},
    {"bounce-other", NULL, NULL, SUP_VERDICT_SOFT, BOUNCE, SUP_CAUSE_UNKNOWN, false},
};

/* Feedback types: the same page, "Complaint object", from the ARF registry of IANA (RFC 5965).
 * auth-failure is about the sender's authentication; not-spam takes a complaint back. */
static const struct sup_classify_rule complaint_rules[] = {
    {"complaint-echo-account-list", NULL, "OnAccountSuppressionList", SUP_VERDICT_ECHO, COMPLAINT, SUP_CAUSE_UNKNOWN, false},
    {"complaint-echo-tenant-list", NULL, "OnTenantSuppressionList", SUP_VERDICT_ECHO, COMPLAINT, SUP_CAUSE_UNKNOWN, false},
    {"complaint-echo-other-list", NULL, "On*SuppressionList", SUP_VERDICT_ECHO, COMPLAINT, SUP_CAUSE_UNKNOWN, false},
    {"complaint-not-spam", "not-spam", NULL, SUP_VERDICT_CLEAR, COMPLAINT, SUP_CAUSE_NOT_SPAM, false},
    {"complaint-auth-failure", "auth-failure", NULL, SUP_VERDICT_IGNORE, COMPLAINT, SUP_CAUSE_UNKNOWN, false},
    {"complaint-abuse", "abuse", NULL, SUP_VERDICT_SUPPRESS, COMPLAINT, SUP_CAUSE_EVENT, false},
    {"complaint-fraud", "fraud", NULL, SUP_VERDICT_SUPPRESS, COMPLAINT, SUP_CAUSE_EVENT, false},
    {"complaint-virus", "virus", NULL, SUP_VERDICT_SUPPRESS, COMPLAINT, SUP_CAUSE_EVENT, false},
    {"complaint-other", "other", NULL, SUP_VERDICT_SUPPRESS, COMPLAINT, SUP_CAUSE_EVENT, false},
    {"complaint-no-type", "", NULL, SUP_VERDICT_SUPPRESS, COMPLAINT, SUP_CAUSE_EVENT, false},
    {"complaint-unknown-type", NULL, NULL, SUP_VERDICT_SUPPRESS, COMPLAINT, SUP_CAUSE_EVENT, false},
};

/* clang-format on */

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

static bool same(const uint8_t *p, const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (lower(p[i]) != lower((uint8_t)text[i]))
            return false;
    return true;
}

/* Case-blind; at most one '*' in pattern. */
static bool fits(const char *pattern, struct sup_slice s)
{
    if (pattern == NULL)
        return true;
    size_t n = strlen(pattern);
    const char *star = strchr(pattern, '*');
    if (star == NULL)
        return s.n == n && same(s.p, pattern, n);
    size_t head = (size_t)(star - pattern), tail = n - head - 1;
    return s.n >= head + tail && same(s.p, pattern, head) && same(s.p + s.n - tail, star + 1, tail);
}

static const struct sup_classify_rule *first(const struct sup_classify_rule *rules, size_t n,
                                             struct sup_slice type, struct sup_slice sub_type)
{
    size_t i = 0;

    /* The last row of each table takes anything. */
    while (i < n - 1 && !(fits(rules[i].type, type) && fits(rules[i].sub_type, sub_type)))
        i++;
    return &rules[i];
}

const struct sup_classify_rule *sup_classify_rule_for(const struct sup_event *event)
{
    if (event->type == SUP_EVENT_COMPLAINT)
        return first(complaint_rules, SUP_COUNT(complaint_rules), event->feedback_type,
                     event->sub_type);
    return first(bounce_rules, SUP_COUNT(bounce_rules), event->bounce_type, event->sub_type);
}
