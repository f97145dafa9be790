#include "region.h"
#include "ses.h"
#include "sim.h"

#include <stdlib.h>
#include <string.h>

static json_t *reasons_json(unsigned reasons)
{
    json_t *list = json_array();
    if (reasons & SIM_BOUNCE)
        json_array_append_new(list, json_string("BOUNCE"));
    if (reasons & SIM_COMPLAINT)
        json_array_append_new(list, json_string("COMPLAINT"));
    return list;
}

/* Absent counts as empty: the live service clears the reasons either way. */
static bool read_reasons(struct sim_request *r, const json_t *list, unsigned *reasons)
{
    *reasons = 0;
    for (size_t i = 0; i < json_array_size(list); i++) {
        enum sim_reason reason = sim_reason_parse(json_string_value(json_array_get(list, i)));
        if (!reason) {
            sim_ses_bad(r,
                        "1 validation error detected: Value at 'suppressedReasons' failed to "
                        "satisfy constraint: Member must satisfy constraint: [Member must satisfy "
                        "enum value set: [BOUNCE, COMPLAINT]]");
            return false;
        }
        *reasons |= (unsigned)reason;
    }
    return true;
}

enum sim_outcome sim_ses_get_account(struct sim_request *r)
{
    struct sim_account *a = &r->region->account;
    pthread_mutex_lock(&a->lock);
    r->output = json_pack(
        "{s:b,s:s,s:b,s:b,s:{s:f,s:f,s:f},s:{s:o},s:{s:s}}", "DedicatedIpAutoWarmupEnabled", 1,
        "EnforcementStatus", a->enforcement, "ProductionAccessEnabled", a->production,
        "SendingEnabled", a->sending, "SendQuota", "Max24HourSend", a->production ? 50000.0 : 200.0,
        "MaxSendRate", a->production ? 14.0 : 1.0, "SentLast24Hours",
        (double)atomic_load(&r->region->sends), "SuppressionAttributes", "SuppressedReasons",
        reasons_json(a->reasons), "VdmAttributes", "VdmEnabled", "DISABLED");
    pthread_mutex_unlock(&a->lock);
    return SIM_DONE;
}

enum sim_outcome sim_ses_put_account_suppression(struct sim_request *r)
{
    unsigned reasons;
    if (!read_reasons(r, json_object_get(r->input, "SuppressedReasons"), &reasons))
        return SIM_DONE;
    pthread_mutex_lock(&r->region->account.lock);
    r->region->account.reasons = reasons;
    pthread_mutex_unlock(&r->region->account.lock);
    r->output = json_object();
    return SIM_DONE;
}

/* An options block that is there overrides the account, even with no reasons in it. */
static bool read_options(struct sim_request *r, const json_t *options, struct sim_config_set *set)
{
    *set = (struct sim_config_set){.overrides = json_is_object(options)};
    return read_reasons(r, json_object_get(options, "SuppressedReasons"), &set->reasons);
}

enum sim_outcome sim_ses_create_set(struct sim_request *r)
{
    const char *name = sim_input_str(r, "ConfigurationSetName");
    struct sim_config_set set;
    if (!name || !*name || strlen(name) > 64)
        return sim_ses_bad(r, "Invalid ConfigurationSetName.");
    if (!read_options(r, json_object_get(r->input, "SuppressionOptions"), &set))
        return SIM_DONE;
    struct sim_account *a = &r->region->account;
    struct sim_config_set *copy = sim_alloc(sizeof *copy);
    *copy = set;
    pthread_mutex_lock(&a->lock);
    bool exists = sim_strmap_get(&a->sets, name) != NULL;
    if (!exists)
        sim_strmap_set(&a->sets, name, copy);
    pthread_mutex_unlock(&a->lock);
    if (exists) {
        free(copy);
        return sim_fail(r, 400, "AlreadyExistsException", "Configuration set <%s> already exists.",
                        name);
    }
    r->output = json_object();
    return SIM_DONE;
}

static enum sim_outcome no_set(struct sim_request *r)
{
    return sim_fail(r, 404, "NotFoundException", "Configuration set <%s> does not exist.",
                    r->target);
}

enum sim_outcome sim_ses_get_set(struct sim_request *r)
{
    struct sim_account *a = &r->region->account;
    pthread_mutex_lock(&a->lock);
    const struct sim_config_set *found = sim_strmap_get(&a->sets, r->target);
    struct sim_config_set set = found ? *found : (struct sim_config_set){0};
    pthread_mutex_unlock(&a->lock);
    if (!found)
        return no_set(r);
    r->output = json_pack("{s:s,s:{s:b}}", "ConfigurationSetName", r->target, "SendingOptions",
                          "SendingEnabled", 1);
    if (set.overrides)
        json_object_set_new(r->output, "SuppressionOptions",
                            json_pack("{s:o}", "SuppressedReasons", reasons_json(set.reasons)));
    return SIM_DONE;
}

enum sim_outcome sim_ses_delete_set(struct sim_request *r)
{
    struct sim_account *a = &r->region->account;
    pthread_mutex_lock(&a->lock);
    struct sim_config_set *set = sim_strmap_remove(&a->sets, r->target);
    pthread_mutex_unlock(&a->lock);
    if (!set)
        return no_set(r);
    free(set);
    r->output = json_object();
    return SIM_DONE;
}

static void add_name(const char *name, void *value, void *arg)
{
    (void)value;
    json_array_append_new(arg, json_string(name));
}

enum sim_outcome sim_ses_list_sets(struct sim_request *r)
{
    json_t *names = json_array();
    struct sim_account *a = &r->region->account;
    pthread_mutex_lock(&a->lock);
    sim_strmap_each(&a->sets, add_name, names);
    pthread_mutex_unlock(&a->lock);
    r->output = json_pack("{s:o}", "ConfigurationSets", names);
    return SIM_DONE;
}

enum sim_outcome sim_ses_put_set_suppression(struct sim_request *r)
{
    struct sim_config_set set;
    if (!read_options(r, r->input, &set))
        return SIM_DONE;
    struct sim_account *a = &r->region->account;
    pthread_mutex_lock(&a->lock);
    struct sim_config_set *found = sim_strmap_get(&a->sets, r->target);
    if (found)
        *found = set;
    pthread_mutex_unlock(&a->lock);
    if (!found)
        return no_set(r);
    r->output = json_object();
    return SIM_DONE;
}
