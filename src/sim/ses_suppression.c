#include "clock.h"
#include "region.h"
#include "ses.h"
#include "sim.h"

#include <stdlib.h>
#include <string.h>

/* The list that the request is about: a tenant's if it names one. NULL: r holds the error. */
static struct sim_suppression *list_of(struct sim_request *r)
{
    const char *tenant = sim_pairs_get(&r->query, "TenantName");
    if (!tenant)
        tenant = sim_input_str(r, "TenantName");
    if (!tenant)
        return &r->region->list;
    struct sim_suppression *list = sim_account_tenant_list(&r->region->account, tenant);
    if (!list)
        sim_fail(r, 404, "NotFoundException", "Tenant <%s> does not exist.", tenant);
    return list;
}

enum sim_outcome sim_ses_put_suppressed(struct sim_request *r)
{
    const char *address = sim_input_str(r, "EmailAddress");
    const char *reason = sim_input_str(r, "Reason");
    char spelling[SIM_ADDRESS_MAX + 1];
    if (!reason || !sim_reason_parse(reason))
        return sim_ses_bad(r,
                           "1 validation error detected: Value at 'reason' failed to satisfy "
                           "constraint: Member must satisfy enum value set: [BOUNCE, COMPLAINT]");
    if (!address || !sim_address_spelling(address, spelling) ||
        sim_refusals_put(&r->region->refusals, spelling))
        return sim_ses_bad(r, "Invalid email address.");
    if (!sim_account_production(&r->region->account))
        return sim_ses_bad(r, "This operation is not available while your account is in the "
                              "sandbox. Request production access first.");
    struct sim_suppression *list = list_of(r);
    if (!list)
        return SIM_DONE;
    /* Every put renews LastUpdateTime, whether or not anything changed. */
    sim_suppression_put(list, spelling, sim_reason_parse(reason), sim_region_now(r->region), NULL);
    r->output = json_object();
    return SIM_DONE;
}

static enum sim_outcome not_listed(struct sim_request *r)
{
    return sim_fail(r, 404, "NotFoundException",
                    "Email address %s does not exist on your suppression list.", r->target);
}

static json_t *entry_json(const char *address, const struct sim_version *v)
{
    return json_pack("{s:s,s:s,s:f}", "EmailAddress", address, "Reason", sim_reason_name(v->reason),
                     "LastUpdateTime", (double)v->updated_ms / 1000);
}

enum sim_outcome sim_ses_get_suppressed(struct sim_request *r)
{
    struct sim_version v;
    struct sim_evidence evidence;
    struct sim_suppression *list = list_of(r);
    if (!list)
        return SIM_DONE;
    /* The exact spelling counts: no folding here. */
    if (!sim_suppression_get(list, r->target, &v, &evidence))
        return not_listed(r);
    json_t *entry = entry_json(r->target, &v);
    if (*evidence.feedback_id)
        json_object_set_new(entry, "Attributes",
                            json_pack("{s:s,s:s}", "MessageId", evidence.message_id, "FeedbackId",
                                      evidence.feedback_id));
    r->output = json_pack("{s:o}", "SuppressedDestination", entry);
    return SIM_DONE;
}

enum sim_outcome sim_ses_delete_suppressed(struct sim_request *r)
{
    /* The live service refuses these however they are encoded (aws/aws-sdk issue 158, closed
     * unfixed in 2024); only an import job of action DELETE removes such an entry. */
    if (strchr(r->target, '/'))
        return sim_ses_bad(r, "Bad Request");
    struct sim_suppression *list = list_of(r);
    if (!list)
        return SIM_DONE;
    if (!sim_suppression_delete(list, r->target))
        return not_listed(r);
    r->output = json_object();
    return SIM_DONE;
}

#define PAGE_DEFAULT 1000

static bool read_reasons(struct sim_request *r, struct sim_list_query *q)
{
    for (size_t i = 0; i < r->query.n; i++) {
        if (strcmp(r->query.items[i].name, "Reason") != 0)
            continue;
        enum sim_reason reason = sim_reason_parse(r->query.items[i].value);
        if (!reason) {
            sim_ses_bad(r, "1 validation error detected: Value at 'reasons' failed to satisfy "
                           "constraint: Member must satisfy enum value set: [BOUNCE, COMPLAINT]");
            return false;
        }
        q->reasons |= (unsigned)reason;
    }
    return true;
}

static bool read_query(struct sim_request *r, struct sim_list_query *q)
{
    const char *start = sim_pairs_get(&r->query, "StartDate");
    const char *end = sim_pairs_get(&r->query, "EndDate");
    const char *size = sim_pairs_get(&r->query, "PageSize");
    int64_t n = PAGE_DEFAULT;
    if (size && (!sim_parse_i64(size, &n) || n < 1 || n > PAGE_DEFAULT)) {
        sim_ses_bad(r, "PageSize is 1 to 1000.");
        return false;
    }
    q->page_size = (size_t)n;
    if ((start && !sim_time_parse(start, &q->start_ms)) ||
        (end && !sim_time_parse(end, &q->end_ms))) {
        sim_ses_bad(r, "StartDate or EndDate is not a timestamp.");
        return false;
    }
    return read_reasons(r, q);
}

static uint32_t query_hash(const struct sim_list_query *q, const char *tenant)
{
    uint64_t h = q->reasons * 1000003u;
    for (; tenant && *tenant; tenant++)
        h = (h ^ (unsigned char)*tenant) * 0x9e3779b97f4a7c15u;
    h = (h ^ (uint64_t)q->start_ms) * 0x9e3779b97f4a7c15u;
    h = (h ^ (uint64_t)q->end_ms) * 0x9e3779b97f4a7c15u;
    return (uint32_t)(h >> 32);
}

static void add_summary(const struct sim_entry *e, const struct sim_version *v, void *arg)
{
    json_array_append_new(arg, entry_json(e->address, v));
}

enum sim_outcome sim_ses_list_suppressed(struct sim_request *r)
{
    struct sim_list_query q = {
        .start_ms = INT64_MIN, .end_ms = INT64_MAX, .lag_ms = r->sim->options.list_lag_ms};
    if (!read_query(r, &q))
        return SIM_DONE;
    const char *token = sim_pairs_get(&r->query, "NextToken");
    uint32_t hash = query_hash(&q, sim_pairs_get(&r->query, "TenantName"));
    struct sim_suppression *from = list_of(r);
    if (!from)
        return SIM_DONE;
    if (token && *token && !sim_page_token_read(r, token, hash, &q.from_seq))
        return sim_fail(r, 400, "InvalidNextTokenException",
                        "The specified request includes an "
                        "invalid or expired token.");
    json_t *list = json_array();
    uint64_t next = sim_suppression_list(from, &q, add_summary, list);
    r->output = json_pack("{s:o}", "SuppressedDestinationSummaries", list);
    if (next) {
        struct sim_buf text = {0};
        sim_page_token(r, next, hash, &text);
        json_object_set_new(r->output, "NextToken", json_string(sim_buf_cstr(&text)));
        sim_buf_fini(&text);
    }
    return SIM_DONE;
}
