#include "codec/value.h"

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

static ProtobufCMessage *unpack(const ProtobufCMessageDescriptor *d, struct sup_pb_arena *a,
                                struct sup_slice bytes)
{
    return protobuf_c_message_unpack(d, &a->allocator, bytes.n, bytes.p);
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

/* A text field as protobuf wants it: NUL-terminated valid UTF-8, here of at most max bytes, cut at
 * a character boundary; NULs and invalid bytes become '?'. "" when there is no memory: a decision
 * without its note beats no decision. */
static char *pb_text(struct sup_pb_arena *a, struct sup_slice s, size_t max)
{
    static char empty[] = "";
    char *p = s.n > 0 ? sup_pb_arena_alloc(a, (s.n < max ? s.n : max) + 1) : NULL;
    size_t n = 0;

    if (!p)
        return empty;
    for (size_t i = 0; i < s.n;) {
        size_t len = s.p[i] == '\0' ? 0 : sup_utf8_decode(s.p + i, s.n - i, NULL);
        size_t step = len > 0 ? len : 1;
        if (step > max - n)
            break;
        memcpy(p + n, len > 0 ? (const void *)(s.p + i) : "?", step);
        n += step;
        i += step;
    }
    p[n] = '\0';
    return p;
}

void sup_decision_encode(const struct sup_decision *d, struct sup_buf *out)
{
    Supsync__Store__Decision msg = SUPSYNC__STORE__DECISION__INIT;
    Supsync__Store__Evidence ev = SUPSYNC__STORE__EVIDENCE__INIT;
    const struct sup_evidence *e = &d->evidence;
    struct sup_pb_arena a;

    sup_pb_arena_init(&a, MEM_MAX);
    ev.region = pb_text(&a, e->region, SUP_EVIDENCE_MAX);
    ev.feedback_id = pb_text(&a, e->feedback_id, SUP_EVIDENCE_MAX);
    ev.message_id = pb_text(&a, e->message_id, SUP_EVIDENCE_MAX);
    ev.sub_type = pb_text(&a, e->sub_type, SUP_EVIDENCE_MAX);
    ev.status = pb_text(&a, e->status, SUP_EVIDENCE_MAX);
    ev.diagnostic = pb_text(&a, e->diagnostic, SUP_EVIDENCE_MAX);
    ev.spelling = pb_text(&a, e->spelling, SUP_EVIDENCE_MAX);
    msg.class_ = (uint32_t)d->cls;
    msg.state = (uint32_t)d->state;
    msg.cause = (uint32_t)d->cause;
    msg.time = d->time;
    msg.origin = d->origin;
    msg.actor = pb_text(&a, d->actor, SUP_ACTOR_MAX);
    msg.note = pb_text(&a, d->note, SUP_NOTE_MAX);
    msg.expires_ms = d->expires_ms;
    if (protobuf_c_message_get_packed_size(&ev.base) > 0)
        msg.evidence = &ev;
    sup_pb_pack(&msg.base, out);
    sup_pb_arena_reset(&a);
}

static struct sup_slice text_slice(const char *s)
{
    return sup_slice_str(s);
}

static int decision_unpack(struct sup_slice bytes, struct sup_pb_arena *a,
                           const Supsync__Store__Decision **out, struct sup_err *err)
{
    Supsync__Store__Decision *msg;

    if (bytes.n > SUP_DECISION_MAX)
        return sup_err_set(err, SUP_ELIMIT, "decision of %zu bytes is over the limit", bytes.n);
    msg = (void *)unpack(&supsync__store__decision__descriptor, a, bytes);
    if (!msg)
        return damaged(err, "decision");
    if (msg->class_ < 1 || msg->class_ > SUP_N_CLASSES)
        return sup_err_set(err, SUP_EVERSION, "decision of unknown class %u", msg->class_);
    if (msg->state > SUP_SUPPRESSED)
        return sup_err_set(err, SUP_EVERSION, "decision of unknown state %u", msg->state);
    if (msg->expires_ms < 0)
        return damaged(err, "decision (expiry)");
    *out = msg;
    return SUP_OK;
}

int sup_decision_decode(struct sup_slice bytes, struct sup_mem *m, struct sup_decision *out,
                        struct sup_err *err)
{
    const Supsync__Store__Decision *msg = NULL;
    int rc = decision_unpack(bytes, &m->arena, &msg, err);

