/* The only file that knows simdjson.
 *
 * simdjson's DOM front end writes one flat tape and one string buffer, both reused; no node is
 * allocated. It is taken instead of the on-demand front end for two reasons. It validates the whole
 * document, where on-demand leaves unread parts unchecked. And all of it is chosen for the CPU at
 * run time, where Debian's on-demand, which lives in the header, is compiled for the baseline: an
 * on-demand walk that validates everything managed two thirds of the documents a second (measured
 * with simdjson 3.0.1 on an SNS-wrapped bounce). */
#define SIMDJSON_EXCEPTIONS 0

extern "C" {
#include "base/buf.h"
#include "base/err.h"
}
#include "core/json.h"
#include "core/json_locate.h"

#include <cstdlib>
#include <cstring>
#include <new>
#include <simdjson.h>

using namespace simdjson;

struct sup_json_parser {
    dom::parser parser;
    dom::document document;
    char *padded = nullptr; /* cap + SIMDJSON_PADDING bytes */
    size_t cap = 0;
    size_t max = 0;
};

namespace
{

/* What a struct sup_json_value * points to here. */
struct value : sup_json_value {
    dom::element element;
};

value *value_of(sup_json_value *v)
{
    return static_cast<value *>(v);
}

struct sup_slice slice_of(std::string_view s)
{
    struct sup_slice out;
    out.p = reinterpret_cast<const uint8_t *>(s.data());
    out.n = s.size();
    return out;
}

enum sup_json_type type_of(dom::element e)
{
    switch (e.type()) {
    case dom::element_type::ARRAY:
        return SUP_JSON_ARRAY;
    case dom::element_type::OBJECT:
        return SUP_JSON_OBJECT;
    case dom::element_type::INT64:
    case dom::element_type::UINT64:
    case dom::element_type::DOUBLE:
        return SUP_JSON_NUMBER;
    case dom::element_type::STRING:
        return SUP_JSON_STRING;
    case dom::element_type::BOOL:
        return SUP_JSON_BOOL;
    case dom::element_type::NULL_VALUE:
        break;
    }
    return SUP_JSON_NULL;
}

int hand_out(struct sup_json_sink sink, std::string_view key, dom::element e)
{
    value v;
    v.type = type_of(e);
    v.ops = &sup_json_simdjson;
    v.element = e;
    return sink.take(sink.ctx, slice_of(key), &v);
}

void free_parser(struct sup_json_parser *p)
{
    if (p == nullptr)
        return;
    free(p->padded);
    delete p;
}

struct sup_json_parser *new_parser(size_t max_bytes)
{
    sup_json_parser *p = new (std::nothrow) sup_json_parser;
    if (p != nullptr)
        p->max = max_bytes;
    return p;
}

/* Makes all buffers large enough for n bytes; doubling, so that slowly growing documents do not
 * allocate each time. */
int ensure(struct sup_json_parser *p, size_t n)
{
    if (p->padded != nullptr && n <= p->cap)
        return SUP_OK;
    size_t cap = p->cap == 0 ? 4096 : p->cap;
    while (cap < n)
        cap *= 2;
    free(p->padded);
    p->cap = 0;
    p->padded = static_cast<char *>(malloc(cap + SIMDJSON_PADDING));
    /* simdjson refuses what reaches its maximum; empty arrays and objects it does not count. */
    if (p->padded == nullptr || p->parser.allocate(cap, SUP_JSON_DEPTH_MAX + 1) != SUCCESS ||
        p->document.allocate(cap) != SUCCESS)
        return SUP_ENOMEM;
    p->cap = cap;
    return SUP_OK;
}

int explain(error_code rc, struct sup_slice text, struct sup_err *err)
{
    size_t at = 0;
    if (rc == MEMALLOC)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    const char *what = sup_json_locate(text, &at);
    int code = rc == DEPTH_ERROR || rc == CAPACITY ? SUP_ELIMIT : SUP_EINPUT;
    if (what == nullptr)
        return sup_err_set(err, code, "malformed JSON: %s", error_message(rc));
    return sup_err_set(err, code, "malformed JSON: %s at byte %zu", what, at);
}

int walk(struct sup_json_parser *p, struct sup_slice text, struct sup_json_sink root,
         struct sup_err *err)
{
    dom::element e;

    if (text.n > p->max)
        return sup_err_set(err, SUP_ELIMIT, "document of %zu bytes is longer than %zu", text.n,
                           p->max);
    if (ensure(p, text.n) != SUP_OK)
        return sup_err_set(err, SUP_ENOMEM, "out of memory");
    if (text.n > 0)
        memcpy(p->padded, text.p, text.n);
    memset(p->padded + text.n, 0, SIMDJSON_PADDING);
    error_code rc = p->parser.parse_into_document(p->document, p->padded, text.n, false).get(e);
    if (rc != SUCCESS)
        return explain(rc, text, err);
    if (!e.is_object() && !e.is_array())
        return explain(INCORRECT_TYPE, text, err);
    return hand_out(root, std::string_view(), e);
}

struct sup_slice string(struct sup_json_value *v)
{
    std::string_view s;
    if (value_of(v)->element.get_string().get(s) != SUCCESS)
        s = std::string_view();
    return slice_of(s);
}

double number(struct sup_json_value *v)
{
    double d;
    return value_of(v)->element.get_double().get(d) == SUCCESS ? d : 0.0;
}

bool boolean(struct sup_json_value *v)
{
    bool b;
    return value_of(v)->element.get_bool().get(b) == SUCCESS && b;
}

int each(struct sup_json_value *v, struct sup_json_sink sink)
{
    dom::object object;
    dom::array array;
    int rc = SUP_OK;

    if (value_of(v)->element.get_object().get(object) == SUCCESS) {
        for (auto i = object.begin(); i != object.end() && rc == SUP_OK; ++i)
            rc = hand_out(sink, i.key(), i.value());
    } else if (value_of(v)->element.get_array().get(array) == SUCCESS) {
        for (auto i = array.begin(); i != array.end() && rc == SUP_OK; ++i)
            rc = hand_out(sink, std::string_view(), *i);
    }
    return rc;
}

} // namespace

extern "C" const struct sup_json_ops sup_json_simdjson = {
    new_parser, free_parser, walk, string, number, boolean, each,
};
