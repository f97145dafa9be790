#ifndef SUP_SERVICE_SOFT_H
#define SUP_SERVICE_SOFT_H

#include "base/thread.h"
#include "codec/soft_value.h"
#include "service/apply.h"
#include "service/service.h"

/* Soft bounces that wait for a resend: list, claim, acknowledge, forget.
 *
 * A claim gives an entry to one worker for the time of its lease; whoever acknowledges must name
 * the lease, so that a worker who was too slow cannot take away what another has by now. */

struct sup_soft_row {
    const uint8_t *id; /* SUP_SOFT_ID bytes */
    int64_t due_ms;    /* or the end of the lease */
    struct sup_soft s; /* slices live until the callback returns */
};

/* Rows in the order of their due time, those from `after` on if it is not NULL (exclusive: due time
 * and id of the last one). row returns false to end. */
int sup_service_soft_list(struct sup_service *s, bool due_only, int64_t after_ms,
                          const uint8_t *after_id,
                          bool (*row)(void *arg, const struct sup_soft_row *row), void *arg,
                          struct sup_err *err);

#define SUP_SOFT_CLAIM_MAX 1000
/* Claims at most n that are due, oldest first. Addresses that are suppressed by now are dropped
 * instead. row is called once the claim is durable. */
int sup_service_soft_claim(struct sup_service *s, size_t n, int64_t lease_ms,
                           bool (*row)(void *arg, const struct sup_soft_row *row), void *arg,
                           struct sup_err *err);

/* Resent, or given up: the entry goes. lease 0: only if nobody has claimed it. SUP_OK;
 * SUP_ENOTFOUND: no such entry (any more); SUP_EEXIST: it is not yours. */
int sup_service_soft_ack(struct sup_service *s, const uint8_t *id, uint64_t lease,
                         struct sup_err *err);

/* The first two without a service around them. */
int sup_soft_list(struct sup_store *store, bool due_only, int64_t after_ms, const uint8_t *after_id,
                  bool (*row)(void *arg, const struct sup_soft_row *row), void *arg,
                  struct sup_err *err);
int sup_soft_claim(struct sup_apply *apply, size_t n, int64_t lease_ms,
                   bool (*row)(void *arg, const struct sup_soft_row *row), void *arg,
                   struct sup_err *err);

/* Drops entries older than retention_ms, and what is kept of addresses of which nothing is newer
 * than that and than memory_ms, for which soft bounces in a row are remembered. On any thread but
 * the writer's. */
void sup_soft_trim(struct sup_store *store, struct sup_apply *apply, int64_t retention_ms,
                   int64_t memory_ms, struct sup_stop *stop);

#endif
