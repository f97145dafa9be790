#ifndef SUP_CODEC_MESH_SNAPSHOT_PB_H
#define SUP_CODEC_MESH_SNAPSHOT_PB_H

#include "base/err.h"
#include "codec/frame.h"
#include "codec/mesh_snapshot.h"
#include "codec/pb_arena.h"
#include "mesh.pb-c.h"

/* For mesh_msg.c only: the messages of joining between structs and protobuf. Errors as in
 * codec/mesh_msg.h. */

/* A standing that this program does not know is none. */
enum sup_standing sup_mesh_standing(uint32_t v);
const ProtobufCMessageDescriptor *sup_mesh_snapshot_descriptor(unsigned type); /* NULL: not ours */
int sup_mesh_snapshot_encode(enum sup_frame_type type, const struct sup_snapshot_msg *msg,
                             struct sup_pb_arena *a, struct sup_buf *out, struct sup_err *err);
int sup_mesh_snapshot_decode(enum sup_frame_type type, const ProtobufCMessage *pb,
                             struct sup_pb_arena *a, struct sup_snapshot_msg *out,
                             struct sup_err *err);

#endif
