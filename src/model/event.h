#ifndef SUP_MODEL_EVENT_H
#define SUP_MODEL_EVENT_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One event as SES publishes it, whatever envelope it came in. A reader (core/event_read.h) fills
 * it; all slices point into the reader's memory and live until its next event. Absent texts are
 * empty. */

enum sup_event_type {
    SUP_EVENT_UNKNOWN, /* an event of a type this version does not know: counted, kept, never fatal
                        */
    SUP_EVENT_NONE, /* not an event: topic validation, subscription succeeded; acknowledge quietly
                     */
    SUP_EVENT_BOUNCE,
    SUP_EVENT_COMPLAINT,
    SUP_EVENT_DELIVERY,
    SUP_EVENT_SEND,
    SUP_EVENT_REJECT,
    SUP_EVENT_OPEN,
    SUP_EVENT_CLICK,
    SUP_EVENT_RENDERING_FAILURE,
    SUP_EVENT_DELIVERY_DELAY,
    SUP_EVENT_SUBSCRIPTION
};
const char *sup_event_type_name(enum sup_event_type t);

#define SUP_NO_TIME INT64_MIN

struct sup_event_recipient {
    struct sup_slice address; /* as written; may be "Name <a@b>" */
    struct sup_slice action;  /* DSN action, "failed", "delayed" … */
    struct sup_slice status;  /* enhanced status code */
    struct sup_slice diagnostic;
};

/* A message tag. One with several values is several of these in a row. */
struct sup_event_tag {
    struct sup_slice name;
    struct sup_slice value;
};

struct sup_event {
    enum sup_event_type type;
    bool from_event_publishing; /* "eventType" rather than "notificationType" */
    struct sup_slice type_text; /* the type as written */
    /* bounce / complaint / delivery … block */
    struct sup_slice bounce_type;
    struct sup_slice sub_type;      /* bounceSubType, complaintSubType */
    struct sup_slice feedback_type; /* complaintFeedbackType */
    struct sup_slice feedback_id;
    int64_t event_ms;    /* the block's timestamp (the ISP's clock); SUP_NO_TIME if absent */
    int64_t envelope_ms; /* earliest of SNS Timestamp / EventBridge time; SUP_NO_TIME if none */
    struct sup_event_recipient *recipients;
    size_t n_recipients;
    /* mail block */
    int64_t mail_ms;
    struct sup_slice message_id;
    struct sup_slice source;
    struct sup_slice source_arn;
    struct sup_slice account;
    struct sup_slice configuration_set; /* tag ses:configuration-set */
    struct sup_slice tenant;            /* tag ses:tenant-name */
    struct sup_slice subject;
    struct sup_slice *destination;
    size_t n_destination;
    struct sup_event_tag *tags; /* event publishing only; SES's own (ses:…) among them */
    size_t n_tags;
    /* envelope */
    struct sup_slice sns_message_id;
    struct sup_slice topic_arn;
};

#endif
