#include "control.h"

#include "control_list.h"
#include "region.h"
#include "sim.h"

#include <stdlib.h>
#include <string.h>

bool sim_control_owns(const struct sim_request *r)
{
    return strncmp(r->raw_path, "/_sim", 5) == 0 ||
           strncmp(r->raw_path, "/SimpleNotificationService-", 27) == 0;
}

static void bad(struct sim_request *r, const char *why)
{
    sim_fail(r, 400, "BadRequest", "%s", why);
}

static void get_calls(struct sim_request *r)
{
    const struct sim_region *g = r->region;
    bool detail = sim_pairs_get(&r->query, "detail") != NULL;
    r->output = json_object();
    for (int op = SIM_OP_NONE + 1; op < SIM_OP_COUNT; op++) {
        json_int_t calls = (json_int_t)atomic_load(&g->calls[op]);
        if (!calls)
            continue;
        json_t *v = json_integer(calls);
        if (detail)
            v = json_pack("{s:o,s:I,s:I}", "calls", v, "throttled",
                          (json_int_t)atomic_load(&g->throttled[op]), "failed",
                          (json_int_t)atomic_load(&g->failed[op]));
        json_object_set_new(r->output, sim_op_info((enum sim_op)op)->name, v);
    }
}

static void delete_calls(struct sim_request *r)
{
    for (int op = 0; op < SIM_OP_COUNT; op++) {
        atomic_store(&r->region->calls[op], 0);
        atomic_store(&r->region->throttled[op], 0);
        atomic_store(&r->region->failed[op], 0);
    }
}

static void get_faults(struct sim_request *r)
{
    r->output = sim_faults_list(&r->region->faults);
}

static void post_faults(struct sim_request *r)
{
    const char *why;
    if (!sim_faults_add(&r->region->faults, r->input, &why))
        bad(r, why);
}

static void delete_faults(struct sim_request *r)
{
    sim_faults_clear(&r->region->faults);
}

static void post_clock(struct sim_request *r)
{
    json_int_t offset = 0;
    if (json_unpack(r->input, "{s:I !}", "offset_ms", &offset) != 0)
        bad(r, "expected {\"offset_ms\":N}");
    else
        atomic_store(&r->region->clock_offset_ms, offset);
}

static void post_rate(struct sim_request *r)
{
    double rps = json_number_value(json_object_get(r->input, "rps"));
    if (!json_is_number(json_object_get(r->input, "rps")) || rps < 0)
        bad(r, "expected {\"rps\":N}");
    else
        sim_region_set_rps(r->region, rps);
}

static void put_account(struct sim_request *r)
{
    if (!sim_account_control(&r->region->account, r->input))
        bad(r, "expected ProductionAccessEnabled, SendingEnabled, EnforcementStatus");
}

static void put_refusals(struct sim_request *r)
{
    if (!sim_refusals_set(&r->region->refusals, r->input))
        bad(r, "expected {\"rows\":[\"SPELLING\",…],\"puts\":[…]}");
}

static void post_expire_tokens(struct sim_request *r)
{
    atomic_fetch_add(&r->region->token_epoch, 1);
}

static void get_sends(struct sim_request *r)
{
    const struct sim_region *g = r->region;
    r->output = json_pack("{s:I,s:I,s:I,s:I,s:I}", "sends", (json_int_t)atomic_load(&g->sends),
                          "delivered", (json_int_t)atomic_load(&g->delivered), "blocked",
                          (json_int_t)atomic_load(&g->blocked), "bounced",
                          (json_int_t)atomic_load(&g->bounced), "complained",
                          (json_int_t)atomic_load(&g->complained));
}

static const struct {
    const char *method;
    const char *what;
    bool has_body;
    void (*handle)(struct sim_request *r);
} endpoints[] = {
    {"GET", "suppression", false, sim_control_get_list},
    {"PUT", "suppression", true, sim_control_put_list},
    {"DELETE", "suppression", false, sim_control_delete_list},
    {"GET", "calls", false, get_calls},
    {"DELETE", "calls", false, delete_calls},
    {"GET", "faults", false, get_faults},
    {"POST", "faults", true, post_faults},
    {"DELETE", "faults", false, delete_faults},
    {"POST", "clock", true, post_clock},
    {"POST", "rate", true, post_rate},
    {"PUT", "account", true, put_account},
    {"PUT", "refusals", true, put_refusals},
    {"POST", "expire-tokens", false, post_expire_tokens},
    {"POST", "events", true, sim_control_post_events},
    {"GET", "queues", false, sim_control_get_queues},
    {"GET", "sends", false, get_sends},
};

static void list_regions(struct sim_request *r)
{
    r->output = json_array();
    for (size_t i = 0; i < r->sim->n_regions; i++)
        json_array_append_new(r->output, json_string(r->sim->regions[i].name));
}

static void handle(struct sim_request *r, const char *what)
{
    for (size_t i = 0; i < sizeof endpoints / sizeof *endpoints; i++) {
        if (strcmp(endpoints[i].what, what) != 0 || strcmp(endpoints[i].method, r->method) != 0)
            continue;
        if (endpoints[i].has_body)
            r->input = json_loadb(sim_buf_cstr(&r->body), r->body.len, 0, NULL);
        if (endpoints[i].has_body && !r->input) {
            bad(r, "the body is not JSON");
            return;
        }
        endpoints[i].handle(r);
        if (!r->output && !r->reply.is_error)
            r->output = json_object();
        return;
    }
    sim_fail(r, 404, "NotFound", "no such control endpoint: %s %s", r->method, r->raw_path);
}

static void certificate(struct sim_request *r)
{
    if (strcmp(r->raw_path, r->sim->signer.path) != 0) {
        sim_fail(r, 404, "NotFound", "no such certificate");
        return;
    }
    r->protocol = SIM_PROTO_S3; /* the body is final */
    r->reply.content_type = "application/x-pem-file";
    sim_buf_str(&r->reply.body, r->sim->signer.pem);
}

enum sim_outcome sim_control(struct sim_request *r)
{
    r->protocol = SIM_PROTO_CONTROL;
    if (strncmp(r->raw_path, "/_sim", 5) != 0) {
        certificate(r);
        sim_reply_finish(r);
        return SIM_DONE;
    }
    const char *name = r->raw_path + 5;
    name += *name == '/';
    const char *slash = strchr(name, '/');
    if (!*name) {
        list_regions(r);
    } else if (!slash) {
        sim_fail(r, 404, "NotFound", "expected /_sim/REGION/WHAT");
    } else {
        char *region = sim_strndup(name, (size_t)(slash - name));
        r->region = sim_find_region(r->sim, region);
        free(region);
        if (r->region)
            handle(r, slash + 1);
        else
            sim_fail(r, 404, "NotFound", "no such Region here");
    }
    sim_reply_finish(r);
    return SIM_DONE;
}
