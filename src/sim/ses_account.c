#include "region.h"
#include "ses_options.h"
#include "sim.h"

enum sim_outcome sim_ses_get_account(struct sim_request *r)
{
    struct sim_account *a = &r->region->account;
    pthread_mutex_lock(&a->lock);
    struct sim_level level = {.has_reasons = true, .reasons = a->reasons};
    r->output = json_pack("{s:b,s:s,s:b,s:b,s:{s:f,s:f,s:f},s:o,s:{s:s}}",
                          "DedicatedIpAutoWarmupEnabled", 1, "EnforcementStatus", a->enforcement,
                          "ProductionAccessEnabled", a->production, "SendingEnabled", a->sending,
                          "SendQuota", "Max24HourSend", a->production ? 50000.0 : 200.0,
                          "MaxSendRate", a->production ? 14.0 : 1.0, "SentLast24Hours",
                          (double)atomic_load(&r->region->sends), "SuppressionAttributes",
                          sim_level_json(&level, "ValidationAttributes", a->validation),
                          "VdmAttributes", "VdmEnabled", "DISABLED");
    pthread_mutex_unlock(&a->lock);
    return SIM_DONE;
}

/* What is left out is cleared. Of the reasons that was probed on the live service (floci-io/floci
 * pull request 853); of ValidationAttributes it is not known, and who sends less than it read is
 * found out here. */
enum sim_outcome sim_ses_put_account_suppression(struct sim_request *r)
{
    struct sim_account *a = &r->region->account;
    struct sim_level level;
    json_t *validation;
    if (!sim_read_level(r, r->input, &level) ||
        !sim_read_validation(r, r->input, "ValidationAttributes", &validation))
        return SIM_DONE;
    pthread_mutex_lock(&a->lock);
    a->reasons = level.reasons;
    json_decref(a->validation);
    a->validation = validation;
    pthread_mutex_unlock(&a->lock);
    r->output = json_object();
    return SIM_DONE;
}

enum sim_outcome sim_ses_put_account_sending(struct sim_request *r)
{
    struct sim_account *a = &r->region->account;
    const json_t *enabled = json_object_get(r->input, "SendingEnabled");
    if (enabled && !json_is_boolean(enabled))
        return sim_ses_bad(r, "SendingEnabled is true or false.");
    pthread_mutex_lock(&a->lock);
    a->sending = json_is_true(enabled);
    pthread_mutex_unlock(&a->lock);
    r->output = json_object();
    return SIM_DONE;
}
