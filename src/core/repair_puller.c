/* The side of a repair that looks for what it lacks. */
#include "core/repair.h"

#include "base/array.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Fetches on their way at a time. */
#define FETCHES 2
/* Decisions that a server may send for what was asked for: each want has at most one of each class,
 * of one address, or of two that share a hash. In the end come those of its quarantine, which ends
 * at a tenth of this as a rule. A server that goes on and on would never let the repair end. */
#define ENTRIES_MAX(asked) (2 * SUP_N_CLASSES * (uint64_t)(asked) + 1024)
#define QUARANTINED_MAX    1000000

enum phase { WHOLE_SET, SYMBOLS, SUMS, SHARD_SET, FETCHING, FINAL, OVER };

struct sup_repair_puller {
    const struct sup_sketch_keys *keys;
    enum phase phase;
    bool to_send; /* what the phase begins with */
    int result;
    uint32_t round;
    struct sup_repair_set set;
    struct sup_sketch_sum sums[SUP_SKETCH_SHARDS]; /* ours, when the whole set was copied */
    bool left[SUP_SKETCH_SHARDS];                  /* shards that differ and were not done */
    uint64_t size[SUP_SKETCH_SHARDS];              /* of the larger side */
    uint8_t shards[SUP_REPAIR_SHARDS_SIZE];
    struct sup_riblt_decoder *decoder;
    uint64_t until; /* the server sends up to here */
    /* Of the symbols from window on: how many came, the sum of their indexes, and in how many of
     * them nothing differs. */
    uint64_t window, seen, indexes, empty;
    struct sup_repair_wanted *wanted;
    size_t n_wanted, cap, asked;
    uint64_t entries; /* that came for them, and then of the quarantine */
    unsigned outstanding;
    struct sup_repair_stats stats;
};

struct sup_repair_puller *sup_repair_puller_new(const struct sup_sketch_keys *keys)
{
    struct sup_repair_puller *p = calloc(1, sizeof(*p));

    if (!p)
        return NULL;
    p->keys = keys;
    sup_repair_set_init(&p->set, keys);
    return p;
}

void sup_repair_puller_free(struct sup_repair_puller *p)
{
    if (!p)
        return;
    sup_repair_set_fini(&p->set);
    sup_riblt_decoder_free(p->decoder);
    free(p->wanted);
    free(p);
}

static int over(struct sup_repair_puller *p, int result)
{
    p->phase = OVER;
    p->result = result;
    sup_repair_set_fini(&p->set);
    return result;
}

static void enter(struct sup_repair_puller *p, enum phase phase)
{
    p->phase = phase;
    p->to_send = true;
}

enum sup_repair_action sup_repair_puller_next(const struct sup_repair_puller *p)
{
    switch (p->phase) {
    case WHOLE_SET:
        return SUP_REPAIR_COPY;
    case SHARD_SET:
        return SUP_REPAIR_SCAN;
    case FETCHING:
        return p->asked < p->n_wanted && p->outstanding < FETCHES ? SUP_REPAIR_FETCH
                                                                  : SUP_REPAIR_WAIT;
    case SYMBOLS:
    case SUMS:
    case FINAL:
        return p->to_send ? SUP_REPAIR_SEND : SUP_REPAIR_WAIT;
    case OVER:
        break;
    }
    return SUP_REPAIR_OVER;
}

const uint8_t *sup_repair_puller_shards(const struct sup_repair_puller *p)
{
    return p->shards;
}

int sup_repair_puller_result(const struct sup_repair_puller *p)
{
    return p->result;
}

const struct sup_repair_stats *sup_repair_puller_stats(const struct sup_repair_puller *p)
{
    return &p->stats;
}

void sup_repair_puller_set(struct sup_repair_puller *p, struct sup_repair_set *set)
{
    sup_repair_set_fini(&p->set);
    p->set = *set;
    if (set->whole)
        memcpy(p->sums, set->sketch.shards, sizeof(p->sums));
    sup_riblt_decoder_free(p->decoder);
    p->decoder = sup_riblt_decoder_new(&p->keys->item, sup_repair_set_symbols_max(set));
    p->round++;
    p->until = 0;
    p->seen = p->indexes = p->empty = 0;
    p->stats.rounds++;
    if (!p->decoder)
        (void)over(p, SUP_ENOMEM);
    else
        enter(p, SYMBOLS);
}

/* --- sending --- */

/* The symbols that came say how many there must be: d differences leave symbol i empty with a
 * probability near exp(-2d/i). Better than the strata by far, when there are many. */
static uint64_t needed(const struct sup_repair_puller *p)
{
    double at;
    double d;

    if (p->empty < 20) /* too few to go by */
        return p->until * 9 / 8;
    at = (double)p->indexes / (double)p->seen;
    d = log((double)p->seen / (double)p->empty) * at / 2;
    return (uint64_t)(1.365 * d + 2 * sqrt(d)) + 4;
}

