/* Configuration sets and tenants: their names, and what each says of suppression. */
#include "aws/json.h"
#include "aws/ses_call.h"
#include "aws/ses_settings.h"

#include <stdlib.h>
#include <string.h>

#define SETS        "/v2/email/configuration-sets"
#define PATH_MAX_N  4096
#define QUERY_MAX_N 32768
#define LIST_MAX    10000

bool sup_ses_is_bad(int rc)
{
    return rc != SUP_OK && rc != SUP_ENOTFOUND;
}

static enum sup_scope scope_of(const char *word)
{
    if (strcmp(word, "") == 0)
        return SUP_SCOPE_NONE;
    if (strcmp(word, "ACCOUNT") == 0)
        return SUP_SCOPE_ACCOUNT;
    return strcmp(word, "TENANT") == 0 ? SUP_SCOPE_TENANT : SUP_SCOPE_OTHER;
}

int sup_ses_parse_suppression(const json_t *o, struct sup_suppression *out)
{
    const json_t *list = NULL;
    const char *scope = "";

    *out = (struct sup_suppression){0};
    if (o == NULL || json_is_null(o))
        return SUP_OK;
    if (!json_is_object(o) || sup_ses_is_bad(sup_json_array(o, "SuppressedReasons", &list)) ||
        sup_ses_is_bad(sup_json_text(o, "SuppressionScope", &scope)))
        return SUP_ECORRUPT;
    out->given = true;
    out->has_reasons = list != NULL;
    out->scope = scope_of(scope);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *name = json_string_value(json_array_get(list, i));
        if (name == NULL)
            return SUP_ECORRUPT;
        out->reasons |= (unsigned)sup_ses_reason(name);
    }
    return SUP_OK;
}

/* ---- pages of names ---- */

void sup_ses_names_fini(struct sup_ses_names *s)
{
    free(s->names);
    json_decref(s->owner);
    *s = (struct sup_ses_names){0};
}

/* Without the list, a reply that says something else is not of this operation: taken for an empty
 * page, it would pass for proof that there is nothing. */
static bool is_other(const json_t *reply, const json_t *list)
{
    size_t known = json_object_get(reply, "NextToken") != NULL;

    return list == NULL && json_object_size(reply) > known;
}

/* member: what each item is called by, NULL if the items are the names. */
static int parse_names(const char *operation, const char *key, const char *member,
                       struct sup_ses_names *out, struct sup_err *err)
{
    const json_t *list = NULL;
    size_t n;

    if (sup_ses_is_bad(sup_json_array(out->owner, key, &list)) ||
        sup_ses_is_bad(sup_json_text(out->owner, "NextToken", &out->next_token)) ||
        json_array_size(list) > LIST_MAX || is_other(out->owner, list))
        return sup_err_set(err, SUP_ECORRUPT, "SES %s: odd reply", operation);
    if (out->next_token != NULL && out->next_token[0] == '\0')
        out->next_token = NULL;
    n = json_array_size(list);
    out->names = calloc(n > 0 ? n : 1, sizeof *out->names);
    if (out->names == NULL)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_array_get(list, i);
        out->names[i] = json_string_value(member != NULL ? json_object_get(item, member) : item);
        if (out->names[i] == NULL || out->names[i][0] == '\0')
            return sup_err_set(err, SUP_ECORRUPT, "SES %s: odd item", operation);
    }
    out->n = n;
    return SUP_OK;
}

/* Takes the reply. */
static int take_names(const struct sup_ses_call *c, const char *key, const char *member,
                      json_t *reply, struct sup_ses_names *out, struct sup_err *err)
{
    out->owner = reply;
    int rc = parse_names(c->name, key, member, out, err);
    if (rc != SUP_OK)
        sup_ses_names_fini(out);
    return rc;
}

/* NULL token: {}. */
static json_t *page_body(const char *next_token)
{
    return json_pack("{s:s*}", "NextToken", next_token);
}

static int page_by_post(struct sup_aws *a, struct sup_ses_call *c, const char *next_token,
                        json_t **reply, struct sup_aws_error *aerr, struct sup_err *err)
{
    c->method = "POST";
    return sup_ses_call_json(a, c, page_body(next_token), reply, aerr, err);
}

int sup_ses_sets_page(struct sup_aws *a, const char *next_token, struct sup_ses_names *out,
                      struct sup_stop *stop, struct sup_aws_error *aerr, struct sup_err *err)
{
    struct sup_ses_call c = {
        .name = "ListConfigurationSets", .method = "GET", .path = SETS, .stop = stop};
    struct sup_buf query;
    json_t *reply = NULL;
    int rc;

