#ifndef SUP_AWS_SES_CALL_H
#define SUP_AWS_SES_CALL_H

#include "aws/client.h"

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

#endif
