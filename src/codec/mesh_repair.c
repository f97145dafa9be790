#include "codec/mesh_repair_pb.h"

#include "codec/value.h"

#include <string.h>

/* --- checks that hold in both directions; they give the name of what is wrong --- */

static bool none_or(size_t n, size_t size)
{
    return n == 0 || n == size;
}

static const char *ask_fault(const struct sup_repair_ask *m)
{
    if (!none_or(m->shards.n, SUP_REPAIR_SHARDS_SIZE))
        return "shards";
    return none_or(m->strata.n, SUP_REPAIR_STRATA_SIZE) ? NULL : "strata";
}

static const char *symbols_fault(const struct sup_repair_symbols *m)
{
    if (m->count > SUP_REPAIR_SYMBOLS_MAX || m->symbols.n > m->count * SUP_REPAIR_SYMBOL_MAX)
        return "number of symbols";
    if (m->first > UINT32_MAX || m->until > UINT32_MAX || m->until < m->first + m->count)
        return "index of symbols";
    return m->state <= SUP_REPAIR_DIFFERENT ? NULL : "state";
}

static const char *fetch_fault(const struct sup_repair_fetch *m)
{
    return m->count <= SUP_REPAIR_WANTS_MAX && m->wants.n <= m->count * SUP_REPAIR_WANT_MAX
               ? NULL
               : "number of wanted records";
}

static bool entry_ok(const struct sup_repair_entry *e)
{
    return e->key.n > 0 && e->key.n <= SUP_ADDRESS_MAX && !memchr(e->key.p, '\0', e->key.n) &&
           e->encoded.n > 0 && e->encoded.n <= SUP_DECISION_MAX;
}

static const char *records_fault(const struct sup_repair_records *m)
{
    if (m->n > SUP_REPAIR_ENTRIES_MAX)
        return "number of entries";
    for (size_t i = 0; i < m->n; i++) {
        if (!entry_ok(&m->entries[i]))
            return "entry";
    }
    return NULL;
}

