#ifndef SUP_SERVICE_IMPORTER_H
#define SUP_SERVICE_IMPORTER_H

#include "aws/client.h"
#include "service/apply.h"
#include "service/options.h"
#include "service/service.h"
#include "service/ses_calls.h"

/* Import jobs: what waits in the outbox in numbers is written to an object in S3 and handed to SES
 * in one job, where one call each would take hours. Also the only way to delete an address with a
 * '/' in it, which DeleteSuppressedDestination refuses. One job at a time; each step is in the
 * store before it is taken, so that a crash repeats none. */

struct sup_importer;

struct sup_importer_options {
    const struct sup_options *config; /* ses.import_bucket is set */
    struct sup_aws *aws;
    struct sup_ses_calls *calls;
    struct sup_apply *apply;
    struct sup_store *store;
};

int sup_importer_start(const struct sup_importer_options *opts, struct sup_importer **out,
                       struct sup_err *err);
void sup_importer_close(struct sup_importer *im); /* does not block; NULL is fine */
void sup_importer_stop(struct sup_importer *im);  /* waits; a job goes on after the next start */
void sup_importer_free(struct sup_importer *im);
/* Adds problems. */
void sup_importer_status(struct sup_importer *im, struct sup_status *out);

#endif
