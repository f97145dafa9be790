#include "core/classify.h"

#include "base/array.h"
#include "base/text_cut.h"
#include "core/classify_rules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

const char *sup_verdict_kind_name(enum sup_verdict_kind k)
{
    switch (k) {
    case SUP_VERDICT_IGNORE:
        return "ignore";
    case SUP_VERDICT_SUPPRESS:
        return "suppress";
    case SUP_VERDICT_CLEAR:
        return "clear";
    case SUP_VERDICT_ECHO:
        return "echo";
    case SUP_VERDICT_SOFT:
        return "soft";
    case SUP_VERDICT_UNMAPPED:
        return "unmapped";
    case SUP_VERDICT_AMBIGUOUS:
        return "ambiguous";
    case SUP_VERDICT_SIMULATOR:
        return "simulator";
    case SUP_VERDICT_BAD_ADDRESS:
        return "bad-address";
    }
    return "ignore";
}

void sup_verdicts_fini(struct sup_verdicts *vs)
{
    free(vs->v);
    free(vs->destination);
    *vs = (struct sup_verdicts){0};
}

/* One classification at work. */
struct work {
    const struct sup_event *event;
    const struct sup_classify_context *ctx;
    const struct sup_classify_policy *policy;
    const struct sup_classify_rule *rule;
    struct sup_verdicts *out;
};

/* --- the mail's destinations --- */

static int parse_destinations(struct work *w)
{
    struct sup_verdicts *out = w->out;
    size_t n = w->event->n_destination;

    if (sup_array_grow((void **)&out->destination, &out->cap_destination, n,
                       sizeof(*out->destination)) != SUP_OK)
        return SUP_ENOMEM;
    out->n_destination = n;
    for (size_t i = 0; i < n; i++) {
        struct sup_slice d = w->event->destination[i];
        struct sup_address *a = &out->destination[i];
        if (sup_address_parse_mailbox((const char *)d.p, d.n, a, NULL) != SUP_OK)
            a->key_len = 0;
    }
    return SUP_OK;
}

static bool same_key(const struct sup_address *a, const struct sup_address *b)
{
    return a->key_len == b->key_len && memcmp(a->key, b->key, a->key_len) == 0;
}

static const struct sup_address *find_destination(const struct work *w,
                                                  const struct sup_address *recipient)
{
    for (size_t i = 0; i < w->out->n_destination; i++)
        if (same_key(&w->out->destination[i], recipient))
            return &w->out->destination[i];
    return NULL;
}

/* --- who a recipient is --- */

static void add_spelling(struct sup_event_verdict *v, const char *spelling)
{
    for (size_t i = 0; i < v->n_spellings; i++)
        if (strcmp(v->spellings[i], spelling) == 0)
            return;
    if (v->n_spellings < SUP_VERDICT_SPELLINGS_MAX)
        memcpy(v->spellings[v->n_spellings++], spelling, strlen(spelling) + 1);
}

static void add_spellings(const struct work *w, struct sup_event_verdict *v,
                          const struct sup_address *recipient)
{
    if (same_key(recipient, &v->address))
        add_spelling(v, recipient->spelling);
    for (size_t i = 0; i < w->out->n_destination; i++)
        if (same_key(&w->out->destination[i], &v->address))
            add_spelling(v, w->out->destination[i].spelling);
}

enum identity { KNOWN, STRANGER, UNREADABLE };

/* Fills in address and spellings. */
static enum identity identify(const struct work *w, struct sup_slice text,
                              struct sup_event_verdict *v)
{
    struct sup_address recipient;
    const struct sup_address *is = NULL;
    bool readable =
        sup_address_parse_mailbox((const char *)text.p, text.n, &recipient, NULL) == SUP_OK;

    if (!readable)
        recipient.key_len = 0;
    if (w->out->n_destination != 1)
        is = readable ? find_destination(w, &recipient) : NULL;
    else if (w->out->destination[0].key_len > 0)
        is = &w->out->destination[0];
    if (is != NULL)
        v->address = *is;
    else if (readable)
        v->address = recipient;
    if (v->address.key_len == 0)
        return UNREADABLE;
    add_spellings(w, v, &recipient);
    return is != NULL ? KNOWN : STRANGER;
}

/* --- how a recipient fared --- */

static bool is_word(struct sup_slice s, const char *word)
{
    return s.n == strlen(word) && strncasecmp((const char *)s.p, word, s.n) == 0;
}

