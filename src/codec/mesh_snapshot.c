#include "codec/mesh_repair_pb.h"
#include "codec/mesh_snapshot_pb.h"
#include "codec/value.h"

#include <string.h>

enum sup_standing sup_mesh_standing(uint32_t v)
{
    return v <= SUP_STANDING_READY ? (enum sup_standing)v : SUP_STANDING_UNSAID;
}

/* Of tags and lengths: the most that a message, a version vector's entry and a record have. */
#define MESSAGE_EXTRA 64
#define ENTRY_EXTRA   24

uint64_t sup_snapshot_credit(const struct sup_snapshot_chunk *c)
{
    uint64_t n = MESSAGE_EXTRA + c->vv.n * ENTRY_EXTRA;

    for (size_t i = 0; i < c->n_quarantined; i++)
        n += ENTRY_EXTRA + c->quarantined[i].key.n + c->quarantined[i].encoded.n;
    for (size_t i = 0; i < c->n; i++) {
        n += ENTRY_EXTRA + c->records[i].key.n;
        for (size_t k = 0; k < c->records[i].n; k++)
            n += c->records[i].decisions[k].n;
    }
    return n;
}

/* --- checks that hold in both directions; they give the name of what is wrong --- */

static bool key_ok(struct sup_slice key)
{
    return key.n > 0 && key.n <= SUP_ADDRESS_MAX && !memchr(key.p, '\0', key.n);
}

static bool decision_ok(struct sup_slice d)
{
    return d.n > 0 && d.n <= SUP_DECISION_MAX;
}

static bool record_ok(const struct sup_snapshot_record *r)
{
    if (!key_ok(r->key) || r->n == 0 || r->n > SUP_N_CLASSES)
        return false;
    for (size_t i = 0; i < r->n; i++) {
        if (!decision_ok(r->decisions[i]))
            return false;
    }
    return true;
}

static const char *chunk_fault(const struct sup_snapshot_chunk *m)
{
    if (m->state > SUP_SNAPSHOT_EXPIRED)
        return "state";
    if (m->n > SUP_SNAPSHOT_RECORDS_MAX || m->n_quarantined > SUP_SNAPSHOT_RECORDS_MAX)
        return "number of records";
    for (size_t i = 0; i < m->n; i++) {
        if (!record_ok(&m->records[i]))
            return "record";
    }
    for (size_t i = 0; i < m->n_quarantined; i++) {
        if (!key_ok(m->quarantined[i].key) || !decision_ok(m->quarantined[i].encoded))
            return "quarantined decision";
    }
    return NULL;
}

static const char *fault(enum sup_frame_type type, const struct sup_snapshot_msg *msg)
{
    if (type == SUP_FRAME_SNAPSHOT_ASK)
        return msg->u.ask.after.n <= SUP_SNAPSHOT_KEY_MAX ? NULL : "key";
    return type == SUP_FRAME_SNAPSHOT_CHUNK ? chunk_fault(&msg->u.chunk) : NULL;
}

/* --- encoding --- */

static ProtobufCBinaryData pb_bytes(struct sup_slice s)
{
    /* protobuf-c does not write through data. */
    return (ProtobufCBinaryData){.len = s.n, .data = (uint8_t *)(uintptr_t)s.p};
}

static int pack(const ProtobufCMessage *pb, struct sup_buf *out, struct sup_err *err)
{
    if (protobuf_c_message_get_packed_size(pb) > SUP_FRAME_BODY_MAX)
        return sup_err_set(err, SUP_ELIMIT, "message too long for a frame");
    sup_pb_pack(pb, out);
    return out->failed ? sup_err_set(err, out->failed, "message does not fit") : SUP_OK;
}

static int no_memory(struct sup_err *err)
{
    return sup_err_set(err, SUP_ENOMEM, "no memory for a message");
}

static int encode_ask(const struct sup_snapshot_msg *msg, struct sup_buf *out, struct sup_err *err)
{
    Supsync__Mesh__SnapshotAsk pb = SUPSYNC__MESH__SNAPSHOT_ASK__INIT;

    pb.id = msg->id;
    pb.after = pb_bytes(msg->u.ask.after);
    pb.credit = msg->u.ask.credit;
    return pack(&pb.base, out, err);
}

static int encode_ack(const struct sup_snapshot_msg *msg, struct sup_buf *out, struct sup_err *err)
{
    Supsync__Mesh__SnapshotAck pb = SUPSYNC__MESH__SNAPSHOT_ACK__INIT;

    pb.id = msg->id;
    pb.credit = msg->u.ack.credit;
    return pack(&pb.base, out, err);
}

