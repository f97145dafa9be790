#include "service/sources.h"

#include "service/internal.h"

#include <stdlib.h>

/* Each holds a body and what came of it: some MiB. */
#define BACKFILL_LANES 8

int sup_sources_start(const struct sup_options *config, struct sup_store *store,
                      struct sup_apply *apply, struct sup_sources **out, struct sup_err *err)
{
    struct sup_sources *s = calloc(1, sizeof(*s));
    int rc = SUP_OK;

    if (!s || sup_event_lanes_new(config, apply, BACKFILL_LANES, &s->backfill) != SUP_OK)
        rc = sup_err_set(err, SUP_ENOMEM, "out of memory");
    if (rc == SUP_OK && config->sns_http.listen[0] != '\0')
        rc = sup_sns_source_new(config, apply, &s->sns, err);
    if (rc == SUP_OK)
        rc = sup_rates_start(config, store, apply, &s->rates, err);
    if (rc != SUP_OK) {
        sup_sources_free(s);
        return rc;
    }
    *out = s;
    return SUP_OK;
}

void sup_sources_close(struct sup_sources *s)
{
    if (s)
        sup_sns_source_close(s->sns);
}

void sup_sources_stop(struct sup_sources *s)
{
    sup_sources_close(s);
    if (s)
        sup_rates_stop(s->rates);
}

void sup_sources_free(struct sup_sources *s)
{
    if (!s)
        return;
    sup_sns_source_free(s->sns);
    sup_event_lanes_free(s->backfill);
    sup_rates_free(s->rates);
    free(s);
}

void sup_sources_status(struct sup_sources *s, struct sup_status *out)
{
    if (s && s->sns)
        sup_sns_source_status(s->sns, out);
    if (s && s->rates)
        sup_rates_status(s->rates, out);
}

int sup_service_backfill(struct sup_service *s, struct sup_slice body,
                         void (*done)(void *arg, const struct sup_event_job *job), void *arg,
                         struct sup_err *err)
{
    const struct sup_event_input in = {.body = body, .stream = true, .cause = SUP_CAUSE_BACKFILL};
    struct sup_event_lane *lane = sup_event_lane_take(s->sources->backfill);

    if (!lane)
        return sup_err_set(err, SUP_EAGAIN, "too many bodies at once: try again");
    int rc = sup_event_lane_run(lane, &in, err);
    if (rc == SUP_OK)
        done(arg, sup_event_lane_job(lane));
    sup_event_lane_give(lane);
    return rc;
}
