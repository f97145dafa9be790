#include "aws/sesv2.h"

#include "aws/json.h"
#include "aws/ses_call.h"
#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ADDRESSES   "/v2/email/suppression/addresses"
#define PATH_MAX_N  4096
#define QUERY_MAX_N 32768
#define BODY_MAX_N  65536
#define LIST_MAX    100000 /* items a page; AWS sends at most 1000 */

enum sup_reason sup_ses_reason(const char *name)
{
    if (strcmp(name, "BOUNCE") == 0)
        return SUP_REASON_BOUNCE;
    return strcmp(name, "COMPLAINT") == 0 ? SUP_REASON_COMPLAINT : SUP_REASON_NONE;
}

/* ---- calls ---- */

int sup_ses_call(struct sup_aws *a, const struct sup_ses_call *c, json_t **reply,
                 struct sup_aws_error *aerr, struct sup_err *err)
{
    static const struct sup_header json_type = {"content-type", "application/json"};
    struct sup_http_response r;
    struct sup_aws_call ac = {.service = SUP_AWS_SESV2,
                              .method = c->method,
                              .path = c->path,
                              .query = c->query,
                              .headers = &json_type,
                              .n_headers = c->body.n > 0 ? 1 : 0,
                              .body = c->body,
                              .no_throttle_retry = true,
                              .no_repeat = c->no_repeat,
                              .stop = c->stop};

    sup_http_response_init(&r);
    int rc = sup_aws_call(a, &ac, &r, aerr, err);
    if (rc == SUP_OK && reply != NULL)
        rc = sup_json_object(sup_buf_slice(&r.body), reply, err);
    if (rc != SUP_OK)
        sup_err_prefix(err, rc, "SES %s", c->name);
    sup_http_response_fini(&r);
    return rc;
}

int sup_ses_call_json(struct sup_aws *a, struct sup_ses_call *c, json_t *body, json_t **reply,
                      struct sup_aws_error *aerr, struct sup_err *err)
{
    struct sup_buf text;
    int rc;

    if (aerr != NULL)
        memset(aerr, 0, sizeof *aerr);
    sup_buf_init(&text, BODY_MAX_N);
    rc = sup_json_write(body, &text, err);
    c->body = sup_buf_slice(&text);
    if (rc == SUP_OK)
        rc = sup_ses_call(a, c, reply, aerr, err);
    sup_buf_fini(&text);
    return rc;
}

/* Before anything is sent. What SES itself thinks of an address it says with a 400. */
static int check_address(const char *address, struct sup_aws_error *aerr, struct sup_err *err)
{
    size_t n = address != NULL ? strlen(address) : 0;

    if (aerr != NULL)
        memset(aerr, 0, sizeof *aerr);
    if (n == 0 || n > SUP_SES_ADDRESS_MAX || strchr(address, '@') == NULL)
        return sup_err_set(err, SUP_EINPUT, "SES: an address has an '@' and at most %d bytes",
                           SUP_SES_ADDRESS_MAX);
    return SUP_OK;
}

static void address_path(struct sup_buf *path, const char *address)
{
    sup_buf_init(path, PATH_MAX_N);
    sup_buf_add_str(path, ADDRESSES "/");
    sup_uri_encode(path, sup_slice_str(address), 0);
}

int sup_ses_put(struct sup_aws *a, const char *address, enum sup_reason reason,
                struct sup_aws_error *aerr, struct sup_err *err)
{
    struct sup_ses_call c = {
        .name = "PutSuppressedDestination", .method = "PUT", .path = ADDRESSES};
    int rc = check_address(address, aerr, err);

    if (rc != SUP_OK)
        return rc;
    if (reason != SUP_REASON_BOUNCE && reason != SUP_REASON_COMPLAINT)
        return sup_err_set(err, SUP_EINPUT, "SES PutSuppressedDestination: no reason");
    return sup_ses_call_json(
        a, &c, json_pack("{s:s, s:s}", "EmailAddress", address, "Reason", sup_reason_name(reason)),
        NULL, aerr, err);
}

int sup_ses_delete(struct sup_aws *a, const char *address, struct sup_aws_error *aerr,
                   struct sup_err *err)
{
    struct sup_buf path;
    int rc = check_address(address, aerr, err);

    if (rc != SUP_OK)
        return rc;
    address_path(&path, address);
    struct sup_ses_call c = {
        .name = "DeleteSuppressedDestination", .method = "DELETE", .path = sup_buf_str(&path)};
    rc = sup_ses_call(a, &c, NULL, aerr, err);
    sup_buf_fini(&path);
    return rc;
}

/* ---- get and list ---- */

void sup_ses_list_fini(struct sup_ses_list *l)
{
    free(l->items);
    json_decref(l->owner);
    *l = (struct sup_ses_list){0};
}

static int parse_destination(const json_t *o, struct sup_ses_destination *d)
{
    const char *reason = NULL;
    const json_t *attributes = json_object_get(o, "Attributes");

    *d = (struct sup_ses_destination){0};
    if (sup_json_text(o, "EmailAddress", &d->address) != SUP_OK ||
        sup_json_text(o, "Reason", &reason) != SUP_OK ||
        sup_json_time(o, "LastUpdateTime", &d->last_update_ms) != SUP_OK)
        return SUP_ECORRUPT;
    d->reason = sup_ses_reason(reason);
    if (attributes == NULL || json_is_null(attributes))
        return SUP_OK;
    if (!json_is_object(attributes) ||
        sup_ses_is_bad(sup_json_text(attributes, "MessageId", &d->message_id)) ||
        sup_ses_is_bad(sup_json_text(attributes, "FeedbackId", &d->feedback_id)))
        return SUP_ECORRUPT;
    return SUP_OK;
}

