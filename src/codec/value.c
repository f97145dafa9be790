#include "codec/value.h"

#include "base/array.h"
#include "base/utf8.h"
#include "codec/pb_arena.h"
#include "store.pb-c.h"

#include <stdlib.h>
#include <string.h>

/* The formats that this program writes; larger ones in the store are refused. */
#define RECORD_FORMAT 1

#define MEM_MAX (1U << 20)

struct sup_mem {
    struct sup_pb_arena arena;
};

struct sup_mem *sup_mem_new(void)
{
    struct sup_mem *m = malloc(sizeof(*m));

    if (m)
        sup_pb_arena_init(&m->arena, MEM_MAX);
    return m;
}

void sup_mem_reset(struct sup_mem *m)
{
    sup_pb_arena_reset(&m->arena);
}

void sup_mem_free(struct sup_mem *m)
{
    if (m)
        sup_pb_arena_reset(&m->arena);
    free(m);
}

static int damaged(struct sup_err *err, const char *what)
{
    return sup_err_set(err, SUP_ECORRUPT, "damaged %s", what);
}

static ProtobufCBinaryData pb_bytes(struct sup_slice s)
{
    /* protobuf-c does not write through data. */
    return (ProtobufCBinaryData){.len = s.n, .data = (uint8_t *)(uintptr_t)s.p};
}

static struct sup_slice slice_of_pb(ProtobufCBinaryData b)
{
    return (struct sup_slice){b.data, b.len};
}

void sup_decision_encode(const struct sup_decision *d, struct sup_buf *out)
{
    Supsync__Store__Decision msg = SUPSYNC__STORE__DECISION__INIT;
    Supsync__Store__Evidence ev = SUPSYNC__STORE__EVIDENCE__INIT;
    const struct sup_evidence *e = &d->evidence;
    struct sup_pb_arena a;

    sup_pb_arena_init(&a, MEM_MAX);
    ev.region = sup_pb_text(&a, e->region, SUP_EVIDENCE_MAX);
    ev.feedback_id = sup_pb_text(&a, e->feedback_id, SUP_EVIDENCE_MAX);
    ev.message_id = sup_pb_text(&a, e->message_id, SUP_EVIDENCE_MAX);
    ev.sub_type = sup_pb_text(&a, e->sub_type, SUP_EVIDENCE_MAX);
    ev.status = sup_pb_text(&a, e->status, SUP_EVIDENCE_MAX);
    ev.diagnostic = sup_pb_text(&a, e->diagnostic, SUP_EVIDENCE_MAX);
    ev.spelling = sup_pb_text(&a, e->spelling, SUP_EVIDENCE_MAX);
    msg.class_ = (uint32_t)d->cls;
    msg.state = (uint32_t)d->state;
    msg.cause = (uint32_t)d->cause;
    msg.time = d->time;
    msg.origin = d->origin;
    msg.actor = sup_pb_text(&a, d->actor, SUP_ACTOR_MAX);
    msg.note = sup_pb_text(&a, d->note, SUP_NOTE_MAX);
    /* Before 1970 is long expired; decoders take a negative time for damage. */
    msg.expires_ms = d->expires_ms < 0 ? 1 : d->expires_ms;
    if (protobuf_c_message_get_packed_size(&ev.base) > 0)
        msg.evidence = &ev;
    if (d->prior.present) {
        msg.prior_time = d->prior.time;
        msg.prior_origin = d->prior.origin;
        msg.prior_state = (uint32_t)d->prior.state;
    }
    sup_pb_pack(&msg.base, out);
    sup_pb_arena_reset(&a);
}

/* Messages that stand behind each other are one message with the fields of both. */
void sup_decision_add_prior(const struct sup_prior *p, struct sup_buf *out)
{
    Supsync__Store__Decision msg = SUPSYNC__STORE__DECISION__INIT;

    msg.prior_time = p->time;
    msg.prior_origin = p->origin;
    msg.prior_state = (uint32_t)p->state;
    sup_pb_pack(&msg.base, out);
}

static struct sup_prior prior_of(const Supsync__Store__Decision *msg)
{
    /* A newer program's state is taken for the larger one. */
    return (struct sup_prior){.present = msg->prior_origin != 0,
                              .state =
                                  msg->prior_state == SUP_CLEARED ? SUP_CLEARED : SUP_SUPPRESSED,
                              .time = msg->prior_time,
                              .origin = msg->prior_origin};
}

static bool evidence_valid(const Supsync__Store__Evidence *e)
{
    const char *const texts[] = {e->region, e->feedback_id, e->message_id, e->sub_type,
                                 e->status, e->diagnostic,  e->spelling};

    for (size_t i = 0; i < SUP_COUNT(texts); i++) {
        if (!sup_utf8_valid(texts[i], strlen(texts[i])))
            return false;
    }
    return true;
}

