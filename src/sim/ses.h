#ifndef SIM_SES_H
#define SIM_SES_H

#include "account.h"
#include "request.h"
#include "suppression.h"

/* Finds operation, path parameter and input of an SES v2 request. false: r holds the error. */
bool sim_ses_parse(struct sim_request *r);

enum sim_outcome sim_ses_bad(struct sim_request *r, const char *message);

/* NextToken, opaque to clients: where to go on, for which query, in which Region. */
void sim_page_token(const struct sim_request *r, uint64_t seq, uint32_t query_hash,
                    struct sim_buf *out);
/* false: foreign, expired, or made for another query. */
bool sim_page_token_read(const struct sim_request *r, const char *token, uint32_t query_hash,
                         uint64_t *seq);

/* One recipient's fate, and what SES publishes about it. */
enum sim_fate {
    SIM_FATE_DELIVERY,
    SIM_FATE_BOUNCE,
    SIM_FATE_GLOBAL_LIST, /* Permanent/Suppressed */
    SIM_FATE_SOFT,
    SIM_FATE_COMPLAINT,
    SIM_FATE_OOTO,
    SIM_FATE_BOUNCE_ECHO,
    SIM_FATE_COMPLAINT_ECHO,
    SIM_FATES
};

struct sim_mail {
    struct sim_request *request;
    char message_id[SIM_SES_ID_LEN];
    int64_t time_ms;
    char *source;
    char *subject;
    char *set;          /* configuration set */
    const char *tenant; /* of the request or NULL, borrowed */
    struct sim_rules rules;
    json_t *tags;        /* EmailTags of the request or NULL, borrowed */
    json_t *to;          /* header To */
    json_t *destination; /* all recipients */
};
void sim_ses_make_id(const struct sim_request *r, char id[SIM_SES_ID_LEN]);
/* Publishes the events of these recipients: a list of strings, one fate. */
void sim_mail_publish(const struct sim_mail *m, enum sim_fate fate, const json_t *recipients,
                      const char *feedback_id);
void sim_mail_publish_send(const struct sim_mail *m);
/* Recipients and subject of a raw message's headers, appended. */
void sim_mail_read_headers(const char *text, size_t n, json_t *recipients, char **subject,
                           char **from);
/* "Name <a@b>" or "a@b": the address; malloc'd. */
char *sim_mail_bare_address(const char *text);

#endif
