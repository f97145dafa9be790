#include "core/json_bind.h"

#include "base/clock.h"
#include "model/event.h"

#include <math.h>
#include <string.h>

static const char *const type_names[] = {
    [SUP_JSON_NULL] = "null",       [SUP_JSON_BOOL] = "a boolean", [SUP_JSON_NUMBER] = "a number",
    [SUP_JSON_STRING] = "a string", [SUP_JSON_ARRAY] = "an array", [SUP_JSON_OBJECT] = "an object",
};

int sup_json_bind_mismatch(const struct sup_json_target *t, const struct sup_json_value *v,
                           const char *wanted)
{
    return sup_err_set(t->err, SUP_EINPUT, "%s is %s, not %s", t->name, type_names[v->type],
                       wanted);
}

static int wrong_type(const struct sup_json_target *t, const struct sup_json_bind *b,
                      const struct sup_json_value *v, const char *wanted)
{
    return b->lax || v->type == SUP_JSON_NULL ? SUP_OK : sup_json_bind_mismatch(t, v, wanted);
}

static void *field(const struct sup_json_target *t, const struct sup_json_bind *b)
{
    return (char *)t->base + b->offset;
}

static int bind_text(struct sup_json_target *t, const struct sup_json_bind *b,
                     struct sup_json_value *v)
{
    struct sup_slice *out = field(t, b);

    if (v->type == SUP_JSON_STRING) {
        *out = sup_json_string(v);
        return SUP_OK;
    }
    *out = (struct sup_slice){0};
    return wrong_type(t, b, v, "a string");
}

/* Epoch seconds up to the year 9999: what sup_time_parse takes as text. */
static int64_t time_of_number(double seconds)
{
    return seconds >= 0 && seconds < 253402300800.0 ? (int64_t)floor(seconds * 1000.0)
                                                    : SUP_NO_TIME;
}

static int bind_time(struct sup_json_target *t, const struct sup_json_bind *b,
                     struct sup_json_value *v)
{
    int64_t *out = field(t, b);

    *out = SUP_NO_TIME;
    if (v->type == SUP_JSON_NUMBER) {
        *out = time_of_number(sup_json_number(v));
        return SUP_OK;
    }
    if (v->type != SUP_JSON_STRING)
        return wrong_type(t, b, v, "a time");
    struct sup_slice s = sup_json_string(v);
    if (sup_time_parse((const char *)s.p, s.n, out) != SUP_OK)
        *out = SUP_NO_TIME;
    return SUP_OK;
}

static int take_member(void *ctx, struct sup_slice key, struct sup_json_value *v);

static int bind_object(struct sup_json_target *t, const struct sup_json_bind *b,
                       struct sup_json_value *v)
{
    struct sup_json_target inner = *t;

    inner.base = field(t, b);
    inner.table = b->table;
    if (b->begin != NULL)
        b->begin(&inner, v->type == SUP_JSON_OBJECT);
    if (v->type != SUP_JSON_OBJECT)
        return wrong_type(t, b, v, "an object");
    return sup_json_each(v, (struct sup_json_sink){.take = take_member, .ctx = &inner});
}

struct row_walk {
    struct sup_json_target *target;
    const struct sup_json_bind *bind;
};

static int take_element(void *ctx, struct sup_slice key, struct sup_json_value *v)
{
    struct row_walk *w = ctx;

    (void)key;
    return w->bind->element(w->target, v);
}

static int bind_array(struct sup_json_target *t, const struct sup_json_bind *b,
                      struct sup_json_value *v)
{
    struct row_walk w = {.target = t, .bind = b};

    if (b->begin != NULL)
        b->begin(t, v->type == SUP_JSON_ARRAY);
    if (v->type != SUP_JSON_ARRAY)
        return wrong_type(t, b, v, "an array");
    return sup_json_each(v, (struct sup_json_sink){.take = take_element, .ctx = &w});
}

static int take_any_member(void *ctx, struct sup_slice key, struct sup_json_value *v)
{
    struct row_walk *w = ctx;

    return w->bind->member(w->target, key, v);
}

static int bind_members(struct sup_json_target *t, const struct sup_json_bind *b,
                        struct sup_json_value *v)
{
    struct row_walk w = {.target = t, .bind = b};

    if (b->begin != NULL)
        b->begin(t, v->type == SUP_JSON_OBJECT);
    if (v->type != SUP_JSON_OBJECT)
        return wrong_type(t, b, v, "an object");
    return sup_json_each(v, (struct sup_json_sink){.take = take_any_member, .ctx = &w});
}

static const struct sup_json_bind *find_row(const struct sup_json_table *table,
                                            struct sup_slice key)
{
    for (size_t i = 0; i < table->n; i++) {
        const char *name = table->rows[i].name;
        if (key.n > 0 && name[0] == (char)key.p[0] && strlen(name) == key.n &&
            memcmp(name, key.p, key.n) == 0)
            return &table->rows[i];
    }
    return NULL;
}

static int take_member(void *ctx, struct sup_slice key, struct sup_json_value *v)
{
    struct sup_json_target *t = ctx;
    const struct sup_json_bind *b = find_row(t->table, key);

    if (b == NULL)
        return SUP_OK;
    t->name = b->name;
    switch (b->kind) {
    case SUP_BIND_TEXT:
        return bind_text(t, b, v);
    case SUP_BIND_TIME:
        return bind_time(t, b, v);
    case SUP_BIND_OBJECT:
        return bind_object(t, b, v);
    case SUP_BIND_ARRAY:
        return bind_array(t, b, v);
    case SUP_BIND_MEMBERS:
        return bind_members(t, b, v);
    }
    return SUP_OK;
}

int sup_json_bind_object(struct sup_json_target *t, struct sup_json_value *v)
{
    if (v->type != SUP_JSON_OBJECT)
        return sup_json_bind_mismatch(t, v, "an object");
    return sup_json_each(v, (struct sup_json_sink){.take = take_member, .ctx = t});
}
