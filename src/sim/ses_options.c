#include "ses_options.h"

#include "region.h"
#include "sim.h"

#include <string.h>

#define PAGE_MAX 1000

json_t *sim_reasons_json(unsigned reasons)
{
    json_t *list = json_array();
    if (reasons & SIM_BOUNCE)
        json_array_append_new(list, json_string("BOUNCE"));
    if (reasons & SIM_COMPLAINT)
        json_array_append_new(list, json_string("COMPLAINT"));
    return list;
}

json_t *sim_level_json(const struct sim_level *level, const char *validation_name,
                       json_t *validation)
{
    json_t *o = json_object();
    if (level->has_reasons)
        json_object_set_new(o, "SuppressedReasons", sim_reasons_json(level->reasons));
    if (level->scope)
        json_object_set_new(o, "SuppressionScope",
                            json_string(level->scope == SIM_SCOPE_TENANT ? "TENANT" : "ACCOUNT"));
    if (validation)
        json_object_set(o, validation_name, validation);
    return o;
}

static bool not_in_set(struct sim_request *r, const char *member, const char *set)
{
    sim_fail(r, 400, "BadRequestException",
             "1 validation error detected: Value at '%s' failed to satisfy constraint: Member must "
             "satisfy enum value set: [%s]",
             member, set);
    return false;
}

static const json_t *given(const json_t *o, const char *name)
{
    const json_t *v = json_object_get(o, name);
    return json_is_null(v) ? NULL : v;
}

static bool read_scope(struct sim_request *r, const json_t *v, enum sim_scope *scope)
{
    const char *text = json_string_value(v);
    if (!v)
        return true;
    if (text && strcmp(text, "TENANT") == 0)
        *scope = SIM_SCOPE_TENANT;
    else if (text && strcmp(text, "ACCOUNT") == 0)
        *scope = SIM_SCOPE_ACCOUNT;
    else
        return not_in_set(r, "suppressionScope", "ACCOUNT, TENANT");
    return true;
}

bool sim_read_level(struct sim_request *r, const json_t *input, struct sim_level *level)
{
    const json_t *list = given(input, "SuppressedReasons");
    *level = (struct sim_level){.has_reasons = list != NULL};
    for (size_t i = 0; i < json_array_size(list); i++) {
        enum sim_reason reason = sim_reason_parse(json_string_value(json_array_get(list, i)));
        if (!reason)
            return not_in_set(r, "suppressedReasons", "BOUNCE, COMPLAINT");
        level->reasons |= (unsigned)reason;
    }
    return read_scope(r, given(input, "SuppressionScope"), &level->scope);
}

static bool is_one_of(const json_t *v, const char *const *names)
{
    const char *text = json_string_value(v);
    for (; text && *names; names++) {
        if (strcmp(text, *names) == 0)
            return true;
    }
    return false;
}

/* {"ConditionThreshold":{"ConditionThresholdEnabled",
 *  "OverallConfidenceThreshold":{"ConfidenceVerdictThreshold"}}} */
bool sim_read_validation(struct sim_request *r, const json_t *input, const char *name, json_t **out)
{
    static const char *const enabled[] = {"ENABLED", "DISABLED", NULL};
    static const char *const verdicts[] = {"MEDIUM", "HIGH", "MANAGED", NULL};
    const json_t *v = given(input, name);
    *out = NULL;
    if (!v)
        return true;
    const json_t *threshold = given(v, "ConditionThreshold");
    const json_t *overall = given(threshold, "OverallConfidenceThreshold");
    if (!is_one_of(given(threshold, "ConditionThresholdEnabled"), enabled))
        return not_in_set(r, "conditionThresholdEnabled", "ENABLED, DISABLED");
    if (overall && !is_one_of(given(overall, "ConfidenceVerdictThreshold"), verdicts))
        return not_in_set(r, "confidenceVerdictThreshold", "MEDIUM, HIGH, MANAGED");
    *out = json_deep_copy(v);
    return true;
}

bool sim_read_name_page(struct sim_request *r, const char *what, size_t size_default,
                        struct sim_name_page *p)
{
    const char *token = sim_pairs_get(&r->query, "NextToken");
    const char *text = sim_pairs_get(&r->query, "PageSize");
    int64_t size = (int64_t)size_default;
    if (!token)
        token = sim_input_str(r, "NextToken");
    bool ok = text ? sim_parse_i64(text, &size) : sim_json_int(r->input, "PageSize", &size);
    *p = (struct sim_name_page){.hash = (uint32_t)strlen(what) * 2654435761u};
    if (!ok || size < 1 || size > PAGE_MAX) {
        sim_ses_bad(r, "PageSize is 1 to 1000.");
        return false;
    }
    p->size = (size_t)size;
    if (!token || !*token || sim_page_token_read(r, token, p->hash, &p->from))
        return true;
    sim_ses_bad(r, "The specified request includes an invalid or expired token.");
    return false;
}

void sim_put_next_token(struct sim_request *r, const struct sim_name_page *p, uint64_t next)
{
    struct sim_buf text = {0};
    if (!next)
        return;
    sim_page_token(r, next, p->hash, &text);
    json_object_set_new(r->output, "NextToken", json_string(sim_buf_cstr(&text)));
    sim_buf_fini(&text);
}