static int put_quarantined(const struct sup_snapshot_chunk *m, struct sup_pb_arena *a,
                           Supsync__Mesh__SnapshotChunk *pb, struct sup_err *err)
{
    Supsync__Mesh__RepairEntry *e;

    if (m->n_quarantined == 0)
        return SUP_OK;
    e = sup_pb_arena_alloc(a, m->n_quarantined * sizeof(*e));
    pb->quarantined = sup_pb_arena_alloc(a, m->n_quarantined * sizeof(*pb->quarantined));
    if (!e || !pb->quarantined)
        return no_memory(err);
    pb->n_quarantined = m->n_quarantined;
    for (size_t i = 0; i < m->n_quarantined; i++) {
        supsync__mesh__repair_entry__init(&e[i]);
        e[i].key = pb_bytes(m->quarantined[i].key);
        e[i].decision = pb_bytes(m->quarantined[i].encoded);
        pb->quarantined[i] = &e[i];
    }
    return SUP_OK;
}

static int put_records(const struct sup_snapshot_chunk *m, struct sup_pb_arena *a,
                       Supsync__Mesh__SnapshotChunk *pb, struct sup_err *err)
{
    Supsync__Mesh__SnapshotRecord *r;
    ProtobufCBinaryData *d;

    if (m->n == 0)
        return SUP_OK;
    r = sup_pb_arena_alloc(a, m->n * sizeof(*r));
    d = sup_pb_arena_alloc(a, m->n * SUP_N_CLASSES * sizeof(*d));
    pb->records = sup_pb_arena_alloc(a, m->n * sizeof(*pb->records));
    if (!r || !d || !pb->records)
        return no_memory(err);
    pb->n_records = m->n;
    for (size_t i = 0; i < m->n; i++, d += SUP_N_CLASSES) {
        supsync__mesh__snapshot_record__init(&r[i]);
        r[i].key = pb_bytes(m->records[i].key);
        r[i].n_decisions = m->records[i].n;
        r[i].decisions = d;
        for (size_t k = 0; k < m->records[i].n; k++)
            d[k] = pb_bytes(m->records[i].decisions[k]);
        pb->records[i] = &r[i];
    }
    return SUP_OK;
}

static int encode_chunk(const struct sup_snapshot_msg *msg, struct sup_pb_arena *a,
                        struct sup_buf *out, struct sup_err *err)
{
    Supsync__Mesh__SnapshotChunk pb = SUPSYNC__MESH__SNAPSHOT_CHUNK__INIT;
    const struct sup_snapshot_chunk *m = &msg->u.chunk;
    int rc = put_quarantined(m, a, &pb, err);

    pb.id = msg->id;
    pb.state = (uint32_t)m->state;
    pb.set = m->set;
    pb.last = m->last;
    if (rc == SUP_OK)
        rc = put_records(m, a, &pb, err);
    if (rc == SUP_OK)
        rc = sup_mesh_put_vv(a, &m->vv, &pb.n_vv, &pb.vv, err);
    return rc == SUP_OK ? pack(&pb.base, out, err) : rc;
}

int sup_mesh_snapshot_encode(enum sup_frame_type type, const struct sup_snapshot_msg *msg,
                             struct sup_pb_arena *a, struct sup_buf *out, struct sup_err *err)
{
    const char *what = fault(type, msg);

    if (what)
        return sup_err_set(err, SUP_EINPUT, "cannot send: %s out of range", what);
    if (type == SUP_FRAME_SNAPSHOT_ASK)
        return encode_ask(msg, out, err);
    return type == SUP_FRAME_SNAPSHOT_ACK ? encode_ack(msg, out, err)
                                          : encode_chunk(msg, a, out, err);
}

/* --- decoding --- */

static struct sup_slice bytes(ProtobufCBinaryData d)
{
    return sup_slice_of(d.data, d.len);
}

static int get_quarantined(const Supsync__Mesh__SnapshotChunk *pb, struct sup_pb_arena *a,
                           struct sup_snapshot_chunk *out, struct sup_err *err)
{
    struct sup_repair_entry *e;