static int decision_check(const Supsync__Store__Decision *msg, struct sup_err *err)
{
    if (msg->class_ < 1 || msg->class_ > SUP_N_CLASSES)
        return sup_err_set(err, SUP_EVERSION, "decision of unknown class %u", msg->class_);
    if (msg->state > SUP_SUPPRESSED)
        return sup_err_set(err, SUP_EVERSION, "decision of unknown state %u", msg->state);
    if (msg->expires_ms < 0)
        return damaged(err, "decision (expiry)");
    /* proto3 strings are UTF-8; protobuf-c leaves the check to its user. */
    if (!sup_utf8_valid(msg->actor, strlen(msg->actor)) ||
        !sup_utf8_valid(msg->note, strlen(msg->note)) ||
        (msg->evidence && !evidence_valid(msg->evidence)))
        return damaged(err, "decision (text)");
    return SUP_OK;
}

/* What the merge looks at and what a reader looks at is checked alike: a decision that is in force
 * can be shown. NULL on failure, with *rc set. */
static const Supsync__Store__Decision *
decision_unpack(struct sup_slice bytes, struct sup_pb_arena *a, int *rc, struct sup_err *err)
{
    const Supsync__Store__Decision *msg;

    if (bytes.n > SUP_DECISION_MAX) {
        *rc = sup_err_set(err, SUP_ELIMIT, "decision of %zu bytes is over the limit", bytes.n);
        return NULL;
    }
    msg = sup_pb_unpack(&supsync__store__decision__descriptor, a, bytes, "decision", rc, err);
    if (msg)
        *rc = decision_check(msg, err);
    return *rc == SUP_OK ? msg : NULL;
}

static struct sup_slice text_slice(const char *s, size_t max)
{
    return sup_pb_cut(sup_slice_str(s), max);
}

int sup_decision_decode(struct sup_slice bytes, struct sup_mem *m, struct sup_decision *out,
                        struct sup_err *err)
{
    int rc = SUP_OK;
    const Supsync__Store__Decision *msg = decision_unpack(bytes, &m->arena, &rc, err);

    if (!msg)
        return rc;
    *out = (struct sup_decision){
        .cls = (enum sup_class)msg->class_,
        .state = (enum sup_state)msg->state,
        /* A newer program's cause stays in the encoded bytes; the merge does not look at it. */
        .cause = msg->cause <= SUP_CAUSE_LAST ? (enum sup_cause)msg->cause : SUP_CAUSE_UNKNOWN,
        .time = msg->time,
        .origin = msg->origin,
        .actor = text_slice(msg->actor, SUP_ACTOR_MAX),
        .note = text_slice(msg->note, SUP_NOTE_MAX),
        .expires_ms = msg->expires_ms,
        .prior = prior_of(msg),
    };
    if (msg->evidence) {
        const Supsync__Store__Evidence *e = msg->evidence;
        out->evidence = (struct sup_evidence){
            .region = text_slice(e->region, SUP_EVIDENCE_MAX),
            .feedback_id = text_slice(e->feedback_id, SUP_EVIDENCE_MAX),
            .message_id = text_slice(e->message_id, SUP_EVIDENCE_MAX),
            .sub_type = text_slice(e->sub_type, SUP_EVIDENCE_MAX),
            .status = text_slice(e->status, SUP_EVIDENCE_MAX),
            .diagnostic = text_slice(e->diagnostic, SUP_EVIDENCE_MAX),
            .spelling = text_slice(e->spelling, SUP_EVIDENCE_MAX),
        };
    }
    return SUP_OK;
}

int sup_register_decode(struct sup_slice bytes, struct sup_register *out, enum sup_class *cls,
                        struct sup_err *err)
{
    const Supsync__Store__Decision *msg;
    struct sup_pb_arena a;
    int rc = SUP_OK;

    sup_pb_arena_init(&a, MEM_MAX);
    msg = decision_unpack(bytes, &a, &rc, err);
    if (msg) {
        *out = (struct sup_register){
            .present = true,
            .state = (enum sup_state)msg->state,
            .time = msg->time,
            .origin = msg->origin,
            .expires_ms = msg->expires_ms,
            .prior = prior_of(msg),
            .encoded = bytes,
        };
        if (cls)
            *cls = (enum sup_class)msg->class_;
    }
    sup_pb_arena_reset(&a);
    return rc;
}

void sup_record_encode(const struct sup_record *r, struct sup_buf *out)
{
    Supsync__Store__Record msg = SUPSYNC__STORE__RECORD__INIT;
    ProtobufCBinaryData decisions[SUP_N_CLASSES];

    msg.format = RECORD_FORMAT;
    msg.decisions = decisions;
    for (size_t i = 0; i < SUP_N_CLASSES; i++) {
        if (r->registers.r[i].present)
            decisions[msg.n_decisions++] = pb_bytes(r->registers.r[i].encoded);
    }
    msg.first_seen_ms = r->first_seen_ms;
    msg.last_seen_ms = r->last_seen_ms;
    sup_pb_pack(&msg.base, out);
}

