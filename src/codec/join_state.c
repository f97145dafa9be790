#include "codec/join_state.h"

#include "base/text.h"
#include "codec/pb_arena.h"
#include "store.pb-c.h"

#include <string.h>

#define MEM_MAX (64U << 10)

const char *sup_join_phase_name(enum sup_join_phase p)
{
    static const char *const names[] = {"new", "copy", "log", "check", "alone", "ready"};

    return (size_t)p < sizeof(names) / sizeof(names[0]) ? names[p] : "unknown";
}

void sup_join_state_encode(const struct sup_join_state *s, struct sup_buf *out)
{
    Supsync__Store__JoinState msg = SUPSYNC__STORE__JOIN_STATE__INIT;
    uint64_t incarnations[SUP_VV_MAX];
    uint64_t seqs[SUP_VV_MAX];

    for (size_t i = 0; i < s->vv.n; i++) {
        incarnations[i] = s->vv.e[i].incarnation;
        seqs[i] = s->vv.e[i].seq;
    }
    msg.phase = (uint32_t)s->phase;
    /* protobuf-c does not write through what it packs. */
    msg.after = (ProtobufCBinaryData){.len = s->after_n, .data = (uint8_t *)(uintptr_t)s->after};
    msg.has_vv = s->has_vv;
    msg.n_vv_incarnation = msg.n_vv_seq = s->vv.n;
    msg.vv_incarnation = incarnations;
    msg.vv_seq = seqs;
    msg.records = s->records;
    msg.set = s->set;
    msg.bytes = s->bytes;
    msg.streams = s->streams;
    msg.donor = (char *)(uintptr_t)s->donor;
    msg.began_ms = s->began_ms;
    sup_pb_pack(&msg.base, out);
}

static int take(const Supsync__Store__JoinState *msg, struct sup_join_state *out,
                struct sup_err *err)
{
    if (msg->phase > SUP_JOIN_READY)
        return sup_err_set(err, SUP_EVERSION, "joining is in an unknown phase");
    if (msg->after.len > sizeof(out->after) || msg->n_vv_incarnation != msg->n_vv_seq ||
        strlen(msg->donor) >= sizeof(out->donor))
        return sup_err_set(err, SUP_ECORRUPT, "damaged state of joining");
    for (size_t i = 0; i < msg->n_vv_seq; i++) {
        if (sup_vv_raise(&out->vv, msg->vv_incarnation[i], msg->vv_seq[i]) != SUP_OK)
            return sup_err_set(err, SUP_ECORRUPT, "damaged state of joining");
    }
    out->phase = (enum sup_join_phase)msg->phase;
    out->after_n = msg->after.len;
    if (out->after_n > 0)
        memcpy(out->after, msg->after.data, out->after_n);
    out->has_vv = msg->has_vv;
    out->records = msg->records;
    out->set = msg->set;
    out->bytes = msg->bytes;
    out->streams = msg->streams;
    out->began_ms = msg->began_ms;
    sup_text_copy(out->donor, sizeof(out->donor), msg->donor);
    return SUP_OK;
}

int sup_join_state_decode(struct sup_slice bytes, struct sup_join_state *out, struct sup_err *err)
{
    const Supsync__Store__JoinState *msg;
    struct sup_pb_arena a;
    int rc = SUP_OK;

    memset(out, 0, sizeof(*out));
    sup_pb_arena_init(&a, MEM_MAX);
    msg = sup_pb_unpack(&supsync__store__join_state__descriptor, &a, bytes, "state of joining", &rc,
                        err);
    if (rc == SUP_OK)
        rc = take(msg, out, err);
    sup_pb_arena_reset(&a);
    return rc;
}
