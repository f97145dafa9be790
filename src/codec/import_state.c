#include "codec/import_state.h"

#include "base/text.h"
#include "codec/pb_arena.h"
#include "store.pb-c.h"

#include <string.h>

#define MEM_MAX (1U << 20)

void sup_import_state_encode(const struct sup_import_state *s, struct sup_buf *out)
{
    Supsync__Store__ImportState msg = SUPSYNC__STORE__IMPORT_STATE__INIT;
    struct sup_pb_arena a;

    sup_pb_arena_init(&a, MEM_MAX);
    msg.stage = (uint32_t)s->stage;
    msg.remove = s->remove;
    msg.object_key = sup_pb_text(&a, sup_slice_str(s->object_key), sizeof(s->object_key) - 1);
    msg.job_id = sup_pb_text(&a, sup_slice_str(s->job_id), sizeof(s->job_id) - 1);
    msg.begin_ms = s->begin_ms;
    msg.rows = s->rows;
    msg.run = s->run;
    sup_pb_pack(&msg.base, out);
    sup_pb_arena_reset(&a);
}

int sup_import_state_decode(struct sup_slice bytes, struct sup_import_state *out,
                            struct sup_err *err)
{
    const Supsync__Store__ImportState *msg;
    struct sup_pb_arena a;
    int rc = SUP_OK;

    memset(out, 0, sizeof(*out));
    sup_pb_arena_init(&a, MEM_MAX);
    msg = sup_pb_unpack(&supsync__store__import_state__descriptor, &a, bytes, "import state", &rc,
                        err);
    if (rc == SUP_OK && msg->stage > SUP_IMPORT_RUNNING)
        rc = sup_err_set(err, SUP_EVERSION, "import job in an unknown stage");
    if (rc == SUP_OK) {
        out->stage = (enum sup_import_stage)msg->stage;
        out->remove = msg->remove;
        out->begin_ms = msg->begin_ms;
        out->rows = msg->rows;
        out->run = msg->run;
        sup_text_copy(out->object_key, sizeof(out->object_key), msg->object_key);
        sup_text_copy(out->job_id, sizeof(out->job_id), msg->job_id);
    }
    sup_pb_arena_reset(&a);
    return rc;
}

void sup_import_row_encode(const struct sup_import_row *r, struct sup_buf *out)
{
    Supsync__Store__ImportRow msg = SUPSYNC__STORE__IMPORT_ROW__INIT;
    struct sup_pb_arena a;

    sup_pb_arena_init(&a, MEM_MAX);
    msg.spelling = sup_pb_text(&a, sup_slice_str(r->spelling), SUP_ADDRESS_MAX);
    msg.reason = (uint32_t)r->reason;
    sup_pb_pack(&msg.base, out);
    sup_pb_arena_reset(&a);
}

int sup_import_row_decode(struct sup_slice bytes, struct sup_import_row *out, struct sup_err *err)
{
    const Supsync__Store__ImportRow *msg;
    struct sup_pb_arena a;
    int rc = SUP_OK;

    memset(out, 0, sizeof(*out));
    sup_pb_arena_init(&a, MEM_MAX);
    msg = sup_pb_unpack(&supsync__store__import_row__descriptor, &a, bytes, "import row", &rc, err);
    if (rc == SUP_OK && (msg->reason > SUP_REASON_COMPLAINT || msg->spelling[0] == '\0'))
        rc = sup_err_set(err, SUP_ECORRUPT, "damaged import row");
    if (rc == SUP_OK) {
        sup_text_copy(out->spelling, sizeof(out->spelling), msg->spelling);
        out->reason = (enum sup_reason)msg->reason;
    }
    sup_pb_arena_reset(&a);
    return rc;
}
