#include "region.h"
#include "ses.h"
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RECIPIENTS_MAX 50

static bool at_simulator(const char *address)
{
    const char *at = strrchr(address, '@');
    return at && sim_ieq(at + 1, "simulator.amazonses.com");
}

/* The mailbox names that AWS documents for its simulator, each also with a +label. */
static enum sim_fate simulator_fate(const char *address)
{
    size_t n = strcspn(address, "+@");
    static const struct {
        const char *name;
        enum sim_fate fate;
    } boxes[] = {{"bounce", SIM_FATE_BOUNCE},
                 {"complaint", SIM_FATE_COMPLAINT},
                 {"ooto", SIM_FATE_OOTO},
                 {"suppressionlist", SIM_FATE_GLOBAL_LIST}};
    for (size_t i = 0; i < sizeof boxes / sizeof *boxes; i++) {
        if (strlen(boxes[i].name) == n && sim_ihas_prefix(address, boxes[i].name))
            return boxes[i].fate;
    }
    return SIM_FATE_DELIVERY;
}

static enum sim_fate natural_fate(const char *address)
{
    if (at_simulator(address))
        return simulator_fate(address);
    if (sim_ihas_prefix(address, "bounce"))
        return SIM_FATE_BOUNCE;
    if (sim_ihas_prefix(address, "complaint"))
        return SIM_FATE_COMPLAINT;
    if (sim_ihas_prefix(address, "soft"))
        return SIM_FATE_SOFT;
    if (sim_ihas_prefix(address, "ooto"))
        return SIM_FATE_OOTO;
    return SIM_FATE_DELIVERY;
}

static enum sim_fate fate_of(const struct sim_mail *m, const char *address)
{
    char spelling[SIM_ADDRESS_MAX + 1];
    if (!sim_address_spelling(address, spelling))
        return SIM_FATE_BOUNCE;
    unsigned hit =
        m->rules.list ? sim_suppression_match(m->rules.list, spelling) & m->rules.reasons : 0;
    if (hit & SIM_COMPLAINT)
        return SIM_FATE_COMPLAINT_ECHO;
    return hit ? SIM_FATE_BOUNCE_ECHO : natural_fate(address);
}

/* SES lists hard bounces and complaints by itself when the reason is enabled for that send, in the
 * list that holds for that send and in the spelling the mail was sent to; simulator mailboxes
 * never.
 */
static void list_recipients(const struct sim_mail *m, enum sim_fate fate, const json_t *recipients,
                            const char *feedback_id)
{
    enum sim_reason reason = fate == SIM_FATE_BOUNCE      ? SIM_BOUNCE
                             : fate == SIM_FATE_COMPLAINT ? SIM_COMPLAINT
                                                          : 0;
    struct sim_evidence evidence;
    if (!(m->rules.reasons & reason) || !m->rules.list)
        return;
    snprintf(evidence.message_id, sizeof evidence.message_id, "%s", m->message_id);
    snprintf(evidence.feedback_id, sizeof evidence.feedback_id, "%s", feedback_id);
    for (size_t i = 0; i < json_array_size(recipients); i++) {
        const char *address = json_string_value(json_array_get(recipients, i));
        char spelling[SIM_ADDRESS_MAX + 1];
        if (sim_address_spelling(address, spelling) && !at_simulator(spelling))
            sim_suppression_put(m->rules.list, spelling, reason, sim_region_now(m->request->region),
                                &evidence);
    }
}

static void count(struct sim_region *g, enum sim_fate fate, size_t n)
{
    _Atomic uint64_t *counter = fate == SIM_FATE_BOUNCE_ECHO || fate == SIM_FATE_COMPLAINT_ECHO
                                    ? &g->blocked
                                : fate == SIM_FATE_COMPLAINT ? &g->complained
                                : fate == SIM_FATE_DELIVERY || fate == SIM_FATE_OOTO ? &g->delivered
                                                                                     : &g->bounced;
    atomic_fetch_add(counter, n);
}

/* Listed first, so that whoever sees the event finds the entry. */
static void settle(const struct sim_mail *m, enum sim_fate fate, const json_t *recipients)
{
    char feedback_id[SIM_SES_ID_LEN];
    sim_ses_make_id(m->request, feedback_id);
    list_recipients(m, fate, recipients, feedback_id);
    sim_mail_publish(m, fate, recipients, feedback_id);
    count(m->request->region, fate, json_array_size(recipients));
}

/* Bounces of one request come in one event, complaints each in its own: they are reports of
 * different people. */
static void settle_all(const struct sim_mail *m, enum sim_fate fate, const json_t *recipients)
{
    if (fate != SIM_FATE_COMPLAINT) {
        settle(m, fate, recipients);
        return;
    }
    for (size_t i = 0; i < json_array_size(recipients); i++) {
        json_t *one = json_pack("[O]", json_array_get(recipients, i));
        settle(m, fate, one);
        json_decref(one);
    }
}

