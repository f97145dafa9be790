/* Configuration sets, as far as suppression goes. */
#include "region.h"
#include "ses_options.h"
#include "sim.h"

#include <string.h>

/* An options block that is there overrides the account, even with no reasons in it. */
static bool read_options(struct sim_request *r, const json_t *options, struct sim_config_set *set)
{
    *set = (struct sim_config_set){.has_options = json_is_object(options)};
    if (!sim_read_level(r, options, &set->level) ||
        !sim_read_validation(r, options, "ValidationOptions", &set->validation))
        return false;
    set->level.has_reasons = set->has_options;
    return true;
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
    if (!exists) {
        copy->seq = a->next_seq++;
        sim_strmap_set(&a->sets, name, copy);
    }
    pthread_mutex_unlock(&a->lock);
    if (exists) {
        sim_config_set_free(copy);
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
    json_t *options = NULL;
    pthread_mutex_lock(&a->lock);
    const struct sim_config_set *found = sim_strmap_get(&a->sets, r->target);
    if (found && found->has_options)
        options = sim_level_json(&found->level, "ValidationOptions", found->validation);
    pthread_mutex_unlock(&a->lock);
    if (!found)
        return no_set(r);
    r->output = json_pack("{s:s,s:{s:b}}", "ConfigurationSetName", r->target, "SendingOptions",
                          "SendingEnabled", 1);
    if (options)
        json_object_set_new(r->output, "SuppressionOptions", options);
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
    sim_config_set_free(set);
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
    struct sim_account *a = &r->region->account;
    struct sim_name_page page;
    if (!sim_read_name_page(r, "sets", 1000, &page))
        return SIM_DONE;
    json_t *names = json_array();
    pthread_mutex_lock(&a->lock);
    uint64_t next = sim_account_page(&a->sets, page.from, page.size, add_name, names);
    pthread_mutex_unlock(&a->lock);
    r->output = json_pack("{s:o}", "ConfigurationSets", names);
    sim_put_next_token(r, &page, next);
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
    if (found) {
        json_decref(found->validation);
        set.seq = found->seq;
        *found = set;
    }
    pthread_mutex_unlock(&a->lock);
    if (!found) {
        json_decref(set.validation);
        return no_set(r);
    }
    r->output = json_object();
    return SIM_DONE;
}
