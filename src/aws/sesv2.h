#ifndef SUP_AWS_SESV2_H
#define SUP_AWS_SESV2_H

#include "aws/client.h"
#include "model/decision.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Amazon SES API v2: the account-level suppression list. Addresses go and come in the exact
 * spelling that SES stores: this layer neither trims nor folds. aerr may be NULL; errors as in
 * client.h.
 *
 * Throttles are not retried inside (no_throttle_retry): SES allows about one request a second, and
 * the caller's rate control has to see every 429. aerr->throttled tells. stop (may be NULL: the
 * client's) cuts a call off with SUP_ECLOSED. */

#define SUP_SES_ADDRESS_MAX 320

struct sup_ses_destination {
    const char *address;
    enum sup_reason reason;
    int64_t last_update_ms;
    const char
        *message_id; /* Get only; SES adds these to its own entries, never to a person's put */
    const char *feedback_id; /* Get only */
};

/* The reply as parsed; owns what its items point to. */
struct sup_ses_list {
    struct sup_ses_destination *items;
    size_t n;
    const char *next_token; /* NULL on the last page */
    void *owner;
};
/* Allowed on a zeroed list; zeroes it. */
void sup_ses_list_fini(struct sup_ses_list *l);

/* Upsert. SUP_EINPUT in the sandbox and for addresses that SES refuses. */
int sup_ses_put(struct sup_aws *a, const char *address, enum sup_reason reason,
                struct sup_aws_error *aerr, struct sup_err *err);
/* SUP_ENOTFOUND when that exact spelling is not listed. */
int sup_ses_delete(struct sup_aws *a, const char *address, struct sup_aws_error *aerr,
                   struct sup_err *err);
/* l holds exactly one item on SUP_OK. */
int sup_ses_get(struct sup_aws *a, const char *address, struct sup_ses_list *l,
                struct sup_stop *stop, struct sup_aws_error *aerr, struct sup_err *err);

struct sup_ses_list_query {
    unsigned reasons;       /* bits of enum sup_reason; 0: all */
    int64_t start_ms;       /* 0: open */
    int64_t end_ms;         /* 0: open */
    const char *next_token; /* NULL: first page */
    unsigned page_size;     /* 0: AWS's default */
    struct sup_stop *stop;  /* cuts the call off; NULL: the client's */
};
int sup_ses_list_page(struct sup_aws *a, const struct sup_ses_list_query *q, struct sup_ses_list *l,
                      struct sup_aws_error *aerr, struct sup_err *err);

struct sup_ses_account {
    bool sending_enabled;
    bool production_access;      /* false: sandbox, puts are refused */
    char enforcement_status[32]; /* HEALTHY, PROBATION, SHUTDOWN */
    unsigned suppressed_reasons; /* bits of enum sup_reason */
    double max_send_rate;        /* a second; 0 when not told */
    double max_24h_send;
    double sent_last_24h;
};
int sup_ses_get_account(struct sup_aws *a, struct sup_ses_account *out, struct sup_stop *stop,
                        struct sup_aws_error *aerr, struct sup_err *err);

#endif
