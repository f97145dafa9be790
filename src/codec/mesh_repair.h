#ifndef SUP_CODEC_MESH_REPAIR_H
#define SUP_CODEC_MESH_REPAIR_H

#include "base/buf.h"
#include "model/vv.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Messages of repair as plain structs; part of codec/mesh_msg.h, which encodes and decodes them.
 * Slices of decoded ones live in the sup_mesh_mem. What is in the bytes fields is core's business;
 * here only their sizes are checked. */

#define SUP_REPAIR_ROOT_SIZE   24
#define SUP_REPAIR_SHARDS_SIZE 32
#define SUP_REPAIR_STRATA_SIZE 768
#define SUP_REPAIR_SUMS_SIZE   (256 * 24)

#define SUP_REPAIR_SYMBOLS_MAX 8192 /* symbols in one message */
#define SUP_REPAIR_SYMBOL_MAX  28   /* bytes of one */
#define SUP_REPAIR_WANTS_MAX   8192 /* records asked for at once */
#define SUP_REPAIR_WANT_MAX    48   /* bytes of one */
#define SUP_REPAIR_ENTRIES_MAX 8192 /* decisions in one message */

/* Of HELLO: this node can be asked for repair. */
#define SUP_FEATURE_REPAIR 1U

struct sup_repair_ask {
    uint64_t symbols;
    struct sup_slice shards; /* empty, or SUP_REPAIR_SHARDS_SIZE bytes */
    struct sup_slice strata; /* empty, or SUP_REPAIR_STRATA_SIZE bytes */
};

/* Sent: never renumber. */
enum sup_repair_state {
    SUP_REPAIR_MORE = 0,      /* more symbols can be had */
    SUP_REPAIR_END = 1,       /* these are all that are kept */
    SUP_REPAIR_BUSY = 2,      /* serves enough others at the moment */
    SUP_REPAIR_DIFFERENT = 3, /* the estimate is past what is kept: go by shards */
};

struct sup_repair_symbols {
    uint64_t first;
    size_t count;
    uint64_t n_set;
    uint64_t until;
    enum sup_repair_state state;
    struct sup_slice symbols;
};

struct sup_repair_sums {
    struct sup_slice sums; /* empty, or SUP_REPAIR_SUMS_SIZE bytes */
};

struct sup_repair_fetch {
    size_t count;
    struct sup_slice wants;
};

struct sup_repair_entry {
    struct sup_slice key;
    struct sup_slice encoded;
};

struct sup_repair_records {
    bool last;
    const struct sup_repair_entry *entries;
    size_t n;
    struct sup_vv vv; /* empty but in the last message of a repair */
};

struct sup_repair_msg {
    uint32_t round; /* of all but REPAIR_SUMS */
    union {
        struct sup_repair_ask ask;
        struct sup_repair_symbols symbols;
        struct sup_repair_sums sums;
        struct sup_repair_fetch fetch;
        struct sup_repair_records records;
    } u;
};

#endif