    *out = (struct sup_ses_names){0};
    sup_buf_init(&query, QUERY_MAX_N);
    if (next_token != NULL) {
        sup_buf_add_str(&query, "NextToken=");
        sup_uri_encode(&query, sup_slice_str(next_token), 0);
        c.query = sup_buf_str(&query);
    }
    rc = query.failed ? sup_err_set(err, query.failed, "SES ListConfigurationSets: token too long")
                      : sup_ses_call(a, &c, &reply, aerr, err);
    if (rc == SUP_ENOTFOUND) {
        c.path = "/v2/email/list-configuration-sets";
        c.query = NULL;
        rc = page_by_post(a, &c, next_token, &reply, aerr, err);
    }
    if (rc == SUP_OK)
        rc = take_names(&c, "ConfigurationSets", NULL, reply, out, err);
    sup_buf_fini(&query);
    return rc;
}

int sup_ses_tenants_page(struct sup_aws *a, const char *next_token, struct sup_ses_names *out,
                         struct sup_stop *stop, struct sup_aws_error *aerr, struct sup_err *err)
{
    struct sup_ses_call c = {.name = "ListTenants", .path = "/v2/email/tenants/list", .stop = stop};
    json_t *reply = NULL;
    int rc;

    *out = (struct sup_ses_names){0};
    rc = page_by_post(a, &c, next_token, &reply, aerr, err);
    if (rc == SUP_OK)
        rc = take_names(&c, "Tenants", "TenantName", reply, out, err);
    return rc;
}

/* ---- one of them ---- */

static int parse_set(const json_t *reply, struct sup_suppression *out)
{
    /* A set without options is an object without that member; but this one is always there. */
    if (!json_is_string(json_object_get(reply, "ConfigurationSetName")))
        return SUP_ECORRUPT;
    return sup_ses_parse_suppression(json_object_get(reply, "SuppressionOptions"), out);
}

int sup_ses_get_set(struct sup_aws *a, const char *name, struct sup_suppression *out,
                    struct sup_stop *stop, struct sup_aws_error *aerr, struct sup_err *err)
{
    struct sup_buf path;
    json_t *reply = NULL;
    int rc;

    *out = (struct sup_suppression){0};
    sup_buf_init(&path, PATH_MAX_N);
    sup_buf_add_str(&path, SETS "/");
    sup_uri_encode(&path, sup_slice_str(name), 0);
    struct sup_ses_call c = {
        .name = "GetConfigurationSet", .method = "GET", .path = sup_buf_str(&path), .stop = stop};
    rc = path.failed ? sup_err_set(err, path.failed, "SES GetConfigurationSet: name too long")
                     : sup_ses_call(a, &c, &reply, aerr, err);
    if (rc == SUP_OK && (rc = parse_set(reply, out)) != SUP_OK)
        sup_err_set(err, rc, "SES GetConfigurationSet: odd reply");
    json_decref(reply);
    sup_buf_fini(&path);
    return rc;
}

static int parse_tenant(const json_t *tenant, struct sup_suppression *out, bool *sending)
{
    const char *status = "";

    if (!json_is_object(tenant) || sup_ses_is_bad(sup_json_text(tenant, "SendingStatus", &status)))
        return SUP_ECORRUPT;
    *sending = strcmp(status, "DISABLED") != 0;
    return sup_ses_parse_suppression(json_object_get(tenant, "SuppressionAttributes"), out);
}

int sup_ses_get_tenant(struct sup_aws *a, const char *name, struct sup_suppression *out,
                       bool *sending, struct sup_stop *stop, struct sup_aws_error *aerr,
                       struct sup_err *err)
{
    struct sup_ses_call c = {
        .name = "GetTenant", .method = "POST", .path = "/v2/email/tenants/get", .stop = stop};
    json_t *reply = NULL;
    int rc = sup_ses_call_json(a, &c, json_pack("{s:s}", "TenantName", name), &reply, aerr, err);

    *out = (struct sup_suppression){0};
    *sending = true;
    if (rc == SUP_OK &&
        (rc = parse_tenant(json_object_get(reply, "Tenant"), out, sending)) != SUP_OK)
        sup_err_set(err, rc, "SES GetTenant: odd reply");
    json_decref(reply);
    return rc;
}
