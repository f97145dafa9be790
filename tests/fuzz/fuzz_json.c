/* The JSON reader against the plain one and the error locator: same documents accepted, same
 * content. */
#include "fuzz.h"

#include "core/json.h"
#include "core/json_locate.h"
#include "core/json_split.h"
#include "json_reference.h"

static int write_value(void *ctx, struct sup_slice key, struct sup_json_value *v)
{
    struct sup_buf *out = ctx;
    int rc = SUP_OK;

    sup_buf_addf(out, "%zu:", key.n);
    sup_buf_add_slice(out, key);
    sup_buf_addf(out, "=%d", (int)v->type);
    if (v->type == SUP_JSON_STRING)
        sup_buf_add_slice(out, sup_json_string(v));
    else if (v->type == SUP_JSON_NUMBER)
        sup_buf_addf(out, "%a", sup_json_number(v));
    else if (v->type == SUP_JSON_BOOL)
        sup_buf_addf(out, "%d", (int)sup_json_bool(v));
    else if (v->type == SUP_JSON_ARRAY || v->type == SUP_JSON_OBJECT)
        rc = sup_json_each(v, (struct sup_json_sink){write_value, out});
    sup_buf_add_byte(out, ';');
    return rc;
}

static void split_ends(struct sup_slice text)
{
    struct sup_slice rest = text, document;
    const uint8_t *at = text.p;

    while (sup_json_split(&rest, &document)) {
        FUZZ_CHECK(document.n > 0 && document.p >= at && document.p + document.n == rest.p);
        at = rest.p;
    }
    FUZZ_CHECK(rest.n == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct sup_json_parser *fast, *plain;
    static struct sup_buf a, b;
    struct sup_slice text = sup_slice_of(data, size);
    size_t at = 0;

    if (fast == NULL) {
        fast = sup_json_simdjson.new_parser(1 << 20);
        plain = json_reference.new_parser(1 << 20);
        FUZZ_CHECK(fast != NULL && plain != NULL);
    }
    sup_buf_init(&a, 64 << 20);
    sup_buf_init(&b, 64 << 20);
    int ra = sup_json_walk(&sup_json_simdjson, fast, text, (struct sup_json_sink){write_value, &a},
                           NULL);
    int rb =
        sup_json_walk(&json_reference, plain, text, (struct sup_json_sink){write_value, &b}, NULL);
    const char *what = sup_json_locate(text, &at);
    FUZZ_CHECK((ra == SUP_OK) == (rb == SUP_OK));
    FUZZ_CHECK((ra == SUP_OK) == (what == NULL) && at <= size);
    FUZZ_CHECK(sup_slice_eq(sup_buf_slice(&a), sup_buf_slice(&b)));
    sup_buf_fini(&a);
    sup_buf_fini(&b);
    split_ends(text);
    return 0;
}
