#include "clock.h"
#include "region.h"
#include "request.h"
#include "sim.h"

#include <stdio.h>
#include <string.h>

static json_t *issue(struct sim_request *r, const char *role_arn, const char *session,
                     json_t **assumed)
{
    int64_t seconds = 3600;
    sim_json_int(r->input, "DurationSeconds", &seconds);
    if (r->sim->options.sts_lifetime_s)
        seconds = r->sim->options.sts_lifetime_s;
    const char *slash = strrchr(role_arn, '/');
    struct sim_buf arn = {0}, id = {0};
    sim_buf_printf(&arn, "arn:aws:sts::%s:assumed-role/%s/%s", SIM_ACCOUNT,
                   slash ? slash + 1 : role_arn, session);
    sim_buf_printf(&id, "AROAEXAMPLE:%s", session);
    struct sim_credential c;
    int64_t expiry = sim_region_now(r->region) + seconds * 1000;
    sim_creds_issue(&r->sim->creds, sim_buf_cstr(&arn), expiry, &c);
    char when[SIM_TIME_LEN];
    sim_time_iso(when, expiry);
    memcpy(when + 19, "Z", 2); /* STS gives whole seconds */
    *assumed =
        json_pack("{s:s,s:s}", "Arn", sim_buf_cstr(&arn), "AssumedRoleId", sim_buf_cstr(&id));
    sim_buf_fini(&arn);
    sim_buf_fini(&id);
    return json_pack("{s:s,s:s,s:s,s:s}", "AccessKeyId", c.access_key, "SecretAccessKey", c.secret,
                     "SessionToken", c.token, "Expiration", when);
}

static bool role_given(struct sim_request *r, const char **role, const char **session)
{
    *role = sim_input_str(r, "RoleArn");
    *session = sim_input_str(r, "RoleSessionName");
    int64_t seconds = 3600;
    if (!*role || strncmp(*role, "arn:", 4) != 0 || !*session || strlen(*session) < 2)
        sim_fail(r, 400, "ValidationError", "RoleArn and RoleSessionName (2 to 64) are needed.");
    else if (!sim_json_int(r->input, "DurationSeconds", &seconds) || seconds < 900 ||
             seconds > 43200)
        sim_fail(r, 400, "ValidationError", "DurationSeconds is 900 to 43200.");
    return !r->reply.is_error;
}

enum sim_outcome sim_sts_assume_role(struct sim_request *r)
{
    const char *role, *session;
    json_t *assumed;
    if (!role_given(r, &role, &session))
        return SIM_DONE;
    json_t *credentials = issue(r, role, session, &assumed);
    r->output = json_pack("{s:o,s:o}", "Credentials", credentials, "AssumedRoleUser", assumed);
    return SIM_DONE;
}

/* Any token passes but "invalid" and "expired", so that tests can have both refusals. */
enum sim_outcome sim_sts_assume_role_web(struct sim_request *r)
{
    const char *role, *session, *token = sim_input_str(r, "WebIdentityToken");
    json_t *assumed;
    if (!role_given(r, &role, &session))
        return SIM_DONE;
    if (!token || strlen(token) < 4 || strcmp(token, "invalid") == 0)
        return sim_fail(r, 400, "InvalidIdentityToken",
                        "The web identity token that was passed could not be validated.");
    if (strcmp(token, "expired") == 0)
        return sim_fail(r, 400, "ExpiredTokenException",
                        "The web identity token that was passed is expired.");
    json_t *credentials = issue(r, role, session, &assumed);
    r->output = json_pack("{s:o,s:s,s:o,s:s,s:s}", "Credentials", credentials,
                          "SubjectFromWebIdentityToken", "system:serviceaccount:sim:sim",
                          "AssumedRoleUser", assumed, "Provider", "arn:aws:iam::sim:oidc-provider",
                          "Audience", "sts.amazonaws.com");
    return SIM_DONE;
}

enum sim_outcome sim_sts_caller_identity(struct sim_request *r)
{
    struct sim_credential c;
    bool known = r->auth.access_key && sim_creds_find(&r->sim->creds, r->auth.access_key, &c);
    r->output =
        json_pack("{s:s,s:s,s:s}", "UserId", known ? c.access_key : "AIDAEXAMPLE", "Account",
                  SIM_ACCOUNT, "Arn", known ? c.arn : "arn:aws:iam::000000000000:user/unknown");
    return SIM_DONE;
}
