#include "core/repair_want.h"

#include <string.h>

/* Tells apart two decisions of one register that were taken at one time; nothing depends on it but
 * a useless transfer, or one that is put off until the next repair: FNV-1a. */
static uint32_t check(struct sup_slice encoded)
{
    uint32_t h = 0x811c9dc5;

    for (size_t i = 0; i < encoded.n; i++)
        h = (h ^ encoded.p[i]) * 0x01000193;
    return h;
}

void sup_repair_want_make(uint64_t key, const struct sup_registers *have,
                          struct sup_repair_want *out)
{
    memset(out, 0, sizeof(*out));
    out->key = key;
    for (unsigned i = 0; i < SUP_N_CLASSES; i++) {
        const struct sup_register *r = &have->r[i];
        out->have[i].present = r->present;
        out->have[i].time = r->present ? r->time : 0;
        out->have[i].check = r->present ? check(r->encoded) : 0;
    }
}

void sup_repair_want_pack(const struct sup_repair_want *w, struct sup_buf *out)
{
    uint8_t mask = 0;

    for (unsigned i = 0; i < SUP_N_CLASSES; i++)
        mask |= (uint8_t)(w->have[i].present << i);
    sup_buf_add_be64(out, w->key);
    sup_buf_add_byte(out, mask);
    for (unsigned i = 0; i < SUP_N_CLASSES; i++) {
        if (!w->have[i].present)
            continue;
        sup_buf_add_be64(out, w->have[i].time);
        sup_buf_add_be32(out, w->have[i].check);
    }
}

void sup_repair_want_unpack(struct sup_cur *c, struct sup_repair_want *out)
{
    uint8_t mask;

    memset(out, 0, sizeof(*out));
    out->key = sup_cur_be64(c);
    mask = sup_cur_byte(c);
    if (mask >> SUP_N_CLASSES != 0)
        c->failed = SUP_EINPUT;
    for (unsigned i = 0; i < SUP_N_CLASSES; i++) {
        out->have[i].present = mask >> i & 1;
        if (!out->have[i].present)
            continue;
        out->have[i].time = sup_cur_be64(c);
        out->have[i].check = sup_cur_be32(c);
    }
}

bool sup_repair_want_news(const struct sup_repair_want *w, enum sup_class cls,
                          const struct sup_register *r)
{
    const unsigned i = (unsigned)cls - 1;

    if (!r->present)
        return false;
    return !w->have[i].present || r->time > w->have[i].time ||
           (r->time == w->have[i].time && check(r->encoded) != w->have[i].check);
}
