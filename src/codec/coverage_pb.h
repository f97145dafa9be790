#ifndef SUP_CODEC_COVERAGE_PB_H
#define SUP_CODEC_COVERAGE_PB_H

#include "codec/coverage.h"
#include "codec/pb_arena.h"
#include "store.pb-c.h"

/* For codec's own files: a brief within another message. */

/* Lives in a; NULL for a brief that says nothing, and when there is no memory. */
Supsync__Store__Coverage *sup_coverage_to_pb(const struct sup_coverage_brief *b,
                                             struct sup_pb_arena *a);
/* msg may be NULL: NONE. a is for what is needed meanwhile. What a newer program stored and this
 * one does not know becomes UNKNOWN. */
void sup_coverage_from_pb(const Supsync__Store__Coverage *msg, struct sup_pb_arena *a,
                          struct sup_coverage_brief *out);

#endif