/* Class of an enhanced status code, RFC 3463 section 2: '2', '4', '5'; 0 if there is none. */
static char status_class(struct sup_slice status)
{
    size_t i = 0;

    while (i < status.n && status.p[i] == ' ')
        i++;
    return i + 1 < status.n && status.p[i + 1] == '.' ? (char)status.p[i] : 0;
}

/* A permanent bounce may list recipients that did not fail: AWS's own sample has one with action
 * "delayed" and status 4.0.0 beside one that failed. Actions: RFC 3464 section 2.3.3. */
static void judge_bounced(const struct sup_event_recipient *r, struct sup_event_verdict *v)
{
    bool suppress = v->kind == SUP_VERDICT_SUPPRESS;
    char status = status_class(r->status);

    if (is_word(r->action, "delivered") || is_word(r->action, "relayed") ||
        is_word(r->action, "expanded") || status == '2') {
        v->kind = SUP_VERDICT_IGNORE;
        v->rule = "recipient-not-failed";
    } else if (suppress && is_word(r->action, "delayed")) {
        v->kind = SUP_VERDICT_SOFT;
        v->rule = "recipient-delayed";
    } else if (suppress && status == '4') {
        v->kind = SUP_VERDICT_SOFT;
        v->rule = "recipient-status-transient";
    } else if (suppress && r->action.n > 0 && !is_word(r->action, "failed")) {
        v->kind = SUP_VERDICT_SOFT;
        v->rule = "recipient-action-unknown";
    }
}

static void judge(const struct work *w, const struct sup_event_recipient *r,
                  struct sup_event_verdict *v)
{
    if (v->kind == SUP_VERDICT_SUPPRESS || v->kind == SUP_VERDICT_SOFT) {
        if (w->event->type == SUP_EVENT_BOUNCE)
            judge_bounced(r, v);
    }
    char status = status_class(r->status);
    if (v->kind == SUP_VERDICT_SOFT && w->rule->needs_status && status != '4' && status != '5') {
        v->kind = SUP_VERDICT_IGNORE;
        v->rule = "bounce-transient-no-status";
    }
    if (v->cause == SUP_CAUSE_GLOBAL_LIST && w->policy->ignore_global_list &&
        v->kind == SUP_VERDICT_SUPPRESS) {
        v->kind = SUP_VERDICT_IGNORE;
        v->rule = "bounce-global-list-ignored";
    }
}

/* --- one verdict --- */

static void make(const struct work *w, const struct sup_event_recipient *r, int64_t time_ms,
                 struct sup_event_verdict *v)
{
    memset(v, 0, sizeof(*v));
    v->kind = w->rule->kind;
    v->cls = w->rule->cls;
    v->cause = w->rule->cause;
    v->rule = w->rule->name;
    v->recipient = r->address;
    v->status = r->status;
    v->diagnostic = r->diagnostic;
    v->time_ms = time_ms;

    enum identity who = identify(w, r->address, v);
    judge(w, r, v);
    v->happened = v->kind;
    if (who == UNREADABLE) {
        v->kind = SUP_VERDICT_BAD_ADDRESS;
        v->rule = "recipient-bad-address";
    } else if (sup_address_is_simulator(&v->address)) {
        v->kind = SUP_VERDICT_SIMULATOR;
        v->rule = "recipient-simulator";
    } else if (who == STRANGER && v->kind != SUP_VERDICT_ECHO && v->kind != SUP_VERDICT_IGNORE) {
        v->kind = SUP_VERDICT_UNMAPPED;
        v->rule = "recipient-unmapped";
    }
}

/* --- all of them --- */

static int strength(enum sup_verdict_kind k)
{
    switch (k) {
    case SUP_VERDICT_SUPPRESS:
        return 3;
    case SUP_VERDICT_CLEAR:
        return 2;
    case SUP_VERDICT_SOFT:
        return 1;
    default:
        return 0;
    }
}

/* Two recipients, one address: the dedup mark is kept by address, so the event may say only one
 * thing of it. */
static bool fold(struct sup_verdicts *out, const struct sup_event_verdict *v)
{
    if (v->address.key_len == 0)
        return false;
    for (size_t i = 0; i < out->n; i++) {
        struct sup_event_verdict *earlier = &out->v[i];
        if (!same_key(&earlier->address, &v->address))
            continue;
        struct sup_event_verdict spellings = *v;
        if (strength(v->kind) > strength(earlier->kind)) {
            spellings = *earlier;
            *earlier = *v;
        }
        for (size_t k = 0; k < spellings.n_spellings; k++)
            add_spelling(earlier, spellings.spellings[k]);
        return true;
    }
    return false;
}