    if (rc != SUP_OK)
        return rc;
    *out = (struct sup_decision){
        .cls = (enum sup_class)msg->class_,
        .state = (enum sup_state)msg->state,
        .cause = (enum sup_cause)msg->cause,
        .time = msg->time,
        .origin = msg->origin,
        .actor = text_slice(msg->actor),
        .note = text_slice(msg->note),
        .expires_ms = msg->expires_ms,
    };
    if (msg->evidence) {
        const Supsync__Store__Evidence *e = msg->evidence;
        out->evidence = (struct sup_evidence){
            .region = text_slice(e->region),
            .feedback_id = text_slice(e->feedback_id),
            .message_id = text_slice(e->message_id),
            .sub_type = text_slice(e->sub_type),
            .status = text_slice(e->status),
            .diagnostic = text_slice(e->diagnostic),
            .spelling = text_slice(e->spelling),
        };
    }
    return SUP_OK;
}

int sup_register_decode(struct sup_slice bytes, struct sup_register *out, enum sup_class *cls,
                        struct sup_err *err)
{
    const Supsync__Store__Decision *msg = NULL;
    struct sup_pb_arena a;
    int rc;

    sup_pb_arena_init(&a, MEM_MAX);
    rc = decision_unpack(bytes, &a, &msg, err);
    if (rc == SUP_OK) {
        *out = (struct sup_register){
            .present = true,
            .state = (enum sup_state)msg->state,
            .time = msg->time,
            .origin = msg->origin,
            .expires_ms = msg->expires_ms,
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
    Supsync__Store__Record *msg =
        (void *)unpack(&supsync__store__record__descriptor, &m->arena, bytes);

    if (!msg)
        return damaged(err, "record");
    if (msg->format > RECORD_FORMAT)
        return sup_err_set(err, SUP_EVERSION, "record of format %u; this program knows up to %d",
                           msg->format, RECORD_FORMAT);
    if (msg->n_decisions > SUP_N_CLASSES)
        return damaged(err, "record (too many registers)");
    memset(out, 0, sizeof(*out));
    for (size_t i = 0; i < msg->n_decisions; i++) {
        struct sup_register r;
        enum sup_class cls = SUP_CLASS_BOUNCE;
        int rc = sup_register_decode(slice_of_pb(msg->decisions[i]), &r, &cls, err);
        if (rc != SUP_OK)
            return rc;
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

static int log_entry_check(ProtobufCBinaryData key, uint32_t cls, ProtobufCBinaryData decision,
                           struct sup_log_entry *out, struct sup_err *err)
{
    if (key.len == 0 || key.len > SUP_ADDRESS_MAX || cls < 1 || cls > SUP_N_CLASSES ||
        decision.len == 0 || decision.len > SUP_DECISION_MAX)
        return damaged(err, "log entry");
    *out = (struct sup_log_entry){
        .key = slice_of_pb(key), .cls = (enum sup_class)cls, .encoded = slice_of_pb(decision)};
    return SUP_OK;
}

int sup_log_entry_decode(struct sup_slice bytes, struct sup_mem *m, struct sup_log_entry *out,
                         struct sup_err *err)
{
    Supsync__Store__LogEntry *msg =
        (void *)unpack(&supsync__store__log_entry__descriptor, &m->arena, bytes);

    if (!msg)
        return damaged(err, "log entry");
    return log_entry_check(msg->key, msg->class_, msg->decision, out, err);
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
    Supsync__Store__Quarantined *msg =
        (void *)unpack(&supsync__store__quarantined__descriptor, &m->arena, bytes);

    if (!msg)
        return damaged(err, "quarantined mutation");
    *arrived_ms = msg->arrived_ms;
    return log_entry_check(msg->key, msg->class_, msg->decision, out, err);
}
