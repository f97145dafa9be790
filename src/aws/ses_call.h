#ifndef SUP_AWS_SES_CALL_H
#define SUP_AWS_SES_CALL_H

#include "aws/client.h"
#include "model/decision.h"
#include "model/suppression.h"

#include <jansson.h>

/* Shared by the files of SES operations only. */

struct sup_ses_call {
    const char *name; /* of the operation, for errors */
    const char *method;
    const char *path;
    const char *query; /* NULL: none */
    struct sup_slice body;
    bool no_repeat;        /* as in client.h */
    struct sup_stop *stop; /* NULL: the client's */
};

/* reply (the caller's to release) may be NULL when the body is of no interest. */
int sup_ses_call(struct sup_aws *a, const struct sup_ses_call *c, json_t **reply,
                 struct sup_aws_error *aerr, struct sup_err *err);
/* Likewise with a JSON body, which is released. */
int sup_ses_call_json(struct sup_aws *a, struct sup_ses_call *c, json_t *body, json_t **reply,
                      struct sup_aws_error *aerr, struct sup_err *err);

/* A reason that AWS may add some day is no reason to fail: NONE. */
enum sup_reason sup_ses_reason(const char *name);

/* Reads a block of suppression settings; o may be NULL or null. SUP_OK or SUP_ECORRUPT. */
int sup_ses_parse_suppression(const json_t *o, struct sup_suppression *out);

/* Is rc that of a member of the wrong type, rather than of one that is absent? */
bool sup_ses_is_bad(int rc);

#endif
