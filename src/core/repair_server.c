/* The serving side of a repair. */
#include "core/repair.h"

#include <stdlib.h>
#include <string.h>

/* Symbols in one message: about as many bytes as a message of mutations. */
#define MESSAGE_SYMBOLS 4096

struct sup_repair_server {
    const struct sup_sketch_keys *keys;
    enum sup_repair_action next;
    uint32_t round;
    bool asked; /* ever */
    struct sup_repair_set set;
    bool has_set;
    uint8_t shards[SUP_REPAIR_SHARDS_SIZE];
    struct sup_strata theirs;
    uint64_t sent;
    uint64_t until;
    enum sup_repair_state refusal; /* instead of symbols */
};

/* Ten differences need 1.7 symbols each and a million 1.35, each with some scatter; the estimate
 * itself scatters by a tenth. What lacks is asked for at the price of a round trip. */
uint64_t sup_repair_symbols_for(uint64_t d)
{
    uint64_t root = 0;

    if (d > SUP_REPAIR_SCANNED_SYMBOLS_MAX)
        return UINT64_MAX;
    while ((root + 1) * (root + 1) <= d)
        root++;
    return d + d * 42 / 100 + 3 * root + 4;
}

struct sup_repair_server *sup_repair_server_new(const struct sup_sketch_keys *keys)
{
    struct sup_repair_server *s = calloc(1, sizeof(*s));

    if (!s)
        return NULL;
    s->keys = keys;
    sup_repair_set_init(&s->set, keys);
    return s;
}

void sup_repair_server_free(struct sup_repair_server *s)
{
    if (!s)
        return;
    sup_repair_set_fini(&s->set);
    free(s);
}

enum sup_repair_action sup_repair_server_next(const struct sup_repair_server *s)
{
    return s->next;
}

const uint8_t *sup_repair_server_shards(const struct sup_repair_server *s)
{
    return s->shards;
}

void sup_repair_server_end(struct sup_repair_server *s)
{
    sup_repair_set_fini(&s->set);
    s->has_set = false;
    s->next = SUP_REPAIR_WAIT;
}

static int new_round(struct sup_repair_server *s, const struct sup_repair_msg *msg)
{
    const struct sup_repair_ask *ask = &msg->u.ask;

    if (ask->strata.n != sizeof(s->theirs.bits))
        return SUP_EINPUT;
    sup_repair_server_end(s);
    s->asked = true;
    s->round = msg->round;
    s->sent = 0;
    s->until = ask->symbols;
    s->refusal = SUP_REPAIR_MORE;
    memcpy(s->theirs.bits, ask->strata.p, sizeof(s->theirs.bits));
    s->next = SUP_REPAIR_COPY;
    if (ask->shards.n == sizeof(s->shards)) {
        memcpy(s->shards, ask->shards.p, sizeof(s->shards));
        s->next = SUP_REPAIR_SCAN;
    }
    return SUP_OK;
}

int sup_repair_server_ask(struct sup_repair_server *s, const struct sup_repair_msg *msg)
{
    if (!s->asked || msg->round != s->round)
        return new_round(s, msg);
    if (s->next == SUP_REPAIR_COPY || s->next == SUP_REPAIR_SCAN)
        return SUP_EINPUT; /* asks for more before it had anything */
    if (!s->has_set)       /* given up meanwhile */
        s->refusal = SUP_REPAIR_BUSY;
    if (msg->u.ask.symbols > s->until)
        s->until = msg->u.ask.symbols;
    s->next = SUP_REPAIR_SEND;
    return SUP_OK;
}

static void limit(struct sup_repair_server *s)
{
    uint64_t max = sup_repair_set_symbols_max(&s->set);

    if (s->until > max)
        s->until = max;
}

void sup_repair_server_set(struct sup_repair_server *s, struct sup_repair_set *set)
{
    uint64_t d;

    sup_repair_set_fini(&s->set);
    s->set = *set;
    s->has_set = true;
    s->next = SUP_REPAIR_SEND;
    d = sup_strata_estimate(&s->theirs, sup_repair_set_strata(set));
    if (s->until == 0)
        s->until = sup_repair_symbols_for(d);
    /* Sending it all would probably not do: the estimate may be off by a fifth. */
    if (set->whole && d > sup_repair_set_symbols_max(set) / 8 * 5)
        s->refusal = SUP_REPAIR_DIFFERENT;
    limit(s);
}

void sup_repair_server_busy(struct sup_repair_server *s)
{
    sup_repair_server_end(s);
    s->refusal = SUP_REPAIR_BUSY;
    s->next = SUP_REPAIR_SEND;
}

static void refuse(struct sup_repair_server *s, struct sup_repair_symbols *m)
{
    m->first = m->until = s->sent;
    m->state = s->refusal;
    s->refusal = SUP_REPAIR_MORE;
    sup_repair_server_end(s);
}

int sup_repair_server_message(struct sup_repair_server *s, struct sup_buf *out,
                              enum sup_frame_type *type, struct sup_repair_msg *msg)
{
    struct sup_repair_symbols *m = &msg->u.symbols;
    const struct sup_riblt_symbol *symbols;
    int rc;

    *type = SUP_FRAME_REPAIR_SYMBOLS;
    memset(msg, 0, sizeof(*msg));
    msg->round = s->round;
    if (s->refusal != SUP_REPAIR_MORE) {
        refuse(s, m);
        return SUP_OK;
    }
    limit(s);
    m->first = s->sent;
    m->until = s->until;
    m->count = s->until - s->sent < MESSAGE_SYMBOLS ? s->until - s->sent : MESSAGE_SYMBOLS;
    m->n_set = sup_repair_set_count(&s->set);
    rc = sup_repair_set_symbols(&s->set, s->sent, m->count, &symbols);
    if (rc != SUP_OK)
        return rc;
    sup_buf_reset(out);
    sup_riblt_pack(symbols, m->count, s->sent, m->n_set, out);
    m->symbols = sup_buf_slice(out);
    s->sent += m->count;
    if (s->sent == sup_repair_set_symbols_max(&s->set))
        m->state = SUP_REPAIR_END;
    if (s->sent >= s->until)
        s->next = SUP_REPAIR_WAIT;
    return out->failed;
}
