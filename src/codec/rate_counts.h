#ifndef SUP_CODEC_RATE_COUNTS_H
#define SUP_CODEC_RATE_COUNTS_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Rates: what was counted in one minute, by what it is counted for. */

enum sup_rate_what {
    SUP_RATE_SENDS,   /* recipients of Send events; the mailbox simulator's are not among them */
    SUP_RATE_BOUNCES, /* hard ones, global-list hits among them */
    SUP_RATE_COMPLAINTS,
    SUP_RATE_GLOBAL, /* part of BOUNCES: hits of SES's global list */
    SUP_RATE_SOFT,   /* excluded from the rates, as are all that follow */
    SUP_RATE_ECHOES,
    SUP_RATE_SIMULATOR,
    SUP_RATE_OTHER, /* bounces and complaints that say nothing bad of the sender */
    SUP_N_RATE_WHATS
};

struct sup_rate_counts {
    uint64_t n[SUP_N_RATE_WHATS];
};

/* Stored: never renumber. The kind with the most names comes last: whoever does not need it stops
 * before it. */
enum sup_rate_kind {
    SUP_RATE_REGION = 1, /* the name is empty */
    SUP_RATE_SET = 2,    /* configuration set */
    SUP_RATE_IDENTITY = 3,
    SUP_RATE_DOMAIN = 4 /* of recipients */
};
const char *sup_rate_kind_name(enum sup_rate_kind k); /* "region" …, never NULL */

#define SUP_RATE_NAME_MAX 255

/* Appends minute ‖ kind ‖ name; a longer name is cut. Minutes count from 1970. */
void sup_key_rate(struct sup_buf *out, uint32_t minute, enum sup_rate_kind kind,
                  struct sup_slice name);
bool sup_key_rate_parse(struct sup_slice key, uint32_t *minute, enum sup_rate_kind *kind,
                        struct sup_slice *name);

/* Appends format version 1: the version, then a LEB128 number each. A later program may append
 * counts: decode ignores them. */
void sup_rate_counts_encode(const struct sup_rate_counts *c, struct sup_buf *out);
/* SUP_OK, SUP_EVERSION, SUP_ECORRUPT. */
int sup_rate_counts_decode(struct sup_slice value, struct sup_rate_counts *out);
/* Adds, and stays at the largest number. */
void sup_rate_counts_add(struct sup_rate_counts *to, const struct sup_rate_counts *c);

#endif