int sup_record_decode(struct sup_slice bytes, struct sup_mem *m, struct sup_record *out,
                      struct sup_err *err)
{
    int rc = SUP_OK;
    const Supsync__Store__Record *msg =
        sup_pb_unpack(&supsync__store__record__descriptor, &m->arena, bytes, "record", &rc, err);

    if (!msg)
        return rc;
    if (msg->format < 1)
        return damaged(err, "record (no format)");
    if (msg->format > RECORD_FORMAT)
        return sup_err_set(err, SUP_EVERSION, "record of format %u; this program knows up to %d",
                           msg->format, RECORD_FORMAT);
    if (msg->n_decisions > SUP_N_CLASSES)
        return damaged(err, "record (too many registers)");
    memset(out, 0, sizeof(*out));
    for (size_t i = 0; i < msg->n_decisions; i++) {
        struct sup_register r;
        enum sup_class cls = SUP_CLASS_BOUNCE;
        rc = sup_register_decode(slice_of_pb(msg->decisions[i]), &r, &cls, err);
        if (rc != SUP_OK)
            return rc;
        if (out->registers.r[cls - 1].present)
            return damaged(err, "record (two registers of one class)");
        out->registers.r[cls - 1] = r;
    }
    out->first_seen_ms = msg->first_seen_ms;
    out->last_seen_ms = msg->last_seen_ms;
    return SUP_OK;
}

void sup_log_entry_encode(const struct sup_log_entry *e, struct sup_buf *out)
{
    Supsync__Store__LogEntry msg = SUPSYNC__STORE__LOG_ENTRY__INIT;

    msg.key = pb_bytes(e->key);
    msg.class_ = (uint32_t)e->cls;
    msg.decision = pb_bytes(e->encoded);
    sup_pb_pack(&msg.base, out);
}

/* A NUL would end the key early in audit keys. */
static int log_entry_check(ProtobufCBinaryData key, uint32_t cls, ProtobufCBinaryData decision,
                           struct sup_log_entry *out, struct sup_err *err)
{
    if (key.len == 0 || key.len > SUP_ADDRESS_MAX || memchr(key.data, 0, key.len) || cls < 1 ||
        cls > SUP_N_CLASSES || decision.len == 0 || decision.len > SUP_DECISION_MAX)
        return damaged(err, "log entry");
    *out = (struct sup_log_entry){
        .key = slice_of_pb(key), .cls = (enum sup_class)cls, .encoded = slice_of_pb(decision)};
    return SUP_OK;
}

int sup_log_entry_decode(struct sup_slice bytes, struct sup_mem *m, struct sup_log_entry *out,
                         struct sup_err *err)
{
    int rc = SUP_OK;
    const Supsync__Store__LogEntry *msg = sup_pb_unpack(&supsync__store__log_entry__descriptor,
                                                        &m->arena, bytes, "log entry", &rc, err);

    if (!msg)
        return rc;
    return log_entry_check(msg->key, msg->class_, msg->decision, out, err);
}

int sup_log_entry_register(const struct sup_log_entry *e, struct sup_register *out,
                           struct sup_err *err)
{
    enum sup_class cls = SUP_CLASS_BOUNCE;
    struct sup_register r;
    int rc = sup_register_decode(e->encoded, &r, &cls, err);

    if (rc != SUP_OK)
        return rc;
    if (cls != e->cls)
        return sup_err_set(err, SUP_ECORRUPT, "decision of class %s in an entry of class %s",
                           sup_class_name(cls), sup_class_name(e->cls));
    *out = r;
    return SUP_OK;
}

void sup_quarantined_encode(const struct sup_log_entry *e, int64_t arrived_ms, struct sup_buf *out)
{
    Supsync__Store__Quarantined msg = SUPSYNC__STORE__QUARANTINED__INIT;

    msg.key = pb_bytes(e->key);
    msg.class_ = (uint32_t)e->cls;
    msg.decision = pb_bytes(e->encoded);
    msg.arrived_ms = arrived_ms;
    sup_pb_pack(&msg.base, out);
}

int sup_quarantined_decode(struct sup_slice bytes, struct sup_mem *m, struct sup_log_entry *out,
                           int64_t *arrived_ms, struct sup_err *err)
{
    int rc = SUP_OK;
    const Supsync__Store__Quarantined *msg =
        sup_pb_unpack(&supsync__store__quarantined__descriptor, &m->arena, bytes,
                      "quarantined mutation", &rc, err);

    if (!msg)
        return rc;
    *arrived_ms = msg->arrived_ms;
    return log_entry_check(msg->key, msg->class_, msg->decision, out, err);
}
