#ifndef MESH_MSG_FIXTURE_H
#define MESH_MSG_FIXTURE_H

#include "codec/mesh_msg.h"

#include <string.h>

/* A message, encoded, and decoded into memory of its own. */
struct mesh_msg_fixture {
    struct sup_mesh_mem *mem;
    struct sup_mesh_mem *out_mem;
    struct sup_mesh_msg in, out;
    struct sup_buf body;
    struct sup_err err;
};

/* 0, or -1 when out of memory. */
static inline int mesh_msg_open(struct mesh_msg_fixture *f, size_t body_max)
{
    memset(f, 0, sizeof(*f));
    f->mem = sup_mesh_mem_new();
    f->out_mem = sup_mesh_mem_new();
    sup_buf_init(&f->body, body_max);
    return f->mem && f->out_mem ? 0 : -1;
}

static inline void mesh_msg_close(struct mesh_msg_fixture *f)
{
    sup_mesh_mem_free(f->mem);
    sup_mesh_mem_free(f->out_mem);
    sup_buf_fini(&f->body);
}

static inline int mesh_msg_encode(struct mesh_msg_fixture *f, enum sup_frame_type type)
{
    f->in.type = type;
    sup_buf_reset(&f->body);
    return sup_mesh_msg_encode(&f->in, f->mem, &f->body, &f->err);
}

/* What is not set shows. */
static inline int mesh_msg_decode(struct mesh_msg_fixture *f)
{
    memset(&f->out, 0xa5, sizeof(f->out));
    return sup_mesh_msg_decode((unsigned)f->in.type, sup_buf_slice(&f->body), f->out_mem, &f->out,
                               &f->err);
}

#endif
