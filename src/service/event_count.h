#ifndef SUP_SERVICE_EVENT_COUNT_H
#define SUP_SERVICE_EVENT_COUNT_H

#include "service/event_job.h"
#include "service/options.h"

/* Adds what came of a message to the metrics; every source of events does. Any thread. */
void sup_event_count(const struct sup_event_tally *t);

/* Events in it, of any type. */
uint64_t sup_event_tally_events(const struct sup_event_tally *t);

/* The policy that the configuration sets. */
struct sup_classify_policy sup_event_policy(const struct sup_options *config);

#endif
