#ifndef SUP_CODEC_IMPORT_STATE_H
#define SUP_CODEC_IMPORT_STATE_H

#include "base/buf.h"
#include "base/err.h"
#include "model/address.h"
#include "model/decision.h"

#include <stdbool.h>
#include <stdint.h>

/* The import job under way (proto/store.proto). Encoders and decoders as in codec/value.h. Numbers
 * are stored: never renumber. */

#define SUP_META_IMPORT "import"

enum sup_import_stage {
    SUP_IMPORT_NONE,
    SUP_IMPORT_COLLECTING, /* rows move from the outbox to the import family */
    SUP_IMPORT_PREPARED,   /* all rows are there; the object may be written any number of times */
    SUP_IMPORT_CREATING,   /* the object is there; the job may exist */
    SUP_IMPORT_RUNNING     /* the job exists and its id is recorded */
};

struct sup_import_state {
    enum sup_import_stage stage;
    bool remove; /* a DELETE job; deletes and puts never ride together */
    char object_key[1025];
    char job_id[128];
    int64_t begin_ms;
    uint64_t rows;
    bool run; /* some of them come of a reconciliation */
};
void sup_import_state_encode(const struct sup_import_state *s, struct sup_buf *out);
int sup_import_state_decode(struct sup_slice bytes, struct sup_import_state *out,
                            struct sup_err *err);

struct sup_import_row {
    char spelling[SUP_ADDRESS_MAX + 1];
    enum sup_reason reason; /* NONE in a DELETE job */
};
void sup_import_row_encode(const struct sup_import_row *r, struct sup_buf *out);
int sup_import_row_decode(struct sup_slice bytes, struct sup_import_row *out, struct sup_err *err);

#endif
