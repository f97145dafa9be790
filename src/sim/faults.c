#include "faults.h"

#include "buf.h"
#include "ops.h"

#include <stdlib.h>
#include <string.h>

#define RULES_MAX 4096

void sim_fault_fini(struct sim_fault *f)
{
    free(f->code);
    free(f->body);
    *f = (struct sim_fault){0};
}

void sim_faults_init(struct sim_faults *f)
{
    pthread_mutex_init(&f->lock, NULL);
}

void sim_faults_clear(struct sim_faults *f)
{
    pthread_mutex_lock(&f->lock);
    for (size_t i = 0; i < f->n; i++) {
        free(f->rules[i].operation);
        sim_fault_fini(&f->rules[i].fault);
    }
    free(f->rules);
    f->rules = NULL;
    f->n = 0;
    pthread_mutex_unlock(&f->lock);
}

void sim_faults_fini(struct sim_faults *f)
{
    sim_faults_clear(f);
    pthread_mutex_destroy(&f->lock);
}

struct wanted {
    const char *operation;
    const char *code;
    const char *body;
    json_int_t count;
    json_int_t status;
    json_int_t delay_ms;
    int reset, truncate, invalid_json, throttle, after;
};

static const char *read_rule(const json_t *json, struct wanted *w)
{
    *w = (struct wanted){.operation = "*", .count = 1};
    if (json_unpack((json_t *)json, "{s?s,s?s,s?s,s?I,s?I,s?I,s?b,s?b,s?b,s?b,s?b !}", "operation",
                    &w->operation, "code", &w->code, "body", &w->body, "count", &w->count, "status",
                    &w->status, "delay_ms", &w->delay_ms, "reset", &w->reset, "truncate",
                    &w->truncate, "invalid_json", &w->invalid_json, "throttle", &w->throttle,
                    "after", &w->after) != 0)
        return "a fault has: operation code count status delay_ms reset truncate invalid_json "
               "throttle after body";
    if (strcmp(w->operation, "*") != 0 && !sim_op_find(SIM_NO_SERVICE, w->operation))
        return "unknown operation";
    if (w->count < 1)
        return "count is at least 1";
    if (w->status && (w->status < 400 || w->status > 599))
        return "status is 400 to 599";
    if (w->delay_ms < 0 || w->delay_ms > 600000)
        return "delay_ms is 0 to 600000";
    return NULL;
}

static struct sim_fault_rule make_rule(const struct wanted *w)
{
    struct sim_fault_rule rule = {
        .operation = sim_strdup(w->operation),
        .count = w->count,
        .fault = {.active = true,
                  .status = (unsigned)w->status,
                  .delay_ms = w->delay_ms,
                  .reset = w->reset,
                  .truncate = w->truncate,
                  .invalid_json = w->invalid_json,
                  .after = w->after},
    };
    const char *code = w->code;
    if (w->throttle) {
        rule.fault.status = 429;
        code = "TooManyRequestsException";
    } else if (w->status && !code) {
        code = w->status >= 500 ? "InternalFailure" : "BadRequestException";
    } else if (code && !w->status) {
        rule.fault.status = 400;
    }
    rule.fault.code = code ? sim_strdup(code) : NULL;
    rule.fault.body = w->body ? sim_strdup(w->body) : NULL;
    return rule;
}

bool sim_faults_add(struct sim_faults *f, const json_t *rules, const char **why)
{
    size_t n = json_array_size(rules);
    struct wanted w;
    *why = json_is_array(rules) ? NULL : "expected a list of faults";
    for (size_t i = 0; i < n && !*why; i++)
        *why = read_rule(json_array_get(rules, i), &w);
    if (*why)
        return false;
    pthread_mutex_lock(&f->lock);
    if (f->n + n > RULES_MAX) {
        *why = "too many faults";
    } else {
        struct sim_fault_rule *all = sim_alloc((f->n + n) * sizeof *all);
        if (f->n)
            memcpy(all, f->rules, f->n * sizeof *all);
        free(f->rules);
        f->rules = all;
        for (size_t i = 0; i < n; i++) {
            read_rule(json_array_get(rules, i), &w);
            f->rules[f->n++] = make_rule(&w);
        }
    }
    pthread_mutex_unlock(&f->lock);
    return !*why;
}

json_t *sim_faults_list(struct sim_faults *f)
{
    json_t *list = json_array();
    pthread_mutex_lock(&f->lock);
    for (size_t i = 0; i < f->n; i++)
        json_array_append_new(
            list, json_pack("{s:s,s:I,s:s*,s:I}", "operation", f->rules[i].operation, "count",
                            (json_int_t)f->rules[i].count, "code", f->rules[i].fault.code, "status",
                            (json_int_t)f->rules[i].fault.status));
    pthread_mutex_unlock(&f->lock);
    return list;
}

static void copy_fault(struct sim_fault *out, const struct sim_fault *f)
{
    *out = *f;
    out->code = f->code ? sim_strdup(f->code) : NULL;
    out->body = f->body ? sim_strdup(f->body) : NULL;
}

void sim_faults_take(struct sim_faults *f, const char *operation, struct sim_fault *out)
{
    *out = (struct sim_fault){0};
    pthread_mutex_lock(&f->lock);
    for (size_t i = 0; i < f->n; i++) {
        struct sim_fault_rule *rule = &f->rules[i];
        if (strcmp(rule->operation, "*") != 0 && strcmp(rule->operation, operation) != 0)
            continue;
        copy_fault(out, &rule->fault);
        if (--rule->count == 0) {
            free(rule->operation);
            sim_fault_fini(&rule->fault);
            memmove(rule, rule + 1, (f->n - i - 1) * sizeof *rule);
            f->n--;
        }
        break;
    }
    pthread_mutex_unlock(&f->lock);
}
