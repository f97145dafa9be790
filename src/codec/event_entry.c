#include "codec/event_entry.h"

#include "codec/keys.h"

#include <stdlib.h>
#include <zstd.h>

#define VERSION 1
#define LEVEL   1

enum { F_TYPE = 1, F_MESSAGE_ID, F_ADDRESSES, F_VERDICTS, F_RAW };

void sup_key_event(struct sup_buf *out, int64_t time_ms, struct sup_slice raw)
{
    struct sup_key id;

    sup_key_dedup(&id, raw);
    sup_buf_add_be64(out, time_ms < 0 ? 0 : (uint64_t)time_ms);
    sup_buf_add(out, id.b, SUP_EVENT_ENTRY_ID);
}

bool sup_key_event_parse(struct sup_slice key, int64_t *time_ms)
{
    if (key.n != 8 + SUP_EVENT_ENTRY_ID || key.p[0] > 0x7f)
        return false;
    *time_ms = (int64_t)sup_get_be64(key.p);
    return true;
}

static void add_field(struct sup_buf *out, uint8_t number, struct sup_slice s)
{
    if (s.n == 0)
        return;
    sup_buf_add_byte(out, number);
    sup_buf_add_be32(out, (uint32_t)s.n);
    sup_buf_add_slice(out, s);
}

struct sup_event_packer {
    ZSTD_CCtx *zstd;
};

struct sup_event_packer *sup_event_packer_new(void)
{
    struct sup_event_packer *p = calloc(1, sizeof(*p));

    if (p == NULL)
        return NULL;
    p->zstd = ZSTD_createCCtx();
    if (p->zstd != NULL)
        return p;
    free(p);
    return NULL;
}

void sup_event_packer_free(struct sup_event_packer *p)
{
    if (p == NULL)
        return;
    ZSTD_freeCCtx(p->zstd);
    free(p);
}

int sup_event_entry_encode(struct sup_event_packer *p, const struct sup_event_entry *e,
                           struct sup_buf *out)
{
    if (e->raw.n > SUP_EVENT_ENTRY_RAW_MAX)
        return SUP_ELIMIT;
    sup_buf_add_byte(out, VERSION);
    add_field(out, F_TYPE, e->type);
    add_field(out, F_MESSAGE_ID, e->message_id);
    add_field(out, F_ADDRESSES, e->addresses);
    add_field(out, F_VERDICTS, e->verdicts);
    sup_buf_add_byte(out, F_RAW);
    size_t at = out->n, room = ZSTD_compressBound(e->raw.n);
    sup_buf_add_be32(out, 0);
    uint8_t *to = sup_buf_reserve(out, room);
    if (to == NULL)
        return out->failed;
    size_t n = ZSTD_compressCCtx(p->zstd, to, room, e->raw.p, e->raw.n, LEVEL);
    if (ZSTD_isError(n))
        return SUP_ENOMEM;
    sup_put_be32(out->p + at, (uint32_t)n);
    out->n += n;
    return SUP_OK;
}

static int unpack(struct sup_slice packed, struct sup_buf *scratch, struct sup_slice *raw)
{
    unsigned long long size = ZSTD_getFrameContentSize(packed.p, packed.n);

    if (size > SUP_EVENT_ENTRY_RAW_MAX) /* the error values are the largest numbers */
        return SUP_ECORRUPT;
    sup_buf_reset(scratch);
    uint8_t *to = sup_buf_reserve(scratch, (size_t)size);
    if (to == NULL)
        return SUP_ENOMEM;
    size_t n = ZSTD_decompress(to, (size_t)size, packed.p, packed.n);
    if (ZSTD_isError(n) || n != size)
        return SUP_ECORRUPT;
    *raw = sup_slice_of(to, n);
    return SUP_OK;
}

int sup_event_entry_decode(struct sup_slice value, struct sup_buf *scratch,
                           struct sup_event_entry *out)
{
    struct sup_cur c = sup_cur_of(value);
    int rc = SUP_OK;

    *out = (struct sup_event_entry){0};
    uint8_t version = sup_cur_byte(&c);
    if (!c.failed && version != VERSION)
        return SUP_EVERSION;
    while (c.n > 0 && !c.failed && rc == SUP_OK) {
        uint8_t number = sup_cur_byte(&c);
        struct sup_slice s = sup_cur_take(&c, sup_cur_be32(&c));
        if (number == F_TYPE)
            out->type = s;
        else if (number == F_MESSAGE_ID)
            out->message_id = s;
        else if (number == F_ADDRESSES)
            out->addresses = s;
        else if (number == F_VERDICTS)
            out->verdicts = s;
        else if (number == F_RAW && scratch != NULL && !c.failed)
            rc = unpack(s, scratch, &out->raw);
    }
    return c.failed ? SUP_ECORRUPT : rc;
}