static const char *fault(enum sup_frame_type type, const struct sup_repair_msg *msg)
{
    switch (type) {
    case SUP_FRAME_REPAIR_ASK:
        return ask_fault(&msg->u.ask);
    case SUP_FRAME_REPAIR_SYMBOLS:
        return symbols_fault(&msg->u.symbols);
    case SUP_FRAME_REPAIR_SUMS:
        return none_or(msg->u.sums.sums.n, SUP_REPAIR_SUMS_SIZE) ? NULL : "sums";
    case SUP_FRAME_REPAIR_FETCH:
        return fetch_fault(&msg->u.fetch);
    case SUP_FRAME_REPAIR_RECORDS:
        return records_fault(&msg->u.records);
    default:
        return "message type";
    }
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

static int encode_ask(const struct sup_repair_msg *msg, struct sup_buf *out, struct sup_err *err)
{
    Supsync__Mesh__RepairAsk pb = SUPSYNC__MESH__REPAIR_ASK__INIT;

    pb.round = msg->round;
    pb.symbols = msg->u.ask.symbols;
    pb.shards = pb_bytes(msg->u.ask.shards);
    pb.strata = pb_bytes(msg->u.ask.strata);
    return pack(&pb.base, out, err);
}

static int encode_symbols(const struct sup_repair_msg *msg, struct sup_buf *out,
                          struct sup_err *err)
{
    Supsync__Mesh__RepairSymbols pb = SUPSYNC__MESH__REPAIR_SYMBOLS__INIT;

    pb.round = msg->round;
    pb.first = msg->u.symbols.first;
    pb.count = (uint32_t)msg->u.symbols.count;
    pb.n_set = msg->u.symbols.n_set;
    pb.until = msg->u.symbols.until;
    pb.state = (uint32_t)msg->u.symbols.state;
    pb.symbols = pb_bytes(msg->u.symbols.symbols);
    return pack(&pb.base, out, err);
}

static int encode_sums(const struct sup_repair_msg *msg, struct sup_buf *out, struct sup_err *err)
{
    Supsync__Mesh__RepairSums pb = SUPSYNC__MESH__REPAIR_SUMS__INIT;

    pb.sums = pb_bytes(msg->u.sums.sums);
    return pack(&pb.base, out, err);
}

static int encode_fetch(const struct sup_repair_msg *msg, struct sup_buf *out, struct sup_err *err)
{
    Supsync__Mesh__RepairFetch pb = SUPSYNC__MESH__REPAIR_FETCH__INIT;

    pb.round = msg->round;
    pb.count = (uint32_t)msg->u.fetch.count;
    pb.wants = pb_bytes(msg->u.fetch.wants);
    return pack(&pb.base, out, err);
}

static int encode_records(const struct sup_repair_msg *msg, struct sup_pb_arena *a,
                          struct sup_buf *out, struct sup_err *err)
{
    Supsync__Mesh__RepairRecords pb = SUPSYNC__MESH__REPAIR_RECORDS__INIT;
    const struct sup_repair_records *r = &msg->u.records;
    Supsync__Mesh__RepairEntry *e = NULL;

    if (r->n > 0) {
        e = sup_pb_arena_alloc(a, r->n * sizeof(*e));
        pb.entries = sup_pb_arena_alloc(a, r->n * sizeof(*pb.entries));
        if (!e || !pb.entries)
            return sup_err_set(err, SUP_ENOMEM, "no memory for a message");
    }
    pb.round = msg->round;
    pb.last = r->last;
    pb.n_entries = r->n;
    for (size_t i = 0; i < r->n; i++) {
        supsync__mesh__repair_entry__init(&e[i]);
        e[i].key = pb_bytes(r->entries[i].key);
        e[i].decision = pb_bytes(r->entries[i].encoded);
        pb.entries[i] = &e[i];
    }
    int rc = sup_mesh_put_vv(a, &r->vv, &pb.n_vv, &pb.vv, err);
    return rc == SUP_OK ? pack(&pb.base, out, err) : rc;
}

int sup_mesh_repair_encode(enum sup_frame_type type, const struct sup_repair_msg *msg,
                           struct sup_pb_arena *a, struct sup_buf *out, struct sup_err *err)
{
    const char *what = fault(type, msg);

    if (what)
        return sup_err_set(err, SUP_EINPUT, "cannot send: %s out of range", what);
    switch (type) {
    case SUP_FRAME_REPAIR_ASK:
        return encode_ask(msg, out, err);
    case SUP_FRAME_REPAIR_SYMBOLS:
        return encode_symbols(msg, out, err);
    case SUP_FRAME_REPAIR_SUMS:
        return encode_sums(msg, out, err);
    case SUP_FRAME_REPAIR_FETCH:
        return encode_fetch(msg, out, err);
    default:
        return encode_records(msg, a, out, err);
    }
}

/* --- decoding --- */

static struct sup_slice bytes(ProtobufCBinaryData d)
{
    return sup_slice_of(d.data, d.len);
}

static void decode_symbols(const Supsync__Mesh__RepairSymbols *pb, struct sup_repair_msg *out)
{
    out->round = pb->round;
    out->u.symbols = (struct sup_repair_symbols){
        .first = pb->first,
        .count = pb->count,
        .n_set = pb->n_set,
        .until = pb->until,
        /* A state of a newer program comes out as one that the check refuses. */
        .state = pb->state <= SUP_REPAIR_DIFFERENT
                     ? (enum sup_repair_state)pb->state
                     : (enum sup_repair_state)(SUP_REPAIR_DIFFERENT + 1),
        .symbols = bytes(pb->symbols)};
}

static int decode_records(const Supsync__Mesh__RepairRecords *pb, struct sup_pb_arena *a,
                          struct sup_repair_msg *out, struct sup_err *err)
{
    struct sup_repair_entry *e = NULL;

    out->round = pb->round;
    out->u.records.last = pb->last;
    out->u.records.entries = NULL;
    out->u.records.n = pb->n_entries;
    int rc = sup_mesh_get_vv(pb->n_vv, pb->vv, &out->u.records.vv, err);
    if (rc != SUP_OK)
        return rc;
    if (pb->n_entries == 0 || pb->n_entries > SUP_REPAIR_ENTRIES_MAX)
        return SUP_OK; /* the check comes */
    e = sup_pb_arena_alloc(a, pb->n_entries * sizeof(*e));
    if (!e)
        return sup_err_set(err, SUP_ENOMEM, "no memory for a message");
    for (size_t i = 0; i < pb->n_entries; i++)
        e[i] = (struct sup_repair_entry){.key = bytes(pb->entries[i]->key),
                                         .encoded = bytes(pb->entries[i]->decision)};
    out->u.records.entries = e;
    return SUP_OK;
}

static int decode(enum sup_frame_type type, const ProtobufCMessage *msg, struct sup_pb_arena *a,
                  struct sup_repair_msg *out, struct sup_err *err)
{
    if (type == SUP_FRAME_REPAIR_ASK) {
        const Supsync__Mesh__RepairAsk *pb = (const Supsync__Mesh__RepairAsk *)msg;
        out->round = pb->round;
        out->u.ask = (struct sup_repair_ask){
            .symbols = pb->symbols, .shards = bytes(pb->shards), .strata = bytes(pb->strata)};
    } else if (type == SUP_FRAME_REPAIR_SYMBOLS) {
        decode_symbols((const Supsync__Mesh__RepairSymbols *)msg, out);
    } else if (type == SUP_FRAME_REPAIR_SUMS) {
        out->round = 0;
        out->u.sums.sums = bytes(((const Supsync__Mesh__RepairSums *)msg)->sums);
    } else if (type == SUP_FRAME_REPAIR_FETCH) {
        const Supsync__Mesh__RepairFetch *pb = (const Supsync__Mesh__RepairFetch *)msg;
        out->round = pb->round;
        out->u.fetch = (struct sup_repair_fetch){.count = pb->count, .wants = bytes(pb->wants)};
    } else {
        return decode_records((const Supsync__Mesh__RepairRecords *)msg, a, out, err);
    }
    return SUP_OK;
}

int sup_mesh_repair_decode(enum sup_frame_type type, const ProtobufCMessage *pb,
                           struct sup_pb_arena *a, struct sup_repair_msg *out, struct sup_err *err)
{
    int rc = decode(type, pb, a, out, err);
    const char *what = rc == SUP_OK ? fault(type, out) : NULL;

    return what ? sup_err_set(err, SUP_ECORRUPT, "malformed message: %s", what) : rc;
}

const ProtobufCMessageDescriptor *sup_mesh_repair_descriptor(unsigned type)
{
    switch (type) {
    case SUP_FRAME_REPAIR_ASK:
        return &supsync__mesh__repair_ask__descriptor;
    case SUP_FRAME_REPAIR_SYMBOLS:
        return &supsync__mesh__repair_symbols__descriptor;
    case SUP_FRAME_REPAIR_SUMS:
        return &supsync__mesh__repair_sums__descriptor;
    case SUP_FRAME_REPAIR_FETCH:
        return &supsync__mesh__repair_fetch__descriptor;
    case SUP_FRAME_REPAIR_RECORDS:
        return &supsync__mesh__repair_records__descriptor;
    default:
        return NULL;
    }
}
