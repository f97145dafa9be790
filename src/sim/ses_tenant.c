/* Tenants and their suppression settings. Their lists are reached by the operations of the
 * account's list, with a TenantName. */
#include "region.h"
#include "ses_options.h"
#include "sim.h"

#include <stdio.h>
#include <string.h>

static const char *tenant_name(struct sim_request *r)
{
    const char *name = sim_input_str(r, "TenantName");
    size_t n = name ? strlen(name) : 0;
    if (n > 0 && n <= SIM_TENANT_NAME_MAX &&
        strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") == n)
        return name;
    sim_ses_bad(r, "TenantName has 1 to 64 letters, digits, hyphens and underscores.");
    return NULL;
}

/* Both or neither: "Using tenant-level suppression lists" of the SES developer guide. */
static bool read_level(struct sim_request *r, const json_t *input, struct sim_level *level)
{
    if (!sim_read_level(r, input, level))
        return false;
    if (level->has_reasons == (level->scope != SIM_SCOPE_UNSET))
        return true;
    sim_ses_bad(r, "SuppressionScope and SuppressedReasons must be provided together.");
    return false;
}

static enum sim_outcome no_tenant(struct sim_request *r, const char *name)
{
    return sim_fail(r, 404, "NotFoundException", "Tenant <%s> does not exist.", name);
}

static json_t *info_of(const struct sim_request *r, const struct sim_tenant *t)
{
    char id[40], arn[240];
    snprintf(id, sizeof id, "tn-%016llx", (unsigned long long)t->seq);
    snprintf(arn, sizeof arn, "arn:aws:ses:%s:%s:tenant/%s/%s", r->region->name, SIM_ACCOUNT,
             t->name, id);
    return json_pack("{s:s,s:s,s:s,s:f}", "TenantName", t->name, "TenantId", id, "TenantArn", arn,
                     "CreatedTimestamp", (double)t->created_ms / 1000);
}

static json_t *whole(const struct sim_request *r, const struct sim_tenant *t)
{
    json_t *o = info_of(r, t);
    json_object_set_new(o, "SendingStatus", json_string("ENABLED"));
    if (t->tags)
        json_object_set(o, "Tags", t->tags);
    if (t->level.has_reasons)
        json_object_set_new(o, "SuppressionAttributes", sim_level_json(&t->level, "", NULL));
    return o;
}

static struct sim_tenant *new_tenant(struct sim_request *r, const char *name,
                                     const struct sim_level *level)
{
    struct sim_tenant *t = sim_alloc(sizeof *t);
    snprintf(t->name, sizeof t->name, "%s", name);
    t->created_ms = sim_region_now(r->region);
    t->level = *level;
    t->tags = json_deep_copy(json_object_get(r->input, "Tags"));
    sim_suppression_init(&t->list);
    return t;
}

enum sim_outcome sim_ses_create_tenant(struct sim_request *r)
{
    struct sim_account *a = &r->region->account;
    const char *name = tenant_name(r);
    struct sim_level level;
    if (!name || !read_level(r, json_object_get(r->input, "SuppressionAttributes"), &level))
        return SIM_DONE;
    pthread_mutex_lock(&a->lock);
    struct sim_tenant *t = sim_strmap_get(&a->tenants, name);
    bool exists = t != NULL;
    if (!exists) {
        t = new_tenant(r, name, &level);
        t->seq = a->next_seq++;
        sim_strmap_set(&a->tenants, name, t);
        r->output = whole(r, t);
    }
    pthread_mutex_unlock(&a->lock);
    if (exists)
        sim_fail(r, 400, "AlreadyExistsException", "Tenant <%s> already exists.", name);
    return SIM_DONE;
}

enum sim_outcome sim_ses_get_tenant(struct sim_request *r)
{
    struct sim_account *a = &r->region->account;
    const char *name = tenant_name(r);
    if (!name)
        return SIM_DONE;
    pthread_mutex_lock(&a->lock);
    const struct sim_tenant *t = sim_strmap_get(&a->tenants, name);
    if (t)
        r->output = json_pack("{s:o}", "Tenant", whole(r, t));
    pthread_mutex_unlock(&a->lock);
    return t ? SIM_DONE : no_tenant(r, name);
}

/* Its entries go with it. */
enum sim_outcome sim_ses_delete_tenant(struct sim_request *r)
{
    struct sim_account *a = &r->region->account;
    const char *name = tenant_name(r);
    if (!name)
        return SIM_DONE;
    pthread_mutex_lock(&a->lock);
    struct sim_tenant *t = sim_strmap_remove(&a->tenants, name);
    if (t) {
        t->next_gone = a->gone;
        a->gone = t;
    }
    pthread_mutex_unlock(&a->lock);
    if (!t)
        return no_tenant(r, name);
    r->output = json_object();
    return SIM_DONE;
}

struct listing {
    struct sim_request *request;
    json_t *list;
};

static void add_info(const char *name, void *value, void *arg)
{
    struct listing *l = arg;
    (void)name;
    json_array_append_new(l->list, info_of(l->request, value));
}

enum sim_outcome sim_ses_list_tenants(struct sim_request *r)
{
    struct sim_account *a = &r->region->account;
    struct sim_name_page page;
    if (!sim_read_name_page(r, "tenants", 100, &page))
        return SIM_DONE;
    struct listing l = {r, json_array()};
    pthread_mutex_lock(&a->lock);
    uint64_t next = sim_account_page(&a->tenants, page.from, page.size, add_info, &l);
    pthread_mutex_unlock(&a->lock);
    r->output = json_pack("{s:o}", "Tenants", l.list);
    sim_put_next_token(r, &page, next);
    return SIM_DONE;
}

enum sim_outcome sim_ses_put_tenant_suppression(struct sim_request *r)
{
    struct sim_account *a = &r->region->account;
    const char *name = tenant_name(r);
    struct sim_level level;
    if (!name || !read_level(r, r->input, &level))
        return SIM_DONE;
    pthread_mutex_lock(&a->lock);
    struct sim_tenant *t = sim_strmap_get(&a->tenants, name);
    if (t)
        t->level = level;
    pthread_mutex_unlock(&a->lock);
    if (!t)
        return no_tenant(r, name);
    r->output = json_object();
    return SIM_DONE;
}
