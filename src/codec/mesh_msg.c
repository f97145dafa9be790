#include "codec/mesh_msg.h"

#include "codec/mesh_repair_pb.h"
#include "codec/mesh_snapshot_pb.h"
#include "codec/mesh_summary_pb.h"
#include "codec/pb_arena.h"
#include "codec/value.h"
#include "mesh.pb-c.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the largest message that we would make ourselves takes when unpacked: its bytes, and the
 * structs of its mutations. Anything that wants more was made to hurt. */
#define MEM_MAX (SUP_FRAME_BODY_MAX + (SUP_MESH_MUTATIONS_MAX + SUP_VV_MAX) * 384U)

struct sup_mesh_mem {
    struct sup_pb_arena arena;
};

struct sup_mesh_mem *sup_mesh_mem_new(void)
{
    struct sup_mesh_mem *m = malloc(sizeof(*m));

    if (m)
        sup_pb_arena_init(&m->arena, MEM_MAX);
    return m;
}

void sup_mesh_mem_reset(struct sup_mesh_mem *m)
{
    sup_pb_arena_reset(&m->arena);
}

void sup_mesh_mem_free(struct sup_mesh_mem *m)
{
    if (m)
        sup_pb_arena_reset(&m->arena);
    free(m);
}

const char *sup_refusal_name(unsigned code)
{
    static const char *const names[] = {
        [SUP_REFUSED_OTHER] = "other",       [SUP_REFUSED_CLUSTER] = "cluster",
        [SUP_REFUSED_VERSION] = "version",   [SUP_REFUSED_DRIFT] = "drift",
        [SUP_REFUSED_KEY] = "key",           [SUP_REFUSED_NAME] = "name",
        [SUP_REFUSED_SELF] = "self",         [SUP_REFUSED_PROTOCOL] = "protocol",
        [SUP_REFUSED_STOPPING] = "stopping", [SUP_REFUSED_IDENTITY] = "identity",
    };
    return code < sizeof(names) / sizeof(names[0]) ? names[code] : "other";
}

/* --- checks that hold in both directions --- */

/* Names go into logs, file names and certificates: printable ASCII, no spaces. */
static bool name_ok(const char *s)
{
    size_t n = strnlen(s, SUP_MESH_NAME_MAX + 1);

    if (n == 0 || n > SUP_MESH_NAME_MAX)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (s[i] <= ' ' || s[i] >= 0x7f)
            return false;
    }
    return true;
}

static bool mutation_ok(const struct sup_mutation *m)
{
    return m->incarnation != 0 && m->seq != 0 && m->key.n > 0 && m->key.n <= SUP_ADDRESS_MAX &&
           !memchr(m->key.p, '\0', m->key.n) && m->cls >= SUP_CLASS_BOUNCE &&
           m->cls <= SUP_CLASS_MANUAL && m->encoded.n > 0 && m->encoded.n <= SUP_DECISION_MAX;
}

static const char *hello_fault(const struct sup_hello *h)
{
    if (h->min_version == 0 || h->min_version > h->max_version)
        return "versions";
    if (!name_ok(h->cluster))
        return "cluster name";
    if (!name_ok(h->node))
        return "node name";
    if (h->node_id == 0 || h->incarnation == 0)
        return "id";
    return NULL;
}

/* --- encoding --- */

static int bad(struct sup_err *err, const char *what)
{
    return sup_err_set(err, SUP_EINPUT, "cannot send: %s out of range", what);
}

static int no_memory(struct sup_err *err)
{
    return sup_err_set(err, SUP_ENOMEM, "no memory for a message");
}

static ProtobufCBinaryData pb_bytes(struct sup_slice s)
{
    /* protobuf-c does not write through data. */
    return (ProtobufCBinaryData){.len = s.n, .data = (uint8_t *)(uintptr_t)s.p};
}

static char *pb_string(const char *s)
{
    return (char *)(uintptr_t)s; /* protobuf-c does not write through strings either */
}

int sup_mesh_put_vv(struct sup_pb_arena *a, const struct sup_vv *vv, size_t *n,
                    Supsync__Mesh__VvEntry ***out, struct sup_err *err)
{
    *n = vv->n;
    if (vv->n == 0)
        return SUP_OK;
    Supsync__Mesh__VvEntry *e = sup_pb_arena_alloc(a, vv->n * sizeof(*e));
    *out = sup_pb_arena_alloc(a, vv->n * sizeof(**out));
    if (!e || !*out)
        return no_memory(err);
    for (size_t i = 0; i < vv->n; i++) {
        supsync__mesh__vv_entry__init(&e[i]);
        e[i].incarnation = vv->e[i].incarnation;
        e[i].seq = vv->e[i].seq;
        (*out)[i] = &e[i];
    }
    return SUP_OK;
}