static int alloc_items(struct sup_ses_list *l, size_t n)
{
    if (n == 0)
        return SUP_OK;
    l->items = calloc(n, sizeof *l->items);
    return l->items != NULL ? SUP_OK : SUP_ENOMEM;
}

int sup_ses_get(struct sup_aws *a, const char *address, struct sup_ses_list *l,
                struct sup_stop *stop, struct sup_aws_error *aerr, struct sup_err *err)
{
    struct sup_buf path;
    json_t *reply = NULL;

    *l = (struct sup_ses_list){0};
    int rc = check_address(address, aerr, err);
    if (rc != SUP_OK)
        return rc;
    address_path(&path, address);
    struct sup_ses_call c = {.name = "GetSuppressedDestination",
                             .method = "GET",
                             .path = sup_buf_str(&path),
                             .stop = stop};
    rc = sup_ses_call(a, &c, &reply, aerr, err);
    l->owner = reply;
    if (rc == SUP_OK && (rc = alloc_items(l, 1)) != SUP_OK)
        sup_err_set(err, rc, "out of memory");
    if (rc == SUP_OK) {
        rc = parse_destination(json_object_get(reply, "SuppressedDestination"), &l->items[0]);
        l->n = 1;
        if (rc != SUP_OK)
            sup_err_set(err, rc, "SES GetSuppressedDestination: odd reply");
    }
    if (rc != SUP_OK)
        sup_ses_list_fini(l);
    sup_buf_fini(&path);
    return rc;
}

static void add_param(struct sup_buf *q, const char *name, const char *value)
{
    if (q->n > 0)
        sup_buf_add_byte(q, '&');
    sup_buf_addf(q, "%s=", name);
    sup_uri_encode(q, sup_slice_str(value), 0);
}

static void list_query(struct sup_buf *out, const struct sup_ses_list_query *q)
{
    char text[SUP_TIME_STR_MAX];

    if (q->next_token != NULL)
        add_param(out, "NextToken", q->next_token);
    if (q->page_size > 0) {
        snprintf(text, sizeof text, "%u", q->page_size);
        add_param(out, "PageSize", text);
    }
    /* The parameter is Reason, repeated; not the model's member name Reasons. */
    if (q->reasons & SUP_REASON_BOUNCE)
        add_param(out, "Reason", "BOUNCE");
    if (q->reasons & SUP_REASON_COMPLAINT)
        add_param(out, "Reason", "COMPLAINT");
    if (q->start_ms > 0)
        add_param(out, "StartDate", sup_time_format(q->start_ms, text));
    if (q->end_ms > 0)
        add_param(out, "EndDate", sup_time_format(q->end_ms, text));
}

static int parse_list(const json_t *reply, struct sup_ses_list *l, struct sup_err *err)
{
    const json_t *items = NULL;

    /* An object without that member is some other reply. Taken for an empty page, it would make
     * every listed address look removed. */
    if (json_object_get(reply, "SuppressedDestinationSummaries") == NULL ||
        sup_ses_is_bad(sup_json_array(reply, "SuppressedDestinationSummaries", &items)) ||
        sup_ses_is_bad(sup_json_text(reply, "NextToken", &l->next_token)) ||
        json_array_size(items) > LIST_MAX)
        return sup_err_set(err, SUP_ECORRUPT, "SES ListSuppressedDestinations: odd reply");
    if (l->next_token != NULL && l->next_token[0] == '\0')
        l->next_token = NULL;
    if (alloc_items(l, json_array_size(items)) != SUP_OK)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    for (size_t i = 0; i < json_array_size(items); i++) {
        if (parse_destination(json_array_get(items, i), &l->items[i]) != SUP_OK)
            return sup_err_set(err, SUP_ECORRUPT, "SES ListSuppressedDestinations: odd item %zu",
                               i);
        l->n = i + 1;
    }
    return SUP_OK;
}

int sup_ses_list_page(struct sup_aws *a, const struct sup_ses_list_query *q, struct sup_ses_list *l,
                      struct sup_aws_error *aerr, struct sup_err *err)
{
    struct sup_buf query;
    json_t *reply = NULL;

    *l = (struct sup_ses_list){0};
    if (aerr != NULL)
        memset(aerr, 0, sizeof *aerr);
    sup_buf_init(&query, QUERY_MAX_N);
    list_query(&query, q);
    struct sup_ses_call c = {.name = "ListSuppressedDestinations",
                             .method = "GET",
                             .path = ADDRESSES,
                             .query = sup_buf_str(&query),
                             .stop = q->stop};
    int rc = query.failed != SUP_OK
                 ? sup_err_set(err, query.failed, "SES ListSuppressedDestinations: token too long")
                 : sup_ses_call(a, &c, &reply, aerr, err);
    if (rc == SUP_OK) {
        l->owner = reply;
        rc = parse_list(reply, l, err);
        if (rc != SUP_OK)
            sup_ses_list_fini(l);
    }
    sup_buf_fini(&query);
    return rc;
}
