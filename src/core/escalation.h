#ifndef SUP_CORE_ESCALATION_H
#define SUP_CORE_ESCALATION_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* When soft bounces of one address amount to a dead mailbox. Pure: the state is a value that
 * arrivals in any order lead to the same. */

/* So many soft bounces are remembered: the newest, but those that weigh nothing make room first. */
#define SUP_ESCALATION_KEPT 16
#define SUP_ESCALATION_ONE  2 /* weights are in halves */

struct sup_escalation_policy {
    unsigned consecutive; /* so many since the last delivery; 0 = this rule is off */
    unsigned count;       /* or so many … */
    int64_t window_ms;    /* … within this time, none delivered in between; count 0 = off */
};

struct sup_escalation {
    int64_t delivered_ms; /* the newest delivery; INT64_MIN = none */
    int64_t escalated_ms; /* soft bounces up to here called for a suppression already; likewise */
    size_t n;
    int64_t time_ms[SUP_ESCALATION_KEPT]; /* oldest first */
    uint8_t weight[SUP_ESCALATION_KEPT];
};

void sup_escalation_init(struct sup_escalation *e);
/* How much a soft bounce counts, in halves. What the message caused (too large, rejected content or
 * attachment) says nothing of the mailbox; SES's Undetermined says little, and so does a time-out
 * that the sender chose. sub_type as
 * "Transient/MailboxFull", rule as of the verdict. */
uint8_t sup_escalation_weight(struct sup_slice sub_type, const char *rule);
/* A soft bounce or a delivery at its own time. A delivery heals what is older than it. */
void sup_escalation_bounced(struct sup_escalation *e, int64_t time_ms, uint8_t weight);
void sup_escalation_delivered(struct sup_escalation *e, int64_t time_ms);
/* Does the policy call for a suppression? The window may lie anywhere: what completes it may have
 * come late. *why (may be NULL): "consecutive" or "window". */
bool sup_escalation_due(const struct sup_escalation *e, const struct sup_escalation_policy *p,
                        const char **why);
/* It was followed: what is known now calls for nothing again. */
void sup_escalation_followed(struct sup_escalation *e);
/* Soft bounces since the last delivery, whatever they weigh. */
unsigned sup_escalation_since(const struct sup_escalation *e);
/* How long to wait before a resend: 1 h, 4 h, 1 d, then 3 d, by soft bounces since the last
 * delivery. */
int64_t sup_soft_backoff_ms(unsigned bounces);

#endif
