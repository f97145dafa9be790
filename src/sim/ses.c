#include "ses.h"

#include <stdlib.h>
#include <string.h>

/* "{}" stands for one path segment, the operation's parameter. */
static const struct {
    const char *method;
    const char *path;
    enum sim_op op;
} routes[] = {
    {"PUT", "/v2/email/suppression/addresses", SIM_OP_PutSuppressedDestination},
    {"GET", "/v2/email/suppression/addresses", SIM_OP_ListSuppressedDestinations},
    {"GET", "/v2/email/suppression/addresses/{}", SIM_OP_GetSuppressedDestination},
    {"DELETE", "/v2/email/suppression/addresses/{}", SIM_OP_DeleteSuppressedDestination},
    {"GET", "/v2/email/account", SIM_OP_GetAccount},
    {"PUT", "/v2/email/account/suppression", SIM_OP_PutAccountSuppressionAttributes},
    {"PUT", "/v2/email/account/sending", SIM_OP_PutAccountSendingAttributes},
    {"POST", "/v2/email/configuration-sets", SIM_OP_CreateConfigurationSet},
    {"GET", "/v2/email/configuration-sets", SIM_OP_ListConfigurationSets}, /* older models */
    {"POST", "/v2/email/list-configuration-sets", SIM_OP_ListConfigurationSets},
    {"GET", "/v2/email/configuration-sets/{}", SIM_OP_GetConfigurationSet},
    {"DELETE", "/v2/email/configuration-sets/{}", SIM_OP_DeleteConfigurationSet},
    {"PUT", "/v2/email/configuration-sets/{}/suppression-options",
     SIM_OP_PutConfigurationSetSuppressionOptions},
    {"POST", "/v2/email/tenants", SIM_OP_CreateTenant},
    {"POST", "/v2/email/tenants/get", SIM_OP_GetTenant},
    {"POST", "/v2/email/tenants/delete", SIM_OP_DeleteTenant},
    {"POST", "/v2/email/tenants/list", SIM_OP_ListTenants},
    {"POST", "/v2/email/tenant/suppression", SIM_OP_PutTenantSuppressionAttributes},
    {"POST", "/v2/email/import-jobs", SIM_OP_CreateImportJob},
    {"POST", "/v2/email/import-jobs/list", SIM_OP_ListImportJobs},
    {"GET", "/v2/email/import-jobs", SIM_OP_ListImportJobs}, /* models before 2023 */
    {"GET", "/v2/email/import-jobs/{}", SIM_OP_GetImportJob},
    {"POST", "/v2/email/outbound-emails", SIM_OP_SendEmail},
};

/* false: no match. *at..*n: the parameter, still encoded. */
static bool matches(const char *pattern, const char *path, const char **at, size_t *n)
{
    const char *hole = strstr(pattern, "{}");
    *at = NULL;
    *n = 0;
    if (!hole)
        return strcmp(pattern, path) == 0;
    size_t before = (size_t)(hole - pattern);
    if (strncmp(pattern, path, before) != 0)
        return false;
    *at = path + before;
    *n = strcspn(*at, "/");
    return *n && strcmp(*at + *n, hole + 2) == 0;
}

enum sim_outcome sim_ses_bad(struct sim_request *r, const char *message)
{
    return sim_fail(r, 400, "BadRequestException", "%s", message);
}

static bool read_input(struct sim_request *r)
{
    if (!r->body.len) {
        r->input = json_object();
        return true;
    }
    r->input = json_loadb(r->body.data, r->body.len, 0, NULL);
    if (json_is_object(r->input))
        return true;
    sim_fail(r, 400, "SerializationException", "The request body is not a JSON object.");
    return false;
}

bool sim_ses_parse(struct sim_request *r)
{
    r->protocol = SIM_PROTO_REST_JSON;
    for (size_t i = 0; i < sizeof routes / sizeof *routes && !r->op; i++) {
        const char *parameter;
        size_t n;
        if (strcmp(routes[i].method, r->method) != 0 ||
            !matches(routes[i].path, r->raw_path, &parameter, &n))
            continue;
        struct sim_buf plain = {0};
        sim_uri_decode(&plain, parameter ? parameter : "", n, false);
        if (memchr(sim_buf_cstr(&plain), 0, plain.len)) {
            sim_buf_fini(&plain);
            sim_ses_bad(r, "The path holds a NUL.");
            return false;
        }
        r->op = routes[i].op;
        r->target = sim_buf_take(&plain);
    }
    if (r->op)
        return read_input(r);
    sim_fail(r, 404, "UnknownOperationException", "No operation at %s %s.", r->method, r->raw_path);
    return false;
}
