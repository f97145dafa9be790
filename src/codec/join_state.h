#ifndef SUP_CODEC_JOIN_STATE_H
#define SUP_CODEC_JOIN_STATE_H

#include "base/buf.h"
#include "base/err.h"
#include "codec/mesh_snapshot.h"
#include "model/vv.h"

#include <stdbool.h>
#include <stdint.h>

/* How far this node has come in joining (proto/store.proto). Encoder and decoder as in
 * codec/value.h. Numbers are stored: never renumber. */

/* There from the making of the store until the node is ready, when SUP_META_READY takes its place.
 */
#define SUP_META_JOIN "join"

enum sup_join_phase {
    SUP_JOIN_NEW = 0,   /* looks for a node that has something */
    SUP_JOIN_COPY = 1,  /* copies one */
    SUP_JOIN_LOG = 2,   /* the copy is whole; pulls what came since */
    SUP_JOIN_CHECK = 3, /* compares itself with a second node */
    SUP_JOIN_ALONE = 4, /* met nobody who has anything */
    SUP_JOIN_READY = 5
};

const char *sup_join_phase_name(enum sup_join_phase p); /* "new" … "ready" */

struct sup_join_state {
    enum sup_join_phase phase;
    uint8_t after[SUP_SNAPSHOT_KEY_MAX]; /* key of the last record that is here */
    size_t after_n;
    bool has_vv;
    struct sup_vv vv; /* what all parts of the copy cover */
    uint64_t records;
    uint64_t set; /* records in the donor's set */
    uint64_t bytes;
    uint64_t streams;
    char donor[256]; /* node name */
    int64_t began_ms;
};
void sup_join_state_encode(const struct sup_join_state *s, struct sup_buf *out);
int sup_join_state_decode(struct sup_slice bytes, struct sup_join_state *out, struct sup_err *err);

#endif
