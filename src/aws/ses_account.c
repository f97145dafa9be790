/* The account: GetAccount, and its suppression attributes. */
#include "aws/json.h"
#include "aws/ses_call.h"
#include "aws/ses_settings.h"

#include <stdio.h>
#include <string.h>

static int parse_account(const json_t *o, struct sup_ses_account *out)
{
    const char *status = "";
    const json_t *quota = json_object_get(o, "SendQuota");
    struct sup_suppression s;

    if (sup_json_bool(o, "SendingEnabled", &out->sending_enabled) != SUP_OK ||
        sup_json_bool(o, "ProductionAccessEnabled", &out->production_access) != SUP_OK ||
        sup_ses_is_bad(sup_json_text(o, "EnforcementStatus", &status)) ||
        sup_ses_is_bad(sup_json_number(quota, "MaxSendRate", &out->max_send_rate)) ||
        sup_ses_is_bad(sup_json_number(quota, "Max24HourSend", &out->max_24h_send)) ||
        sup_ses_is_bad(sup_json_number(quota, "SentLast24Hours", &out->sent_last_24h)) ||
        sup_ses_parse_suppression(json_object_get(o, "SuppressionAttributes"), &s) != SUP_OK)
        return SUP_ECORRUPT;
    snprintf(out->enforcement_status, sizeof out->enforcement_status, "%s", status);
    out->suppressed_reasons = s.reasons;
    return SUP_OK;
}

int sup_ses_read_account(struct sup_aws *a, struct sup_ses_account *out,
                         struct sup_ses_attributes *attributes, struct sup_stop *stop,
                         struct sup_aws_error *aerr, struct sup_err *err)
{
    struct sup_ses_call c = {
        .name = "GetAccount", .method = "GET", .path = "/v2/email/account", .stop = stop};
    json_t *reply = NULL;

    *out = (struct sup_ses_account){0};
    attributes->owner = NULL;
    int rc = sup_ses_call(a, &c, &reply, aerr, err);
    if (rc == SUP_OK && (rc = parse_account(reply, out)) != SUP_OK)
        sup_err_set(err, rc, "SES GetAccount: odd reply");
    json_t *found = json_object_get(reply, "SuppressionAttributes");
    if (rc == SUP_OK && json_is_object(found))
        attributes->owner = json_incref(found);
    json_decref(reply);
    return rc;
}

int sup_ses_get_account(struct sup_aws *a, struct sup_ses_account *out, struct sup_stop *stop,
                        struct sup_aws_error *aerr, struct sup_err *err)
{
    struct sup_ses_attributes attributes;
    int rc = sup_ses_read_account(a, out, &attributes, stop, aerr, err);

    sup_ses_attributes_fini(&attributes);
    return rc;
}

void sup_ses_attributes_fini(struct sup_ses_attributes *a)
{
    json_decref(a->owner);
    a->owner = NULL;
}

/* NULL when out of memory. */
static json_t *rest_of(const struct sup_ses_attributes *a)
{
    json_t *o = a->owner != NULL ? json_deep_copy(a->owner) : json_object();

    json_object_del(o, "SuppressedReasons");
    return o;
}

bool sup_ses_attributes_same_rest(const struct sup_ses_attributes *a,
                                  const struct sup_ses_attributes *b)
{
    json_t *x = rest_of(a), *y = rest_of(b);
    bool same = json_equal(x, y);

    json_decref(x);
    json_decref(y);
    return same;
}

static void add_reason(json_t *list, const char *name)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *there = json_string_value(json_array_get(list, i));
        if (there != NULL && strcmp(there, name) == 0)
            return;
    }
    json_array_append_new(list, json_string(name));
}

/* NULL when out of memory. */
static json_t *completed(const struct sup_ses_attributes *read)
{
    json_t *body = read->owner != NULL ? json_deep_copy(read->owner) : json_object();
    json_t *list = json_object_get(body, "SuppressedReasons");

    if (json_is_array(list))
        json_incref(list);
    else
        list = json_array();
    add_reason(list, "BOUNCE");
    add_reason(list, "COMPLAINT");
    /* Less than both would switch suppression off: an absent or empty list clears all reasons. */
    bool whole =
        json_array_size(list) >= 2 && json_object_set(body, "SuppressedReasons", list) == 0;
    json_decref(list);
    if (whole)
        return body;
    json_decref(body);
    return NULL;
}

int sup_ses_complete_attributes(struct sup_aws *a, const struct sup_ses_attributes *read,
                                struct sup_stop *stop, struct sup_aws_error *aerr,
                                struct sup_err *err)
{
    struct sup_ses_call c = {.name = "PutAccountSuppressionAttributes",
                             .method = "PUT",
                             .path = "/v2/email/account/suppression",
                             .stop = stop};
    json_t *body = completed(read);

    if (body == NULL)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    return sup_ses_call_json(a, &c, body, NULL, aerr, err);
}
