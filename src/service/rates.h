#ifndef SUP_SERVICE_RATES_H
#define SUP_SERVICE_RATES_H

#include "core/rates.h"
#include "service/apply.h"
#include "service/options.h"
#include "service/service.h"

/* Rates: reading what was counted, watching the thresholds, dropping what is past, soft bounces
 * among it. A thread of its own looks once a minute. */
struct sup_rates;

int sup_rates_start(const struct sup_options *config, struct sup_store *store,
                    struct sup_apply *apply, struct sup_rates **out, struct sup_err *err);
void sup_rates_stop(struct sup_rates *r); /* waits */
void sup_rates_free(struct sup_rates *r);
/* Adds problems. Any thread. */
void sup_rates_status(struct sup_rates *r, struct sup_status *out);

/* One name of a kind, in all windows. */
struct sup_rate_row {
    enum sup_rate_kind kind;
    char name[SUP_RATE_NAME_MAX + 1];
    struct sup_rate_view view;
    enum sup_rate_level bounces, complaints;
};
/* The rows of the kinds up to and with `up_to`, most sends within 7 days first; at most max of a
 * kind. *rows is the caller's to free(). Any thread; reads much of the counts. */
int sup_service_rates(struct sup_service *s, enum sup_rate_kind up_to, size_t max,
                      struct sup_rate_row **rows, size_t *n, struct sup_err *err);

#endif
