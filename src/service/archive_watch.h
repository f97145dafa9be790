#ifndef SUP_SERVICE_ARCHIVE_WATCH_H
#define SUP_SERVICE_ARCHIVE_WATCH_H

#include "aws/client.h"
#include "service/apply.h"
#include "service/options.h"
#include "service/service.h"

/* Ingest from archives in S3, for those whose events go nowhere else: each configured archive is
 * listed every so often, and what is new in its folders of time is read, also when it comes late.
 * An object is done when all that follows from it is durable; a crash before costs reading it
 * again, which dedup absorbs. A thread an archive. */
struct sup_archive_watch;

struct sup_archive_watch_options {
    const struct sup_options *config;
    struct sup_aws *aws;
    struct sup_apply *apply;
    struct sup_store *store;
};

int sup_archive_watch_start(const struct sup_archive_watch_options *opts,
                            struct sup_archive_watch **out, struct sup_err *err);
void sup_archive_watch_stop(struct sup_archive_watch *w); /* waits; NULL is fine */
void sup_archive_watch_free(struct sup_archive_watch *w); /* NULL is fine */
/* Adds problems. Any thread; NULL is fine. */
void sup_archive_watch_status(struct sup_archive_watch *w, struct sup_status *out);

#endif