static int pack(const ProtobufCMessage *msg, struct sup_buf *out, struct sup_err *err)
{
    if (protobuf_c_message_get_packed_size(msg) > SUP_FRAME_BODY_MAX)
        return sup_err_set(err, SUP_ELIMIT, "message too long for a frame");
    sup_pb_pack(msg, out);
    if (out->failed)
        return sup_err_set(err, out->failed, "message does not fit");
    return SUP_OK;
}

static int encode_hello(const struct sup_hello *h, struct sup_pb_arena *a, struct sup_buf *out,
                        struct sup_err *err)
{
    Supsync__Mesh__Hello pb = SUPSYNC__MESH__HELLO__INIT;
    const char *fault = hello_fault(h);

    if (fault)
        return bad(err, fault);
    pb.min_version = h->min_version;
    pb.max_version = h->max_version;
    pb.features = h->features;
    pb.cluster = pb_string(h->cluster);
    pb.node = pb_string(h->node);
    pb.node_id = h->node_id;
    pb.incarnation = h->incarnation;
    pb.drift_limit_ms = h->drift_limit_ms;
    pb.key_check = h->key_check;
    pb.wall_ms = h->wall_ms;
    pb.epoch = h->epoch;
    pb.members = h->members;
    pb.standing = (uint32_t)h->standing;
    int rc = sup_mesh_put_vv(a, &h->vv, &pb.n_vv, &pb.vv, err);
    return rc == SUP_OK ? pack(&pb.base, out, err) : rc;
}

static int encode_goodbye(const struct sup_mesh_msg *msg, struct sup_buf *out, struct sup_err *err)
{
    Supsync__Mesh__Refuse refuse = SUPSYNC__MESH__REFUSE__INIT;
    Supsync__Mesh__Bye bye = SUPSYNC__MESH__BYE__INIT;

    refuse.code = bye.code = msg->u.goodbye.code;
    refuse.reason = bye.reason = pb_string(msg->u.goodbye.reason);
    return pack(msg->type == SUP_FRAME_BYE ? &bye.base : &refuse.base, out, err);
}

static int encode_heartbeat(const struct sup_heartbeat *h, struct sup_pb_arena *a,
                            struct sup_buf *out, struct sup_err *err)
{
    Supsync__Mesh__Heartbeat pb = SUPSYNC__MESH__HEARTBEAT__INIT;

    pb.wall_ms = h->wall_ms;
    pb.mono_ns = h->mono_ns;
    pb.echo_mono_ns = h->echo_mono_ns;
    pb.echo_held_us = h->echo_held_us;
    pb.incarnation = h->incarnation;
    pb.epoch = h->epoch;
    pb.members = h->members;
    if (h->has_root)
        pb.root = pb_bytes(sup_slice_of(h->root, sizeof(h->root)));
    pb.standing = (uint32_t)h->standing;
    int rc = sup_mesh_put_vv(a, &h->vv, &pb.n_vv, &pb.vv, err);
    return rc == SUP_OK ? pack(&pb.base, out, err) : rc;
}

static int encode_pull(const struct sup_mesh_msg *msg, struct sup_pb_arena *a, struct sup_buf *out,
                       struct sup_err *err)
{
    Supsync__Mesh__Pull pull = SUPSYNC__MESH__PULL__INIT;
    Supsync__Mesh__Ack ack = SUPSYNC__MESH__ACK__INIT;
    int rc = sup_mesh_put_vv(a, &msg->u.pull.vv, &pull.n_vv, &pull.vv, err);

    ack.n_vv = pull.n_vv;
    ack.vv = pull.vv;
    ack.credit = pull.credit = msg->u.pull.credit;
    if (rc != SUP_OK)
        return rc;
    return pack(msg->type == SUP_FRAME_ACK ? &ack.base : &pull.base, out, err);
}

static int encode_trimmed(const struct sup_trimmed *t, struct sup_pb_arena *a, struct sup_buf *out,
                          struct sup_err *err)
{
    Supsync__Mesh__Trimmed pb = SUPSYNC__MESH__TRIMMED__INIT;
    int rc = sup_mesh_put_vv(a, &t->floor, &pb.n_floor, &pb.floor, err);

    return rc == SUP_OK ? pack(&pb.base, out, err) : rc;
}

