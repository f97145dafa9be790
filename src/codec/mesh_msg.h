#ifndef SUP_CODEC_MESH_MSG_H
#define SUP_CODEC_MESH_MSG_H

#include "base/buf.h"
#include "base/err.h"
#include "codec/frame.h"
#include "codec/mesh_refusal.h"
#include "codec/mesh_repair.h"
#include "codec/mesh_snapshot.h"
#include "codec/mesh_summary.h"
#include "model/decision.h"
#include "model/vv.h"

#include <stddef.h>
#include <stdint.h>

/* Messages between nodes (proto/mesh.proto) as plain structs. Pure. */

/* Versions of the protocol that this program speaks. */
#define SUP_MESH_VERSION_MIN 1
#define SUP_MESH_VERSION_MAX 1

#define SUP_MESH_NAME_MAX      64    /* node and cluster names, bytes */
#define SUP_MESH_MUTATIONS_MAX 8192  /* in one message */
#define SUP_MESH_HELLO_MAX     65536 /* body of a HELLO or REFUSE: all that a stranger may send */

struct sup_hello {
    uint32_t min_version, max_version;
    uint64_t features;
    char cluster[SUP_MESH_NAME_MAX + 1];
    char node[SUP_MESH_NAME_MAX + 1];
    uint64_t node_id, incarnation;
    uint64_t drift_limit_ms, key_check;
    int64_t wall_ms;
    uint64_t epoch, members; /* of the configuration; what stands for its members, 0 = not said */
    struct sup_vv vv;
    enum sup_standing standing;
};

struct sup_heartbeat {
    int64_t wall_ms;
    uint64_t mono_ns, echo_mono_ns, echo_held_us;
    uint64_t incarnation;
    uint64_t epoch, members; /* as in HELLO */
    struct sup_vv vv;
    uint8_t root[SUP_REPAIR_ROOT_SIZE];
    bool has_root;
    enum sup_standing standing;
};

struct sup_pull { /* PULL and ACK */
    struct sup_vv vv;
    uint64_t credit;
};

struct sup_trimmed {
    struct sup_vv floor; /* up to where the sender's log was trimmed */
};

struct sup_mutations {
    const struct sup_mutation *m; /* decoded: lives in the sup_mesh_mem */
    size_t n;
    uint64_t cost; /* decoded: bytes that count against the credit (the uncompressed body) */
};

/* A message; type says which member holds. Large (a version vector is 8 KiB). */
struct sup_mesh_msg {
    enum sup_frame_type type;
    union {
        struct sup_hello hello;
        struct sup_goodbye goodbye;
        struct sup_heartbeat heartbeat;
        struct sup_pull pull; /* PULL, ACK */
        struct sup_mutations mutations;
        struct sup_trimmed trimmed;
        struct sup_summary summary;       /* SUMMARY_ASK (its id only) and SUMMARY */
        struct sup_repair_msg repair;     /* REPAIR_… */
        struct sup_snapshot_msg snapshot; /* SNAPSHOT_… */
    } u;
};

/* Memory of decoded messages: what a message points to lives here until reset or free, whichever
 * link it came from. Reuse one a message; one thread at a time. */
struct sup_mesh_mem;
struct sup_mesh_mem *sup_mesh_mem_new(void); /* NULL only when out of memory */
void sup_mesh_mem_reset(struct sup_mesh_mem *m);
void sup_mesh_mem_free(struct sup_mesh_mem *m); /* NULL is fine */

/* Appends the body of msg's frame. SUP_EINPUT: a value that the decoder would refuse. SUP_ELIMIT or
 * SUP_ENOMEM: does not fit out. Memory for the work comes from m, which is reset first. */
int sup_mesh_msg_encode(const struct sup_mesh_msg *msg, struct sup_mesh_mem *m, struct sup_buf *out,
                        struct sup_err *err);

/* Resets m, then decodes. SUP_ENOTFOUND: a type that this program does not know. SUP_ECORRUPT: not
 * a message of that type, or a value out of range (names, counts, classes, key and decision sizes).
 * SUP_ELIMIT: would take more memory than a well-made message can. */
int sup_mesh_msg_decode(unsigned type, struct sup_slice body, struct sup_mesh_mem *m,
                        struct sup_mesh_msg *out, struct sup_err *err);

/* What one mutation adds to the body of a MUTATIONS message, to the byte: the sender takes from the
 * credit what the receiver gives back. Add these up to know when a message is full or the credit is
 * used up. */
size_t sup_mesh_mutation_size(const struct sup_mutation *m);

#endif
