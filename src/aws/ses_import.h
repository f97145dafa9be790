#ifndef SUP_AWS_SES_IMPORT_H
#define SUP_AWS_SES_IMPORT_H

#include "aws/sesv2.h"

/* Import jobs of the suppression list: "Adding email addresses in bulk to your account-level
 * suppression list". aerr may be NULL; errors as in client.h; throttles are not retried inside.
 * stop (may be NULL) cuts a call off with SUP_ECLOSED. */

#define SUP_SES_IMPORT_PUTS_MAX    100000
#define SUP_SES_IMPORT_DELETES_MAX 10000

/* Appends a line of the newline-delimited JSON that SES reads, whose names differ from the API's.
 * reason NONE: for a DELETE job. */
void sup_ses_import_line(struct sup_buf *out, const char *address, enum sup_reason reason);
/* The address of such a line; malloc'd, NULL when there is none. */
char *sup_ses_import_line_address(const char *line, size_t n);

enum sup_ses_job_state { SUP_SES_JOB_UNFINISHED, SUP_SES_JOB_COMPLETED, SUP_SES_JOB_FAILED };

struct sup_ses_job {
    char id[128];
    char s3_url[1280];
    enum sup_ses_job_state state;
    uint64_t processed;
    uint64_t failed;
    char error[160];
    char *failed_url; /* presigned; malloc'd, NULL when no row failed */
};
void sup_ses_job_fini(struct sup_ses_job *j);

/* SUP_EAGAIN also for LimitExceededException: too many jobs at a time. */
int sup_ses_create_import(struct sup_aws *a, const char *s3_url, bool remove, char id[128],
                          struct sup_stop *stop, struct sup_aws_error *aerr, struct sup_err *err);
int sup_ses_get_import(struct sup_aws *a, const char *id, struct sup_ses_job *out,
                       struct sup_stop *stop, struct sup_aws_error *aerr, struct sup_err *err);
/* Ids of the jobs made at or after since_ms, newest pages first as SES gives them, until each
 * returns false. aerr->attempts counts those of all pages. */
int sup_ses_list_imports(struct sup_aws *a, int64_t since_ms,
                         bool (*each)(void *arg, const char *id), void *arg, struct sup_stop *stop,
                         struct sup_aws_error *aerr, struct sup_err *err);

#endif
