#ifndef SIM_SES_OPTIONS_H
#define SIM_SES_OPTIONS_H

#include "account.h"
#include "ses.h"

/* Suppression settings as JSON: shared by the account, configuration sets and tenants. */

json_t *sim_reasons_json(unsigned reasons);
/* What level says, as its members; validation (may be NULL) under that name. */
json_t *sim_level_json(const struct sim_level *level, const char *validation_name,
                       json_t *validation);

/* Reads SuppressedReasons and SuppressionScope. A list that is absent leaves has_reasons false.
 * false: r holds the error. */
bool sim_read_level(struct sim_request *r, const json_t *input, struct sim_level *level);
/* The member of that name, checked and owned by the caller, or NULL. false: r holds the error. */
bool sim_read_validation(struct sim_request *r, const json_t *input, const char *name,
                         json_t **out);

/* Where a list of names begins, and how long its page is. */
struct sim_name_page {
    uint64_t from;
    size_t size;
    uint32_t hash;
};
/* From the query or the body. false: r holds the error. */
bool sim_read_name_page(struct sim_request *r, const char *what, size_t size_default,
                        struct sim_name_page *p);
/* Adds NextToken to the output unless next is 0. */
void sim_put_next_token(struct sim_request *r, const struct sim_name_page *p, uint64_t next);

#endif
