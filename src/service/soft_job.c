#include "service/soft_job.h"

#include "base/array.h"
#include "base/log.h"
#include "codec/keys.h"
#include "codec/soft_value.h"
#include "codec/value.h"
#include "service/apply_txn.h"
#include "service/soft_known.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BYTES_MAX     (16U << 20)
#define MARK_MS       ((int64_t)15 * 24 * 3600 * 1000)
#define STATE_VERSION 3  /* 1 had no list of what waits, 2 no time of escalation */
#define WAITING_MAX   32 /* of one address; older ones wait for the retention to end */

struct item {
    bool delivery;
    uint8_t weight;
    int64_t time_ms;
    size_t address_at, address_n;
    size_t mark_at, mark_n;
    size_t value_at, value_n;       /* a struct sup_soft, but for what only the store knows */
    size_t decision_at, decision_n; /* of an escalation */
};

struct sup_soft_job {
    const struct sup_options *config;
    struct sup_apply *apply;
    struct sup_buf bytes;
    struct item *items;
    size_t n, cap;
    struct sup_buf key, value;
};

struct sup_soft_job *sup_soft_job_new(const struct sup_options *config, struct sup_apply *apply)
{
    struct sup_soft_job *j = calloc(1, sizeof(*j));

    if (!j)
        return NULL;
    j->config = config;
    j->apply = apply;
    sup_buf_init(&j->bytes, BYTES_MAX);
    sup_buf_init(&j->key, 1024);
    sup_buf_init(&j->value, SUP_SOFT_VALUE_MAX);
    return j;
}

void sup_soft_job_free(struct sup_soft_job *j)
{
    if (!j)
        return;
    sup_buf_fini(&j->bytes);
    sup_buf_fini(&j->key);
    sup_buf_fini(&j->value);
    free(j->items);
    free(j);
}

void sup_soft_job_reset(struct sup_soft_job *j)
{
    j->n = 0;
    sup_buf_reset(&j->bytes);
}

bool sup_soft_job_empty(const struct sup_soft_job *j)
{
    return j->n == 0;
}

/* --- taking --- */

static struct item *new_item(struct sup_soft_job *j, struct sup_slice address)
{
    void *items = j->items;

    if (sup_array_grow(&items, &j->cap, j->n + 1, sizeof(*j->items)) != SUP_OK)
        return NULL;
    j->items = items;
    struct item *it = &j->items[j->n];
    *it = (struct item){.address_at = j->bytes.n, .address_n = address.n};
    sup_buf_add_slice(&j->bytes, address);
    return it;
}

static int done(struct sup_soft_job *j)
{
    if (j->bytes.failed)
        return j->bytes.failed;
    j->n++;
    return SUP_OK;
}

static int take_delivery(struct sup_soft_job *j, const struct sup_event *e,
                         const struct sup_classify_context *ctx)
{
    int rc = SUP_OK;

    for (size_t i = 0; i < e->n_recipients && rc == SUP_OK; i++) {
        struct sup_address a;
        struct sup_slice text = e->recipients[i].address;
        if (sup_address_parse((const char *)text.p, text.n, &a, NULL) != SUP_OK)
            continue;
        struct item *it = new_item(j, sup_slice_of(a.key, a.key_len));
        if (!it)
            return SUP_ENOMEM;
        it->delivery = true;
        it->time_ms = sup_classify_time(e, ctx);
        rc = done(j);
    }
    return rc;
}

static void add_decision(struct sup_soft_job *j, struct item *it, const struct sup_event *e,
                         const struct sup_event_verdict *v, const struct sup_verdicts *vs,
                         const struct sup_classify_context *ctx)
{
    struct sup_event_verdict escalated = *v;
    struct sup_decision d;

    escalated.kind = SUP_VERDICT_SUPPRESS;
    escalated.cls = SUP_CLASS_BOUNCE;
    escalated.cause = SUP_CAUSE_ESCALATION;
    sup_verdict_decision(&escalated, vs, e, ctx, &d);
    d.origin = sup_apply_node_id(j->apply);
    it->decision_at = j->bytes.n;
    sup_decision_encode(&d, &j->bytes);
    it->decision_n = j->bytes.n - it->decision_at;
}

static struct sup_slice tags_of(struct sup_soft_job *j, const struct sup_event *e)
{
    sup_buf_reset(&j->value);
    for (size_t i = 0; i < e->n_tags; i++)
        sup_soft_add_tag(&j->value, e->tags[i].name, e->tags[i].value);
    return sup_buf_slice(&j->value);
}

