#ifndef SUP_CLI_INGEST_H
#define SUP_CLI_INGEST_H

#include "cli/cli.h"
#include "cli/journal.h"
#include "cli/source.h"
#include "cli/tally.h"

/* A backfill under way: objects are read document by document and handed to the agent in batches.
 * For the files of the command "ingest"; its own thread. */

#define SUP_INGEST_BATCH_DOCUMENTS 4000

struct sup_ingesting {
    struct sup_cli *cli;
    struct sup_source *source;
    struct sup_journal *journal;
    struct sup_tally *tally;
    struct sup_journal_object object;
    struct sup_buf batch;
    uint64_t offsets[SUP_INGEST_BATCH_DOCUMENTS]; /* of its documents, in the object */
    size_t at[SUP_INGEST_BATCH_DOCUMENTS + 1];    /* where they begin in the batch; its end */
    size_t n;
    uint64_t next; /* offset behind the last document of the batch */
    bool no_agent; /* nothing more can be done */
    bool lost;     /* something could not be read at all */
};

/* Opens the object in s. */
typedef int sup_ingest_open_fn(void *arg, struct sup_source *s, struct sup_err *err);

/* NULL when out of memory. */
struct sup_ingesting *sup_ingesting_new(struct sup_cli *cli);
void sup_ingesting_free(struct sup_ingesting *g); /* NULL is fine */

/* Hands over all of an object, unless the journal says that it was done. What goes wrong is said,
 * and kept in g. o is copied, its texts are borrowed. known: size and time are, so that the journal
 * can tell whether it changed. */
void sup_ingest_object(struct sup_ingesting *g, const struct sup_journal_object *o, bool known,
                       sup_ingest_open_fn *open, void *arg);

/* Objects of Amazon S3. url: s3://BUCKET/PREFIX; region: NULL to find out. */
bool sup_ingest_is_s3(const char *url);
void sup_ingest_s3(struct sup_ingesting *g, const char *url, const char *region, bool count_only);

#endif
