#ifndef SUP_SERVICE_EVENT_LOG_H
#define SUP_SERVICE_EVENT_LOG_H

#include "base/thread.h"
#include "codec/event_entry.h"
#include "service/apply.h"
#include "service/service.h"

/* The event log: what came in and what followed from it, by the events' own time. */

struct sup_event_filter {
    int64_t since_ms;       /* >= ; SUP_NO_TIME = open */
    int64_t until_ms;       /* <  ; SUP_NO_TIME = open */
    const char *address;    /* key; "" = any */
    const char *type;       /* case-blind; "" = any */
    const char *message_id; /* "" = any */
    uint64_t limit;         /* 0 = none */
};

/* Calls row for each match, oldest first, until it returns false. Reads the whole span of time. */
int sup_service_events(struct sup_service *s, const struct sup_event_filter *filter,
                       bool (*row)(void *arg, int64_t time_ms, const struct sup_event_entry *e),
                       void *arg, struct sup_err *err);

/* Drops what is older than retention_ms, and the oldest beyond max_bytes. Not on the writer. */
void sup_event_log_trim(struct sup_store *store, struct sup_apply *apply, int64_t retention_ms,
                        uint64_t max_bytes, struct sup_stop *stop);

#endif