static int take_soft(struct sup_soft_job *j, const struct sup_event *e,
                     const struct sup_event_verdict *v, const struct sup_verdicts *vs,
                     const struct sup_classify_context *ctx)
{
    struct sup_slice address = sup_slice_of(v->address.key, v->address.key_len);
    struct sup_slice sub_type = sup_slice_str(vs->sub_type);
    struct item *it = new_item(j, address);
    const struct sup_soft s = {
        .address = address,
        .recipient = v->recipient,
        .message_id = e->message_id,
        .feedback_id = e->feedback_id,
        .source = e->source,
        .subject = e->subject,
        .configuration_set = e->configuration_set,
        .tenant = e->tenant,
        .sub_type = sub_type,
        .status = v->status,
        .diagnostic = v->diagnostic,
        .tags = tags_of(j, e),
        .time_ms = v->time_ms,
    };

    if (!it)
        return SUP_ENOMEM;
    it->time_ms = v->time_ms;
    it->weight = sup_escalation_weight(sub_type, v->rule);
    it->mark_at = j->bytes.n;
    sup_buf_add_str(&j->bytes, "soft");
    sup_classify_dedup_key(e, address, &j->bytes);
    it->mark_n = j->bytes.n - it->mark_at;
    it->value_at = j->bytes.n;
    sup_soft_encode(&s, &j->bytes);
    it->value_n = j->bytes.n - it->value_at;
    add_decision(j, it, e, v, vs, ctx);
    return done(j);
}

int sup_soft_job_take(struct sup_soft_job *j, const struct sup_event *event,
                      const struct sup_verdicts *vs, const struct sup_classify_context *ctx)
{
    int rc = SUP_OK;

    if (event->type == SUP_EVENT_DELIVERY)
        return take_delivery(j, event, ctx);
    for (size_t i = 0; i < vs->n && rc == SUP_OK; i++)
        if (vs->v[i].kind == SUP_VERDICT_SOFT)
            rc = take_soft(j, event, &vs->v[i], vs, ctx);
    return rc;
}

/* --- the state of an address --- */

struct waiting {
    uint8_t id[SUP_SOFT_ID];
    int64_t time_ms;
};

struct state {
    bool known;
    struct sup_escalation e;
    struct waiting waiting[WAITING_MAX]; /* for a resend, the oldest first */
    size_t n_waiting;
};

static void encode_state(const struct state *s, struct sup_buf *out)
{
    sup_buf_add_byte(out, STATE_VERSION);
    sup_buf_add_be64(out, (uint64_t)s->e.delivered_ms);
    sup_buf_add_be64(out, (uint64_t)s->e.escalated_ms);
    sup_buf_add_byte(out, (uint8_t)s->e.n);
    for (size_t i = 0; i < s->e.n; i++) {
        sup_buf_add_be64(out, (uint64_t)s->e.time_ms[i]);
        sup_buf_add_byte(out, s->e.weight[i]);
    }
    for (size_t i = 0; i < s->n_waiting; i++) {
        sup_buf_add(out, s->waiting[i].id, SUP_SOFT_ID);
        sup_buf_add_be64(out, (uint64_t)s->waiting[i].time_ms);
    }
}

static int decode_state(struct sup_slice value, struct state *s)
{
    struct sup_cur c = sup_cur_of(value);
    struct sup_escalation *e = &s->e;
    uint8_t version = sup_cur_byte(&c);

    if (version < 1 || version > STATE_VERSION)
        return c.failed ? SUP_ECORRUPT : SUP_EVERSION;
    e->delivered_ms = (int64_t)sup_cur_be64(&c);
    if (version >= 3)
        e->escalated_ms = (int64_t)sup_cur_be64(&c);
    size_t n = version == 1 ? SUP_ESCALATION_KEPT : sup_cur_byte(&c);
    for (; c.n > 0 && e->n < n && e->n < SUP_ESCALATION_KEPT; e->n++) {
        e->time_ms[e->n] = (int64_t)sup_cur_be64(&c);
        e->weight[e->n] = sup_cur_byte(&c);
    }
    if (version > 1 && e->n < n)
        return SUP_ECORRUPT;
    for (; c.n > 0 && !c.failed && s->n_waiting < WAITING_MAX; s->n_waiting++) {
        struct sup_slice id = sup_cur_take(&c, SUP_SOFT_ID);
        if (c.failed)
            break;
        memcpy(s->waiting[s->n_waiting].id, id.p, SUP_SOFT_ID);
        s->waiting[s->n_waiting].time_ms = (int64_t)sup_cur_be64(&c);
    }
    return c.failed || c.n > 0 ? SUP_ECORRUPT : SUP_OK;
}

