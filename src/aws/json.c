#include "aws/json.h"

#include "base/clock.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

int sup_json_object(struct sup_slice body, json_t **out, struct sup_err *err)
{
    json_error_t e;

    /* A NUL inside one message's body must not make the other nine unreadable. */
    *out = json_loadb(body.n > 0 ? (const char *)body.p : "", body.n, JSON_ALLOW_NUL, &e);
    if (*out == NULL)
        return sup_err_set(err, SUP_ECORRUPT, "reply is not JSON: %s at byte %d", e.text,
                           e.position);
    if (json_is_object(*out))
        return SUP_OK;
    json_decref(*out);
    *out = NULL;
    return sup_err_set(err, SUP_ECORRUPT, "reply is not a JSON object");
}

static const json_t *member(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);
    return json_is_null(v) ? NULL : v;
}

int sup_json_text(const json_t *o, const char *key, const char **out)
{
    const json_t *v = member(o, key);

    if (v == NULL)
        return SUP_ENOTFOUND;
    if (!json_is_string(v) || strlen(json_string_value(v)) != json_string_length(v))
        return SUP_ECORRUPT;
    *out = json_string_value(v);
    return SUP_OK;
}

int sup_json_bool(const json_t *o, const char *key, bool *out)
{
    const json_t *v = member(o, key);

    if (v == NULL)
        return SUP_ENOTFOUND;
    if (!json_is_boolean(v))
        return SUP_ECORRUPT;
    *out = json_is_true(v);
    return SUP_OK;
}

int sup_json_number(const json_t *o, const char *key, double *out)
{
    const json_t *v = member(o, key);

    if (v == NULL)
        return SUP_ENOTFOUND;
    if (!json_is_number(v))
        return SUP_ECORRUPT;
    *out = json_number_value(v);
    return SUP_OK;
}

int sup_json_time(const json_t *o, const char *key, int64_t *out_ms)
{
    const json_t *v = member(o, key);

    if (v == NULL)
        return SUP_ENOTFOUND;
    if (json_is_string(v))
        return sup_time_parse(json_string_value(v), json_string_length(v), out_ms) == SUP_OK
                   ? SUP_OK
                   : SUP_ECORRUPT;
    if (!json_is_number(v))
        return SUP_ECORRUPT;
    double seconds = json_number_value(v);
    /* Year 9999; also keeps the conversion defined. */
    if (!(seconds >= 0 && seconds <= 253402300799.0))
        return SUP_ECORRUPT;
    *out_ms = (int64_t)llround(seconds * 1000.0);
    return SUP_OK;
}

int sup_json_digits(const json_t *o, const char *key, int64_t *out)
{
    const char *s = NULL;
    int64_t v = 0;
    int rc = sup_json_text(o, key, &s);

    if (rc != SUP_OK)
        return rc;
    size_t n = strlen(s);
    if (n == 0 || n > 18)
        return SUP_ECORRUPT;
    for (size_t i = 0; i < n; i++) {
        if (!isdigit((unsigned char)s[i]))
            return SUP_ECORRUPT;
        v = v * 10 + (s[i] - '0');
    }
    *out = v;
    return SUP_OK;
}

int sup_json_array(const json_t *o, const char *key, const json_t **out)
{
    const json_t *v = member(o, key);

    *out = NULL;
    if (v == NULL)
        return SUP_ENOTFOUND;
    if (!json_is_array(v))
        return SUP_ECORRUPT;
    *out = v;
    return SUP_OK;
}

static int write_chunk(const char *p, size_t n, void *arg)
{
    struct sup_buf *b = arg;
    sup_buf_add(b, p, n);
    return b->failed == SUP_OK ? 0 : -1;
}

int sup_json_write(json_t *o, struct sup_buf *out, struct sup_err *err)
{
    if (o == NULL)
        return sup_err_set(err, SUP_EINPUT, "request text is not UTF-8");
    int rc = json_dump_callback(o, write_chunk, out, JSON_COMPACT);
    json_decref(o);
    if (rc == 0)
        return SUP_OK;
    return sup_err_set(err, out->failed != SUP_OK ? out->failed : SUP_EINPUT,
                       "request cannot be written as JSON");
}
