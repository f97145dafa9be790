#ifndef SUP_CODEC_DIFFERENCE_H
#define SUP_CODEC_DIFFERENCE_H

#include "base/buf.h"
#include "base/err.h"
#include "model/address.h"
#include "model/decision.h"

#include <stdint.h>

/* One finding of a reconciliation. Encoders and decoders as in codec/value.h. Numbers are stored:
 * never renumber. */

enum sup_diff_kind {
    SUP_DIFF_MISSING = 1, /* suppressed, and not listed yet */
    SUP_DIFF_REMOVED,     /* suppressed, was listed, is gone behind our back */
    SUP_DIFF_EXTRA,       /* listed, and not suppressed */
    SUP_DIFF_REASON,      /* listed with another reason */
    SUP_DIFF_TWIN,        /* listed in several spellings */
    SUP_DIFF_UNMANAGED    /* listed, but nothing that supsync keeps */
};

enum sup_diff_cause {
    SUP_WHY_NEVER_LISTED = 1,
    SUP_WHY_GONE_ONCE, /* absent in one scan: may be the list's lag */
    SUP_WHY_GONE,      /* absent in scans absence_interval apart */
    SUP_WHY_ADDED,     /* SES or a person added it, later than any clear */
    SUP_WHY_CLEARED,   /* cleared since */
    SUP_WHY_OWN_WRITE, /* our own put, of an address that was cleared meanwhile */
    SUP_WHY_COMPLAINT_OUTRANKS,
    SUP_WHY_COMPLAINT_FOUND,
    SUP_WHY_SPELLINGS,
    SUP_WHY_NOT_AN_ADDRESS,
    SUP_WHY_SIMULATOR,
    SUP_WHY_UNKNOWN_REASON
};

enum sup_diff_action {
    SUP_DO_NOTHING,
    SUP_DO_PUT,
    SUP_DO_DELETE,
    SUP_DO_ADOPT_ADD,
    SUP_DO_ADOPT_REMOVAL,
    SUP_DO_WAIT, /* for a second scan */
    SUP_DO_REPORT
};

enum sup_diff_result {
    SUP_DIFF_NONE, /* nothing was to be done */
    SUP_DIFF_PLANNED,
    SUP_DIFF_DONE,
    SUP_DIFF_PENDING, /* waits in the outbox */
    SUP_DIFF_FAILED,
    SUP_DIFF_WITHHELD /* by the fuse */
};

/* Who added an entry that was adopted, as far as SES was asked. */
enum sup_diff_source { SUP_SOURCE_UNKNOWN, SUP_SOURCE_FEEDBACK, SUP_SOURCE_MANUAL };

const char *sup_diff_kind_name(enum sup_diff_kind k);
const char *sup_diff_cause_name(enum sup_diff_cause c);
const char *sup_diff_action_name(enum sup_diff_action a);
const char *sup_diff_result_name(enum sup_diff_result r);
const char *sup_diff_source_name(enum sup_diff_source s); /* "" if not known */

struct sup_difference {
    char address[SUP_ADDRESS_MAX + 1]; /* key */
    char spelling[SUP_ADDRESS_MAX + 1];
    enum sup_diff_kind kind;
    enum sup_diff_cause cause;
    enum sup_diff_action action;
    enum sup_diff_result result;
    enum sup_reason reason;
    enum sup_diff_source source;
    int64_t time_ms; /* LastUpdateTime of the entry, or since when it is gone; 0 = none */
    char error[160];
};
void sup_difference_encode(const struct sup_difference *d, struct sup_buf *out);
int sup_difference_decode(struct sup_slice bytes, struct sup_difference *out, struct sup_err *err);

#endif