    if (pb->n_quarantined == 0)
        return SUP_OK;
    e = sup_pb_arena_alloc(a, pb->n_quarantined * sizeof(*e));
    if (!e)
        return no_memory(err);
    for (size_t i = 0; i < pb->n_quarantined; i++)
        e[i] = (struct sup_repair_entry){.key = bytes(pb->quarantined[i]->key),
                                         .encoded = bytes(pb->quarantined[i]->decision)};
    out->quarantined = e;
    return SUP_OK;
}

static int get_records(const Supsync__Mesh__SnapshotChunk *pb, struct sup_pb_arena *a,
                       struct sup_snapshot_chunk *out, struct sup_err *err)
{
    struct sup_snapshot_record *r;

    if (pb->n_records == 0)
        return SUP_OK;
    r = sup_pb_arena_alloc(a, pb->n_records * sizeof(*r));
    if (!r)
        return no_memory(err);
    for (size_t i = 0; i < pb->n_records; i++) {
        const Supsync__Mesh__SnapshotRecord *from = pb->records[i];
        r[i].key = bytes(from->key);
        r[i].n = from->n_decisions;
        /* A record of more registers than there are is refused by the check that comes. */
        for (size_t k = 0; k < from->n_decisions && k < SUP_N_CLASSES; k++)
            r[i].decisions[k] = bytes(from->decisions[k]);
    }
    out->records = r;
    return SUP_OK;
}

static int decode_chunk(const Supsync__Mesh__SnapshotChunk *pb, struct sup_pb_arena *a,
                        struct sup_snapshot_chunk *out, struct sup_err *err)
{
    int rc;

    out->state = pb->state <= SUP_SNAPSHOT_EXPIRED ? (enum sup_snapshot_state)pb->state
                                                   : SUP_SNAPSHOT_EXPIRED;
    out->set = pb->set;
    out->last = pb->last;
    out->n = pb->n_records;
    out->n_quarantined = pb->n_quarantined;
    out->records = NULL;
    out->quarantined = NULL;
    if (out->n > SUP_SNAPSHOT_RECORDS_MAX || out->n_quarantined > SUP_SNAPSHOT_RECORDS_MAX)
        return sup_err_set(err, SUP_ECORRUPT, "malformed message: number of records");
    rc = get_quarantined(pb, a, out, err);
    if (rc == SUP_OK)
        rc = get_records(pb, a, out, err);
    return rc == SUP_OK ? sup_mesh_get_vv(pb->n_vv, pb->vv, &out->vv, err) : rc;
}

static int decode(enum sup_frame_type type, const ProtobufCMessage *msg, struct sup_pb_arena *a,
                  struct sup_snapshot_msg *out, struct sup_err *err)
{
    if (type == SUP_FRAME_SNAPSHOT_ASK) {
        const Supsync__Mesh__SnapshotAsk *pb = (const Supsync__Mesh__SnapshotAsk *)msg;
        out->id = pb->id;
        out->u.ask = (struct sup_snapshot_ask){.after = bytes(pb->after), .credit = pb->credit};
    } else if (type == SUP_FRAME_SNAPSHOT_ACK) {
        const Supsync__Mesh__SnapshotAck *pb = (const Supsync__Mesh__SnapshotAck *)msg;
        out->id = pb->id;
        out->u.ack = (struct sup_snapshot_ack){.credit = pb->credit};
    } else {
        const Supsync__Mesh__SnapshotChunk *pb = (const Supsync__Mesh__SnapshotChunk *)msg;
        out->id = pb->id;
        return decode_chunk(pb, a, &out->u.chunk, err);
    }
    return SUP_OK;
}

int sup_mesh_snapshot_decode(enum sup_frame_type type, const ProtobufCMessage *pb,
                             struct sup_pb_arena *a, struct sup_snapshot_msg *out,
                             struct sup_err *err)
{
    int rc = decode(type, pb, a, out, err);
    const char *what = rc == SUP_OK ? fault(type, out) : NULL;

    return what ? sup_err_set(err, SUP_ECORRUPT, "malformed message: %s", what) : rc;
}

const ProtobufCMessageDescriptor *sup_mesh_snapshot_descriptor(unsigned type)
{
    switch (type) {
    case SUP_FRAME_SNAPSHOT_ASK:
        return &supsync__mesh__snapshot_ask__descriptor;
    case SUP_FRAME_SNAPSHOT_CHUNK:
        return &supsync__mesh__snapshot_chunk__descriptor;
    case SUP_FRAME_SNAPSHOT_ACK:
        return &supsync__mesh__snapshot_ack__descriptor;
    default:
        return NULL;
    }
}