static void play(const struct sim_mail *m)
{
    json_t *by_fate[SIM_FATES];
    for (int i = 0; i < SIM_FATES; i++)
        by_fate[i] = json_array();
    for (size_t i = 0; i < json_array_size(m->destination); i++) {
        json_t *address = json_array_get(m->destination, i);
        json_array_append(by_fate[fate_of(m, json_string_value(address))], address);
    }
    atomic_fetch_add(&m->request->region->sends, 1);
    sim_mail_publish_send(m);
    for (int i = 0; i < SIM_FATES; i++) {
        if (json_array_size(by_fate[i]))
            settle_all(m, (enum sim_fate)i, by_fate[i]);
        json_decref(by_fate[i]);
    }
}

static void read_destination(struct sim_mail *m)
{
    static const char *const lists[] = {"ToAddresses", "CcAddresses", "BccAddresses"};
    const json_t *destination = json_object_get(m->request->input, "Destination");
    for (size_t k = 0; k < 3; k++) {
        const json_t *list = json_object_get(destination, lists[k]);
        for (size_t i = 0; i < json_array_size(list); i++) {
            const char *text = json_string_value(json_array_get(list, i));
            char *address = text ? sim_mail_bare_address(text) : NULL;
            if (address)
                json_array_append_new(m->destination, json_string(address));
            if (address && k == 0)
                json_array_append(m->to, json_array_get(list, i));
            free(address);
        }
    }
}

static bool read_content(struct sim_mail *m)
{
    const json_t *content = json_object_get(m->request->input, "Content");
    const json_t *simple = json_object_get(content, "Simple");
    const char *raw = json_string_value(json_object_get(json_object_get(content, "Raw"), "Data"));
    if (simple) {
        const char *subject =
            json_string_value(json_object_get(json_object_get(simple, "Subject"), "Data"));
        m->subject = subject ? sim_strdup(subject) : NULL;
        return subject && json_object_get(simple, "Body");
    }
    struct sim_buf text = {0};
    bool ok = raw && sim_base64_decode(&text, raw, strlen(raw));
    if (ok) {
        bool listed = json_array_size(m->destination) > 0;
        json_t *found = json_array();
        sim_mail_read_headers(sim_buf_cstr(&text), text.len, found, &m->subject, &m->source);
        if (!listed) {
            json_array_extend(m->destination, found);
            json_array_extend(m->to, found);
        }
        json_decref(found);
    }
    sim_buf_fini(&text);
    return ok;
}

static bool read_mail(struct sim_mail *m)
{
    struct sim_request *r = m->request;
    read_destination(m);
    if (!read_content(m)) {
        sim_ses_bad(r, "Content needs Simple with Subject and Body, or Raw with Data.");
        return false;
    }
    const char *from = sim_input_str(r, "FromEmailAddress");
    if (from) {
        free(m->source);
        m->source = sim_strdup(from);
    }
    size_t n = json_array_size(m->destination);
    if (!m->source)
        sim_ses_bad(r, "Missing required header 'From'.");
    else if (!n || n > RECIPIENTS_MAX)
        sim_fail(r, 400, "MessageRejected", "Recipient count is 1 to 50.");
    for (size_t i = 0; i < n && !r->reply.is_error; i++) {
        char spelling[SIM_ADDRESS_MAX + 1];
        const char *address = json_string_value(json_array_get(m->destination, i));
        if (!sim_address_spelling(address, spelling))
            sim_ses_bad(r, "Invalid email address.");
    }
    return !r->reply.is_error;
}

/* false: r holds the error. */
static bool may_send(struct sim_request *r, const char *set, const char *tenant,
                     struct sim_rules *rules)
{
    struct sim_account *a = &r->region->account;
    pthread_mutex_lock(&a->lock);
    bool shut = strcmp(a->enforcement, "SHUTDOWN") == 0;
    bool paused = !a->sending;
    pthread_mutex_unlock(&a->lock);
    enum sim_found found = sim_account_rules(a, set, tenant, &r->region->list, rules);
    if (shut)
        sim_fail(r, 400, "AccountSuspendedException", "Your account is suspended.");
    else if (paused)
        sim_fail(r, 400, "SendingPausedException", "Email sending is paused for your account.");
    else if (found == SIM_NO_SET)
        sim_fail(r, 404, "NotFoundException", "Configuration set <%s> does not exist.", set);
    else if (found == SIM_NO_TENANT)
        sim_fail(r, 404, "NotFoundException", "Tenant <%s> does not exist.", tenant);
    return !r->reply.is_error;
}

enum sim_outcome sim_ses_send_email(struct sim_request *r)
{
    const char *set = sim_input_str(r, "ConfigurationSetName");
    const char *tenant = sim_input_str(r, "TenantName");
    struct sim_rules rules;
    if (!may_send(r, set, tenant, &rules))
        return SIM_DONE;
    struct sim_mail m = {.request = r,
                         .tenant = tenant,
                         .rules = rules,
                         .time_ms = sim_region_now(r->region),
                         .set = sim_strdup(set ? set : "default"),
                         .tags = json_object_get(r->input, "EmailTags"),
                         .to = json_array(),
                         .destination = json_array()};
    sim_ses_make_id(r, m.message_id);
    if (read_mail(&m)) {
        play(&m);
        r->output = json_pack("{s:s}", "MessageId", m.message_id);
    }
    free(m.source);
    free(m.subject);
    free(m.set);
    json_decref(m.to);
    json_decref(m.destination);
    return SIM_DONE;
}