static int encode_mutations(const struct sup_mutations *ms, struct sup_pb_arena *a,
                            struct sup_buf *out, struct sup_err *err)
{
    Supsync__Mesh__Mutations pb = SUPSYNC__MESH__MUTATIONS__INIT;

    if (ms->n == 0 || ms->n > SUP_MESH_MUTATIONS_MAX)
        return bad(err, "number of mutations");
    Supsync__Mesh__Mutation *e = sup_pb_arena_alloc(a, ms->n * sizeof(*e));
    pb.mutations = sup_pb_arena_alloc(a, ms->n * sizeof(*pb.mutations));
    if (!e || !pb.mutations)
        return no_memory(err);
    pb.n_mutations = ms->n;
    for (size_t i = 0; i < ms->n; i++) {
        const struct sup_mutation *m = &ms->m[i];
        if (!mutation_ok(m))
            return bad(err, "mutation");
        supsync__mesh__mutation__init(&e[i]);
        e[i].incarnation = m->incarnation;
        e[i].seq = m->seq;
        e[i].key = pb_bytes(m->key);
        e[i].class_ = (uint32_t)m->cls;
        e[i].decision = pb_bytes(m->encoded);
        pb.mutations[i] = &e[i];
    }
    return pack(&pb.base, out, err);
}

int sup_mesh_msg_encode(const struct sup_mesh_msg *msg, struct sup_mesh_mem *m, struct sup_buf *out,
                        struct sup_err *err)
{
    sup_mesh_mem_reset(m);
    switch (msg->type) {
    case SUP_FRAME_HELLO:
        return encode_hello(&msg->u.hello, &m->arena, out, err);
    case SUP_FRAME_REFUSE:
    case SUP_FRAME_BYE:
        return encode_goodbye(msg, out, err);
    case SUP_FRAME_HEARTBEAT:
        return encode_heartbeat(&msg->u.heartbeat, &m->arena, out, err);
    case SUP_FRAME_PULL:
    case SUP_FRAME_ACK:
        return encode_pull(msg, &m->arena, out, err);
    case SUP_FRAME_MUTATIONS:
        return encode_mutations(&msg->u.mutations, &m->arena, out, err);
    case SUP_FRAME_TRIMMED:
        return encode_trimmed(&msg->u.trimmed, &m->arena, out, err);
    case SUP_FRAME_SUMMARY_ASK:
    case SUP_FRAME_SUMMARY:
        return sup_mesh_summary_encode(msg->type, &msg->u.summary, out, err);
    case SUP_FRAME_REPAIR_ASK:
    case SUP_FRAME_REPAIR_SYMBOLS:
    case SUP_FRAME_REPAIR_SUMS:
    case SUP_FRAME_REPAIR_FETCH:
    case SUP_FRAME_REPAIR_RECORDS:
        return sup_mesh_repair_encode(msg->type, &msg->u.repair, &m->arena, out, err);
    case SUP_FRAME_SNAPSHOT_ASK:
    case SUP_FRAME_SNAPSHOT_CHUNK:
    case SUP_FRAME_SNAPSHOT_ACK:
        return sup_mesh_snapshot_encode(msg->type, &msg->u.snapshot, &m->arena, out, err);
    }
    return bad(err, "message type");
}

static size_t varint_size(uint64_t v)
{
    size_t n = 1;

    while (v >= 0x80) {
        v >>= 7;
        n++;
    }
    return n;
}

static size_t bytes_size(size_t n)
{
    return varint_size(n) + n;
}

size_t sup_mesh_mutation_size(const struct sup_mutation *m)
{
    /* Five fields, a tag of one byte each; then the tag and length of the whole. */
    size_t n = 5 + sizeof(m->incarnation) + varint_size(m->seq) + varint_size((uint64_t)m->cls) +
               bytes_size(m->key.n) + bytes_size(m->encoded.n);

    return 1 + bytes_size(n);
}

/* --- decoding --- */

static int damaged(struct sup_err *err, const char *what)
{
    return sup_err_set(err, SUP_ECORRUPT, "malformed message: %s", what);
}

int sup_mesh_get_vv(size_t n, Supsync__Mesh__VvEntry **entries, struct sup_vv *out,
                    struct sup_err *err)
{
    sup_vv_init(out);
    if (n > SUP_VV_MAX)
        return damaged(err, "version vector too long");
    for (size_t i = 0; i < n; i++) {
        if (entries[i]->incarnation == 0)
            return damaged(err, "version vector");
        (void)sup_vv_raise(out, entries[i]->incarnation, entries[i]->seq);
    }
    return SUP_OK;
}

