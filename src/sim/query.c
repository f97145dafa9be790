#include "query.h"

#include <string.h>

bool sim_query_parse(struct sim_request *r)
{
    struct sim_pairs form = {0};
    r->protocol = SIM_PROTO_QUERY;
    const char *text = r->body.len ? sim_buf_cstr(&r->body) : r->raw_query;
    sim_pairs_parse(&form, text, strlen(text), true);
    r->input = json_object();
    for (size_t i = 0; i < form.n; i++)
        json_object_set_new(r->input, form.items[i].name, json_string(form.items[i].value));
    sim_pairs_fini(&form);
    const char *action = sim_input_str(r, "Action");
    r->op = action ? sim_op_find(r->service, action) : SIM_OP_NONE;
    if (!r->op)
        sim_fail(r, 400, "InvalidAction", "The action %s is not simulated.",
                 action ? action : "(none)");
    return r->op != SIM_OP_NONE;
}