static void ask(struct sup_repair_puller *p, struct sup_repair_ask *m)
{
    const struct sup_strata *strata = sup_repair_set_strata(&p->set);
    uint64_t have = sup_riblt_decoder_symbols(p->decoder);

    p->stats.asks++;
    if (p->until == 0) {
        m->strata = sup_slice_of(strata->bits, sizeof(strata->bits));
        if (!p->set.whole)
            m->shards = sup_slice_of(p->shards, sizeof(p->shards));
        return;
    }
    m->symbols = have + have / 32 + 4;
    if (m->symbols < needed(p))
        m->symbols = needed(p);
}

void sup_repair_puller_message(struct sup_repair_puller *p, enum sup_frame_type *type,
                               struct sup_repair_msg *msg)
{
    memset(msg, 0, sizeof(*msg));
    msg->round = p->round;
    p->to_send = false;
    if (p->phase == SYMBOLS) {
        *type = SUP_FRAME_REPAIR_ASK;
        ask(p, &msg->u.ask);
    } else if (p->phase == SUMS) {
        *type = SUP_FRAME_REPAIR_SUMS;
    } else {
        *type = SUP_FRAME_REPAIR_FETCH; /* of nothing */
    }
}

/* --- going by shards --- */

/* The next group of shards that fits; without one all is done. */
static void next_group(struct sup_repair_puller *p)
{
    uint64_t items = 0;
    bool any = false;

    memset(p->shards, 0, sizeof(p->shards));
    for (unsigned i = 0; i < SUP_SKETCH_SHARDS; i++) {
        if (!p->left[i] || (any && items + p->size[i] > SUP_REPAIR_ITEMS_MAX))
            continue;
        any = true;
        items += p->size[i];
        p->left[i] = false;
        p->shards[i / 8] |= (uint8_t)(1U << i % 8);
        p->stats.shards++;
    }
    if (!any)
        p->entries = 0;
    enter(p, any ? SHARD_SET : FINAL);
}

int sup_repair_puller_sums(struct sup_repair_puller *p, const struct sup_repair_msg *msg)
{
    if (p->phase != SUMS || p->to_send || msg->u.sums.sums.n != SUP_REPAIR_SUMS_SIZE)
        return over(p, SUP_EINPUT);
    for (unsigned i = 0; i < SUP_SKETCH_SHARDS; i++) {
        struct sup_sketch_sum theirs =
            sup_sketch_sum_get(msg->u.sums.sums.p + (size_t)i * SUP_SKETCH_SUM_SIZE);
        p->left[i] = !sup_sketch_sum_eq(&theirs, &p->sums[i]);
        p->size[i] = theirs.count > p->sums[i].count ? theirs.count : p->sums[i].count;
        if (p->size[i] > SUP_REPAIR_ITEMS_MAX) /* as large as may be, and a group by itself */
            p->size[i] = SUP_REPAIR_ITEMS_MAX;
    }
    next_group(p);
    return SUP_OK;
}

/* --- what was found --- */

static int by_key(const void *a, const void *b)
{
    const struct sup_riblt_diff *x = a;
    const struct sup_riblt_diff *y = b;

    if (x->item.key != y->item.key)
        return x->item.key < y->item.key ? -1 : 1;
    return x->side - y->side;
}

static int want(struct sup_repair_puller *p, uint64_t key, bool changed)
{
    if (sup_array_grow((void **)&p->wanted, &p->cap, p->n_wanted + 1, sizeof(*p->wanted)) != SUP_OK)
        return SUP_ENOMEM;
    p->wanted[p->n_wanted++] = (struct sup_repair_wanted){.key = key, .changed = changed};
    return SUP_OK;
}

/* One key's differences: more than two only when addresses share a hash. */
static int sort_out(struct sup_repair_puller *p, const struct sup_riblt_diff *d, size_t n)
{
    bool here = d[0].side < 0;
    bool there = d[n - 1].side > 0;

    p->stats.surplus += here && !there;
    p->stats.missing += there && !here;
    p->stats.changed += here && there;
    return there ? want(p, d[0].item.key, here) : SUP_OK;
}

static int decoded(struct sup_repair_puller *p)
{
    size_t n = 0;
    const struct sup_riblt_diff *d = sup_riblt_decoder_diff(p->decoder, &n);
    struct sup_riblt_diff *sorted = malloc((n > 0 ? n : 1) * sizeof(*sorted));
    int rc = sorted ? SUP_OK : SUP_ENOMEM;

    p->n_wanted = p->asked = 0;
    p->entries = 0;
    if (sorted && n > 0) {
        memcpy(sorted, d, n * sizeof(*sorted));
        qsort(sorted, n, sizeof(*sorted), by_key);
    }
    for (size_t i = 0, end; rc == SUP_OK && i < n; i = end) {
        for (end = i + 1; end < n && sorted[end].item.key == sorted[i].item.key;)
            end++;
        rc = sort_out(p, sorted + i, end - i);
    }
    free(sorted);
    sup_riblt_decoder_free(p->decoder);
    p->decoder = NULL;
    sup_repair_set_fini(&p->set);
    if (rc != SUP_OK)
        return over(p, rc);
    p->phase = FETCHING;
    if (p->n_wanted == 0)
        next_group(p);
    return SUP_OK;
}

