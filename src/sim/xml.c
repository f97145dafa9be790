#include "xml.h"

#include "clock.h"
#include "text.h"

#include <string.h>

void sim_xml_element(struct sim_buf *out, const char *name, const char *text)
{
    sim_buf_printf(out, "<%s>", name);
    sim_xml_escape(out, text);
    sim_buf_printf(out, "</%s>", name);
}

static void add_value(struct sim_buf *out, bool sqs, const char *operation, const char *name,
                      const json_t *v);

static void add_members(struct sim_buf *out, bool sqs, const char *operation, const json_t *object)
{
    const char *name;
    json_t *v;
    json_object_foreach((json_t *)object, name, v)
    {
        add_value(out, sqs, operation, name, v);
    }
}

/* SQS's name for one item of the list. */
static void item_name(struct sim_buf *name, const char *operation, const char *list)
{
    if (strcmp(list, "Successful") == 0)
        sim_buf_printf(name, "%sResultEntry", operation);
    else if (strcmp(list, "Failed") == 0)
        sim_buf_str(name, "BatchResultErrorEntry");
    else if (strcmp(list, "QueueUrls") == 0)
        sim_buf_str(name, "QueueUrl");
    else
        sim_buf_str(name, "Message");
}

static void add_list(struct sim_buf *out, bool sqs, const char *operation, const char *name,
                     const json_t *list)
{
    struct sim_buf item = {0};
    if (sqs)
        item_name(&item, operation, name);
    else
        sim_buf_printf(out, "<%s>", name);
    for (size_t i = 0; i < json_array_size(list); i++)
        add_value(out, sqs, operation, sqs ? sim_buf_cstr(&item) : "member",
                  json_array_get(list, i));
    if (!sqs)
        sim_buf_printf(out, "</%s>", name);
    sim_buf_fini(&item);
}

/* SQS: Attributes and MessageAttributes. */
static void add_map(struct sim_buf *out, const char *element, const json_t *map)
{
    const char *name;
    json_t *v;
    json_object_foreach((json_t *)map, name, v)
    {
        sim_buf_printf(out, "<%s>", element);
        sim_xml_element(out, "Name", name);
        add_value(out, true, "", "Value", v);
        sim_buf_printf(out, "</%s>", element);
    }
}

static void add_value(struct sim_buf *out, bool sqs, const char *operation, const char *name,
                      const json_t *v)
{
    if (sqs && strcmp(name, "Attributes") == 0) {
        add_map(out, "Attribute", v);
    } else if (sqs && strcmp(name, "MessageAttributes") == 0) {
        add_map(out, "MessageAttribute", v);
    } else if (json_is_array(v)) {
        add_list(out, sqs, operation, name, v);
    } else if (json_is_object(v)) {
        sim_buf_printf(out, "<%s>", name);
        add_members(out, sqs, operation, v);
        sim_buf_printf(out, "</%s>", name);
    } else if (json_is_string(v)) {
        sim_xml_element(out, name, json_string_value(v));
    } else if (json_is_integer(v)) {
        sim_buf_printf(out, "<%s>%lld</%s>", name, (long long)json_integer_value(v), name);
    } else if (json_is_boolean(v)) {
        sim_xml_element(out, name, json_is_true(v) ? "true" : "false");
    }
}

void sim_xml_result(struct sim_buf *out, bool sqs, const char *operation, const json_t *output)
{
    char id[SIM_UUID_LEN];
    sim_uuid(id);
    sim_buf_printf(out, "<?xml version=\"1.0\"?><%sResponse>", operation);
    if (output) {
        sim_buf_printf(out, "<%sResult>", operation);
        add_members(out, sqs, operation, output);
        sim_buf_printf(out, "</%sResult>", operation);
    }
    sim_buf_printf(out,
                   "<ResponseMetadata><RequestId>%s</RequestId></ResponseMetadata></%sResponse>",
                   id, operation);
}

void sim_xml_error(struct sim_buf *out, bool s3, unsigned status, const char *code,
                   const char *message)
{
    char id[SIM_UUID_LEN];
    sim_uuid(id);
    sim_buf_str(out, "<?xml version=\"1.0\"?>");
    sim_buf_str(out, s3 ? "<Error>" : "<ErrorResponse><Error>");
    if (!s3)
        sim_xml_element(out, "Type", status < 500 ? "Sender" : "Receiver");
    sim_xml_element(out, "Code", code);
    sim_xml_element(out, "Message", message);
    if (!s3)
        sim_buf_str(out, "<Detail/></Error>");
    sim_xml_element(out, "RequestId", id);
    sim_buf_str(out, s3 ? "</Error>" : "</ErrorResponse>");
}
