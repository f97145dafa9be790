#include "codec/peer_state.h"

#include "base/text.h"
#include "codec/pb_arena.h"
#include "store.pb-c.h"

#include <string.h>

#define MEM_MAX (1U << 20)

void sup_peer_state_encode(const struct sup_peer_state *p, struct sup_buf *out)
{
    Supsync__Store__PeerState msg = SUPSYNC__STORE__PEER_STATE__INIT;
    uint64_t incarnations[SUP_VV_MAX];
    uint64_t seqs[SUP_VV_MAX];
    Supsync__Store__PeerRuling rulings[SUP_PEER_RULINGS_MAX];
    Supsync__Store__PeerRuling *pointers[SUP_PEER_RULINGS_MAX];

    for (size_t i = 0; i < p->acked.n; i++) {
        incarnations[i] = p->acked.e[i].incarnation;
        seqs[i] = p->acked.e[i].seq;
    }
    msg.node_id = p->node_id;
    msg.incarnation = p->incarnation;
    msg.last_contact_ms = p->last_contact_ms;
    msg.name = (char *)(uintptr_t)p->name;
    msg.n_acked_incarnation = p->acked.n;
    msg.acked_incarnation = incarnations;
    msg.n_acked_seq = p->acked.n;
    msg.acked_seq = seqs;
    msg.url = (char *)(uintptr_t)p->url;
    for (size_t i = 0; i < p->n_rulings; i++) {
        supsync__store__peer_ruling__init(&rulings[i]);
        rulings[i].time_ms = p->rulings[i].time_ms;
        rulings[i].decommission = p->rulings[i].decommission;
        rulings[i].actor = (char *)(uintptr_t)p->rulings[i].actor;
        rulings[i].note = (char *)(uintptr_t)p->rulings[i].note;
        pointers[i] = &rulings[i];
    }
    msg.n_rulings = p->n_rulings;
    msg.rulings = pointers;
    sup_pb_pack(&msg.base, out);
}

static void take_ruling(struct sup_peer_state *p, int64_t time_ms, bool decommission,
                        const char *actor, const char *note)
{
    struct sup_peer_ruling *r = &p->rulings[p->n_rulings++];

    r->time_ms = time_ms;
    r->decommission = decommission;
    sup_text_copy(r->actor, sizeof(r->actor), actor);
    sup_text_copy(r->note, sizeof(r->note), note);
}

void sup_peer_state_rule(struct sup_peer_state *p, int64_t time_ms, bool decommission,
                         const char *actor, const char *note)
{
    if (p->n_rulings == SUP_PEER_RULINGS_MAX)
        memmove(&p->rulings[0], &p->rulings[1], --p->n_rulings * sizeof(p->rulings[0]));
    take_ruling(p, time_ms, decommission, actor, note);
}

bool sup_peer_state_decommissioned(const struct sup_peer_state *p)
{
    return p->n_rulings > 0 && p->rulings[p->n_rulings - 1].decommission;
}

int sup_peer_state_decode(struct sup_slice bytes, struct sup_peer_state *out, struct sup_err *err)
{
    const Supsync__Store__PeerState *msg;
    struct sup_pb_arena a;
    int rc = SUP_OK;

    memset(out, 0, sizeof(*out));
    sup_pb_arena_init(&a, MEM_MAX);
    msg = sup_pb_unpack(&supsync__store__peer_state__descriptor, &a, bytes, "peer state", &rc, err);
    if (rc == SUP_OK &&
        (msg->n_acked_incarnation != msg->n_acked_seq || strlen(msg->name) >= sizeof(out->name) ||
         strlen(msg->url) >= sizeof(out->url) || msg->n_rulings > SUP_PEER_RULINGS_MAX))
        rc = sup_err_set(err, SUP_ECORRUPT, "damaged peer state");
    for (size_t i = 0; rc == SUP_OK && i < msg->n_acked_seq; i++) {
        if (sup_vv_raise(&out->acked, msg->acked_incarnation[i], msg->acked_seq[i]) != SUP_OK)
            rc = sup_err_set(err, SUP_ECORRUPT, "damaged peer state");
    }
    if (rc == SUP_OK) {
        out->node_id = msg->node_id;
        out->incarnation = msg->incarnation;
        out->last_contact_ms = msg->last_contact_ms;
        sup_text_copy(out->name, sizeof(out->name), msg->name);
        sup_text_copy(out->url, sizeof(out->url), msg->url);
        for (size_t i = 0; i < msg->n_rulings; i++)
            take_ruling(out, msg->rulings[i]->time_ms, msg->rulings[i]->decommission,
                        msg->rulings[i]->actor, msg->rulings[i]->note);
    }
    sup_pb_arena_reset(&a);
    return rc;
}
