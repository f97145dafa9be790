#include "sqs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The query protocol flattens lists and maps into dotted names:
 *   AttributeName.1=All                           -> "AttributeNames": ["All"]
 *   Attribute.1.Name=X, Attribute.1.Value=Y       -> "Attributes": {"X": "Y"}
 *   SendMessageBatchRequestEntry.1.Id=a           -> "Entries": [{"Id": "a"}]
 *   MessageAttribute.1.Value.StringValue=v        -> "MessageAttributes": {NAME: {…}}
 * (SQS API reference, "Making Query API requests"). The name/value pairs are put into nested
 * objects first, then each known prefix is turned into its list or map. */

static json_t *child(json_t *parent, const char *name)
{
    json_t *c = json_object_get(parent, name);
    if (!json_is_object(c)) {
        c = json_object();
        json_object_set_new(parent, name, c);
    }
    return c;
}

static json_t *nested(const struct sim_pairs *form)
{
    json_t *root = json_object();
    for (size_t i = 0; i < form->n; i++) {
        char *name = sim_strdup(form->items[i].name), *part = name, *dot;
        json_t *at = root;
        for (int depth = 0; depth < 8 && (dot = strchr(part, '.')); depth++) {
            *dot = 0;
            at = child(at, part);
            part = dot + 1;
        }
        json_object_set_new(at, part, json_string(form->items[i].value));
        free(name);
    }
    return root;
}

static json_t *numbered(const json_t *object, size_t i)
{
    char key[24];
    snprintf(key, sizeof key, "%zu", i);
    return json_object_get(object, key);
}

static json_t *to_list(const json_t *object)
{
    json_t *list = json_array(), *v;
    for (size_t i = 1; (v = numbered(object, i)); i++)
        json_array_append(list, v);
    return list;
}

static json_t *to_map(const json_t *object)
{
    json_t *map = json_object(), *v;
    for (size_t i = 1; (v = numbered(object, i)); i++) {
        const char *name = json_string_value(json_object_get(v, "Name"));
        json_t *value = json_object_get(v, "Value");
        if (name && value)
            json_object_set(map, name, value);
    }
    return map;
}

static void convert(json_t *input, const char *from, const char *to,
                    json_t *(*change)(const json_t *object))
{
    json_t *flat = json_object_get(input, from);
    if (!json_is_object(flat))
        return;
    json_object_set_new(input, to, change(flat));
    if (strcmp(from, to) != 0)
        json_object_del(input, from);
}

json_t *sim_sqs_query_input(const char *operation, const struct sim_pairs *form)
{
    json_t *input = nested(form);
    char entry[128];
    snprintf(entry, sizeof entry, "%sRequestEntry", operation);
    convert(input, "AttributeName", "AttributeNames", to_list);
    convert(input, "MessageSystemAttributeName", "MessageSystemAttributeNames", to_list);
    convert(input, "MessageAttributeName", "MessageAttributeNames", to_list);
    convert(input, "Attribute", "Attributes", to_map);
    convert(input, "MessageAttribute", "MessageAttributes", to_map);
    convert(input, entry, "Entries", to_list);
    json_t *entries = json_object_get(input, "Entries");
    for (size_t i = 0; i < json_array_size(entries); i++)
        convert(json_array_get(entries, i), "MessageAttribute", "MessageAttributes", to_map);
    return input;
}
