#ifndef SUP_CORE_CLASSIFY_H
#define SUP_CORE_CLASSIFY_H

#include "base/buf.h"
#include "base/err.h"
#include "model/address.h"
#include "model/decision.h"
#include "model/event.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What an SES event says about each of its recipients. Pure: no I/O, no clock, any thread.
 *
 * The rules are tables (classify_rules.c), one row for each bounceType/bounceSubType and complaint
 * feedback type; a verdict names the row, or the recipient rule, that made it. What no row names is
 * decided by the catch-all of its bounceType, so that a new sub type of Permanent still suppresses;
 * a new On…SuppressionList is an echo. */

enum sup_verdict_kind {
    SUP_VERDICT_IGNORE,     /* nothing follows from it (open, auth-failure, validation …) */
    SUP_VERDICT_SUPPRESS,   /* cls and cause say into which register and why */
    SUP_VERDICT_CLEAR,      /* not-spam: reverses a complaint; concerns the complaint register only.
                               A clear for an address without a suppressed complaint changes nothing:
                               do not create a register for it */
    SUP_VERDICT_ECHO,       /* only says "is on the list already": no evidence, no decision */
    SUP_VERDICT_SOFT,       /* did not get through this time; kept for a resend */
    SUP_VERDICT_UNMAPPED,   /* a permanent bounce of an address the mail was not sent to */
    SUP_VERDICT_AMBIGUOUS,  /* a complaint by one of several; which one is not known */
    SUP_VERDICT_SIMULATOR,  /* mailbox simulator: never counts */
    SUP_VERDICT_BAD_ADDRESS /* no address that this program can keep */
};
const char *sup_verdict_kind_name(enum sup_verdict_kind k); /* "suppress" …, never NULL */

#define SUP_VERDICT_SPELLINGS_MAX 4

struct sup_event_verdict {
    enum sup_verdict_kind kind;
    enum sup_verdict_kind happened; /* what kind would be if it were clear whom it concerns */
    enum sup_class cls;             /* SUPPRESS, CLEAR; also what ECHO and AMBIGUOUS are about */
    enum sup_cause cause;           /* SUPPRESS, CLEAR; else UNKNOWN */
    const char *rule;               /* stable, e.g. "bounce-permanent-general"; static */
    struct sup_address address;     /* whom it concerns; empty key for BAD_ADDRESS */
    /* The forms under which the sending Region's SES list may hold the address because of this
     * event: of mail.destination and of the bounced recipient, distinct, domain in lower case. A
     * later clear must delete each (SES lists by exact spelling). Only spellings of address.key. */
    char spellings[SUP_VERDICT_SPELLINGS_MAX][SUP_ADDRESS_MAX + 1];
    size_t n_spellings;
    struct sup_slice recipient; /* as the event wrote it; slices are the event's */
    struct sup_slice status;
    struct sup_slice diagnostic;
    int64_t time_ms;    /* the decision's time, see sup_classify_time */
    int64_t expires_ms; /* SUPPRESS: when it ends by itself; 0 = never */
};

/* Reusable result. {0} is an empty one. */
struct sup_verdicts {
    struct sup_event_verdict *v;
    size_t n;
    size_t cap;
    struct sup_address *destination; /* scratch: the mail's, parsed */
    size_t n_destination;
    size_t cap_destination;
    char sub_type[96]; /* "Permanent/General", "abuse", "OnAccountSuppressionList" … */
};
void sup_verdicts_fini(struct sup_verdicts *vs);

struct sup_classify_policy {
    bool suppress_ambiguous_complaints; /* every recipient of a complaint that names several */
    bool ignore_global_list;            /* a hit on SES's own global list is no evidence */
    int64_t global_list_ttl_ms;         /* a suppression for such a hit ends after; 0 = never */
};

struct sup_classify_context {
    struct sup_slice region;                  /* whose event it is; for the evidence */
    int64_t now_ms;                           /* wall time of receipt */
    int64_t sent_ms;                          /* SQS SentTimestamp, or SUP_NO_TIME */
    const struct sup_classify_policy *policy; /* NULL: all off */
};

/* One verdict for each address that the event is about, in the order of its recipients; one that is
 * named twice gets the stronger of its verdicts (suppress, then clear, soft, the rest). A bounce or
 * complaint that names no recipient is about the destination if there is exactly one, else
 * AMBIGUOUS for each. Of events that are neither bounce nor complaint: no verdicts.
 *
 * Who a recipient is: the only destination of the mail if it has one; else the destination with the
 * same key; else UNMAPPED. (A bounced recipient is the DSN's Final-Recipient, which may be where
 * the mail was forwarded to. SES developer guide, "Amazon SNS notification contents".)
 *
 * Returns SUP_OK or SUP_ENOMEM (out is then empty). Slices in the verdicts are the event's; the
 * verdicts live until out is used again. */
int sup_classify(const struct sup_event *event, const struct sup_classify_context *ctx,
                 struct sup_verdicts *out);

/* When the event's news became true: the earliest of the block's timestamp (the ISP's clock), the
 * envelope's and SQS's SentTimestamp, never later than now; now when there is none. So a bounce
 * that waited four days in a queue does not undo a removal made yesterday. */
int64_t sup_classify_time(const struct sup_event *event, const struct sup_classify_context *ctx);

/* The decision for a SUPPRESS or CLEAR verdict, all but origin; slices are the event's, ctx's and
 * vs's. */
void sup_verdict_decision(const struct sup_event_verdict *v, const struct sup_verdicts *vs,
                          const struct sup_event *event, const struct sup_classify_context *ctx,
                          struct sup_decision *out);

/* Appends the key that marks (event, recipient) as seen: equal for the same bounce told by identity
 * feedback and by event publishing, whatever the envelope. feedbackId and recipient; without a
 * feedbackId messageId, type, timestamp and recipient. recipient is an address key, or the raw text
 * when there is none. */
void sup_classify_dedup_key(const struct sup_event *event, struct sup_slice recipient,
                            struct sup_buf *out);

#endif
