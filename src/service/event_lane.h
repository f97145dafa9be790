#ifndef SUP_SERVICE_EVENT_LANE_H
#define SUP_SERVICE_EVENT_LANE_H

#include "service/event_count.h"

/* For sources whose threads are not their own (HTTP): a bounded number of lanes, each with what it
 * takes to read a body and to wait for its commit. Any thread. */
struct sup_event_lanes;
struct sup_event_lane;

/* At most max bodies are worked on at once, which bounds their memory, too. config and apply are
 * borrowed. SUP_ENOMEM. */
int sup_event_lanes_new(const struct sup_options *config, struct sup_apply *apply, size_t max,
                        struct sup_event_lanes **out);
void sup_event_lanes_free(struct sup_event_lanes *l); /* no lane is in use; NULL is fine */

/* NULL: all are busy, or there is no memory. */
struct sup_event_lane *sup_event_lane_take(struct sup_event_lanes *l);
void sup_event_lane_give(struct sup_event_lane *lane);

struct sup_event_input {
    struct sup_slice body;
    bool stream;          /* documents in a row rather than one */
    enum sup_cause cause; /* EVENT or BACKFILL */
};

/* Reads, decides, and returns when it is durable. SUP_OK; SUP_EINPUT, SUP_ELIMIT: something cannot
 * be read (not for streams); what could be is decided all the same. SUP_EAGAIN, SUP_ETIMEDOUT and
 * other codes: nothing is acknowledged, the same should be sent again. What came of it is in the
 * job, until the lane is given back. */
int sup_event_lane_run(struct sup_event_lane *lane, const struct sup_event_input *in,
                       struct sup_err *err);
const struct sup_event_job *sup_event_lane_job(const struct sup_event_lane *lane);

#endif
