#include "control_list.h"

#include "region.h"
#include "request.h"
#include "sim.h"

#include <math.h>
#include <string.h>

static void add_entry(const struct sim_entry *e, const struct sim_version *v, void *arg)
{
    json_t *one =
        json_pack("{s:s,s:s,s:f}", "EmailAddress", e->address, "Reason", sim_reason_name(v->reason),
                  "LastUpdateTime", (double)v->updated_ms / 1000);
    if (e->evidence)
        json_object_set_new(one, "Attributes",
                            json_pack("{s:s,s:s}", "MessageId", e->evidence->message_id,
                                      "FeedbackId", e->evidence->feedback_id));
    json_array_append_new(arg, one);
}

void sim_control_get_list(struct sim_request *r)
{
    const struct sim_list_query all = {
        .start_ms = INT64_MIN, .end_ms = INT64_MAX, .page_size = SIZE_MAX};
    r->output = json_array();
    sim_suppression_list(&r->region->list, &all, add_entry, r->output);
}

struct seed {
    char address[SIM_ADDRESS_MAX + 1];
    enum sim_reason reason;
    int64_t updated_ms;
};

static bool read_seed(const json_t *one, int64_t now, struct seed *seed)
{
    const char *address = json_string_value(one), *reason = "BOUNCE";
    const json_t *time = json_object_get(one, "LastUpdateTime");
    if (json_is_object(one)) {
        address = json_string_value(json_object_get(one, "EmailAddress"));
        const char *given = json_string_value(json_object_get(one, "Reason"));
        reason = given ? given : reason;
    }
    seed->updated_ms = json_is_number(time) ? llround(json_number_value(time) * 1000) : now;
    seed->reason = sim_reason_parse(reason);
    return seed->reason && address && sim_address_spelling(address, seed->address);
}

void sim_control_put_list(struct sim_request *r)
{
    int64_t now = sim_region_now(r->region);
    struct seed seed;
    bool ok = json_is_array(r->input);
    for (size_t i = 0; ok && i < json_array_size(r->input); i++)
        ok = read_seed(json_array_get(r->input, i), now, &seed);
    if (!ok) {
        sim_fail(r, 400, "BadRequest", "expected a list of addresses or of {\"EmailAddress\"}");
        return;
    }
    for (size_t i = 0; i < json_array_size(r->input); i++) {
        read_seed(json_array_get(r->input, i), now, &seed);
        sim_suppression_put(&r->region->list, seed.address, seed.reason, seed.updated_ms, NULL);
    }
}

void sim_control_delete_list(struct sim_request *r)
{
    size_t n = sim_suppression_purge(&r->region->list);
    r->output = json_pack("{s:I}", "deleted", (json_int_t)n);
}

static void send_body(struct sim_request *r, struct sim_queue *q, const json_t *body)
{
    char id[40], md5[33], arn[SIM_ARN_LEN];
    if (!sim_pairs_get(&r->query, "envelope")) {
        sim_queue_send(q, json_string_value(body), json_string_length(body), NULL, -1,
                       sim_region_now(r->region), id, md5);
        return;
    }
    sim_topic_arn(r->region, SIM_EVENTS, arn);
    sim_topics_publish(r->sim, r->region, arn, NULL, json_string_value(body), id);
}

void sim_control_post_events(struct sim_request *r)
{
    const char *name = sim_pairs_get(&r->query, "queue");
    struct sim_queue *q = sim_queues_find(&r->region->queues, name ? name : SIM_EVENTS);
    size_t n = json_array_size(r->input);
    bool ok = q && json_is_array(r->input);
    for (size_t i = 0; ok && i < n; i++)
        ok = json_is_string(json_array_get(r->input, i));
    if (!ok) {
        sim_fail(r, 400, "BadRequest", q ? "expected a list of strings" : "no such queue");
        return;
    }
    for (size_t i = 0; i < n; i++)
        send_body(r, q, json_array_get(r->input, i));
    sim_park_wake(&r->sim->park, q, n);
    r->output = json_pack("{s:I}", "sent", (json_int_t)n);
}

static void add_queue(struct sim_queue *q, void *arg)
{
    struct sim_queue_counts c;
    sim_queue_counts(q, &c);
    json_object_set_new(arg, q->name,
                        json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "visible", (json_int_t)c.visible,
                                  "in_flight", (json_int_t)c.in_flight, "delayed",
                                  (json_int_t)c.delayed, "sent", (json_int_t)c.sent, "received",
                                  (json_int_t)c.received, "deleted", (json_int_t)c.deleted,
                                  "dead_lettered", (json_int_t)c.dead_lettered));
}

void sim_control_get_queues(struct sim_request *r)
{
    r->output = json_object();
    sim_queues_each(&r->region->queues, add_queue, r->output);
}
