#ifndef SUP_SERVICE_JOIN_STORE_H
#define SUP_SERVICE_JOIN_STORE_H

#include "core/joining.h"
#include "service/apply_txn.h"

/* What of joining is stored, and how a copy gets there, each in one transaction. Reading: any
 * thread. Writing: inside of a job. */

/* The phase that a node begins with, and in out the state of a join under way. *unsaid: nothing was
 * stored about it, and the phase is to be written now. A store with data but no word on joining is
 * one from before there was joining: ready. */
int sup_join_store_first(struct sup_apply *a, struct sup_store *store, struct sup_join_state *out,
                         enum sup_join_phase *phase, bool *unsaid, struct sup_err *err);

/* Moves what stands there to the phase. What the parts of a copy wrote may be newer than what the
 * caller knew, and stays. donor: of LOG; NULL: as it is. */
int sup_join_store_phase(struct sup_txn *t, enum sup_join_phase phase, const char *donor,
                         struct sup_err *err);

/* A part of a copy: its records, what it means for the state, and with the last one the version
 * vector. SUP_EAGAIN: what came before it is not here. SUP_EINPUT: malformed. SUP_ELIMIT: too much
 * of it is from the future (service/quarantine.h). */
int sup_join_store_part(struct sup_apply *a, struct sup_txn *t, const struct sup_joining_part *part,
                        const struct sup_snapshot_chunk *chunk, struct sup_err *err);

#endif
