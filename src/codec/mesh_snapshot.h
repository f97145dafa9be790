#ifndef SUP_CODEC_MESH_SNAPSHOT_H
#define SUP_CODEC_MESH_SNAPSHOT_H

#include "base/buf.h"
#include "codec/mesh_repair.h"
#include "model/decision.h"
#include "model/vv.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Messages of joining by snapshot as plain structs; part of codec/mesh_msg.h, which encodes and
 * decodes them. Slices of decoded ones live in the sup_mesh_mem. */

#define SUP_SNAPSHOT_RECORDS_MAX 8192 /* in one message; quarantined decisions likewise */
#define SUP_SNAPSHOT_KEY_MAX     328  /* hash and address */

/* Of HELLO: this node can be asked for a snapshot. */
#define SUP_FEATURE_SNAPSHOT 2U

/* How far a node has come in joining. Sent: never renumber. */
enum sup_standing {
    SUP_STANDING_UNSAID = 0,  /* a program from before there was joining */
    SUP_STANDING_NEW = 1,     /* has nothing, and looks for somebody who has */
    SUP_STANDING_JOINING = 2, /* has a part */
    SUP_STANDING_ALONE = 3,   /* met nobody who has anything, but not all whom it should ask */
    SUP_STANDING_READY = 4
};

/* Sent: never renumber. */
enum sup_snapshot_state {
    SUP_SNAPSHOT_GOES_ON = 0,
    SUP_SNAPSHOT_BUSY = 1,      /* serves enough others at the moment */
    SUP_SNAPSHOT_NOT_READY = 2, /* is joining itself */
    SUP_SNAPSHOT_EXPIRED = 3    /* the view was held for as long as it may be: ask for the rest */
};

struct sup_snapshot_ask {
    struct sup_slice after; /* at most SUP_SNAPSHOT_KEY_MAX bytes */
    uint64_t credit;
};

struct sup_snapshot_record {
    struct sup_slice key; /* address */
    struct sup_slice decisions[SUP_N_CLASSES];
    size_t n;
};

struct sup_snapshot_chunk {
    enum sup_snapshot_state state;
    uint64_t set; /* first chunk: records in all */
    struct sup_vv vv;
    const struct sup_repair_entry *quarantined;
    size_t n_quarantined;
    const struct sup_snapshot_record *records;
    size_t n;
    bool last;
    size_t size; /* decoded: of the body, uncompressed */
};
/* What a chunk takes from the credit: a bit more than its body has, if it was honestly made. */
uint64_t sup_snapshot_credit(const struct sup_snapshot_chunk *c);

struct sup_snapshot_ack {
    uint64_t credit; /* 0: no more is wanted */
};

struct sup_snapshot_msg {
    uint32_t id; /* of the stream */
    union {
        struct sup_snapshot_ask ask;
        struct sup_snapshot_chunk chunk;
        struct sup_snapshot_ack ack;
    } u;
};

#endif
