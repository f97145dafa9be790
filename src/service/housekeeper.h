#ifndef SUP_SERVICE_HOUSEKEEPER_H
#define SUP_SERVICE_HOUSEKEEPER_H

#include "service/apply.h"

/* What happens because time passes: suppressions that expire, mutations that leave quarantine,
 * dedup marks that are no longer needed. Nothing else is ever collected on a timer. */

struct sup_housekeeper;

/* log_max_bytes: without a mesh, what the log is kept to (service/log_trim.h); 0: that is somebody
 * else's. */
int sup_housekeeper_start(struct sup_apply *apply, struct sup_store *store, uint64_t log_max_bytes,
                          struct sup_housekeeper **out, struct sup_err *err);
void sup_housekeeper_stop(struct sup_housekeeper *h); /* waits */
void sup_housekeeper_free(struct sup_housekeeper *h);

#endif
