#include "codec/rate_counts.h"

#define VERSION 1

const char *sup_rate_kind_name(enum sup_rate_kind k)
{
    switch (k) {
    case SUP_RATE_REGION:
        return "region";
    case SUP_RATE_SET:
        return "configuration-set";
    case SUP_RATE_IDENTITY:
        return "identity";
    case SUP_RATE_DOMAIN:
        return "domain";
    }
    return "unknown";
}

void sup_key_rate(struct sup_buf *out, uint32_t minute, enum sup_rate_kind kind,
                  struct sup_slice name)
{
    sup_buf_add_be32(out, minute);
    sup_buf_add_byte(out, (uint8_t)kind);
    sup_buf_add(out, name.p, name.n < SUP_RATE_NAME_MAX ? name.n : SUP_RATE_NAME_MAX);
}

bool sup_key_rate_parse(struct sup_slice key, uint32_t *minute, enum sup_rate_kind *kind,
                        struct sup_slice *name)
{
    if (key.n < 5 || key.n > 5 + SUP_RATE_NAME_MAX || key.p[4] < SUP_RATE_REGION ||
        key.p[4] > SUP_RATE_DOMAIN)
        return false;
    *minute = sup_get_be32(key.p);
    *kind = (enum sup_rate_kind)key.p[4];
    *name = sup_slice_of(key.p + 5, key.n - 5);
    return true;
}

void sup_rate_counts_encode(const struct sup_rate_counts *c, struct sup_buf *out)
{
    sup_buf_add_byte(out, VERSION);
    for (size_t i = 0; i < SUP_N_RATE_WHATS; i++) {
        uint64_t v = c->n[i];
        for (; v >= 0x80; v >>= 7)
            sup_buf_add_byte(out, (uint8_t)(v | 0x80));
        sup_buf_add_byte(out, (uint8_t)v);
    }
}

static uint64_t take_number(struct sup_cur *c)
{
    uint64_t v = 0;

    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t b = sup_cur_byte(c);
        if (shift == 63 && b > 1)
            break;
        v |= (uint64_t)(b & 0x7f) << shift;
        if ((b & 0x80) == 0)
            return v;
    }
    c->failed = SUP_EINPUT;
    return 0;
}

int sup_rate_counts_decode(struct sup_slice value, struct sup_rate_counts *out)
{
    struct sup_cur c = sup_cur_of(value);

    *out = (struct sup_rate_counts){0};
    uint8_t version = sup_cur_byte(&c);
    if (!c.failed && version != VERSION)
        return SUP_EVERSION;
    for (size_t i = 0; i < SUP_N_RATE_WHATS; i++)
        out->n[i] = take_number(&c);
    return c.failed ? SUP_ECORRUPT : SUP_OK;
}

void sup_rate_counts_add(struct sup_rate_counts *to, const struct sup_rate_counts *c)
{
    for (size_t i = 0; i < SUP_N_RATE_WHATS; i++)
        to->n[i] = to->n[i] > UINT64_MAX - c->n[i] ? UINT64_MAX : to->n[i] + c->n[i];
}
