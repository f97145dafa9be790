#ifndef SUP_CODEC_MESH_SUMMARY_PB_H
#define SUP_CODEC_MESH_SUMMARY_PB_H

#include "base/err.h"
#include "codec/frame.h"
#include "codec/mesh_summary.h"
#include "mesh.pb-c.h"

/* For mesh_msg.c only: SUMMARY_ASK and SUMMARY between structs and protobuf. Errors as in
 * codec/mesh_msg.h. Texts of a peer go into logs, pages and terminals: what is not printable ASCII
 * in them becomes '?', and what is too long is cut. */

int sup_mesh_summary_encode(enum sup_frame_type type, const struct sup_summary *s,
                            struct sup_buf *out, struct sup_err *err);
void sup_mesh_summary_decode(enum sup_frame_type type, const ProtobufCMessage *pb,
                             struct sup_summary *out);

#endif
