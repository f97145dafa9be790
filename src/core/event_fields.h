#ifndef SUP_CORE_EVENT_FIELDS_H
#define SUP_CORE_EVENT_FIELDS_H

#include "base/buf.h"
#include "base/err.h"
#include "core/json.h"
#include "model/event.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What one JSON document held, before it is decided what the document is. */

/* The blocks that belong to an event type. All are read, since the type may stand behind them. */
enum sup_block_kind {
    SUP_BLOCK_NONE,
    SUP_BLOCK_BOUNCE,
    SUP_BLOCK_COMPLAINT,
    SUP_BLOCK_DELIVERY,
    SUP_BLOCK_DELIVERY_DELAY,
    SUP_BLOCK_REJECT,
    SUP_BLOCK_OPEN,
    SUP_BLOCK_CLICK,
    SUP_BLOCK_FAILURE,
    SUP_BLOCK_SUBSCRIPTION,
    SUP_N_BLOCKS
};

struct sup_event_block {
    bool present;
    struct sup_slice bounce_type;
    struct sup_slice sub_type;
    struct sup_slice feedback_type;
    struct sup_slice feedback_id;
    int64_t event_ms;
    size_t first; /* recipients of this block: [first, first + n) of the list */
    size_t n;
};

/* An SNS message: an envelope's members, or the "Sns" object of a Lambda record. */
struct sup_sns_fields {
    bool present; /* of a record */
    struct sup_slice type;
    struct sup_slice message;
    struct sup_slice message_id;
    struct sup_slice topic_arn;
    int64_t timestamp_ms;
};

/* One of several: a Lambda record (SNS or SQS) or a Firehose record. */
struct sup_record_fields {
    struct sup_sns_fields sns;
    struct sup_slice body;       /* SQS */
    struct sup_slice data;       /* Firehose: base64 */
    struct sup_slice source;     /* eventSource */
    struct sup_slice sent;       /* SQS attributes.SentTimestamp: epoch milliseconds as text */
    struct sup_slice message_id; /* SQS */
};

struct sup_document {
    struct sup_sns_fields sns;
    /* EventBridge */
    struct sup_slice detail_type;
    struct sup_slice source;
    int64_t bridge_ms;
    bool has_detail;
    /* the event */
    struct sup_slice event_type;
    struct sup_slice notification_type;
    bool has_mail;
    struct sup_event mail; /* only what stands in the mail block */
    struct sup_event_block blocks[SUP_N_BLOCKS];
    /* records */
    bool has_records;
};

/* The lists of a document; they grow up to their maxima and are reused. */
struct sup_document_lists {
    struct sup_event_recipient *recipients;
    size_t n_recipients, cap_recipients;
    struct sup_slice *destination;
    size_t n_destination, cap_destination;
    struct sup_event_tag *tags;
    size_t n_tags, cap_tags;
    struct sup_record_fields *records;
    size_t n_records, cap_records;
    bool keep_records; /* a document inside a record: leave the list alone */
};

void sup_document_lists_fini(struct sup_document_lists *l);

/* Walks text into *out and *lists (both emptied first). Slices live until p's next walk. Errors:
 * those of sup_json_walk; SUP_EINPUT for a member of the wrong type; SUP_ELIMIT for too many
 * recipients, destinations or records. */
int sup_document_read(const struct sup_json_ops *ops, struct sup_json_parser *p,
                      struct sup_slice text, struct sup_document *out,
                      struct sup_document_lists *lists, struct sup_err *err);

#endif
