#ifndef SUP_CODEC_PEER_STATE_H
#define SUP_CODEC_PEER_STATE_H

#include "base/buf.h"
#include "base/err.h"
#include "model/decision.h"
#include "model/vv.h"

/* Values of the peers column family: what this node knows of another one. */

#define SUP_PEER_URL_MAX     320
#define SUP_PEER_NOTE_MAX    256
#define SUP_PEER_RULINGS_MAX 16
/* A person's word on whether a node is a member. */
struct sup_peer_ruling {
    int64_t time_ms;
    bool decommission; /* false: it was taken back */
    char actor[SUP_ACTOR_MAX + 1];
    char note[SUP_PEER_NOTE_MAX + 1];
};
struct sup_peer_state {
    char name[256];
    char url[SUP_PEER_URL_MAX + 1];
    struct sup_peer_ruling rulings[SUP_PEER_RULINGS_MAX]; /* oldest first; the last one counts */
    size_t n_rulings;
    uint64_t node_id;
    uint64_t incarnation;
    int64_t last_contact_ms;
    struct sup_vv acked;
};
bool sup_peer_state_decommissioned(const struct sup_peer_state *p);
/* Behind the others; when there is no room the oldest goes. Texts are cut. */
void sup_peer_state_rule(struct sup_peer_state *p, int64_t time_ms, bool decommission,
                         const char *actor, const char *note);
void sup_peer_state_encode(const struct sup_peer_state *p, struct sup_buf *out);
int sup_peer_state_decode(struct sup_slice bytes, struct sup_peer_state *out, struct sup_err *err);

#endif
