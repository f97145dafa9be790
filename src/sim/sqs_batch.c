#include "sqs.h"

#include <string.h>

#define BATCH_MAX 10

static bool distinct_ids(const json_t *entries)
{
    for (size_t i = 0; i < json_array_size(entries); i++) {
        const char *id = json_string_value(json_object_get(json_array_get(entries, i), "Id"));
        for (size_t k = 0; k < i; k++) {
            const char *other =
                json_string_value(json_object_get(json_array_get(entries, k), "Id"));
            if (id && other && strcmp(id, other) == 0)
                return false;
        }
    }
    return true;
}

static bool acceptable(struct sim_request *r, const json_t *entries)
{
    size_t n = json_array_size(entries);
    if (!n)
        sim_fail(r, 400, "EmptyBatchRequest",
                 "There should be at least one %sRequestEntry in the request.",
                 sim_op_info(r->op)->name);
    else if (n > BATCH_MAX)
        sim_fail(r, 400, "TooManyEntriesInBatchRequest",
                 "Maximum number of entries per request are 10. You have sent %zu.", n);
    else if (!distinct_ids(entries))
        sim_fail(r, 400, "BatchEntryIdsNotDistinct", "Two or more batch entries have the same Id.");
    return !r->reply.is_error;
}

enum sim_outcome sim_sqs_batch(struct sim_request *r,
                               bool (*one)(struct sim_request *r, struct sim_queue *q,
                                           const json_t *entry, json_t *done,
                                           struct sim_batch_error *why))
{
    struct sim_queue *q = sim_sqs_queue(r);
    const json_t *entries = json_object_get(r->input, "Entries");
    if (!q || !acceptable(r, entries))
        return SIM_DONE;
    json_t *successful = json_array(), *failed = json_array();
    for (size_t i = 0; i < json_array_size(entries); i++) {
        const json_t *entry = json_array_get(entries, i);
        const char *id = json_string_value(json_object_get(entry, "Id"));
        json_t *done = json_object();
        struct sim_batch_error why = {0};
        json_object_set_new(done, "Id", json_string(id ? id : ""));
        if (one(r, q, entry, done, &why)) {
            json_array_append_new(successful, done);
            continue;
        }
        json_decref(done);
        json_array_append_new(failed,
                              json_pack("{s:s,s:b,s:s,s:s}", "Id", id ? id : "", "SenderFault", 1,
                                        "Code", why.code, "Message", why.message));
    }
    r->output = json_pack("{s:o}", "Successful", successful);
    if (json_array_size(failed))
        json_object_set_new(r->output, "Failed", failed);
    else
        json_decref(failed);
    return SIM_DONE;
}
