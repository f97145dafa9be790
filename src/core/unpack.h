#ifndef SUP_CORE_UNPACK_H
#define SUP_CORE_UNPACK_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes as they were before they were packed, piece by piece. No I/O, one thread. */
struct sup_unpack;

enum sup_packing { SUP_PACKING_NONE, SUP_PACKING_GZIP, SUP_PACKING_ZSTD };

/* Zstandard data may want a window of its writer's choice to be kept in memory. RFC 8878 (section
 * 3.1.1.1.2) recommends 8 MiB as what decoders support and writers need; the zstd command goes past
 * it only with --ultra or --long. */
#define SUP_UNPACK_WINDOW_LOG 23

/* NULL when out of memory. Reusable. */
struct sup_unpack *sup_unpack_new(void);
void sup_unpack_free(struct sup_unpack *u); /* NULL is fine */
void sup_unpack_begin(struct sup_unpack *u, enum sup_packing packing);

/* Takes bytes off *in and puts at most room bytes to `to`; *n says how many. last: nothing comes
 * behind *in. Members of gzip and frames of Zstandard may follow one another (RFC 1952 section 2.2,
 * RFC 8878 section 3): that is how parts of one object are put together.
 * An error may come with bytes: what was good before it.
 * SUP_OK; SUP_ECORRUPT: damaged, cut off, or it wants too large a window; SUP_ENOMEM. */
int sup_unpack_run(struct sup_unpack *u, struct sup_slice *in, bool last, uint8_t *to, size_t room,
                   size_t *n, struct sup_err *err);
/* Something is still to come, from what it was given or has to be given: not at the end. */
bool sup_unpack_is_within(const struct sup_unpack *u);

#endif