int64_t sup_soft_state_newest(struct sup_slice value)
{
    struct state s = {0};

    sup_escalation_init(&s.e);
    if (decode_state(value, &s) != SUP_OK)
        return INT64_MAX; /* another version's, or damaged: not ours to drop */
    int64_t newest = s.e.delivered_ms;
    for (size_t i = 0; i < s.e.n; i++)
        newest = s.e.time_ms[i] > newest ? s.e.time_ms[i] : newest;
    for (size_t i = 0; i < s.n_waiting; i++)
        newest = s.waiting[i].time_ms > newest ? s.waiting[i].time_ms : newest;
    return newest;
}

/* SUP_OK, also when there is none (known false). */
static int read_state(struct sup_soft_job *j, const struct item *it, struct sup_txn *t,
                      struct state *s)
{
    struct sup_slice address = sup_slice_of(j->bytes.p + it->address_at, it->address_n);
    bool maybe = false;
    int rc = sup_soft_known_ask(sup_apply_soft_known(j->apply), sup_apply_store(j->apply), address,
                                &maybe, NULL);

    s->known = false;
    s->n_waiting = 0;
    sup_escalation_init(&s->e);
    if (rc != SUP_OK || !maybe)
        return rc;
    sup_buf_reset(&j->key);
    sup_key_soft_address(&j->key, address);
    rc = sup_txn_get(t, SUP_CF_SOFT, sup_buf_slice(&j->key), &j->value);
    s->known = rc == SUP_OK;
    if (rc == SUP_ENOTFOUND)
        return SUP_OK;
    return rc == SUP_OK ? decode_state(sup_buf_slice(&j->value), s) : rc;
}

static void write_state(struct sup_soft_job *j, const struct item *it, struct sup_txn *t,
                        const struct state *s)
{
    struct sup_slice address = sup_slice_of(j->bytes.p + it->address_at, it->address_n);

    sup_soft_known_add(sup_apply_soft_known(j->apply), address);
    sup_buf_reset(&j->key);
    sup_key_soft_address(&j->key, address);
    sup_buf_reset(&j->value);
    encode_state(s, &j->value);
    sup_txn_put(t, SUP_CF_SOFT, sup_buf_slice(&j->key), sup_buf_slice(&j->value));
}

static void add_waiting(struct state *s, const uint8_t *id, int64_t time_ms)
{
    if (s->n_waiting == WAITING_MAX)
        memmove(s->waiting, s->waiting + 1, --s->n_waiting * sizeof(s->waiting[0]));
    struct waiting *w = &s->waiting[s->n_waiting++];
    memcpy(w->id, id, SUP_SOFT_ID);
    w->time_ms = time_ms;
}

/* --- running --- */

/* It may have been acknowledged, or forgotten. */
static int drop_waiting(struct sup_soft_job *j, const struct waiting *w, struct sup_txn *t)
{
    sup_buf_reset(&j->key);
    sup_key_soft_id(&j->key, w->id);
    int rc = sup_txn_get(t, SUP_CF_SOFT, sup_buf_slice(&j->key), &j->value);
    if (rc != SUP_OK || j->value.n != 8)
        return rc == SUP_ENOTFOUND ? SUP_OK : rc == SUP_OK ? SUP_ECORRUPT : rc;
    sup_txn_delete(t, SUP_CF_SOFT, sup_buf_slice(&j->key));
    sup_buf_reset(&j->key);
    sup_key_soft_due(&j->key, (int64_t)sup_get_be64(j->value.p), w->id);
    sup_txn_delete(t, SUP_CF_SOFT, sup_buf_slice(&j->key));
    return SUP_OK;
}

/* Most addresses never had a soft bounce: of those nothing is kept. What waits for a resend and is
 * older than the delivery waits no longer. */
static int run_delivery(struct sup_soft_job *j, const struct item *it, struct sup_txn *t)
{
    struct state s;
    size_t n = 0;
    int rc = read_state(j, it, t, &s);

    if (rc != SUP_OK || !s.known || it->time_ms <= s.e.delivered_ms)
        return rc;
    sup_escalation_delivered(&s.e, it->time_ms);
    for (size_t i = 0; i < s.n_waiting && rc == SUP_OK; i++) {
        if (s.waiting[i].time_ms < it->time_ms)
            rc = drop_waiting(j, &s.waiting[i], t);
        else
            s.waiting[n++] = s.waiting[i];
    }
    s.n_waiting = n;
    write_state(j, it, t, &s);
    return rc;
}