/* A name that does not fit becomes empty, which hello_fault refuses. */
static void get_name(const char *s, char out[SUP_MESH_NAME_MAX + 1])
{
    size_t n = strnlen(s, SUP_MESH_NAME_MAX + 1);

    memset(out, 0, SUP_MESH_NAME_MAX + 1);
    if (n <= SUP_MESH_NAME_MAX)
        memcpy(out, s, n);
}

static int decode_hello(const Supsync__Mesh__Hello *pb, struct sup_hello *out, struct sup_err *err)
{
    out->min_version = pb->min_version;
    out->max_version = pb->max_version;
    out->features = pb->features;
    get_name(pb->cluster, out->cluster);
    get_name(pb->node, out->node);
    out->node_id = pb->node_id;
    out->incarnation = pb->incarnation;
    out->drift_limit_ms = pb->drift_limit_ms;
    out->key_check = pb->key_check;
    out->wall_ms = pb->wall_ms;
    out->epoch = pb->epoch;
    out->members = pb->members;
    out->standing = sup_mesh_standing(pb->standing);
    const char *fault = hello_fault(out);
    return fault ? damaged(err, fault) : sup_mesh_get_vv(pb->n_vv, pb->vv, &out->vv, err);
}

static int decode_goodbye(uint32_t code, const char *reason, struct sup_goodbye *out)
{
    out->code = code;
    (void)snprintf(out->reason, sizeof(out->reason), "%s", reason);
    for (char *p = out->reason; *p != '\0'; p++) {
        if (*p < ' ' || *p >= 0x7f) /* it goes into logs and onto terminals */
            *p = '?';
    }
    return SUP_OK;
}

static int decode_heartbeat(const Supsync__Mesh__Heartbeat *pb, struct sup_heartbeat *out,
                            struct sup_err *err)
{
    out->wall_ms = pb->wall_ms;
    out->mono_ns = pb->mono_ns;
    out->echo_mono_ns = pb->echo_mono_ns;
    out->echo_held_us = pb->echo_held_us;
    out->incarnation = pb->incarnation;
    out->epoch = pb->epoch;
    out->members = pb->members;
    out->standing = sup_mesh_standing(pb->standing);
    out->has_root = pb->root.len == sizeof(out->root);
    if (pb->root.len != 0 && !out->has_root)
        return damaged(err, "root");
    if (out->has_root)
        memcpy(out->root, pb->root.data, sizeof(out->root));
    return sup_mesh_get_vv(pb->n_vv, pb->vv, &out->vv, err);
}

static int decode_mutations(const Supsync__Mesh__Mutations *pb, struct sup_pb_arena *a,
                            struct sup_mutations *out, struct sup_err *err)
{
    if (pb->n_mutations == 0 || pb->n_mutations > SUP_MESH_MUTATIONS_MAX)
        return damaged(err, "number of mutations");
    struct sup_mutation *ms = sup_pb_arena_alloc(a, pb->n_mutations * sizeof(*ms));
    if (!ms)
        return no_memory(err);
    for (size_t i = 0; i < pb->n_mutations; i++) {
        const Supsync__Mesh__Mutation *m = pb->mutations[i];
        /* An unknown class would need a newer version of the protocol: the enum holds what the
         * check lets through. */
        ms[i] = (struct sup_mutation){
            .incarnation = m->incarnation,
            .seq = m->seq,
            .key = sup_slice_of(m->key.data, m->key.len),
            .cls = m->class_ <= SUP_CLASS_MANUAL ? (enum sup_class)m->class_ : (enum sup_class)0,
            .encoded = sup_slice_of(m->decision.data, m->decision.len)};
        if (!mutation_ok(&ms[i]))
            return damaged(err, "mutation");
    }
    out->m = ms;
    out->n = pb->n_mutations;
    return SUP_OK;
}

