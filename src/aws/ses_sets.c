#include "aws/ses_sets.h"

#include "aws/json.h"
#include "aws/ses_call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SETS        "/v2/email/configuration-sets"
#define PATH_MAX_N  4096
#define QUERY_MAX_N 32768
#define LIST_MAX    10000

static bool bad(int rc)
{
    return rc != SUP_OK && rc != SUP_ENOTFOUND;
}

void sup_ses_sets_fini(struct sup_ses_sets *s)
{
    free(s->names);
    json_decref(s->owner);
    *s = (struct sup_ses_sets){0};
}

static int parse_sets(const json_t *reply, struct sup_ses_sets *out, struct sup_err *err)
{
    const json_t *list = NULL;
    size_t n;

    if (bad(sup_json_array(reply, "ConfigurationSets", &list)) ||
        bad(sup_json_text(reply, "NextToken", &out->next_token)) ||
        json_array_size(list) > LIST_MAX)
        return sup_err_set(err, SUP_ECORRUPT, "SES ListConfigurationSets: odd reply");
    if (out->next_token != NULL && out->next_token[0] == '\0')
        out->next_token = NULL;
    n = json_array_size(list);
    out->names = calloc(n > 0 ? n : 1, sizeof *out->names);
    if (out->names == NULL)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    for (size_t i = 0; i < n; i++) {
        out->names[i] = json_string_value(json_array_get(list, i));
        if (out->names[i] == NULL)
            return sup_err_set(err, SUP_ECORRUPT, "SES ListConfigurationSets: odd item");
    }
    out->n = n;
    return SUP_OK;
}

int sup_ses_sets_page(struct sup_aws *a, const char *next_token, struct sup_ses_sets *out,
                      struct sup_stop *stop, struct sup_aws_error *aerr, struct sup_err *err)
{
    struct sup_buf query;
    json_t *reply = NULL;
    int rc;

    *out = (struct sup_ses_sets){0};
    sup_buf_init(&query, QUERY_MAX_N);
    if (next_token != NULL) {
        sup_buf_add_str(&query, "NextToken=");
        sup_uri_encode(&query, sup_slice_str(next_token), 0);
    }
    struct sup_ses_call c = {.name = "ListConfigurationSets",
                             .method = "GET",
                             .path = SETS,
                             .query = query.n > 0 ? sup_buf_str(&query) : NULL,
                             .stop = stop};
    rc = query.failed ? sup_err_set(err, query.failed, "SES ListConfigurationSets: token too long")
                      : sup_ses_call(a, &c, &reply, aerr, err);
    if (rc == SUP_OK) {
        out->owner = reply;
        rc = parse_sets(reply, out, err);
        if (rc != SUP_OK)
            sup_ses_sets_fini(out);
    }
    sup_buf_fini(&query);
    return rc;
}

static int parse_set(const json_t *reply, struct sup_ses_set *out)
{
    const json_t *options = json_object_get(reply, "SuppressionOptions");
    const json_t *list = NULL;
    const char *scope = "";

    if (options == NULL || json_is_null(options))
        return SUP_OK;
    if (!json_is_object(options) || bad(sup_json_array(options, "SuppressedReasons", &list)) ||
        bad(sup_json_text(options, "SuppressionScope", &scope)))
        return SUP_ECORRUPT;
    /* Without the list of reasons the account's hold; an empty one means none at all. */
    out->overrides = list != NULL;
    snprintf(out->scope, sizeof out->scope, "%s", scope);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *name = json_string_value(json_array_get(list, i));
        if (name == NULL)
            return SUP_ECORRUPT;
        out->reasons |= strcmp(name, "BOUNCE") == 0      ? (unsigned)SUP_REASON_BOUNCE
                        : strcmp(name, "COMPLAINT") == 0 ? (unsigned)SUP_REASON_COMPLAINT
                                                         : 0U;
    }
    return SUP_OK;
}

int sup_ses_get_set(struct sup_aws *a, const char *name, struct sup_ses_set *out,
                    struct sup_stop *stop, struct sup_aws_error *aerr, struct sup_err *err)
{
    struct sup_buf path;
    json_t *reply = NULL;
    int rc;

    *out = (struct sup_ses_set){0};
    sup_buf_init(&path, PATH_MAX_N);
    sup_buf_add_str(&path, SETS "/");
    sup_uri_encode(&path, sup_slice_str(name), 0);
    struct sup_ses_call c = {
        .name = "GetConfigurationSet", .method = "GET", .path = sup_buf_str(&path), .stop = stop};
    rc = sup_ses_call(a, &c, &reply, aerr, err);
    if (rc == SUP_OK && (rc = parse_set(reply, out)) != SUP_OK)
        sup_err_set(err, rc, "SES GetConfigurationSet: odd reply");
    json_decref(reply);
    sup_buf_fini(&path);
    return rc;
}
