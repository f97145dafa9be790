#ifndef SUP_CODEC_COVERAGE_H
#define SUP_CODEC_COVERAGE_H

#include "base/buf.h"
#include "base/err.h"
#include "model/suppression.h"

#include <stdint.h>

/* What an audit of coverage found, as reports and status keep it, and the changes that the agent
 * made (proto/store.proto). Encoders and decoders as in codec/value.h. Numbers are stored: never
 * renumber. */

enum sup_coverage_state {
    SUP_COVERAGE_NONE, /* never checked */
    SUP_COVERAGE_COVERED,
    SUP_COVERAGE_GAPS,
    SUP_COVERAGE_UNKNOWN /* no gap was found, but not all could be looked at */
};
const char *sup_coverage_state_name(enum sup_coverage_state s); /* "none" "covered" … */

/* What became of the account's attributes. */
enum sup_coverage_managed {
    SUP_MANAGED_OFF,      /* not to be managed */
    SUP_MANAGED_COMPLETE, /* nothing to do */
    SUP_MANAGED_PLANNED,  /* a run that writes would */
    SUP_MANAGED_DONE,
    SUP_MANAGED_FAILED
};
const char *sup_coverage_managed_name(enum sup_coverage_managed m); /* "off" "complete" … */

/* The first few texts of a kind. */
#define SUP_COVERAGE_KEPT_MAX 6
struct sup_coverage_texts {
    uint64_t total;
    uint32_t n; /* kept */
    char text[SUP_COVERAGE_KEPT_MAX][SUP_COVERAGE_TEXT_MAX + 1];
};

struct sup_coverage_brief {
    enum sup_coverage_state state; /* NONE: the rest says nothing */
    int64_t checked_ms;            /* when the audit began */
    unsigned reasons;              /* of the account; bits of enum sup_reason */
    bool production_access;
    bool sending_enabled;
    char enforcement_status[32];
    uint64_t n_sets;
    uint64_t n_tenants;
    bool tenants_known;
    enum sup_coverage_managed managed;
    char managed_text[SUP_COVERAGE_TEXT_MAX + 1];
    struct sup_coverage_texts gaps, unknown, notes;
};

#define SUP_COVERAGE_CHANGES_MAX 20
struct sup_coverage_change {
    int64_t time_ms;
    unsigned before; /* reasons, bits */
    unsigned after;
    char text[SUP_COVERAGE_TEXT_MAX + 1];
};

#define SUP_META_COVERAGE "coverage"
struct sup_coverage_history {
    struct sup_coverage_brief last;
    struct sup_coverage_change changes[SUP_COVERAGE_CHANGES_MAX]; /* oldest first */
    size_t n_changes;
};
void sup_coverage_history_encode(const struct sup_coverage_history *h, struct sup_buf *out);
int sup_coverage_history_decode(struct sup_slice bytes, struct sup_coverage_history *out,
                                struct sup_err *err);

/* Calls fn with each text in it. */
void sup_coverage_brief_texts(struct sup_coverage_brief *b, void (*fn)(char *text));

#endif
