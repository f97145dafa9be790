#include "model/event.h"

/* SES's own names (the eventType values of event publishing), so that logs and metrics say what the
 * AWS console says. */
const char *sup_event_type_name(enum sup_event_type t)
{
    switch (t) {
    case SUP_EVENT_UNKNOWN:
        return "Unknown";
    case SUP_EVENT_NONE:
        return "None";
    case SUP_EVENT_BOUNCE:
        return "Bounce";
    case SUP_EVENT_COMPLAINT:
        return "Complaint";
    case SUP_EVENT_DELIVERY:
        return "Delivery";
    case SUP_EVENT_SEND:
        return "Send";
    case SUP_EVENT_REJECT:
        return "Reject";
    case SUP_EVENT_OPEN:
        return "Open";
    case SUP_EVENT_CLICK:
        return "Click";
    case SUP_EVENT_RENDERING_FAILURE:
        return "Rendering Failure";
    case SUP_EVENT_DELIVERY_DELAY:
        return "DeliveryDelay";
    case SUP_EVENT_SUBSCRIPTION:
        return "Subscription";
    }
    return "Unknown";
}
