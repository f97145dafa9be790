#ifndef SUP_CODEC_MESH_REPAIR_PB_H
#define SUP_CODEC_MESH_REPAIR_PB_H

#include "base/err.h"
#include "codec/frame.h"
#include "codec/mesh_repair.h"
#include "codec/pb_arena.h"
#include "mesh.pb-c.h"

/* For mesh_msg.c only: the messages of repair between structs and protobuf. Errors as in
 * codec/mesh_msg.h. */

/* In mesh_msg.c. */
int sup_mesh_put_vv(struct sup_pb_arena *a, const struct sup_vv *vv, size_t *n,
                    Supsync__Mesh__VvEntry ***out, struct sup_err *err);
int sup_mesh_get_vv(size_t n, Supsync__Mesh__VvEntry **entries, struct sup_vv *out,
                    struct sup_err *err);

const ProtobufCMessageDescriptor *sup_mesh_repair_descriptor(unsigned type); /* NULL: not ours */
int sup_mesh_repair_encode(enum sup_frame_type type, const struct sup_repair_msg *msg,
                           struct sup_pb_arena *a, struct sup_buf *out, struct sup_err *err);
int sup_mesh_repair_decode(enum sup_frame_type type, const ProtobufCMessage *pb,
                           struct sup_pb_arena *a, struct sup_repair_msg *out, struct sup_err *err);

#endif
