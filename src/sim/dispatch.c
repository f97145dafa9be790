#include "dispatch.h"

#include "clock.h"
#include "control.h"
#include "query.h"
#include "region.h"
#include "s3.h"
#include "ses.h"
#include "sim.h"
#include "sqs.h"

#include <stdlib.h>
#include <string.h>

static enum sim_service service_by_name(const char *name)
{
    static const struct {
        const char *name;
        enum sim_service service;
    } names[] = {
        {"ses", SIM_SES}, {"sqs", SIM_SQS}, {"sns", SIM_SNS}, {"sts", SIM_STS}, {"s3", SIM_S3}};
    for (size_t i = 0; name && i < sizeof names / sizeof *names; i++) {
        if (strcmp(names[i].name, name) == 0)
            return names[i].service;
    }
    return SIM_NO_SERVICE;
}

/* By the credential scope; requests without one by what they look like. */
static enum sim_service guess_service(const struct sim_request *r)
{
    enum sim_service service = service_by_name(r->auth.service);
    if (service)
        return service;
    if (strncmp(r->raw_path, "/v2/email/", 10) == 0)
        return SIM_SES;
    if (sim_request_header(r, "x-amz-target"))
        return SIM_SQS;
    const char *text = r->body.len ? sim_buf_cstr(&r->body) : r->raw_query;
    const char *action = strstr(text, "Action=");
    if (!action)
        return SIM_S3;
    char *name = sim_strndup(action + 7, strcspn(action + 7, "&"));
    enum sim_op op = sim_op_find(SIM_NO_SERVICE, name);
    free(name);
    return op ? sim_op_info(op)->service : SIM_STS;
}

/* The shape of errors before the operation is known. */
static enum sim_protocol protocol_of(const struct sim_request *r)
{
    if (r->service == SIM_SES)
        return SIM_PROTO_REST_JSON;
    if (r->service == SIM_S3)
        return SIM_PROTO_S3;
    return sim_request_header(r, "x-amz-target") ? SIM_PROTO_JSON : SIM_PROTO_QUERY;
}

static bool find_region(struct sim_request *r)
{
    r->region = r->auth.region ? sim_find_region(r->sim, r->auth.region) : NULL;
    bool anywhere = r->service == SIM_STS || r->service == SIM_S3;
    if (r->region || anywhere)
        return true;
    sim_fail(r, 403, "SignatureDoesNotMatch",
             "Credential should be scoped to a valid region (this simulator was started without "
             "%s).",
             r->auth.region ? r->auth.region : "one");
    return false;
}

static bool parse(struct sim_request *r)
{
    switch (r->service) {
    case SIM_SES:
        return sim_ses_parse(r);
    case SIM_SQS:
        return sim_sqs_parse(r);
    case SIM_S3:
        return sim_s3_parse(r);
    default:
        return sim_query_parse(r);
    }
}

static bool may_be_unsigned(const struct sim_request *r)
{
    return r->op == SIM_OP_AssumeRoleWithWebIdentity;
}

static void refuse_unsigned(struct sim_request *r)
{
    if (r->service == SIM_S3)
        sim_fail(r, 403, "AccessDenied", "Access Denied");
    else
        sim_fail(r, 403,
                 r->service == SIM_SES ? "MissingAuthenticationTokenException"
                                       : "MissingAuthenticationToken",
                 "Missing Authentication Token");
}

/* From bytes to an operation that the caller may do. false: r holds the error. */
static bool understand(struct sim_request *r)
{
    sim_auth_parse(r);
    r->service = guess_service(r);
    r->protocol = protocol_of(r);
    if (!r->auth.present) {
        if (r->service == SIM_STS && parse(r) && may_be_unsigned(r))
            return true;
        refuse_unsigned(r);
        return false;
    }
    if (!find_region(r))
        return false;
    if (r->sim->options.verify_signatures && !may_be_unsigned(r) && !sim_auth_verify(r))
        return false;
    return parse(r);
}

static enum sim_outcome throttle(struct sim_request *r)
{
    atomic_fetch_add(&r->region->throttled[r->op], 1);
    return sim_fail(r, 429, "TooManyRequestsException", "Too Many Requests");
}

static enum sim_outcome fail_by_fault(struct sim_request *r)
{
    const struct sim_fault *f = &r->fault;
    if (f->status == 429)
        return throttle(r);
    return sim_fail(r, f->status, f->code, "The simulator was told to fail here.");
}

static enum sim_outcome delay(struct sim_request *r, enum sim_phase phase)
{
    r->phase = phase;
    r->parking.connection = r->connection;
    r->parking.queue = NULL;
    r->parking.deadline_ms = sim_mono_ms() + r->fault.delay_ms;
    return sim_park_wait(&r->sim->park, &r->parking) ? SIM_PARKED : SIM_DONE;
}

/* Faults that strike before the operation. true: r is answered. */
static bool strike(struct sim_request *r)
{
    const struct sim_fault *f = &r->fault;
    if (!f->active || f->after)
        return false;
    if (f->reset)
        r->abort_connection = true;
    else if (f->status)
        fail_by_fault(r);
    return f->reset || f->status;
}

static void strike_after(struct sim_request *r)
{
    const struct sim_fault *f = &r->fault;
    if (!f->active)
        return;
    if (f->after && f->reset)
        r->abort_connection = true;
    else if (f->after && f->status)
        fail_by_fault(r);
    if (f->invalid_json || f->body) {
        r->reply.status = 200; /* whatever the operation itself would have said */
        sim_buf_fini(&r->reply.body);
        sim_buf_str(&r->reply.body, f->body ? f->body : "{\"this is\": not JSON");
    }
}

static bool limited(const struct sim_request *r)
{
    return r->service == SIM_SES && r->op != SIM_OP_SendEmail;
}

static void finish(struct sim_request *r)
{
    sim_reply_finish(r);
    if (r->region && r->op && r->reply.is_error && r->reply.status != 429)
        atomic_fetch_add(&r->region->failed[r->op], 1);
    strike_after(r);
}

enum sim_outcome sim_dispatch(struct sim_request *r)
{
    if (r->phase == SIM_PHASE_NEW) {
        if (sim_control_owns(r))
            return sim_control(r);
        if (!understand(r))
            return SIM_DONE;
        if (r->region) {
            const char *name = sim_op_info(r->op)->name;
            atomic_fetch_add(&r->region->calls[r->op], 1);
            sim_faults_take(&r->region->faults, name, &r->fault);
        }
        if (r->fault.delay_ms && !r->fault.after && delay(r, SIM_PHASE_DELAYED) == SIM_PARKED)
            return SIM_PARKED;
    }
    if (r->phase == SIM_PHASE_HELD) {
        finish(r);
        return SIM_DONE;
    }
    if (r->phase != SIM_PHASE_ADMITTED) {
        r->phase = SIM_PHASE_ADMITTED;
        r->parking.deadline_ms = 0;
        if (strike(r))
            return SIM_DONE;
        if (limited(r) && !sim_region_admit(r->region, r->op))
            return throttle(r);
    }
    if (sim_op_info(r->op)->handler(r) == SIM_PARKED)
        return SIM_PARKED;
    if (r->fault.after && r->fault.delay_ms && delay(r, SIM_PHASE_HELD) == SIM_PARKED)
        return SIM_PARKED;
    finish(r);
    return SIM_DONE;
}
