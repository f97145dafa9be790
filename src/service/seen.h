#ifndef SUP_SERVICE_SEEN_H
#define SUP_SERVICE_SEEN_H

#include "store/store.h"

#include <stdbool.h>
#include <stdint.h>

/* Which sends were counted: sets of hashes, one a minute of the mails' own time, so that those
 * which arrive together share a set and a write. Sets that are in use are kept in memory, at most
 * SUP_SEEN_BYTES_MAX of them; others are read again when a late send asks for them.
 *
 * All on the writer thread. Memory runs ahead of the store: when a job or a commit fails, forget.
 */
struct sup_seen;

#define SUP_SEEN_BYTES_MAX  (32U << 20)
#define SUP_SEEN_MINUTE_MAX (1U << 20) /* of one minute; more are the caller's to remember */

struct sup_seen *sup_seen_new(void); /* NULL when out of memory */
void sup_seen_free(struct sup_seen *s);
void sup_seen_forget(struct sup_seen *s);

/* *fresh: the hash was not there; it is now, and sup_seen_write must follow in the same job.
 * SUP_ELIMIT: not there, and the minute is full. SUP_ENOMEM, SUP_ECORRUPT, errors of the store. */
int sup_seen_mark(struct sup_seen *s, struct sup_txn *t, uint32_t minute, uint64_t hash,
                  bool *fresh, struct sup_err *err);
/* Writes what was marked since the last call. */
int sup_seen_write(struct sup_seen *s, struct sup_txn *t, struct sup_err *err);
/* Bytes of memory in use; any thread. */
uint64_t sup_seen_bytes(const struct sup_seen *s);

#endif