static int decode_into(ProtobufCMessage *pb, struct sup_pb_arena *a, struct sup_mesh_msg *out,
                       struct sup_err *err)
{
    switch (out->type) {
    case SUP_FRAME_HELLO:
        return decode_hello((Supsync__Mesh__Hello *)pb, &out->u.hello, err);
    case SUP_FRAME_REFUSE: {
        const Supsync__Mesh__Refuse *r = (Supsync__Mesh__Refuse *)pb;
        return decode_goodbye(r->code, r->reason, &out->u.goodbye);
    }
    case SUP_FRAME_BYE: {
        const Supsync__Mesh__Bye *b = (Supsync__Mesh__Bye *)pb;
        return decode_goodbye(b->code, b->reason, &out->u.goodbye);
    }
    case SUP_FRAME_HEARTBEAT:
        return decode_heartbeat((Supsync__Mesh__Heartbeat *)pb, &out->u.heartbeat, err);
    case SUP_FRAME_PULL: {
        const Supsync__Mesh__Pull *p = (Supsync__Mesh__Pull *)pb;
        out->u.pull.credit = p->credit;
        return sup_mesh_get_vv(p->n_vv, p->vv, &out->u.pull.vv, err);
    }
    case SUP_FRAME_ACK: {
        const Supsync__Mesh__Ack *p = (Supsync__Mesh__Ack *)pb;
        out->u.pull.credit = p->credit;
        return sup_mesh_get_vv(p->n_vv, p->vv, &out->u.pull.vv, err);
    }
    case SUP_FRAME_MUTATIONS:
        return decode_mutations((Supsync__Mesh__Mutations *)pb, a, &out->u.mutations, err);
    case SUP_FRAME_TRIMMED: {
        const Supsync__Mesh__Trimmed *t = (Supsync__Mesh__Trimmed *)pb;
        return sup_mesh_get_vv(t->n_floor, t->floor, &out->u.trimmed.floor, err);
    }
    case SUP_FRAME_SUMMARY_ASK:
    case SUP_FRAME_SUMMARY:
        sup_mesh_summary_decode(out->type, pb, &out->u.summary);
        return SUP_OK;
    case SUP_FRAME_REPAIR_ASK:
    case SUP_FRAME_REPAIR_SYMBOLS:
    case SUP_FRAME_REPAIR_SUMS:
    case SUP_FRAME_REPAIR_FETCH:
    case SUP_FRAME_REPAIR_RECORDS:
        return sup_mesh_repair_decode(out->type, pb, a, &out->u.repair, err);
    case SUP_FRAME_SNAPSHOT_ASK:
    case SUP_FRAME_SNAPSHOT_CHUNK:
    case SUP_FRAME_SNAPSHOT_ACK:
        return sup_mesh_snapshot_decode(out->type, pb, a, &out->u.snapshot, err);
    }
    return sup_err_set(err, SUP_EBUG, "message type without a decoder");
}

static const ProtobufCMessageDescriptor *descriptor(unsigned type)
{
    switch (type) {
    case SUP_FRAME_HELLO:
        return &supsync__mesh__hello__descriptor;
    case SUP_FRAME_REFUSE:
        return &supsync__mesh__refuse__descriptor;
    case SUP_FRAME_BYE:
        return &supsync__mesh__bye__descriptor;
    case SUP_FRAME_HEARTBEAT:
        return &supsync__mesh__heartbeat__descriptor;
    case SUP_FRAME_PULL:
        return &supsync__mesh__pull__descriptor;
    case SUP_FRAME_ACK:
        return &supsync__mesh__ack__descriptor;
    case SUP_FRAME_MUTATIONS:
        return &supsync__mesh__mutations__descriptor;
    case SUP_FRAME_TRIMMED:
        return &supsync__mesh__trimmed__descriptor;
    case SUP_FRAME_SUMMARY_ASK:
        return &supsync__mesh__summary_ask__descriptor;
    case SUP_FRAME_SUMMARY:
        return &supsync__mesh__summary__descriptor;
    default:
        return type >= SUP_FRAME_SNAPSHOT_ASK ? sup_mesh_snapshot_descriptor(type)
                                              : sup_mesh_repair_descriptor(type);
    }
}

int sup_mesh_msg_decode(unsigned type, struct sup_slice body, struct sup_mesh_mem *m,
                        struct sup_mesh_msg *out, struct sup_err *err)
{
    const ProtobufCMessageDescriptor *d = descriptor(type);

    sup_mesh_mem_reset(m);
    if (!d)
        return sup_err_set(err, SUP_ENOTFOUND, "unknown message type %u", type);
    out->type = (enum sup_frame_type)type;
    ProtobufCMessage *pb = protobuf_c_message_unpack(d, &m->arena.allocator, body.n, body.p);
    if (!pb && m->arena.used > m->arena.max / 2)
        return sup_err_set(err, SUP_ELIMIT, "%s message larger than any of ours",
                           sup_frame_type_name(type));
    if (!pb)
        return sup_err_set(err, SUP_ECORRUPT, "malformed %s message", sup_frame_type_name(type));
    int rc = decode_into(pb, &m->arena, out, err);
    if (rc == SUP_OK && type == SUP_FRAME_MUTATIONS)
        out->u.mutations.cost = body.n;
    if (rc == SUP_OK && type == SUP_FRAME_SNAPSHOT_CHUNK)
        out->u.snapshot.u.chunk.size = body.n;
    return rc;
}