static int add(struct work *w, const struct sup_event_recipient *r, int64_t time_ms)
{
    struct sup_verdicts *out = w->out;

    if (sup_array_grow((void **)&out->v, &out->cap, out->n + 1, sizeof(*out->v)) != SUP_OK)
        return SUP_ENOMEM;
    struct sup_event_verdict *v = &out->v[out->n];
    make(w, r, time_ms, v);
    if (!fold(out, v))
        out->n++;
    return SUP_OK;
}

static void make_ambiguous(struct sup_verdicts *out, const char *rule)
{
    for (size_t i = 0; i < out->n; i++) {
        struct sup_event_verdict *v = &out->v[i];
        if (v->kind == SUP_VERDICT_IGNORE || v->kind == SUP_VERDICT_SIMULATOR ||
            v->kind == SUP_VERDICT_BAD_ADDRESS || v->kind == SUP_VERDICT_UNMAPPED)
            continue;
        v->kind = SUP_VERDICT_AMBIGUOUS;
        v->rule = rule;
    }
}

/* Providers that redact reports leave SES with everyone on the mail at their domain as
 * complainants (same page, "Complained recipients"). A clear for all of them would undo complaints
 * that others made, so the policy frees only suppressions. */
static bool ambiguous_complaint(const struct work *w)
{
    if (w->event->type != SUP_EVENT_COMPLAINT || w->out->n < 2)
        return false;
    return w->rule->kind == SUP_VERDICT_CLEAR ||
           (w->rule->kind == SUP_VERDICT_SUPPRESS && !w->policy->suppress_ambiguous_complaints);
}

static int add_all(struct work *w)
{
    const struct sup_event *e = w->event;
    int64_t time_ms = sup_classify_time(e, w->ctx);
    bool named = e->n_recipients > 0;
    size_t n = named ? e->n_recipients : e->n_destination;

    for (size_t i = 0; i < n; i++) {
        struct sup_event_recipient destination = {0};
        if (!named)
            destination.address = e->destination[i];
        int rc = add(w, named ? &e->recipients[i] : &destination, time_ms);
        if (rc != SUP_OK)
            return rc;
    }
    if (!named && w->out->n > 1)
        make_ambiguous(w->out, "recipients-not-named");
    else if (ambiguous_complaint(w))
        make_ambiguous(w->out, "complaint-several-recipients");
    return SUP_OK;
}

static void finish(struct work *w)
{
    for (size_t i = 0; i < w->out->n; i++) {
        struct sup_event_verdict *v = &w->out->v[i];
        if (v->kind != SUP_VERDICT_SUPPRESS && v->kind != SUP_VERDICT_CLEAR)
            v->cause = SUP_CAUSE_UNKNOWN;
        else if (v->cause == SUP_CAUSE_GLOBAL_LIST && w->policy->global_list_ttl_ms > 0)
            v->expires_ms = v->time_ms + w->policy->global_list_ttl_ms;
    }
}

static void write_sub_type(const struct sup_event *e, struct sup_verdicts *out)
{
    const size_t max = sizeof(out->sub_type) / 2 - 1;
    struct sup_slice a = e->type == SUP_EVENT_COMPLAINT ? e->feedback_type : e->bounce_type;
    struct sup_slice b = sup_text_cut(e->sub_type, max);

    a = sup_text_cut(a, max);
    snprintf(out->sub_type, sizeof(out->sub_type), "%.*s%s%.*s", (int)a.n,
             a.n > 0 ? (const char *)a.p : "", a.n > 0 && b.n > 0 ? "/" : "", (int)b.n,
             b.n > 0 ? (const char *)b.p : "");
}

int sup_classify(const struct sup_event *event, const struct sup_classify_context *ctx,
                 struct sup_verdicts *out)
{
    static const struct sup_classify_policy all_off;
    struct work w = {.event = event,
                     .ctx = ctx,
                     .policy = ctx->policy != NULL ? ctx->policy : &all_off,
                     .out = out};

    out->n = 0;
    out->n_destination = 0;
    out->sub_type[0] = '\0';
    if (event->type != SUP_EVENT_BOUNCE && event->type != SUP_EVENT_COMPLAINT)
        return SUP_OK;
    w.rule = sup_classify_rule_for(event);
    write_sub_type(event, out);
    int rc = parse_destinations(&w);
    if (rc == SUP_OK)
        rc = add_all(&w);
    if (rc != SUP_OK)
        out->n = 0;
    finish(&w);
    return rc;
}
