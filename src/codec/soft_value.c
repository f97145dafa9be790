#include "codec/soft_value.h"

#include "base/array.h"
#include "base/text_cut.h"

#define VERSION   1
#define FIELD_MAX 4096 /* longer texts are cut: a subject may be long */

enum { F_TIME = 20, F_LEASE, F_CLAIMS, F_BOUNCES, F_TAGS };

void sup_key_soft_due(struct sup_buf *out, int64_t due_ms, const uint8_t *id)
{
    sup_buf_add_byte(out, 'd');
    sup_buf_add_be64(out, due_ms < 0 ? 0 : (uint64_t)due_ms);
    sup_buf_add(out, id, SUP_SOFT_ID);
}

bool sup_key_soft_due_parse(struct sup_slice key, int64_t *due_ms, const uint8_t **id)
{
    if (key.n != 9 + SUP_SOFT_ID || key.p[0] != 'd' || key.p[1] > 0x7f)
        return false;
    *due_ms = (int64_t)sup_get_be64(key.p + 1);
    *id = key.p + 9;
    return true;
}

void sup_key_soft_id(struct sup_buf *out, const uint8_t *id)
{
    sup_buf_add_byte(out, 'i');
    sup_buf_add(out, id, SUP_SOFT_ID);
}

void sup_key_soft_address(struct sup_buf *out, struct sup_slice address)
{
    sup_buf_add_byte(out, 'a');
    sup_buf_add_slice(out, address);
}

/* The texts in the order of their field numbers, from 1. */
#define TEXTS(s)                                                                                   \
    {                                                                                              \
        &(s)->address, &(s)->recipient, &(s)->message_id, &(s)->feedback_id, &(s)->source,         \
            &(s)->subject, &(s)->configuration_set, &(s)->tenant, &(s)->sub_type, &(s)->status,    \
            &(s)->diagnostic                                                                       \
    }

static void add_text(struct sup_buf *out, struct sup_slice s)
{
    sup_buf_add_be16(out, (uint16_t)s.n);
    sup_buf_add_slice(out, s);
}

static void add_field(struct sup_buf *out, uint8_t number, struct sup_slice s)
{
    if (s.n == 0)
        return;
    sup_buf_add_byte(out, number);
    add_text(out, s);
}

void sup_soft_add_tag(struct sup_buf *list, struct sup_slice name, struct sup_slice value)
{
    if (name.n > SUP_SOFT_TAGS_MAX || value.n > SUP_SOFT_TAGS_MAX ||
        list->n + name.n + value.n + 4 > SUP_SOFT_TAGS_MAX)
        return;
    add_text(list, name);
    add_text(list, value);
}

bool sup_soft_next_tag(struct sup_slice *list, struct sup_slice *name, struct sup_slice *value)
{
    struct sup_cur c = sup_cur_of(*list);

    *name = sup_cur_take(&c, sup_cur_be16(&c));
    *value = sup_cur_take(&c, sup_cur_be16(&c));
    if (c.failed)
        return false;
    *list = sup_slice_of(c.p, c.n);
    return true;
}

static void add_number(struct sup_buf *out, uint8_t number, uint64_t v)
{
    uint8_t b[8];

    sup_put_be64(b, v);
    add_field(out, number, sup_slice_of(b, sizeof(b)));
}

void sup_soft_encode(const struct sup_soft *s, struct sup_buf *out)
{
    const struct sup_slice *const texts[] = TEXTS(s);

    sup_buf_add_byte(out, VERSION);
    for (size_t i = 0; i < SUP_COUNT(texts); i++)
        add_field(out, (uint8_t)(i + 1), sup_text_cut(*texts[i], FIELD_MAX));
    add_number(out, F_TIME, (uint64_t)s->time_ms);
    add_number(out, F_LEASE, s->lease);
    add_number(out, F_CLAIMS, s->claims);
    add_number(out, F_BOUNCES, s->bounces);
    add_field(out, F_TAGS, s->tags);
}

static uint64_t number_of(struct sup_slice s)
{
    return s.n == 8 ? sup_get_be64(s.p) : 0;
}

int sup_soft_decode(struct sup_slice value, struct sup_soft *out)
{
    struct sup_slice *const texts[] = TEXTS(out);
    struct sup_cur c = sup_cur_of(value);

    *out = (struct sup_soft){0};
    uint8_t version = sup_cur_byte(&c);
    if (!c.failed && version != VERSION)
        return SUP_EVERSION;
    while (c.n > 0 && !c.failed) {
        uint8_t number = sup_cur_byte(&c);
        struct sup_slice s = sup_cur_take(&c, sup_cur_be16(&c));
        if (number >= 1 && number <= SUP_COUNT(texts))
            *texts[number - 1] = s;
        else if (number == F_TAGS)
            out->tags = s;
        else if (number == F_TIME)
            out->time_ms = (int64_t)number_of(s);
        else if (number == F_LEASE)
            out->lease = number_of(s);
        else if (number == F_CLAIMS)
            out->claims = (uint32_t)number_of(s);
        else if (number == F_BOUNCES)
            out->bounces = (uint32_t)number_of(s);
    }
    return c.failed ? SUP_ECORRUPT : SUP_OK;
}