static int is_marked(struct sup_soft_job *j, struct sup_slice id, int64_t now_ms, struct sup_txn *t,
                     bool *yes)
{
    uint8_t expiry[8];
    int rc = sup_txn_get(t, SUP_CF_DEDUP, id, &j->value);

    *yes = rc == SUP_OK;
    if (rc != SUP_ENOTFOUND)
        return rc;
    sup_put_be64(expiry, (uint64_t)(now_ms + MARK_MS));
    sup_txn_put(t, SUP_CF_DEDUP, id, sup_slice_of(expiry, sizeof(expiry)));
    return SUP_OK;
}

static int keep(struct sup_soft_job *j, const struct item *it, const uint8_t *id, unsigned bounces,
                struct sup_txn *t)
{
    int64_t due = it->time_ms + sup_soft_backoff_ms(bounces);
    uint8_t when[8];
    struct sup_soft s;
    int rc = sup_soft_decode(sup_slice_of(j->bytes.p + it->value_at, it->value_n), &s);

    if (rc != SUP_OK)
        return SUP_EBUG;
    s.bounces = bounces;
    sup_buf_reset(&j->value);
    sup_soft_encode(&s, &j->value);
    sup_buf_reset(&j->key);
    sup_key_soft_due(&j->key, due, id);
    sup_txn_put(t, SUP_CF_SOFT, sup_buf_slice(&j->key), sup_buf_slice(&j->value));
    sup_put_be64(when, (uint64_t)(due < 0 ? 0 : due));
    sup_buf_reset(&j->key);
    sup_key_soft_id(&j->key, id);
    sup_txn_put(t, SUP_CF_SOFT, sup_buf_slice(&j->key), sup_slice_of(when, sizeof(when)));
    return SUP_OK;
}

static int escalate(struct sup_soft_job *j, const struct item *it, const char *why,
                    struct sup_txn *t, struct sup_soft_result *out, struct sup_err *err)
{
    const struct sup_proposal p = {
        .key = {j->bytes.p + it->address_at, it->address_n},
        .encoded = {j->bytes.p + it->decision_at, it->decision_n},
    };
    struct sup_applied applied;
    bool shadow = j->config->soft.escalation == SUP_ESCALATION_SHADOW;
    char address[SUP_ADDRESS_MAX + 1];

    snprintf(address, sizeof(address), "%.*s", (int)it->address_n, (const char *)p.key.p);
    sup_log_info("soft", shadow ? "escalation would suppress" : "escalation suppresses",
                 SUP_S("address", address), SUP_S("rule", why));
    if (shadow) {
        out->would_escalate++;
        return SUP_OK;
    }
    out->escalated++;
    return sup_apply_decide(j->apply, t, &p, &applied, err);
}

static int run_soft(struct sup_soft_job *j, const struct item *it, int64_t now_ms,
                    struct sup_txn *t, struct sup_soft_result *out, struct sup_err *err)
{
    const struct sup_escalation_policy policy = {.consecutive = j->config->soft.consecutive,
                                                 .count = j->config->soft.count,
                                                 .window_ms = j->config->soft.window_ms};
    struct state s;
    const char *why = "";
    struct sup_key id;
    bool marked;

    sup_key_dedup(&id, sup_slice_of(j->bytes.p + it->mark_at, it->mark_n));
    int rc = is_marked(j, sup_key_slice(&id), now_ms, t, &marked);
    if (rc != SUP_OK || marked)
        return rc;
    rc = read_state(j, it, t, &s);
    if (rc != SUP_OK)
        return rc;
    sup_escalation_bounced(&s.e, it->time_ms, it->weight);
    unsigned since = sup_escalation_since(&s.e);
    bool due =
        j->config->soft.escalation != SUP_ESCALATION_OFF && sup_escalation_due(&s.e, &policy, &why);
    bool waits =
        now_ms - it->time_ms < j->config->soft.retention_ms && it->time_ms >= s.e.delivered_ms;
    if (due)
        sup_escalation_followed(&s.e);
    if (waits)
        add_waiting(&s, id.b, it->time_ms);
    write_state(j, it, t, &s);
    if (waits) {
        rc = keep(j, it, id.b, since, t);
        out->kept++;
    }
    return rc == SUP_OK && due ? escalate(j, it, why, t, out, err) : rc;
}

int sup_soft_job_run(struct sup_soft_job *j, int64_t now_ms, struct sup_txn *t,
                     struct sup_soft_result *out, struct sup_err *err)
{
    int rc = SUP_OK;

    *out = (struct sup_soft_result){0};
    for (size_t i = 0; i < j->n && rc == SUP_OK; i++) {
        const struct item *it = &j->items[i];
        rc = it->delivery ? run_delivery(j, it, t) : run_soft(j, it, now_ms, t, out, err);
    }
    return rc == SUP_OK ? rc : sup_err_set(err, rc, "a soft bounce cannot be kept");
}
