#ifndef SUP_SERVICE_SOURCES_H
#define SUP_SERVICE_SOURCES_H

#include "service/event_lane.h"
#include "service/rates.h"
#include "service/sns_source.h"

/* The sources of events that are driven by HTTP, SNS's deliveries and backfill, and what comes of
 * events beside decisions. */
struct sup_sources {
    struct sup_sns_source *sns; /* NULL: not configured */
    struct sup_event_lanes *backfill;
    struct sup_rates *rates;
};

/* config, store and apply are borrowed. Errors: those of sup_sns_source_new and sup_rates_start. */
int sup_sources_start(const struct sup_options *config, struct sup_store *store,
                      struct sup_apply *apply, struct sup_sources **out, struct sup_err *err);
void sup_sources_close(struct sup_sources *s); /* does not wait */
void sup_sources_stop(struct sup_sources *s);  /* waits */
void sup_sources_free(struct sup_sources *s);  /* nothing is being taken; NULL is fine */
void sup_sources_status(struct sup_sources *s, struct sup_status *out); /* NULL is fine */

/* Takes a body of archived events, documents in a row. Blocks until what follows is durable. done
 * gets the outcome, which lives until it returns; it runs only for SUP_OK. SUP_EAGAIN: too many at
 * once. Other codes: as sup_event_lane_run. */
int sup_service_backfill(struct sup_service *s, struct sup_slice body,
                         void (*done)(void *arg, const struct sup_event_job *job), void *arg,
                         struct sup_err *err);

#endif