size_t sup_repair_puller_wants(struct sup_repair_puller *p, uint32_t *round,
                               const struct sup_repair_wanted **out, size_t max)
{
    size_t n = p->n_wanted - p->asked;

    n = n < max ? n : max;
    *round = p->round;
    *out = p->wanted + p->asked;
    p->asked += n;
    p->outstanding++;
    return n;
}

int sup_repair_puller_records(struct sup_repair_puller *p, const struct sup_repair_msg *msg,
                              bool *final)
{
    bool endless;

    *final = p->phase == FINAL;
    if (msg->u.records.n == 0 && !msg->u.records.last)
        return over(p, SUP_EINPUT);
    p->entries += msg->u.records.n;
    if (p->phase == FINAL && !p->to_send) {
        if (p->entries > QUARANTINED_MAX)
            return over(p, SUP_EINPUT);
        if (msg->u.records.last)
            (void)over(p, SUP_OK);
        return SUP_OK;
    }
    endless = p->entries > ENTRIES_MAX(p->asked);
    if (p->phase != FETCHING || p->outstanding == 0 || msg->round != p->round || endless)
        return over(p, SUP_EINPUT);
    p->outstanding -= msg->u.records.last;
    if (p->outstanding == 0 && p->asked == p->n_wanted)
        next_group(p);
    return SUP_OK;
}

/* --- symbols --- */

static int take(struct sup_repair_puller *p, const struct sup_repair_symbols *m)
{
    const struct sup_riblt_symbol *ours;
    struct sup_cur c = sup_cur_of(m->symbols);
    size_t max = sup_repair_set_symbols_max(&p->set);
    /* Its prefix may be longer than ours. */
    size_t n = m->count < max - m->first ? m->count : max - m->first;
    int rc = sup_repair_set_symbols(&p->set, m->first, n, &ours);

    for (size_t i = 0; rc == SUP_OK && i < n && !sup_riblt_decoder_done(p->decoder); i++) {
        struct sup_riblt_symbol s;
        sup_riblt_unpack(&c, m->first + i, m->n_set, &s);
        if (c.failed)
            return SUP_EINPUT;
        sup_riblt_subtract(&s, &ours[i], 1);
        if (m->first + i >= p->window) {
            p->seen++;
            p->indexes += m->first + i;
            p->empty += s.count == 0 && s.key == 0 && s.digest == 0 && s.check == 0;
        }
        rc = sup_riblt_decoder_add(p->decoder, &s);
        p->stats.symbols++;
    }
    return rc;
}

/* Nothing more is to come in this round by itself. */
static int undecoded(struct sup_repair_puller *p, enum sup_repair_state state)
{
    if (state == SUP_REPAIR_MORE &&
        sup_riblt_decoder_symbols(p->decoder) < sup_repair_set_symbols_max(&p->set)) {
        enter(p, SYMBOLS);
        return SUP_OK;
    }
    if (!p->set.whole) /* both sides scanned; all symbols there are do not do */
        return over(p, SUP_ELIMIT);
    sup_repair_set_fini(&p->set);
    enter(p, SUMS);
    return SUP_OK;
}

int sup_repair_puller_symbols(struct sup_repair_puller *p, const struct sup_repair_msg *msg)
{
    const struct sup_repair_symbols *m = &msg->u.symbols;
    int rc;

    if (p->phase != SYMBOLS || msg->round != p->round)
        return SUP_OK; /* sent before it knew that we had enough */
    if (p->to_send || m->first != sup_riblt_decoder_symbols(p->decoder))
        return over(p, SUP_EINPUT);
    if (m->state == SUP_REPAIR_BUSY)
        return over(p, SUP_EAGAIN);
    if (p->until == 0)
        p->window = m->until - m->until / 6;
    p->until = m->until;
    rc = take(p, m);
    if (rc != SUP_OK)
        return over(p, rc);
    if (sup_riblt_decoder_done(p->decoder))
        return decoded(p);
    if (m->first + m->count < m->until && m->count > 0 &&
        sup_riblt_decoder_symbols(p->decoder) < sup_repair_set_symbols_max(&p->set))
        return SUP_OK;
    return undecoded(p, m->count == 0 && m->state == SUP_REPAIR_MORE ? SUP_REPAIR_END : m->state);
}
